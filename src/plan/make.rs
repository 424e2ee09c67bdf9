//! From an app's target and what is there to its change. Pure: equal inputs give equal changes.

use std::path::Path;

use hop3_plugin_api::{AppName, Digest};

use super::steps::Steps;
use super::{Action, Change, Class, Reason, ReleaseRef, Step, id};
use crate::desired::Placement;
use crate::observe::ObservedApp;
use crate::release::{FixedTarget, Release};

/// Everything that one app's change is computed from.
#[derive(Debug, Clone, Copy)]
pub struct AppInput<'a> {
    /// The host.
    pub host: &'a str,
    /// The data dir: only to compare sites, which hold real paths; never shows in the plan.
    pub data_dir: &'a Path,
    /// What the app should be.
    pub target: &'a FixedTarget,
    /// What is there.
    pub observed: &'a ObservedApp,
    /// Where the spec says it.
    pub placement: &'a Placement,
    /// Whether two releases may run side by side under this deployer.
    pub overlaps: bool,
    /// Why the target is not the spec's, when a person chose it.
    pub requested: Option<&'a str>,
    /// Whether the disk has so little left that what can be made again gives way.
    pub scarce: bool,
}

/// What must be done to make an app what it should be; `None` when it is.
pub fn plan_app(input: &AppInput<'_>) -> Option<Change> {
    let key = input.target.key();
    let mut steps = Steps::new(input);
    match input.observed.with_key(key) {
        Some(release) if Some(release.id.number) == input.observed.current => steps.keep(release),
        Some(release) => steps.activate(release),
        None => steps.replace(),
    }
    steps.tidy();
    steps.make_room();
    steps.finish(key.clone())
}

/// What a removal leads to, where other changes have a target's key.
pub(crate) fn removal_key() -> Digest {
    Digest::of("removed")
}

/// What must be done when an app is no longer wanted here. At least a tombstone: an app whose only attempt failed has a directory, too.
pub fn plan_removal(host: &str, app: &AppName, observed: &ObservedApp) -> Change {
    let mut steps = Vec::new();
    if let Some(routed) = &observed.site {
        push(
            &mut steps,
            Action::Unroute {
                proxy: routed.proxy.clone(),
            },
            Class::Route,
            Reason::Removed,
        );
    }
    for release in observed
        .all_releases()
        .filter(|release| observed.instances.contains_key(&release.id.number))
    {
        push(
            &mut steps,
            Action::Stop {
                release: existing(release),
            },
            Class::Restart,
            Reason::Removed,
        );
    }
    push(&mut steps, Action::Tombstone, Class::Data, Reason::Removed);
    let key = removal_key();
    Change {
        app: app.clone(),
        id: id::change_id(host, app, &key, &steps),
        class: Class::Data,
        downtime: true,
        key,
        after: Vec::new(),
        steps,
    }
}

/// Adds a step, which needs the one before it.
pub(super) fn push(steps: &mut Vec<Step>, action: Action, class: Class, reason: Reason) {
    let id = u32::try_from(steps.len()).expect("a change has few steps");
    let needs = id.checked_sub(1).into_iter().collect();
    steps.push(Step {
        id,
        action,
        needs,
        class,
        reason,
        at: None,
        commit: None,
    });
}

pub(super) fn existing(release: &Release) -> ReleaseRef {
    ReleaseRef::Existing {
        number: release.id.number,
        key: release.key.clone(),
    }
}
