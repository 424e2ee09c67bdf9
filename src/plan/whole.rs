//! The plan of a whole host: for each app the right target, then its change. Pure: the order of the inputs does not show.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use hop3_plugin_api::{AppName, Digest};

use super::make::{AppInput, plan_app, plan_removal, removal_key};
use super::settled::Settled;
use super::{Change, Held, HoldKind, Parts, Plan};
use crate::contain::contained;
use crate::desired::{Desired, DesiredApp, Placement};
use crate::observe::ObservedApp;
use crate::release::{FixedTarget, Target};

/// A target that is not tried for now, because it failed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting {
    /// What happened, for people.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
}

/// What people, policy and the past hold.
#[derive(Debug, Clone, Default)]
pub struct Holds {
    /// Targets that rest after failures, by app and [`Target::trial`].
    pub resting: BTreeMap<(AppName, Digest), Resting>,
    /// Apps that a person paused, and in which words.
    pub paused: BTreeMap<AppName, String>,
    /// Apps that are gone from the config repo and stay all the same, and why.
    pub spared: BTreeMap<AppName, Held>,
    /// Whether the disk has so little left that what can be made again gives way.
    pub scarce: bool,
    /// Apps whose new release does not stay up although there is no way back, and why not.
    pub crashing: BTreeMap<AppName, Held>,
}

impl Holds {
    /// The rest of a target of an app. What nobody asks for is not computed: most apps have never failed.
    fn rest_of(&self, app: &AppName, trial: impl FnOnce() -> Digest) -> Option<&Resting> {
        let mut of_app = self.resting.keys().map(|(of, _)| of);
        if self.resting.is_empty() || !of_app.any(|of| of == app) {
            return None;
        }
        self.resting.get(&(app.clone(), trial()))
    }
}

/// Everything that a plan is computed from.
#[derive(Clone, Copy)]
pub struct PlanInput<'a> {
    /// The host.
    pub host: &'a str,
    /// The data dir; see [`AppInput::data_dir`].
    pub data_dir: &'a Path,
    /// What should be.
    pub desired: &'a Desired,
    /// What is.
    pub observed: &'a BTreeMap<AppName, Arc<ObservedApp>>,
    /// Apps of which a change is under way.
    pub busy: &'a BTreeSet<AppName>,
    /// What is held.
    pub holds: &'a Holds,
    /// Apps that are known to be as they should be.
    pub settled: &'a Settled,
    /// Whether two releases of a target may run side by side.
    pub overlaps: &'a dyn Fn(&Target) -> bool,
}

/// What must be done on the host. A mistake in the planning of one app holds that app.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let mut parts = Parts::default();
    parts.held.extend(input.desired.held.iter().cloned());
    parts.errors.clone_from(&input.desired.nameless);
    let names: BTreeSet<&AppName> = input
        .desired
        .apps
        .keys()
        .chain(input.observed.keys())
        .collect();
    for name in names {
        let planned = contained(|| plan_one(input, name, &parts.held));
        match planned {
            Ok(one) => parts.add(one),
            Err(words) => parts.held.push(held(
                name,
                HoldKind::Unknown,
                &format!("a mistake in the agent or in a plugin cut off its plan: {words}"),
            )),
        }
    }
    Plan::assemble(input.host, input.desired.revision.clone(), parts)
}

/// What a change of an app has to lead to now ([`Target::trial`]), whether or not one is under way; `None` where that cannot be told and what is
/// under way goes on.
pub fn destination(input: &PlanInput<'_>, name: &AppName) -> Option<Digest> {
    let absent = ObservedApp::default();
    let observed = input.observed.get(name).map_or(&absent, |it| it.as_ref());
    match choose(input, name, observed, &mut Parts::default()) {
        Stance::Deploy(app) => Some(app.target.trial().clone()),
        Stance::Pinned(target, ..) => Some(target.trial().clone()),
        Stance::Keep if input.desired.apps.contains_key(name) => observed
            .current()
            .map(|release| release.target.trial().clone()),
        Stance::Keep => None,
        Stance::Remove => Some(removal_key()),
    }
}

/// One app's part of the plan. `known` are the holds that the config repo itself asks for.
fn plan_one(input: &PlanInput<'_>, name: &AppName, known: &[Held]) -> Parts {
    let mut parts = Parts::default();
    let absent = ObservedApp::default();
    let observed = input.observed.get(name).map_or(&absent, |it| it.as_ref());
    if let Some(hold) = untouched(input, name, observed) {
        parts.held.push(hold);
        return parts;
    }
    if input.settled.spares(name, input) {
        parts.unchanged.push(name.clone());
        return parts;
    }
    parts.held.extend(input.holds.crashing.get(name).cloned());
    let stance = choose(input, name, observed, &mut parts);
    let rest_of = |target: &FixedTarget| input.holds.rest_of(name, || target.trial().clone());
    let (allowed, resting) = match &stance {
        Stance::Deploy(app) => {
            let change = app_change(input, &app.target, observed, (&app.placement, None));
            (allowed(change, &app.target), rest_of(&app.target))
        }
        Stance::Pinned(target, placement, why) => {
            let change = app_change(input, target, observed, (placement, Some(why)));
            (allowed(change, target), rest_of(target))
        }
        Stance::Keep => match observed.current().map(|release| &release.target) {
            Some(target) => {
                let placement = Placement::default();
                let change = app_change(input, target, observed, (&placement, None));
                (allowed(change, target), rest_of(target))
            }
            None => return parts,
        },
        Stance::Remove => {
            let change = plan_removal(input.host, name, observed);
            let resting = input.holds.rest_of(name, removal_key);
            (Ok(Some(change)), resting)
        }
    };
    finish(name, (allowed, resting), known, &mut parts);
    parts
}

