//! What an app should be ([`Target`]) and what became of it once ([`Release`]): the same value, so that "keep the last good release",
//! "roll back" and "deploy this commit" are one operation with different targets.
//!
//! Never touches the machine; the stamp is written by `execute` and read by `observe`.

mod fixed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hop3_plugin_api::{
    AddonInstance, AppConfig, AppName, AppPaths, ArtifactLocation, BuildArtifact, BuildPlan,
    Counts, Digest, Endpoint, EnvTemplate, HostName, Limits, PluginName, ReleaseId, Site,
    StaticPath, Timestamp, WorkerName, WorkerSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::spec::{DeploySettings, HealthCheck, ProxySettings};

pub use fixed::FixedTarget;

/// Which plugins carry an app. Recorded, so that an upgrade never changes a choice by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Choice {
    /// The builder.
    pub builder: PluginName,
    /// The language toolchain, where the builder uses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toolchain: Option<PluginName>,
    /// The deployer.
    pub deployer: PluginName,
    /// The proxy, where the app has host names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<PluginName>,
}

/// How requests reach an app, without any address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Route {
    /// Its host names.
    pub hosts: Vec<HostName>,
    /// `[static]`: URL path to directory of the release.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub static_paths: BTreeMap<String, String>,
    /// `[proxy]`.
    #[serde(flatten)]
    pub settings: ProxySettings,
}

/// Everything that an app should be, with all choices made and no address, number or path of this host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Target {
    /// The app.
    pub app: AppName,
    /// The content of its source.
    pub source: Digest,
    /// Its plugins.
    pub choice: Choice,
    /// How it is built.
    pub build: BuildPlan,
    /// Its settings as plugins see them.
    pub config: AppConfig,
    /// Its workers, guessed ones included.
    pub workers: BTreeMap<WorkerName, WorkerSpec>,
    /// How many of each.
    pub counts: Counts,
    /// Its environment.
    pub env: EnvTemplate,
    /// Commands that run once per release.
    pub release_commands: Vec<String>,
    /// When it is healthy.
    pub health: HealthCheck,
    /// What its instances may use.
    pub limits: Limits,
    /// Its addons.
    pub addons: Vec<AddonInstance>,
    /// How requests reach it; absent when it has no host name or no routed worker.
    pub route: Option<Route>,
    /// How releases replace each other.
    pub deploy: DeploySettings,
}

impl Target {
    /// Digest of what goes into the artifact. The build plan is left out: an upgrade of a toolchain alone rebuilds nothing.
    pub fn build_key(&self) -> Digest {
        essence(json!([
            self.source,
            self.choice.builder,
            self.choice.toolchain,
            self.config.build,
            as_written(&self.config.docker),
            as_written(&self.config.plugin)
        ]))
    }

    /// Digest of what a running instance was started with, beside its artifact. Guessed workers are left out for the same reason.
    pub fn run_key(&self) -> Digest {
        essence(json!([
            self.choice.deployer,
            self.config.workers,
            self.config.writable,
            self.env,
            self.release_commands,
            self.limits,
            self.addons.iter().map(addon_key).collect::<Vec<_>>()
        ]))
    }

    /// Identifies a release: equal keys need no new one.
    pub fn key(&self) -> Digest {
        Self::key_of(&self.build_key(), &self.run_key())
    }

    fn key_of(build_key: &Digest, run_key: &Digest) -> Digest {
        Digest::of(&[build_key, run_key])
    }

    /// Identifies what a change tries: the release, and everything else that decides whether trying again may come out differently. A commit
    /// that corrects only a health check is another try.
    pub fn trial(&self) -> Digest {
        self.trial_of(&self.key())
    }

    fn trial_of(&self, key: &Digest) -> Digest {
        essence(json!([
            key,
            self.choice,
            self.counts,
            self.health,
            self.route,
            self.deploy
        ]))
    }

    /// The counts of routed workers, or of the others.
    pub fn counts_of(&self, routed: bool) -> Counts {
        let wanted = |name: &WorkerName| self.workers.get(name).is_some_and(|w| w.routed == routed);
        self.counts
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, count)| (name.clone(), *count))
            .collect()
    }

    /// Whether it has a worker that listens.
    pub fn is_routed(&self) -> bool {
        self.workers.values().any(|worker| worker.routed)
    }
}

/// What people wrote freely: there a setting that is off may well differ from one that is absent.
fn as_written<T: Serialize>(value: &T) -> Digest {
    Digest::of(value)
}

fn addon_key(addon: &AddonInstance) -> Value {
    json!([addon.kind, addon.name, as_written(&addon.settings)])
}

/// A digest of values that stays the same when a later version of this program knows more settings, as long as those are not made use of:
/// what is absent, empty or off counts as not there. Lists keep all their items.
fn essence(value: Value) -> Digest {
    Digest::of(&without_defaults(value))
}

fn without_defaults(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let used = fields
                .into_iter()
                .map(|(key, value)| (key, without_defaults(value)));
            Value::Object(used.filter(|(_, value)| !is_default(value)).collect())
        }
        Value::Array(items) => items.into_iter().map(without_defaults).collect(),
        other => other,
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}

/// How a release came to serve: in whose place, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TakeOver {
    /// The release that served before.
    pub from: u32,
    /// When requests were sent to the new one.
    pub at: Timestamp,
}

/// The version of a release's stamp; a later one is not understood.
pub const STAMP_FORMAT: u32 = 1;

