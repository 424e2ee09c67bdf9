//! The blueprint of an app with a compose file of its own, from the document that compose normalised and [`crate::safety`] let pass.
//!
//! Services that mount a named volume belong to the app and run once; all others belong to the release. Published ports, container names,
//! networks and replica counts of the file are replaced: the agent decides them, or two releases could not run beside each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hop3_plugin_api::{Abort, Result, WorkerName};
use serde_json::{Map, Value, json};

use super::{Blueprint, Order, Template, environment, limit, shell};
use crate::safety::{KEPT, members};

/// The app's file, and where it lies.
pub(crate) struct AppFile<'a> {
    pub(crate) document: &'a Value,
    pub(crate) name: &'a str,
    pub(crate) root: &'a Path,
    /// The service that the spec names as the routed one.
    pub(crate) service: Option<&'a str>,
}

/// Takes the app's own services apart into those of the release and those of the app.
pub(crate) fn adapt(order: &Order<'_>, file: &AppFile<'_>) -> Result<Blueprint> {
    let adapter = Adapter::new(order, file)?;
    let mut blueprint = Blueprint::default();
    for (name, service) in members(&file.document["services"]) {
        let volumes = named_volumes(service);
        if volumes.is_empty() {
            let template = adapter.template(name, service)?;
            blueprint.workers.push(template);
        } else {
            let body = adapter.shared(name, service)?;
            blueprint.services.insert(name.clone(), body);
            blueprint.volumes.extend(volumes);
        }
    }
    Ok(blueprint)
}

struct Adapter<'a> {
    order: &'a Order<'a>,
    file: &'a AppFile<'a>,
    routed: &'a str,
    /// Services of the release and the workers that they are.
    workers: BTreeMap<&'a str, WorkerName>,
}

impl<'a> Adapter<'a> {
    fn new(order: &'a Order<'a>, file: &'a AppFile<'a>) -> Result<Self> {
        let routed = routed_service(file)?;
        let mut adapter = Self {
            order,
            file,
            routed,
            workers: BTreeMap::new(),
        };
        for (name, service) in members(&file.document["services"]) {
            if named_volumes(service).is_empty() {
                adapter.workers.insert(name, adapter.worker_of(name)?);
            } else if name == routed {
                return Err(two_writers(file, name, service).into());
            }
        }
        adapter.refuse_workers_without_a_service()?;
        Ok(adapter)
    }

    /// The spec's routed worker is the routed service, whatever its name.
    fn worker_of(&self, service: &str) -> Result<WorkerName> {
        let mut workers = self.order.launch.workers.iter();
        match workers.find(|(_, spec)| spec.routed) {
            Some((name, _)) if service == self.routed => Ok(name.clone()),
            _ => Ok(WorkerName::parse(service)?),
        }
    }

    fn refuse_workers_without_a_service(&self) -> Result<()> {
        let known: BTreeSet<&WorkerName> = self.workers.values().collect();
        let mut asked = self.order.launch.workers.keys();
        let Some(worker) = asked.find(|name| !known.contains(name)) else {
            return Ok(());
        };
        let message = format!(
            "the worker `{worker}` is no service of `{}` that could run beside itself",
            self.file.name
        );
        let hint = "name workers like the services of the compose file that have no volume";
        Err(Abort::new(message).hint(hint).into())
    }

    fn template(&self, name: &str, service: &Value) -> Result<Template> {
        let worker = self.workers[name].clone();
        let routed = name == self.routed;
        let port = routed.then(|| self.order.table.port_or(first_port(service)));
        let mut body = self.body(name, service)?;
        let mut env = own_environment(service);
        env.extend(environment(self.order.env));
        if let Some(port) = port {
            env.insert("PORT".to_owned(), json!(port.to_string()));
        }
        body.insert("environment".to_owned(), Value::Object(env));
        if let Some(spec) = self.order.launch.workers.get(&worker)
            && !spec.command.is_empty()
        {
            body.insert("command".to_owned(), shell(&spec.command));
        }
        if let Some(needs) = self.needs(service) {
            body.insert("depends_on".to_owned(), needs);
        }
        Ok(Template {
            count: self.count(&worker),
            worker,
            port,
            aliases: vec![name.to_owned()],
            body,
        })
    }

    /// A service that the spec does not count runs once.
    fn count(&self, worker: &WorkerName) -> u16 {
        self.order.counts.get(worker).copied().unwrap_or(1)
    }

    fn shared(&self, name: &str, service: &Value) -> Result<Map<String, Value>> {
        let mut body = self.body(name, service)?;
        let env = own_environment(service);
        body.insert("environment".to_owned(), Value::Object(env));
        Ok(body)
    }

    fn body(&self, name: &str, service: &Value) -> Result<Map<String, Value>> {
        let kept = members(service).filter(|(key, _)| KEPT.contains(&key.as_str()));
        let kept = kept.filter(|(_, value)| !value.is_null());
        let mut body: Map<String, Value> = kept
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for key in ["restart", "stop_grace_period"] {
            if let Some(value) = service.get(key).filter(|v| !v.is_null()) {
                body.insert(key.to_owned(), value.clone());
            }
        }
        self.name_image(name, service, &mut body)?;
        take_deploy_limits(service, &mut body);
        limit(&mut body, self.order.launch.limits);
        if let Some(mounts) = service["volumes"].as_array() {
            let mounts: Vec<Value> = mounts.iter().cloned().map(read_only_bind).collect();
            body.insert("volumes".to_owned(), json!(mounts));
        }
        Ok(body)
    }

