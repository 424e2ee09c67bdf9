//! What is really there: stamped files and probes, as one value per app.
//!
//! Never changes anything. What cannot be told is said to be unknown, and nothing is done on that ground.

mod files;
mod room;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hop3_plugin_api::{AddonName, Digest, HostError, InstanceStatus, Liveness, PluginName, Site};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::release::{FixedTarget, Release, routed_endpoints};

pub(crate) use files::read_json;
pub use files::{OnceCommand, OnceRecord, StateFiles};
pub use room::Room;
pub use scan::{Overview, Proxies, Scanner, Scope, Sight};

/// One app as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedApp {
    /// Its whole releases, by number.
    pub releases: BTreeMap<u32, Arc<Release>>,
    /// Directories of releases that were never finished, or half removed.
    pub unfinished: BTreeSet<u32>,
    /// The one that `current` leads to.
    pub current: Option<u32>,
    /// Instances of releases that run or should, by release.
    pub instances: BTreeMap<u32, Vec<InstanceStatus>>,
    /// Addons that were made.
    pub addons: BTreeMap<AddonName, Digest>,
    /// Releases whose release commands have succeeded.
    pub commands_done: BTreeSet<u32>,
    /// The site that it was given last, and by which proxy.
    pub site: Option<RoutedSite>,
    /// The digest of the site that the proxy really uses; `None` when it has none.
    pub live_site: Option<Digest>,
    /// Whether the proxy could be asked at all.
    pub proxy_known: bool,
    /// A release that a person pinned it to.
    pub pin: Option<Pin>,
    /// Whether its cache holds anything.
    pub has_cache: bool,
    /// Why its stamped files cannot be believed, if so.
    pub unreadable: Option<String>,
}

/// A site as it was last put in place: `state/site.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RoutedSite {
    /// The proxy.
    pub proxy: PluginName,
    /// The site.
    pub site: Site,
}

/// The choice of another release than the config repo's: `state/pin.json`. It ends when a commit changes the app, or with `resume`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Pin {
    /// The release.
    pub release: u32,
    /// What the config repo asked for at that time; another key ends the pin.
    pub against: Digest,
    /// In which words.
    pub why: String,
    /// Whether the agent chose it, because the release that was asked for did not stay up.
    #[serde(default)]
    pub returned: bool,
}

impl ObservedApp {
    /// An app that is there and cannot be read: nothing is done on the ground of that.
    pub fn unreadable(error: &HostError) -> Self {
        Self {
            unreadable: Some(crate::execute::chain(error)),
            ..Self::default()
        }
    }

    /// Lets its releases hold the very target that is wanted, where they say the same.
    pub fn share(&mut self, wanted: &FixedTarget) {
        for release in self.releases.values_mut().filter_map(Arc::get_mut) {
            release.target.share(wanted);
        }
    }

    /// The current release.
    pub fn current(&self) -> Option<&Release> {
        self.release(self.current?)
    }

    /// A whole release.
    pub fn release(&self, number: u32) -> Option<&Release> {
        self.releases.get(&number).map(Arc::as_ref)
    }

    /// All whole releases, by number.
    pub fn all_releases(&self) -> impl DoubleEndedIterator<Item = &Release> {
        self.releases.values().map(Arc::as_ref)
    }

    /// The newest whole release with this key, the current one first.
    pub fn with_key(&self, key: &Digest) -> Option<&Release> {
        self.current()
            .filter(|release| release.key == *key)
            .or_else(|| {
                self.all_releases()
                    .rev()
                    .find(|release| release.key == *key)
            })
    }

    /// The newest whole release whose artifact was made from the same things.
    pub fn with_build_key(&self, key: &Digest) -> Option<&Release> {
        self.all_releases()
            .rev()
            .find(|release| release.build_key == *key)
    }

    /// Instances of a release that do not run although they should.
    pub fn missing(&self, release: u32, counts: &hop3_plugin_api::Counts) -> Vec<String> {
        let running = self.running(release);
        counts
            .iter()
            .flat_map(|(worker, count)| (0..*count).map(move |index| format!("{worker}.{index}")))
            .filter(|name| !running.contains(name))
            .collect()
    }

    /// Instances of a release that run although they should not.
    pub fn surplus(&self, release: u32, counts: &hop3_plugin_api::Counts) -> Vec<String> {
        let wanted: BTreeSet<String> = counts
            .iter()
            .flat_map(|(worker, count)| (0..*count).map(move |index| format!("{worker}.{index}")))
            .collect();
        self.running(release)
            .into_iter()
            .filter(|name| !wanted.contains(name))
            .collect()
    }

    fn running(&self, release: u32) -> BTreeSet<String> {
        self.instances_of(release)
            .filter(|status| status.liveness == Liveness::Running)
            .map(|status| format!("{}.{}", status.instance.worker, status.instance.index))
            .collect()
    }

    /// Instances of a release.
    pub fn instances_of(&self, release: u32) -> impl Iterator<Item = &InstanceStatus> {
        self.instances.get(&release).into_iter().flatten()
    }

    /// Why nothing may be done on the ground of what was seen, if so.
    pub fn unknown(&self) -> Option<String> {
        let instance = |status: &InstanceStatus| match &status.liveness {
            Liveness::Unknown { reason } => Some(format!("{}: {reason}", status.instance)),
            _ => None,
        };
        let unreadable = self.unreadable.clone();
        unreadable.or_else(|| self.instances.values().flatten().find_map(instance))
    }

    /// Releases other than these of which something runs, or is left by what ran.
    pub fn beside(&self, spared: &[u32]) -> Vec<u32> {
        let there = self
            .instances
            .iter()
            .filter(|(number, statuses)| !spared.contains(number) && !statuses.is_empty());
        there.map(|(number, _)| *number).collect()
    }

    /// The endpoints that requests to a release may go to.
    pub fn endpoints(&self, release: u32) -> Vec<hop3_plugin_api::Endpoint> {
        self.instances
            .get(&release)
            .map(|statuses| routed_endpoints(statuses))
            .unwrap_or_default()
    }
}
