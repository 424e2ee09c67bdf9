//! What may not be done yet. Pure; holds back, never adds.
//!
//! Holds here: apps that wait for others (`after`), mass removals, repairs that are undone again and again, and everything that a full disk or a
//! state that was begun anew makes too bold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hop3_plugin_api::{AppName, Digest};

use crate::desired::Desired;
use crate::observe::{ObservedApp, Room};
use crate::plan::{Action, Change, Class, Held, HoldKind, Parts, Plan};

/// What the gate takes into account beside the plan.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Apps that run their current release.
    pub healthy: BTreeSet<AppName>,
    /// Repairs that are no longer made, by app and change.
    pub flapping: BTreeSet<(AppName, Digest)>,
    /// Why the agent's memory is younger than what it describes, if so.
    pub doubt: Option<String>,
    /// What the data dir can take.
    pub room: Room,
    /// Packages that only people install; absent where the agent may, and where nobody can tell what is there.
    pub packages: Option<Packages>,
}

/// What is known of the packages that apps name.
#[derive(Debug, Clone, Default)]
pub struct Packages {
    /// Those that were asked for, and whether they are installed.
    pub known: BTreeMap<String, bool>,
    /// What a person types before their names to install them.
    pub install: &'static str,
}

/// The plan with everything held back that may not be done yet.
pub fn gate(plan: Plan, facts: &Facts) -> Plan {
    let Plan {
        host,
        revision,
        changes,
        held,
        unchanged,
        errors,
        notes,
        ..
    } = plan;
    let replaced = changes
        .iter()
        .filter(|change| change.replaces())
        .map(|change| change.app.clone())
        .collect();
    let mut parts = Parts {
        held,
        unchanged,
        errors,
        notes,
        ..Parts::default()
    };
    for change in changes {
        let hold = no_room(&change, &facts.room)
            .or_else(|| doubtful(&change, facts.doubt.as_deref()))
            .or_else(|| flapping(&change, &facts.flapping))
            .or_else(|| waiting(&change, &replaced, facts))
            .or_else(|| without_packages(&change, facts.packages.as_ref()?));
        match hold {
            Some(hold) => parts.held.push(hold),
            None => parts.changes.push(change),
        }
    }
    Plan::assemble(&host, revision, parts)
}

/// A disk that takes nothing more makes half of everything: it is not begun.
fn no_room(change: &Change, room: &Room) -> Option<Held> {
    let makes_room = change
        .steps
        .iter()
        .all(|step| step.action == Action::MakeRoom);
    if makes_room && *room != Room::ReadOnly {
        return None;
    }
    let hints = room.hint().map(str::to_owned).into_iter().collect();
    Some(Held {
        hints,
        ..hold(&change.app, HoldKind::Host, room.problem()?)
    })
}

/// Whoever does not remember what was agreed on makes, moves and leaves no data.
fn doubtful(change: &Change, doubt: Option<&str>) -> Option<Held> {
    let doubt = doubt.filter(|_| change.class == Class::Data)?;
    let message = format!("its data steps wait for a person's word: {doubt}");
    Some(Held {
        hints: vec![RESUME.to_owned()],
        ..hold(&change.app, HoldKind::Policy, message)
    })
}

/// Somebody else wants it otherwise: that is reported, not fought.
fn flapping(change: &Change, flapping: &BTreeSet<(AppName, Digest)>) -> Option<Held> {
    let repair = (change.app.clone(), change.id.clone());
    let what = change.repairs().filter(|_| flapping.contains(&repair))?;
    let message =
        format!("it was repaired five times within ten minutes and is undone each time: {what}");
    let hint = format!(
        "find out who or what undoes it; then `hop3-agent resume {}`, or a commit that changes the app",
        change.app
    );
    Some(Held {
        hints: vec![hint],
        ..hold(&change.app, HoldKind::Flapping, message)
    })
}