/// The stamp of a release: `releases/<n>/release.json`. Its presence says that the artifact is whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Release {
    /// The stamp's format: 1.
    pub format: u32,
    /// The installation that made it.
    pub install: String,
    /// Which release.
    pub id: ReleaseId,
    /// [`Target::key`] when it was made.
    pub key: Digest,
    /// [`Target::build_key`] when it was made.
    pub build_key: Digest,
    /// The commit that asked for it, for people.
    pub revision: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether requests ever went to it, or it was ever the current one: only then is it good to return to.
    #[serde(default)]
    pub served: bool,
    /// How it came to serve, when a commit made it take another release's place: it may not stay up, and then the other one returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_over: Option<TakeOver>,
    /// What was built.
    pub artifact: BuildArtifact,
    /// What it was made for.
    pub target: FixedTarget,
}

impl Release {
    /// The same with its keys as this version of the program makes them: what an older one wrote down must not look changed.
    #[must_use]
    pub fn rekeyed(self) -> Self {
        Self {
            key: self.target.key().clone(),
            build_key: self.target.build_key().clone(),
            ..self
        }
    }

    /// The number of the release whose directory holds the artifact; `None` for an artifact elsewhere.
    pub fn artifact_release(&self) -> Option<u32> {
        match &self.artifact.location {
            ArtifactLocation::Directory(path) => path
                .strip_prefix("releases/")?
                .split('/')
                .next()?
                .parse()
                .ok(),
            ArtifactLocation::Image(_) => None,
        }
    }

    /// The layers that it needs.
    pub fn layers(&self) -> BTreeSet<String> {
        self.artifact.runtime.layers.values().cloned().collect()
    }
}

/// The directories of a release of an app below the data dir. The build directory is the artifact's, which may be an older release's.
pub fn paths(data_dir: &Path, release: &ReleaseId) -> AppPaths {
    let app = app_dir(data_dir, &release.app);
    let own = app.join("releases").join(release.number.to_string());
    AppPaths {
        build: own.join("app"),
        release: own,
        layers: app.join("layers"),
        data: app.join("data"),
        cache: app.join("cache"),
        log: app.join("log"),
        state: app.join("state"),
        app,
    }
}

/// `apps/<app>` below the data dir.
pub fn app_dir(data_dir: &Path, app: &AppName) -> PathBuf {
    data_dir.join("apps").join(app.as_str())
}

/// The site of a release at these endpoints, with real paths: what the proxy is given. Equal inputs give equal sites.
pub fn site(data_dir: &Path, release: &Release, route: &Route, endpoints: &[Endpoint]) -> Site {
    let mut backends: Vec<_> = endpoints
        .iter()
        .map(|endpoint| hop3_plugin_api::Backend {
            release: release.id.clone(),
            address: endpoint.address.clone(),
        })
        .collect();
    backends.sort();
    Site {
        app: release.id.app.clone(),
        hosts: route.hosts.clone(),
        backends,
        static_paths: static_paths(data_dir, release, route),
        spa: route.settings.spa,
        allow_http: route.settings.allow_http,
        body_size: route.settings.body_size,
        timeout: route.settings.timeout,
        headers: route.settings.headers.clone(),
    }
}

fn static_paths(data_dir: &Path, release: &Release, route: &Route) -> Vec<StaticPath> {
    let ArtifactLocation::Directory(artifact) = &release.artifact.location else {
        return Vec::new();
    };
    let root = app_dir(data_dir, &release.id.app).join(artifact);
    let mut paths: Vec<_> = route
        .static_paths
        .iter()
        .map(|(url, directory)| StaticPath {
            url: url.clone(),
            directory: root.join(directory),
        })
        .collect();
    paths.sort_by(|a, b| {
        b.url
            .len()
            .cmp(&a.url.len())
            .then_with(|| a.url.cmp(&b.url))
    });
    paths
}

/// The endpoints of an observed deployment that requests may go to.
pub fn routed_endpoints(instances: &[hop3_plugin_api::InstanceStatus]) -> Vec<Endpoint> {
    instances
        .iter()
        .filter(|status| status.liveness == hop3_plugin_api::Liveness::Running)
        .filter_map(|status| {
            Some(Endpoint {
                instance: status.instance.clone(),
                address: status.endpoint.clone()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_a_later_version_knows_and_nobody_uses_is_no_change() {
        let known = json!({ "path": "/", "hosts": ["a.test"], "limits": { "memory": 5 } });
        for unused in [
            json!(null),
            json!(false),
            json!([]),
            json!({}),
            json!({ "deep": null }),
        ] {
            let mut later = known.clone();
            later["added"] = unused.clone();
            later["limits"]["added"] = unused;
            assert_eq!(essence(later), essence(known.clone()));
        }
        for used in [json!(true), json!(0), json!(""), json!([null])] {
            let mut later = known.clone();
            later["added"] = used;
            assert_ne!(essence(later), essence(known.clone()));
        }
    }

    #[test]
    fn what_people_wrote_freely_counts_as_it_stands() {
        let off = AddonInstance {
            kind: PluginName::parse("sqlite").expect("a name"),
            name: hop3_plugin_api::AddonName::parse("db").expect("a name"),
            settings: json!({ "wal": false }),
        };
        let absent = AddonInstance {
            settings: json!({}),
            ..off.clone()
        };
        assert_ne!(addon_key(&off), addon_key(&absent));
    }
}
