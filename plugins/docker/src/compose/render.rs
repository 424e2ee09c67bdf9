//! From a blueprint to the documents that compose is given.

use std::collections::BTreeSet;
use std::time::Duration;

use hop3_plugin_api::{InstanceId, ReleaseId, WorkerName};
use serde_json::{Map, Value, json};

use super::{Blueprint, Ports, Template, shell};
use crate::names;
use crate::safety::members;

/// Whose the things are that a document makes.
#[derive(Clone, Copy)]
pub(crate) struct Stamp<'a> {
    pub(crate) install: &'a str,
    pub(crate) release: &'a ReleaseId,
    pub(crate) grace: Duration,
}

impl Stamp<'_> {
    fn of_app(&self) -> Map<String, Value> {
        Map::from_iter([
            (names::INSTALL.to_owned(), json!(self.install)),
            (names::APP.to_owned(), json!(self.release.app)),
        ])
    }

    fn of_release(&self) -> Map<String, Value> {
        let mut labels = self.of_app();
        let number = self.release.number.to_string();
        labels.insert(names::RELEASE.to_owned(), json!(number));
        labels
    }

    fn of_instance(&self, worker: &str, index: u16) -> Map<String, Value> {
        let mut labels = self.of_release();
        labels.insert(names::WORKER.to_owned(), json!(worker));
        labels.insert(names::INDEX.to_owned(), json!(index.to_string()));
        labels
    }
}

impl Template {
    pub(crate) fn instances(&self, release: &ReleaseId) -> impl Iterator<Item = InstanceId> {
        (0..self.count).map(move |index| InstanceId {
            release: release.clone(),
            worker: self.worker.clone(),
            index,
        })
    }
}

impl Blueprint {
    /// The instances that get requests, and with them a port of the host.
    pub(crate) fn routed(&self, release: &ReleaseId) -> Vec<InstanceId> {
        let routed = self.workers.iter().filter(|w| w.port.is_some());
        routed.flat_map(|w| w.instances(release)).collect()
    }

    /// What one-off commands run in: the routed worker, else the first.
    fn command_worker(&self) -> Option<&Template> {
        let routed = self.workers.iter().find(|w| w.port.is_some());
        routed.or_else(|| self.workers.first())
    }
}

/// The project of one release. Ports are published to the loopback address alone.
pub(crate) fn render_release(blueprint: &Blueprint, stamp: &Stamp<'_>, ports: &Ports) -> Value {
    let mut services = Map::new();
    for template in &blueprint.workers {
        for instance in template.instances(stamp.release) {
            let name = format!("{}-{}", instance.worker, instance.index);
            let labels = stamp.of_instance(instance.worker.as_str(), instance.index);
            let mut body = finished(&template.body, labels, stamp);
            body.insert("networks".to_owned(), networks_of(template, blueprint));
            if let (Some(inside), Some(outside)) = (template.port, ports.get(&instance)) {
                let published = format!("127.0.0.1:{outside}:{inside}");
                body.insert("ports".to_owned(), json!([published]));
            }
            services.insert(name, Value::Object(body));
        }
    }
    document(services, networks(blueprint, stamp))
}

/// The project for a one-off command in the release's environment; `None` when the app has no worker at all.
pub(crate) fn render_command(
    blueprint: &Blueprint,
    stamp: &Stamp<'_>,
    command: &str,
) -> Option<Value> {
    let template = blueprint.command_worker()?;
    let mut body = finished(&template.body, stamp.of_release(), stamp);
    body.insert("networks".to_owned(), networks_of(template, blueprint));
    body.insert("command".to_owned(), shell(command));
    for key in ["depends_on", "healthcheck", "restart"] {
        body.remove(key);
    }
    let services = Map::from_iter([("run".to_owned(), Value::Object(body))]);
    Some(document(services, networks(blueprint, stamp)))
}

/// The project of what outlives releases; `None` when nothing does.
pub(crate) fn render_app(blueprint: &Blueprint, stamp: &Stamp<'_>) -> Option<Value> {
    if blueprint.services.is_empty() {
        return None;
    }
    let services = blueprint.services.iter().map(|(name, body)| {
        let mut labels = stamp.of_app();
        labels.insert(names::WORKER.to_owned(), json!(name));
        labels.insert(names::INDEX.to_owned(), json!("0"));
        (name.clone(), Value::Object(finished(body, labels, stamp)))
    });
    let app = &stamp.release.app;
    let network = json!({"name": names::app_project(app), "labels": stamp.of_app()});
    let mut whole = document(services.collect(), json!({"default": network}));
    let volumes = blueprint.volumes.iter().map(|name| {
        let volume = json!({"name": names::volume(app, name), "labels": stamp.of_app()});
        (name.clone(), volume)
    });
    whole["volumes"] = Value::Object(volumes.collect());
    Some(whole)
}

fn finished(
    body: &Map<String, Value>,
    stamp: Map<String, Value>,
    rules: &Stamp<'_>,
) -> Map<String, Value> {
    let mut body = body.clone();
    let mut labels = match body.remove("labels") {
        Some(Value::Object(labels)) => labels,
        _ => Map::new(),
    };
    labels.retain(|key, _| !key.starts_with("hop3.") && !key.starts_with("com.docker."));
    labels.extend(stamp);
    body.insert("labels".to_owned(), Value::Object(labels));
    body.entry("restart").or_insert(json!("unless-stopped"));
    let grace = format!("{}s", rules.grace.as_secs().max(1));
    body.entry("stop_grace_period").or_insert(json!(grace));
    body
}

fn networks_of(template: &Template, blueprint: &Blueprint) -> Value {
    let names: BTreeSet<&str> = template
        .aliases
        .iter()
        .map(String::as_str)
        .chain([template.worker.as_str()])
        .collect();
    let mut networks = Map::from_iter([("default".to_owned(), json!({"aliases": names}))]);
    if !blueprint.services.is_empty() {
        networks.insert("app".to_owned(), json!({}));
    }
    Value::Object(networks)
}

fn networks(blueprint: &Blueprint, stamp: &Stamp<'_>) -> Value {
    let mut networks = json!({
        "default": {"name": names::release_project(stamp.release), "labels": stamp.of_release()},
    });
    if !blueprint.services.is_empty() {
        networks["app"] = json!({"name": names::app_project(&stamp.release.app), "external": true});
    }
    networks
}

/// Without a `version`: 1.27 and newer then read the same specification as version 2.
fn document(services: Map<String, Value>, networks: Value) -> Value {
    let parts = [
        ("services".to_owned(), Value::Object(services)),
        ("networks".to_owned(), networks),
    ];
    Value::Object(Map::from_iter(parts))
}

/// The instances that a rendered release says should run.
pub(crate) fn instances_in(document: &Value, release: &ReleaseId) -> Vec<InstanceId> {
    let services = members(&document["services"]);
    services
        .filter_map(|(_, service)| instance(&service["labels"], release))
        .collect()
}

/// The instance that labels speak of.
pub(crate) fn instance(labels: &Value, release: &ReleaseId) -> Option<InstanceId> {
    let text = |key: &str| labels[key].as_str();
    Some(InstanceId {
        release: release.clone(),
        worker: WorkerName::parse(text(names::WORKER)?).ok()?,
        index: text(names::INDEX)?.parse().ok()?,
    })
}
