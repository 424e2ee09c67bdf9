//! What a supervisor's answer means to the agent.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hop3_plugin_api::{
    Counts, DeploymentInfo, Endpoint, EndpointAddress, Host, HttpProbe, InstanceId, InstanceStatus,
    Launch, Liveness, ProbeAnswer, ProcessId, Protocol, ReleaseId, Result,
};

use super::{stamps, supervisor};
use crate::place::Place;
use crate::protocol::{Act, InstanceReport, InstanceState, Reply};
use crate::stamp::{Stamp, StampedInstance};

/// Every instance, by asking; where nobody answers, by the stamp and the processes it names.
pub(super) async fn look(
    host: &dyn Host,
    release: &ReleaseId,
    place: &Place,
) -> Result<Vec<InstanceStatus>> {
    match supervisor::ask(host, &place.socket, Act::Status).await {
        Ok(Some(reply)) => {
            let mut all = Vec::new();
            for report in &reply.instances {
                all.push(reported(host, release, &reply, report).await);
            }
            Ok(all)
        }
        Ok(None) => by_stamp(host, place, "does not answer".to_owned()).await,
        Err(error) => by_stamp(host, place, format!("cannot be asked: {error}")).await,
    }
}

async fn reported(
    host: &dyn Host,
    release: &ReleaseId,
    reply: &Reply,
    report: &InstanceReport,
) -> InstanceStatus {
    InstanceStatus {
        instance: instance(release, report),
        liveness: liveness(host, reply, report).await,
        endpoint: report.port.map(loopback),
        process: report.process.clone(),
        restarts: report.restarts,
    }
}

async fn liveness(host: &dyn Host, reply: &Reply, report: &InstanceReport) -> Liveness {
    let stopped = |reason: Option<String>| Liveness::Stopped { reason };
    match (report.state, report.port) {
        (InstanceState::Waiting, _) => stopped(report.last_exit.clone()),
        (InstanceState::Ending, _) if report.process.is_none() => stopped(report.last_exit.clone()),
        (_, Some(port)) if is_foreign(host, port, reply, report).await => {
            stopped(Some(format!("port {port} belongs to another process")))
        }
        (InstanceState::Running | InstanceState::Ending, _) => Liveness::Running,
    }
}

/// Whether somebody else listens on an instance's port.
///
/// That an instance does not listen may as well mean that it is still starting: then nobody answers there. Between these two looks it
/// may have begun to, so the first is repeated. The supervisor counts as the instance: it is the parent of what daemonised.
async fn is_foreign(host: &dyn Host, port: u16, reply: &Reply, report: &InstanceReport) -> bool {
    let own: Vec<ProcessId> = [&report.process, &reply.supervisor]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let is_not_own = || host.listens(address(port), &own) == Some(false);
    is_not_own() && somebody_answers(host, port).await && is_not_own()
}

async fn somebody_answers(host: &dyn Host, port: u16) -> bool {
    let probe = HttpProbe {
        address: loopback(port),
        path: "/".to_owned(),
        host: "localhost".to_owned(),
        timeout: Duration::from_secs(1),
    };
    !matches!(host.probe(&probe).await, ProbeAnswer::Unreachable(_))
}

async fn by_stamp(host: &dyn Host, place: &Place, problem: String) -> Result<Vec<InstanceStatus>> {
    let Some(stamp) = stamps::read(host, &place.stamp).await? else {
        return Ok(Vec::new());
    };
    let liveness = if host.is_running(&stamp.supervisor) {
        Liveness::Unknown {
            reason: format!("supervisor {} {problem}", stamp.supervisor.pid),
        }
    } else {
        Liveness::Stopped {
            reason: Some(format!("supervisor {} is gone", stamp.supervisor.pid)),
        }
    };
    Ok(stamp
        .instances
        .iter()
        .map(|instance| stamped(&stamp, instance, &liveness))
        .collect())
}

fn stamped(stamp: &Stamp, instance: &StampedInstance, liveness: &Liveness) -> InstanceStatus {
    InstanceStatus {
        instance: InstanceId {
            release: stamp.release.clone(),
            worker: instance.worker.clone(),
            index: instance.index,
        },
        liveness: liveness.clone(),
        endpoint: instance.port.map(loopback),
        process: instance.process.clone(),
        restarts: 0,
    }
}

/// What the proxy is told: the endpoints of the instances that were asked for.
pub(super) fn deployment(launch: &Launch<'_>, counts: &Counts, reply: &Reply) -> DeploymentInfo {
    let wanted = |report: &&InstanceReport| {
        counts
            .get(&report.worker)
            .is_some_and(|count| report.index < *count)
    };
    let endpoint = |report: &InstanceReport| {
        Some(Endpoint {
            instance: instance(launch.release, report),
            address: loopback(report.port?),
        })
    };
    DeploymentInfo {
        protocol: Protocol::Http,
        endpoints: reply
            .instances
            .iter()
            .filter(wanted)
            .filter_map(endpoint)
            .collect(),
    }
}

fn instance(release: &ReleaseId, report: &InstanceReport) -> InstanceId {
    InstanceId {
        release: release.clone(),
        worker: report.worker.clone(),
        index: report.index,
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn loopback(port: u16) -> EndpointAddress {
    EndpointAddress::Tcp(address(port))
}
