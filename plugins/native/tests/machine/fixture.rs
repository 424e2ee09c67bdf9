//! One app with one release on a real machine, and what the tests ask of it from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hop3_plugin_api::{
    ArtifactKind, ArtifactLocation, BuildArtifact, Counts, Deployer as _, DeploymentInfo, Digest,
    EndpointAddress, InstanceStatus, Launch, Limits, LogQuery, ReleaseId, RuntimeSpec, WorkerName,
    WorkerSpec,
};
use hop3_plugin_native::NativeDeployer;
use hop3_plugin_testing::TestApp;
use rustix::process::{Pid, Signal};

use super::Machine;

pub(crate) const SERVE: &str = concat!(
    "exec ",
    env!("CARGO_BIN_EXE_hop3-native-supervise"),
    " serve"
);

/// An app with one release on a real machine. Whatever a test does, its processes end with it.
pub(crate) struct Fixture {
    pub(crate) app: TestApp,
    pub(crate) release: ReleaseId,
    pub(crate) artifact: BuildArtifact,
    pub(crate) workers: BTreeMap<WorkerName, WorkerSpec>,
    pub(crate) limits: Limits,
}

impl Fixture {
    pub(crate) fn new(workers: &[(&str, &str)]) -> Self {
        Self::of(TestApp::on(&unique_name(), Arc::new(Machine)), workers)
    }

    pub(crate) fn of(app: TestApp, workers: &[(&str, &str)]) -> Self {
        fs::create_dir_all(&app.paths.build).unwrap();
        let spec = |(name, command): &(&str, &str)| {
            let spec = WorkerSpec {
                command: (*command).to_owned(),
                routed: *name == "web",
            };
            (worker(name), spec)
        };
        Self {
            release: ReleaseId {
                app: app.name.clone(),
                number: 1,
            },
            app,
            artifact: BuildArtifact {
                kind: ArtifactKind::Native,
                location: ArtifactLocation::Directory("releases/1/app".to_owned()),
                key: Digest::of_bytes(b"source"),
                metadata: BTreeMap::new(),
                cloned: BTreeSet::new(),
                runtime: RuntimeSpec::default(),
            },
            workers: workers.iter().map(spec).collect(),
            limits: Limits::default(),
        }
    }

    pub(crate) fn launch(&self) -> Launch<'_> {
        Launch {
            release: &self.release,
            artifact: &self.artifact,
            workers: &self.workers,
            limits: &self.limits,
            stop_grace: Duration::from_millis(400),
        }
    }

    pub(crate) async fn deploy(&self, counts: &[(&str, u16)]) -> DeploymentInfo {
        NativeDeployer
            .deploy(&self.app.context(), &self.launch(), &count(counts))
            .await
            .unwrap()
    }

    pub(crate) async fn status(&self) -> Vec<InstanceStatus> {
        NativeDeployer
            .check_status(&self.app.context(), &self.release)
            .await
            .unwrap()
    }

    pub(crate) async fn stop(&self) {
        NativeDeployer
            .stop(&self.app.context(), &self.release)
            .await
            .unwrap();
    }

    pub(crate) async fn pids(&self) -> Vec<u32> {
        let status = self.status().await;
        status
            .into_iter()
            .filter_map(|status| Some(status.process?.pid))
            .collect()
    }

    pub(crate) async fn supervisor(&self) -> u32 {
        let owned = NativeDeployer
            .observe(&self.app.host_context())
            .await
            .unwrap();
        let what = &owned.first().expect("a supervisor is observed").what;
        what.strip_prefix("supervisor ").unwrap().parse().unwrap()
    }

    pub(crate) async fn last_lines(&self, lines: usize) -> Vec<String> {
        let query = LogQuery {
            lines,
            ..LogQuery::default()
        };
        let lines = NativeDeployer.logs(&self.app.context(), &query).await;
        lines.unwrap().into_iter().map(|line| line.text).collect()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.app.paths.data.join(name)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let state = self.app.paths.state.join("native-1.json");
        let Ok(stamp) = fs::read_to_string(state) else {
            return;
        };
        let stamp: serde_json::Value = serde_json::from_str(&stamp).unwrap();
        let pid = u32::try_from(stamp["supervisor"]["pid"].as_u64().unwrap()).unwrap();
        let socket = PathBuf::from(stamp["socket"].as_str().unwrap());
        kill(pid);
        let sweep = Command::new(env!("CARGO_BIN_EXE_hop3-native-supervise"))
            .arg("internal-sweep")
            .arg(socket.file_stem().unwrap())
            .status();
        assert!(sweep.unwrap().success());
    }
}

/// All test apps are of one installation, in which names are unique: what ends one release must not find another's processes.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("shop-{}-{count}", std::process::id())
}

pub(crate) fn worker(name: &str) -> WorkerName {
    WorkerName::parse(name).unwrap()
}

pub(crate) fn count(counts: &[(&str, u16)]) -> Counts {
    let counts = counts.iter();
    counts.map(|(name, count)| (worker(name), *count)).collect()
}

pub(crate) fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).ok();
}

/// What the app says at an endpoint: its process number.
pub(crate) fn ask(address: &EndpointAddress) -> Option<u32> {
    let EndpointAddress::Tcp(address) = address else {
        return None;
    };
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.rsplit_once("\r\n\r\n")?.1.parse().ok()
}

/// Looks until it is so; says what was waited for when it never is.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn number_in(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