    fn name_image(&self, name: &str, service: &Value, body: &mut Map<String, Value>) -> Result<()> {
        let build = &service["build"];
        if build.is_null() {
            return if body.contains_key("image") {
                Ok(())
            } else {
                Err(self.not_built(name, "has neither an image nor a build"))
            };
        }
        let here = build["context"].as_str().map(Path::new) == Some(self.file.root);
        let usual = [None, Some("Dockerfile")].contains(&build["dockerfile"].as_str());
        match self.order.image {
            Some(image) if here && usual && build["target"].is_null() => {
                body.insert("image".to_owned(), json!(image));
                Ok(())
            }
            Some(_) => {
                Err(self.not_built(name, "is built from more than the `Dockerfile` at the root"))
            }
            None => Err(self.not_built(name, "is built, and there is no `Dockerfile` at the root")),
        }
    }

    fn not_built(&self, service: &str, why: &str) -> hop3_plugin_api::PluginError {
        let message = format!("the service `{service}` of `{}` {why}", self.file.name);
        let hint =
            "only the `Dockerfile` at the root is built; give every other service an `image`";
        Abort::new(message).hint(hint).into()
    }

    /// What it waits for among the services of the release; those of the app run already.
    fn needs(&self, service: &Value) -> Option<Value> {
        let needs = members(&service["depends_on"]).filter_map(|(name, condition)| {
            let worker = self.workers.get(name.as_str())?;
            (self.count(worker) > 0).then(|| (format!("{worker}-0"), condition.clone()))
        });
        let needs: Map<String, Value> = needs.collect();
        (!needs.is_empty()).then_some(Value::Object(needs))
    }
}

/// The service that gets requests: the one that the spec names, the only one, `web`, `app`, or the only one that publishes a port.
fn routed_service<'a>(file: &AppFile<'a>) -> Result<&'a str> {
    let services: Vec<(&String, &Value)> = members(&file.document["services"]).collect();
    let named = |name: &str| {
        services
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(n, _)| n.as_str())
    };
    if let Some(asked) = file.service {
        let message = format!("`{}` has no service `{asked}`", file.name);
        return named(asked).ok_or_else(|| Abort::new(message).into());
    }
    let publishing: Vec<_> = services
        .iter()
        .filter(|(_, service)| first_port(service).is_some())
        .collect();
    match (services.as_slice(), publishing.as_slice()) {
        ([(only, _)], _) => Ok(only),
        (_, [(only, _)]) if named("web").is_none() && named("app").is_none() => Ok(only),
        _ => named("web").or_else(|| named("app")).ok_or_else(|| {
            Abort::new(format!(
                "it is not clear which service of `{}` gets the requests",
                file.name
            ))
            .hint("name it in `[plugin.docker] service`")
            .into()
        }),
    }
}

fn two_writers(file: &AppFile<'_>, name: &str, service: &Value) -> Abort {
    let volumes: Vec<String> = named_volumes(service).into_iter().collect();
    Abort::new(format!(
        "the routed service `{name}` of `{}` mounts the volume `{}`, so a new release cannot start beside the old one",
        file.name,
        volumes.join("`, `")
    ))
    .hint("keep data in a service of its own, or in an addon")
}

fn named_volumes(service: &Value) -> BTreeSet<String> {
    let mounts = service["volumes"].as_array().into_iter().flatten();
    mounts
        .filter(|mount| mount["type"] == "volume")
        .filter_map(|mount| mount["source"].as_str())
        .filter(|source| !source.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The container port that the service publishes first, as a text or a number.
fn first_port(service: &Value) -> Option<u16> {
    let port = &service["ports"].as_array()?.first()?["target"];
    super::number(port)?.try_into().ok()
}

/// What the file itself sets; a variable without a value was not in the app's environment.
fn own_environment(service: &Value) -> Map<String, Value> {
    let set = members(&service["environment"]).filter(|(_, value)| !value.is_null());
    set.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Limits in the newer spelling; the rest of `deploy` is for clusters.
fn take_deploy_limits(service: &Value, body: &mut Map<String, Value>) {
    let limits = &service["deploy"]["resources"]["limits"];
    for (from, to) in [
        ("memory", "mem_limit"),
        ("cpus", "cpus"),
        ("pids", "pids_limit"),
    ] {
        if !limits[from].is_null() {
            body.entry(to).or_insert_with(|| limits[from].clone());
        }
    }
}

/// Files of the source are shared by every instance of a release that may serve again after a rollback.
fn read_only_bind(mut mount: Value) -> Value {
    if mount["type"] == "bind" {
        mount["read_only"] = json!(true);
        mount["bind"] = json!({"create_host_path": false});
    }
    mount
}
