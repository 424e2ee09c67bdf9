//! The blueprint of an app that is one image: a service for each worker.

use hop3_plugin_api::{WorkerName, WorkerSpec};
use serde_json::{Map, Value, json};

use super::{Blueprint, Order, Template, environment, limit, shell};

/// One service for each of the spec's workers, all of the same image.
pub(crate) fn generate(order: &Order<'_>) -> Blueprint {
    let workers = order.launch.workers.iter();
    Blueprint {
        workers: workers
            .map(|(name, spec)| template(order, name, spec))
            .collect(),
        ..Blueprint::default()
    }
}

fn template(order: &Order<'_>, worker: &WorkerName, spec: &WorkerSpec) -> Template {
    let port = spec.routed.then(|| order.table.port_or(None));
    let mut env = environment(order.env);
    if let Some(port) = port {
        env.insert("PORT".to_owned(), json!(port.to_string()));
    }
    let mut body = Map::new();
    body.insert("image".to_owned(), json!(order.image));
    body.insert("environment".to_owned(), Value::Object(env));
    if !spec.command.is_empty() {
        body.insert("command".to_owned(), shell(&spec.command));
    }
    limit(&mut body, order.launch.limits);
    Template {
        worker: worker.clone(),
        count: order.count(worker),
        port,
        aliases: Vec::new(),
        body,
    }
}
