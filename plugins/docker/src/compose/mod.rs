//! From what is wanted to compose files, as values: a [`Blueprint`] says which services there are, rendering gives each instance its
//! name, stamp and port. Nothing here has an effect.
//!
//! Each instance is a service of its own, `<worker>-<index>`: counts are then exact, an index is stable, and compose leaves the others alone.
//! The files are JSON, which every reader of YAML takes.

mod adapt;
mod generate;
mod render;

use std::collections::{BTreeMap, BTreeSet};

use hop3_plugin_api::{Counts, EnvMap, InstanceId, Launch, Limits, WorkerName};
use serde_json::{Map, Value, json};

use crate::settings::DockerTable;

pub(crate) use adapt::{AppFile, adapt};
pub(crate) use generate::generate;
pub(crate) use render::{
    Stamp, instance, instances_in, render_app, render_command, render_release,
};

/// Host ports by instance.
pub(crate) type Ports = BTreeMap<InstanceId, u16>;

/// What a blueprint is made from.
pub(crate) struct Order<'a> {
    pub(crate) launch: &'a Launch<'a>,
    pub(crate) counts: &'a Counts,
    pub(crate) env: &'a EnvMap,
    pub(crate) table: &'a DockerTable,
    /// The image that the builder made or that the spec pins.
    pub(crate) image: Option<&'a str>,
}

impl Order<'_> {
    fn count(&self, worker: &WorkerName) -> u16 {
        self.counts.get(worker).copied().unwrap_or(0)
    }
}

/// A worker of a release.
///
/// Holds plaintext of the environment, so it is never printed.
pub(crate) struct Template {
    pub(crate) worker: WorkerName,
    pub(crate) count: u16,
    /// The port that a routed worker listens on inside its container.
    pub(crate) port: Option<u16>,
    /// Further names by which services of the release find it.
    pub(crate) aliases: Vec<String>,
    pub(crate) body: Map<String, Value>,
}

/// Everything that an app runs for one release.
#[derive(Default)]
pub(crate) struct Blueprint {
    /// What each release has for itself.
    pub(crate) workers: Vec<Template>,
    /// What the app has once, because it holds data: service by name.
    pub(crate) services: BTreeMap<String, Map<String, Value>>,
    /// Volumes of those services.
    pub(crate) volumes: BTreeSet<String>,
}

/// The environment as compose takes it: a `$` of a value is doubled, or compose would fill it in.
fn environment(env: &EnvMap) -> Map<String, Value> {
    let literal = |text: &str| Value::String(text.replace('$', "$$"));
    env.iter()
        .map(|(key, value)| (key.to_string(), literal(value.expose())))
        .collect()
}

/// The container's ceilings: the app's own where they are lower.
fn limit(body: &mut Map<String, Value>, limits: &Limits) {
    for (key, ceiling) in [
        ("mem_limit", limits.memory),
        ("pids_limit", limits.processes),
    ] {
        let Some(ceiling) = ceiling else { continue };
        let asked = body.get(key).and_then(number).filter(|n| *n > 0);
        let granted = asked.map_or(ceiling, |asked| asked.min(ceiling));
        body.insert(key.to_owned(), json!(granted));
    }
}

/// A number, which compose also writes as a text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// An app's own command line, for the image's shell.
fn shell(command: &str) -> Value {
    json!(["sh", "-c", command.replace('$', "$$")])
}
