//! The plan of a whole host: for each app the right target, then its change. Pure: the order of the inputs does not show.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hop3_plugin_api::{AppName, Digest};

use super::make::{AppInput, plan_app, plan_removal, removal_key};
use super::{Change, Held, HoldKind, Parts, Plan, Reason, Step};
use crate::desired::{Desired, DesiredApp, Placement};
use crate::observe::ObservedApp;
use crate::release::Target;

/// A target that is not tried for now, because it failed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting {
    /// What happened, for people.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
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
    pub observed: &'a BTreeMap<AppName, ObservedApp>,
    /// Apps of which a change is under way.
    pub busy: &'a BTreeSet<AppName>,
    /// Targets that rest after failures.
    pub resting: &'a BTreeMap<(AppName, Digest), Resting>,
    /// Whether two releases of a target may run side by side.
    pub overlaps: &'a dyn Fn(&Target) -> bool,
}

/// What must be done on the host.
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
        if input.busy.contains(name) {
            parts.held.push(held(
                name,
                HoldKind::Busy,
                "a change of this app is under way",
            ));
        } else {
            plan_one(input, name, &mut parts);
        }
    }
    Plan::assemble(input.host, input.desired.revision.clone(), parts)
}

/// The key that a change of an app has to lead to now, whether or not one is under way; `None` where that cannot be told and what is under
/// way goes on.
pub fn destination(input: &PlanInput<'_>, name: &AppName) -> Option<Digest> {
    let absent = ObservedApp::default();
    let observed = input.observed.get(name).unwrap_or(&absent);
    match choose(input, name, observed, &mut Parts::default()) {
        Stance::Deploy(app) => Some(app.target.key()),
        Stance::Pinned(target, ..) => Some(target.key()),
        Stance::Keep if input.desired.apps.contains_key(name) => current_key(observed).cloned(),
        Stance::Keep => None,
        Stance::Remove => Some(removal_key()),
    }
}

fn plan_one(input: &PlanInput<'_>, name: &AppName, parts: &mut Parts) {
    let absent = ObservedApp::default();
    let observed = input.observed.get(name).unwrap_or(&absent);
    if let Some(reason) = observed.unknown() {
        parts.held.push(held(
            name,
            HoldKind::Unknown,
            &format!("it cannot be told what runs: {reason}"),
        ));
        return;
    }
    match choose(input, name, observed, parts) {
        Stance::Deploy(app) => {
            let change = app_change(input, &app.target, observed, (&app.placement, None));
            finish(input, name, allowed(change, &app.target), parts);
        }
        Stance::Pinned(target, placement, why) => {
            let change = app_change(input, &target, observed, (&placement, Some(&why)));
            finish(input, name, allowed(change, &target), parts);
        }
        Stance::Keep => keep(input, name, observed, parts),
        Stance::Remove => finish(
            input,
            name,
            Ok(Some(plan_removal(input.host, name, observed))),
            parts,
        ),
    }
}

/// What is wanted of an app.
enum Stance<'a> {
    Deploy(&'a DesiredApp),
    Pinned(Box<Target>, Placement, String),
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
        return if input.desired.mentions(name) {
            Stance::Keep
        } else {
            Stance::Remove
        };
    };
    let key = app.target.key();
    if let Some(pinned) = pinned(observed, &key) {
        parts.held.push(held(name, HoldKind::Pinned, &pinned.2));
        return Stance::Pinned(pinned.0, app.placement.clone(), pinned.1);
    }
    let resting = input.resting.get(&(name.clone(), key.clone()));
    match resting.filter(|_| current_key(observed) != Some(&key)) {
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

/// The pinned release as a target, as long as the config repo still asks for what it asked for when the pin was set.
fn pinned(observed: &ObservedApp, wanted: &Digest) -> Option<(Box<Target>, String, String)> {
    let pin = observed.pin.as_ref().filter(|pin| pin.against == *wanted)?;
    // What the config repo asks for anyway needs no pin, and may have other counts and routes by now.
    let release = observed
        .releases
        .get(&pin.release)
        .filter(|release| release.key != *wanted)?;
    let message = format!(
        "pinned to release {} ({}) until a commit changes the app, or `resume`",
        pin.release, pin.why
    );
    Some((Box::new(release.target.clone()), pin.why.clone(), message))
}

/// The last good release is kept as it is, and mended if need be.
fn keep(input: &PlanInput<'_>, name: &AppName, observed: &ObservedApp, parts: &mut Parts) {
    if let Some(current) = observed.current() {
        let target = current.target.clone();
        let change = app_change(input, &target, observed, (&Placement::default(), None));
        finish(input, name, allowed(change, &target), parts);
    }
}

fn app_change(
    input: &PlanInput<'_>,
    target: &Target,
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
    })
}

/// A change that may be made, or why it may not.
type Allowed = Result<Option<Change>, String>;

/// An app that asks to be left alone when it differs from its release is only reported.
fn allowed(change: Option<Change>, target: &Target) -> Allowed {
    let mends = |step: &Step| {
        matches!(
            step.reason,
            Reason::NotRunning { .. } | Reason::Drifted { .. }
        )
    };
    match change {
        Some(change) if !target.deploy.heal && change.steps.first().is_some_and(mends) => {
            Err("it differs from its release, and its spec asks to report that only: `[deploy] drift = \"report\"`".to_owned())
        }
        change => Ok(change),
    }
}

/// Adds a change to the plan, unless its target rests or may not be made.
fn finish(input: &PlanInput<'_>, name: &AppName, change: Allowed, parts: &mut Parts) {
    let rests = |change: &Change| input.resting.get(&(name.clone(), change.key.clone()));
    match change {
        Err(why) => parts.held.push(held(name, HoldKind::Drifted, &why)),
        Ok(Some(change)) => match rests(&change) {
            Some(resting) => parts.held.push(at_rest(name, resting)),
            None => parts.changes.push(change),
        },
        Ok(None) if parts.held.iter().any(|held| held.app == *name) => {}
        Ok(None) => parts.unchanged.push(name.clone()),
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
