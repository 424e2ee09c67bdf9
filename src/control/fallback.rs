//! A new release that does not stay up after it took over: whether the one before returns. Pure.

use std::time::Duration;

use hop3_plugin_api::{InstanceStatus, Timestamp};

use crate::observe::ObservedApp;
use crate::release::Release;

/// For so long after it took over a release may turn out not to stay up.
const PROBATION: Duration = Duration::from_mins(10);
/// So many restarts of one instance say that it does not stay up.
const RESTARTS: u32 = 3;

/// A release that does not stay up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crashing {
    /// The release.
    pub(super) release: u32,
    /// What happens to it.
    pub(super) what: String,
    /// The release that served before it and can serve again, or why it cannot.
    pub(super) back_to: Result<u32, &'static str>,
}

/// Whether an app's current release took another one's place of late and does not stay up.
pub(super) fn crashing(observed: &ObservedApp, now: Timestamp) -> Option<Crashing> {
    let current = observed.current()?;
    let took_over = current.took_over?;
    let serves_for = now.0.saturating_sub(took_over.at.0);
    if observed.pin.is_some() || serves_for >= PROBATION.as_secs() {
        return None;
    }
    let number = current.id.number;
    let restarts = |status: &&InstanceStatus| status.restarts >= RESTARTS;
    let instance = observed.instances_of(number).find(restarts)?;
    let name = format!("{}.{}", instance.instance.worker, instance.instance.index);
    Some(Crashing {
        release: number,
        what: format!(
            "`{name}` of release {number} ended {} times within {} minutes after it took over",
            instance.restarts,
            PROBATION.as_secs() / 60
        ),
        back_to: back_to(observed, current, took_over.from),
    })
}

fn back_to(observed: &ObservedApp, current: &Release, from: u32) -> Result<u32, &'static str> {
    let deploy = &current.target.deploy;
    let commands = !current.target.release_commands.is_empty();
    if !observed.releases.contains_key(&from) {
        Err("the release before is no longer kept")
    } else if !deploy.heal {
        Err("its spec asks to report only: `[deploy] drift = \"report\"`")
    } else if commands && !deploy.return_after_release_command {
        Err(
            "its release command has run; `[deploy] return-after-release-command = true` says that the release before can cope with that",
        )
    } else {
        Ok(from)
    }
}
