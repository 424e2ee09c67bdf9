//! What a step does, as a value. What does not exist yet stands as a reference.

use hop3_plugin_api::{AddonInstance, BuildPlan, Counts, Digest, PluginName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::release::Route;
use crate::spec::{HealthCheck, OnInterrupt};

/// A release that a step is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseRef {
    /// The one that this change makes.
    New,
    /// One that is there.
    Existing {
        /// Its number.
        number: u32,
        /// Its key.
        key: Digest,
    },
}

/// What a step does. What does not exist yet stands as a reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "do",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Action {
    /// Makes sure that the host has packages of its operating system.
    EnsurePackages {
        /// Their names.
        packages: Vec<String>,
    },
    /// Builds the new release from its pinned source.
    Build {
        /// Who builds.
        builder: PluginName,
        /// The source's content.
        source: Digest,
        /// What will be run.
        plan: Box<BuildPlan>,
    },
    /// Makes the new release from the artifact of an older one.
    ReuseArtifact {
        /// Whose artifact.
        of: ReleaseRef,
    },
    /// Ensures a data service.
    EnsureAddon {
        /// Which one.
        addon: AddonInstance,
    },
    /// Runs the release commands, once per release.
    ReleaseCommand {
        /// For which release.
        release: ReleaseRef,
        /// What is run, in order.
        commands: Vec<String>,
        /// What happens if the agent dies meanwhile.
        on_interrupt: OnInterrupt,
    },
    /// Makes instances of routed workers run.
    Deploy {
        /// Which release.
        release: ReleaseRef,
        /// Who runs it.
        deployer: PluginName,
        /// How many instances of which worker.
        counts: Counts,
    },
    /// Waits until every routed instance is healthy.
    Gate {
        /// Which release.
        release: ReleaseRef,
        /// What healthy means.
        check: HealthCheck,
    },
    /// Makes the release the current one and sends requests to it.
    Switch {
        /// Which release.
        release: ReleaseRef,
        /// Through which proxy; absent when nothing is routed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proxy: Option<PluginName>,
        /// How requests reach it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        route: Option<Route>,
    },
    /// Waits until no request is in flight to a release.
    Drain {
        /// Which release.
        release: ReleaseRef,
        /// At most so many seconds.
        seconds: u64,
    },
    /// Sets how many instances of each worker run.
    Scale {
        /// Which release.
        release: ReleaseRef,
        /// Absolute counts.
        counts: Counts,
    },
    /// Ends a release.
    Stop {
        /// Which release.
        release: ReleaseRef,
    },
    /// Takes the app's host names from the proxy.
    Unroute {
        /// From which proxy.
        proxy: PluginName,
    },
    /// Leaves a tombstone: the app is gone, its data stays.
    Tombstone,
    /// Removes what can be made again: the app's cache, releases that are not needed, and layers that none of the rest uses.
    MakeRoom,
    /// Removes releases beyond the newest so many, and layers that none of the rest uses.
    Retain {
        /// How many stay.
        keep: u16,
    },
}