/// Why nothing at all is planned for an app, if so.
fn untouched(input: &PlanInput<'_>, name: &AppName, observed: &ObservedApp) -> Option<Held> {
    if input.busy.contains(name) {
        let message = "a change of this app is under way";
        return Some(held(name, HoldKind::Busy, message));
    }
    if let Some(why) = input.holds.paused.get(name) {
        let message = format!("a person paused it: {why}");
        let hint = format!("it ends by itself, or with `hop3-agent resume {name}`");
        return Some(Held {
            hints: vec![hint],
            ..held(name, HoldKind::Paused, &message)
        });
    }
    let reason = observed.unknown()?;
    let message = format!("it cannot be told what runs: {reason}");
    Some(held(name, HoldKind::Unknown, &message))
}

/// What is wanted of an app.
enum Stance<'a> {
    Deploy(&'a DesiredApp),
    Pinned(FixedTarget, Placement, String),
    /// The last good release stays as it is, and is mended if need be.
    Keep,
    Remove,
}

fn choose<'a>(
    input: &PlanInput<'a>,
    name: &AppName,
    observed: &ObservedApp,
    parts: &mut Parts,
) -> Stance<'a> {
    if let Some(why) = &input.desired.everything_held {
        parts.held.push(held(name, HoldKind::Policy, why));
        return Stance::Keep;
    }
    let Some(app) = input.desired.apps.get(name) else {
        if input.desired.mentions(name) {
            return Stance::Keep;
        }
        let Some(spared) = input.holds.spared.get(name) else {
            return Stance::Remove;
        };
        parts.held.push(spared.clone());
        return Stance::Keep;
    };
    if observed.pin.is_some()
        && let Some((target, why, hold)) = pinned(name, observed, app.target.key())
    {
        parts.held.push(hold);
        return Stance::Pinned(target, app.placement.clone(), why);
    }
    let resting = input.holds.rest_of(name, || app.target.trial().clone());
    match resting.filter(|_| current_key(observed) != Some(app.target.key())) {
        Some(resting) => {
            parts.held.push(at_rest(name, resting));
            Stance::Keep
        }
        None => Stance::Deploy(app),
    }
}

fn at_rest(app: &AppName, resting: &Resting) -> Held {
    Held {
        hints: resting.hints.clone(),
        ..held(app, HoldKind::Quarantined, &resting.message)
    }
}

fn current_key(observed: &ObservedApp) -> Option<&Digest> {
    observed.current().map(|release| &release.key)
}

/// The pinned release as a target with the words of the pin, as long as the config repo still asks for what it asked for when the pin was set.
fn pinned(
    app: &AppName,
    observed: &ObservedApp,
    wanted: &Digest,
) -> Option<(FixedTarget, String, Held)> {
    let pin = observed.pin.as_ref().filter(|pin| pin.against == *wanted)?;
    // What the config repo asks for anyway needs no pin, and may have other counts and routes by now.
    let release = observed
        .releases
        .get(&pin.release)
        .filter(|release| release.key != *wanted)?;
    let (number, why) = (pin.release, &pin.why);
    let hold = if pin.returned {
        let message =
            format!("back at release {number} until a commit changes the app, or `resume`: {why}");
        held(app, HoldKind::Quarantined, &message)
    } else {
        let message = format!(
            "pinned to release {number} ({why}) until a commit changes the app, or `resume`"
        );
        held(app, HoldKind::Pinned, &message)
    };
    Some((release.target.clone(), why.clone(), hold))
}

fn app_change(
    input: &PlanInput<'_>,
    target: &FixedTarget,
    observed: &ObservedApp,
    (placement, requested): (&Placement, Option<&str>),
) -> Option<Change> {
    plan_app(&AppInput {
        host: input.host,
        data_dir: input.data_dir,
        target,
        observed,
        placement,
        overlaps: (input.overlaps)(target),
        requested,
        scarce: input.holds.scarce,
    })
}

/// A change that may be made, or why it may not.
type Allowed = Result<Option<Change>, String>;

/// An app that asks to be left alone when it differs from its release is only reported.
fn allowed(change: Option<Change>, target: &Target) -> Allowed {
    match change {
        Some(change) if !target.deploy.heal && change.repairs().is_some() => {
            Err("it differs from its release, and its spec asks to report that only: `[deploy] drift = \"report\"`".to_owned())
        }
        change => Ok(change),
    }
}

/// Adds a change to the plan, unless its target rests or may not be made.
fn finish(
    name: &AppName,
    (change, resting): (Allowed, Option<&Resting>),
    known: &[Held],
    parts: &mut Parts,
) {
    match (change, resting) {
        (Err(why), _) => parts.held.push(held(name, HoldKind::Drifted, &why)),
        (Ok(Some(_)), Some(resting)) => parts.held.push(at_rest(name, resting)),
        (Ok(Some(change)), None) => parts.changes.push(change),
        (Ok(None), _) => {
            if !parts.held.iter().chain(known).any(|it| it.app == *name) {
                parts.unchanged.push(name.clone());
            }
        }
    }
}

fn held(app: &AppName, hold: HoldKind, message: &str) -> Held {
    Held {
        app: app.clone(),
        hold,
        message: message.to_owned(),
        hints: Vec::new(),
        at: None,
    }
}
