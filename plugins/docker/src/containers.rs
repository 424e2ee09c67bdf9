//! What the engine says about containers, read into what the agent asks: which instance, whether it runs, where it answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hop3_plugin_api::{
    AppName, EndpointAddress, InstanceId, InstanceStatus, Liveness, ReleaseId, Result,
};
use serde::Deserialize;
use serde_json::Value;

use crate::compose::{self, Ports};
use crate::engine::Engine;
use crate::names;

/// The facts that are asked of each container: one JSON object on a line. Its environment is not among them.
const FACTS: &str = r#"{"status":{{json .State.Status}},"exit":{{json .State.ExitCode}},"oom":{{json .State.OOMKilled}},"error":{{json .State.Error}},"restarts":{{json .RestartCount}},"labels":{{json .Config.Labels}},"ports":{{json .HostConfig.PortBindings}}}"#;

/// One container.
#[derive(Debug, Deserialize)]
pub(crate) struct Container {
    status: String,
    exit: i64,
    oom: bool,
    error: String,
    restarts: u32,
    labels: Value,
    ports: Option<BTreeMap<String, Option<Vec<Binding>>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Binding {
    host_port: String,
}

impl Container {
    fn liveness(&self) -> Liveness {
        let stopped = |reason: String| Liveness::Stopped {
            reason: Some(reason),
        };
        match self.status.as_str() {
            "running" => Liveness::Running,
            "exited" | "dead" => stopped(self.end()),
            "restarting" => stopped(format!("{}, and is being restarted", self.end())),
            "created" if self.error.is_empty() => stopped("was never started".to_owned()),
            "created" => stopped(format!("could not be started: {}", self.error)),
            "removing" => stopped("is being removed".to_owned()),
            other => Liveness::Unknown {
                reason: format!("its container is {other}"),
            },
        }
    }

    fn end(&self) -> String {
        if self.oom {
            "ran out of memory".to_owned()
        } else if self.error.is_empty() {
            format!("exited with status {}", self.exit)
        } else {
            format!("could not be started: {}", self.error)
        }
    }

    fn port(&self) -> Option<u16> {
        let mut bindings = self.ports.as_ref()?.values().flatten().flatten();
        bindings.find_map(|b| b.host_port.parse().ok())
    }

    fn into_status(self, instance: InstanceId) -> InstanceStatus {
        InstanceStatus {
            instance,
            liveness: self.liveness(),
            endpoint: self.port().map(endpoint),
            process: None,
            restarts: self.restarts,
        }
    }
}

/// Where a published port answers.
pub(crate) fn endpoint(port: u16) -> EndpointAddress {
    EndpointAddress::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}

/// The ports of instances that run; others may have lost theirs to somebody else.
pub(crate) fn running_ports(status: &[InstanceStatus]) -> Ports {
    let running = status.iter().filter(|s| s.liveness == Liveness::Running);
    running
        .filter_map(|s| match &s.endpoint {
            Some(EndpointAddress::Tcp(address)) => Some((s.instance.clone(), address.port())),
            _ => None,
        })
        .collect()
}

/// Which containers are meant; one-off commands never are.
pub(crate) fn filters(install: &str, app: &AppName, release: Option<u32>) -> Vec<String> {
    let mut labels = vec![
        format!("{}={install}", names::INSTALL),
        format!("{}={app}", names::APP),
        format!("{}=False", names::COMPOSE_ONE_OFF),
    ];
    if let Some(number) = release {
        labels.push(format!("{}={number}", names::RELEASE));
    }
    labels
        .into_iter()
        .flat_map(|label| ["--filter".to_owned(), format!("label={label}")])
        .collect()
}

/// Every instance of a release that has a container.
pub(crate) async fn of_release(
    engine: &Engine<'_>,
    install: &str,
    release: &ReleaseId,
) -> Result<Vec<InstanceStatus>> {
    let filters = filters(install, &release.app, Some(release.number));
    let words = ["ps", "--all", "--quiet", "--no-trunc"].map(str::to_owned);
    let listed = engine
        .ask("list containers", words.into_iter().chain(filters))
        .await?;
    let ids = listed.split_whitespace().filter(|word| is_id(word));
    let ids: Vec<String> = ids.map(str::to_owned).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let words = ["inspect", "--type", "container", "--format", FACTS].map(str::to_owned);
    let task = engine.task("inspect containers", words.into_iter().chain(ids));
    let exit = engine.run(&task).await?;
    if !exit.success() && !exit.tail.contains("No such") {
        exit.clone().require_success(&task)?;
    }
    Ok(parse(&exit.tail, release))
}

fn is_id(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Reads the answer to `inspect`. While compose replaces a container there are two of the same instance: the one that runs counts.
fn parse(answer: &str, release: &ReleaseId) -> Vec<InstanceStatus> {
    let mut found: BTreeMap<InstanceId, InstanceStatus> = BTreeMap::new();
    for line in answer.lines() {
        let Ok(container) = serde_json::from_str::<Container>(line) else {
            continue;
        };
        let Some(instance) = compose::instance(&container.labels, release) else {
            continue;
        };
        let status = container.into_status(instance.clone());
        if status.liveness == Liveness::Running || !found.contains_key(&instance) {
            found.insert(instance, status);
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = include_str!("../tests/recorded/inspect.txt");

    fn release() -> ReleaseId {
        ReleaseId {
            app: AppName::parse("shop").unwrap(),
            number: 2,
        }
    }

    fn seen() -> BTreeMap<String, (Liveness, Option<String>, u32)> {
        let status = parse(RECORDED, &release()).into_iter();
        status
            .map(|s| {
                let endpoint = s.endpoint.map(|e| e.to_string());
                let key = format!("{}.{}", s.instance.worker, s.instance.index);
                (key, (s.liveness, endpoint, s.restarts))
            })
            .collect()
    }

    fn stopped(reason: &str) -> Liveness {
        Liveness::Stopped {
            reason: Some(reason.to_owned()),
        }
    }

    #[test]
    fn what_an_engine_answered_is_read_into_instances() {
        let seen = seen();
        assert_eq!(
            seen["web.0"],
            (Liveness::Running, Some("127.0.0.1:29123".to_owned()), 0)
        );
        assert_eq!(seen["crash.0"], (stopped("exited with status 3"), None, 0));
        assert_eq!(seen["idle.0"], (stopped("was never started"), None, 0));
        assert!(matches!(
            &seen["absent.0"].0,
            Liveness::Stopped { reason: Some(reason) }
                if reason.starts_with("could not be started: ") && reason.contains("/nope: no such file")
        ));
        assert!(matches!(seen["paused.0"].0, Liveness::Unknown { .. }));
        assert!(matches!(
            &seen["loop.0"].0,
            Liveness::Stopped { reason: Some(reason) } if reason == "exited with status 1, and is being restarted"
        ));
    }

    #[test]
    fn a_container_without_our_labels_is_nobodys_instance() {
        let line = r#"{"status":"running","exit":0,"oom":false,"error":"","restarts":0,"labels":{},"ports":{}}"#;
        assert!(parse(line, &release()).is_empty());
        assert!(parse("Error: No such container: x", &release()).is_empty());
    }
}