/// A new release waits for the apps that it names. Mending and routing what runs already does not.
fn waiting(change: &Change, replaced: &BTreeSet<AppName>, facts: &Facts) -> Option<Held> {
    let ready = |other: &AppName| !replaced.contains(other) && facts.healthy.contains(other);
    let waits_for = change
        .after
        .iter()
        .find(|other| change.replaces() && !ready(other))?;
    let message = format!("it waits for `{waits_for}`, which is not healthy yet");
    Some(hold(&change.app, HoldKind::Waiting, message))
}

/// An app is not built where its packages are missing and the agent must not install them.
fn without_packages(change: &Change, packages: &Packages) -> Option<Held> {
    let named = change.steps.iter().find_map(|step| match &step.action {
        Action::EnsurePackages { packages } => Some(packages),
        _ => None,
    })?;
    if named.iter().any(|name| !packages.known.contains_key(name)) {
        let message = "it is looked up whether its packages are installed".to_owned();
        return Some(hold(&change.app, HoldKind::Busy, message));
    }
    let missing: Vec<String> = named
        .iter()
        .filter(|name| !packages.known[*name])
        .cloned()
        .collect();
    (!missing.is_empty()).then(|| Held {
        hints: vec![install_hint(packages.install, &missing)],
        ..hold(&change.app, HoldKind::Policy, lacking(&missing))
    })
}

/// Which packages an app lacks, in words.
pub(crate) fn lacking(missing: &[String]) -> String {
    let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    let plural = if missing.len() == 1 { "" } else { "s" };
    format!("this host lacks the package{plural} {}", names.join(", "))
}

/// What to do about it.
pub(crate) fn install_hint(command: &str, missing: &[String]) -> String {
    format!(
        "`{command} {}`, or `packages = \"install\"` in `[policy]` of agent.toml",
        missing.join(" ")
    )
}

/// What a person does about holds of the whole host.
const RESUME: &str =
    "look whether that is meant; then `hop3-agent resume`, without an app's name, goes on";

/// Apps that are gone from the config repo and stay all the same: a lost directory must not take the host down. More than one app and more than
/// a fifth of all at once wait for a person's word, and so does the last app of all.
///
/// `approved` are the apps of which a person has said that they may go.
pub fn spared(
    desired: &Desired,
    observed: &BTreeMap<AppName, Arc<ObservedApp>>,
    (approved, doubt): (&BTreeSet<AppName>, Option<&str>),
) -> BTreeMap<AppName, Held> {
    let gone: BTreeSet<&AppName> = observed
        .keys()
        .filter(|app| !desired.mentions(app) && !approved.contains(*app))
        .collect();
    let is_deployed = |app: &&&AppName| observed[**app].current.is_some();
    let removed = gone.iter().filter(is_deployed).count();
    let deployed = observed
        .values()
        .filter(|app| app.current.is_some())
        .count();
    let Some(why) = too_bold(desired, (removed, deployed), doubt) else {
        return BTreeMap::new();
    };
    let spare = |app: &AppName| Held {
        hints: vec![RESUME.to_owned()],
        ..hold(app, HoldKind::Policy, why.clone())
    };
    gone.into_iter()
        .map(|app| (app.clone(), spare(app)))
        .collect()
}

/// Why so many removals at once need a person's word, if so.
fn too_bold(
    desired: &Desired,
    (removed, deployed): (usize, usize),
    doubt: Option<&str>,
) -> Option<String> {
    let allowed = (deployed / 5).max(1);
    let is_empty = desired.apps.is_empty() && desired.held.is_empty();
    if let Some(doubt) = doubt {
        Some(format!("its removal waits for a person's word: {doubt}"))
    } else if let Some(vanished) = &desired.vanished {
        Some(format!(
            "{vanished}; apps stay until a person says otherwise"
        ))
    } else if is_empty && deployed > 0 {
        Some(format!(
            "the config repo has no app for this host any more; the {deployed} that are here stay until a person says otherwise"
        ))
    } else if removed > allowed {
        Some(format!(
            "{removed} of {deployed} apps would be removed at once; at most {allowed} are without a person's word"
        ))
    } else {
        None
    }
}

fn hold(app: &AppName, hold: HoldKind, message: String) -> Held {
    Held {
        app: app.clone(),
        hold,
        message,
        hints: Vec::new(),
        at: None,
    }
}
