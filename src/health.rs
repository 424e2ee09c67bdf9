//! The gate of a release: no request goes to it before every routed instance has answered well, several times in a row. Fails fast when
//! an instance crashes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hop3_plugin_api::{
    Abort, Context, Counts, Deployer, EndpointAddress, HttpProbe, InstanceId, InstanceStatus,
    Liveness, LogQuery, PluginError, ProbeAnswer, ReleaseId, Result, WorkerName,
};

use crate::spec::HealthCheck;

/// Pauses between probes: short at first and after a good answer, so that a fast start is noticed at once.
const SHORT_PAUSE: Duration = Duration::from_millis(25);
const LONG_PAUSE: Duration = Duration::from_millis(50);
/// How long a start counts as fast.
const FAST_START: Duration = Duration::from_secs(2);

/// What a release must pass.
pub struct Gate<'a> {
    /// What healthy means.
    pub check: &'a HealthCheck,
    /// Whether the release has served before: what it restarted in the past is then not held against it.
    pub may_have_restarted: bool,
    /// The `Host` header of probes.
    pub host_header: Option<String>,
    /// How many instances of routed workers there must be.
    pub routed: Counts,
}

impl Gate<'_> {
    /// Waits until every routed instance is healthy.
    pub async fn wait(
        &self,
        cx: &Context<'_>,
        deployer: &dyn Deployer,
        release: &ReleaseId,
    ) -> Result<()> {
        let begun = tokio::time::Instant::now();
        let mut good = 0;
        let before = self.past_restarts(cx, deployer, release).await?;
        loop {
            let statuses = deployer.check_status(cx, release).await?;
            self.crashed(cx, deployer, (&statuses, &before)).await?;
            let complaint = self.ask_all(cx, &statuses).await;
            good = if complaint.is_none() { good + 1 } else { 0 };
            if good >= self.successes(&statuses) {
                return Ok(());
            }
            let waited = begun.elapsed();
            if waited >= self.check.start_timeout {
                return Err(self.gave_up(cx, deployer, complaint).await);
            }
            let short = good > 0 || waited < FAST_START;
            cx.host
                .sleep(if short { SHORT_PAUSE } else { LONG_PAUSE })
                .await;
        }
    }

    /// How often each instance was restarted before this gate; none that counts for a release that has not served yet.
    async fn past_restarts(
        &self,
        cx: &Context<'_>,
        deployer: &dyn Deployer,
        release: &ReleaseId,
    ) -> Result<BTreeMap<InstanceId, u32>> {
        if !self.may_have_restarted {
            return Ok(BTreeMap::new());
        }
        let statuses = deployer.check_status(cx, release).await?;
        Ok(statuses
            .into_iter()
            .map(|status| (status.instance, status.restarts))
            .collect())
    }

    /// How many good answers in a row are enough. Files need no second look: they do not fall over.
    fn successes(&self, statuses: &[InstanceStatus]) -> u16 {
        let is_files = |status: &InstanceStatus| {
            matches!(status.endpoint, Some(EndpointAddress::Directory(_)))
        };
        if statuses.iter().all(is_files) {
            1
        } else {
            self.check.successes.max(1)
        }
    }

    /// A crash before the first good answer fails the gate at once.
    async fn crashed(
        &self,
        cx: &Context<'_>,
        deployer: &dyn Deployer,
        (statuses, before): (&[InstanceStatus], &BTreeMap<InstanceId, u32>),
    ) -> Result<()> {
        let gone = statuses.iter().find(|status| {
            let routed = self.routed.contains_key(&status.instance.worker);
            routed
                && (status.restarts > before.get(&status.instance).copied().unwrap_or(0)
                    || matches!(status.liveness, Liveness::Stopped { .. }))
        });
        let Some(status) = gone else { return Ok(()) };
        let reason = match &status.liveness {
            Liveness::Stopped {
                reason: Some(reason),
            } => reason.clone(),
            _ => "it ended right after its start".to_owned(),
        };
        let name = format!("{}.{}", status.instance.worker, status.instance.index);
        let log = last_lines(cx, deployer, Some(status.instance.worker.clone())).await;
        Err(PluginError::Command {
            command: name,
            status: format!("did not stay up: {reason}"),
            tail: log,
        })
    }

    /// What the first instance that is not healthy says; `None` when all are.
    async fn ask_all(&self, cx: &Context<'_>, statuses: &[InstanceStatus]) -> Option<String> {
        let wanted: usize = self.routed.values().map(|count| usize::from(*count)).sum();
        let routed = statuses
            .iter()
            .filter(|status| self.routed.contains_key(&status.instance.worker));
        let running: Vec<_> = routed
            .filter(|status| status.liveness == Liveness::Running)
            .collect();
        if running.len() < wanted {
            return Some(format!("{} of {wanted} instances run", running.len()));
        }
        for status in running {
            if let Some(complaint) = self.ask(cx, status).await {
                return Some(format!(
                    "{}.{}: {complaint}",
                    status.instance.worker, status.instance.index
                ));
            }
        }
        None
    }

    async fn ask(&self, cx: &Context<'_>, status: &InstanceStatus) -> Option<String> {
        match &status.endpoint {
            None => Some("it has no endpoint yet".to_owned()),
            Some(EndpointAddress::Directory(_)) => None,
            Some(address) => match (&self.check.path, address, &status.process) {
                (Some(path), _, _) => self.http(cx, address, path).await,
                (None, EndpointAddress::Tcp(tcp), Some(process)) => listening(cx, *tcp, process),
                (None, _, _) => self
                    .http(cx, address, "/")
                    .await
                    .filter(|complaint| complaint.starts_with("nothing answers")),
            },
        }
    }

    async fn http(
        &self,
        cx: &Context<'_>,
        address: &EndpointAddress,
        path: &str,
    ) -> Option<String> {
        let host = self
            .host_header
            .clone()
            .unwrap_or_else(|| "localhost".to_owned());
        let probe = HttpProbe {
            address: address.clone(),
            path: path.to_owned(),
            host,
            timeout: self.check.timeout,
        };
        match cx.host.probe(&probe).await {
            ProbeAnswer::Answered { status, body } => self.judge(path, status, &body),
            ProbeAnswer::Unreachable(why) => Some(format!("nothing answers at its port: {why}")),
            ProbeAnswer::TimedOut => Some(format!(
                "`{path}` did not answer within {} s",
                self.check.timeout.as_secs()
            )),
        }
    }

    fn judge(&self, path: &str, status: u16, body: &[u8]) -> Option<String> {
        let (lowest, highest) = self.check.status;
        if !(lowest..=highest).contains(&status) {
            return Some(format!(
                "`{path}` answered {status}, wanted {lowest} to {highest}"
            ));
        }
        let missing = self
            .check
            .contains
            .as_ref()
            .filter(|text| !String::from_utf8_lossy(body).contains(text.as_str()));
        missing.map(|text| format!("the answer of `{path}` does not contain `{text}`"))
    }

    async fn gave_up(
        &self,
        cx: &Context<'_>,
        deployer: &dyn Deployer,
        complaint: Option<String>,
    ) -> PluginError {
        let complaint = complaint.unwrap_or_else(|| "it was healthy too late".to_owned());
        PluginError::Command {
            command: "the new release".to_owned(),
            status: format!(
                "was not healthy within {} s: {complaint}",
                self.check.start_timeout.as_secs()
            ),
            tail: last_lines(cx, deployer, None).await,
        }
    }
}

/// Whether the instance itself listens; where that cannot be told, that it runs must do.
fn listening(
    cx: &Context<'_>,
    address: SocketAddr,
    process: &hop3_plugin_api::ProcessId,
) -> Option<String> {
    match cx.host.listens(address, std::slice::from_ref(process)) {
        Some(true) | None => None,
        Some(false) => Some(format!(
            "nothing answers at its port: it does not listen on {address} yet"
        )),
    }
}

async fn last_lines(
    cx: &Context<'_>,
    deployer: &dyn Deployer,
    worker: Option<WorkerName>,
) -> String {
    let query = LogQuery {
        lines: 20,
        worker,
        ..LogQuery::default()
    };
    match deployer.logs(cx, &query).await {
        Ok(lines) => lines
            .iter()
            .map(|line| format!("{} | {}", line.source, line.text))
            .collect::<Vec<_>>()
            .join("\n"),
        Err(error) => Abort::new(format!("its log could not be read: {error}")).to_string(),
    }
}
