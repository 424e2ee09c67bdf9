//! What the tests of the agent's half share: a release, and a supervisor without processes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hop3_plugin_api::{
    AppName, ArtifactKind, ArtifactLocation, BuildArtifact, Counts, Digest, EnvKey, Launch, Limits,
    ProcessId, ReleaseId, RuntimeSpec, WorkerName, WorkerSpec,
};
use hop3_plugin_testing::TestApp;

use crate::document::LaunchDocument;
use crate::protocol::{Act, InstanceReport, InstanceState, Reply, Request, VERSION};

/// A release with a routed `web` and a `queue`.
pub(in crate::agent) struct Sample {
    pub(in crate::agent) artifact: BuildArtifact,
    pub(in crate::agent) release: ReleaseId,
    workers: BTreeMap<WorkerName, WorkerSpec>,
    limits: Limits,
}

pub(in crate::agent) fn key(name: &str) -> EnvKey {
    EnvKey::parse(name).unwrap()
}

pub(in crate::agent) fn worker(name: &str) -> WorkerName {
    WorkerName::parse(name).unwrap()
}

impl Sample {
    pub(in crate::agent) fn new() -> Self {
        let spec = |routed| WorkerSpec {
            command: "exec ./serve".to_owned(),
            routed,
        };
        Self {
            artifact: BuildArtifact {
                kind: ArtifactKind::Native,
                location: ArtifactLocation::Directory("releases/1/app".to_owned()),
                key: Digest::of_bytes(b"source"),
                metadata: BTreeMap::new(),
                cloned: BTreeSet::new(),
                runtime: RuntimeSpec::default(),
            },
            release: ReleaseId {
                app: AppName::parse("shop").unwrap(),
                number: 1,
            },
            workers: BTreeMap::from([(worker("web"), spec(true)), (worker("queue"), spec(false))]),
            limits: Limits::default(),
        }
    }

    pub(in crate::agent) fn launch(&self) -> Launch<'_> {
        Launch {
            release: &self.release,
            artifact: &self.artifact,
            workers: &self.workers,
            limits: &self.limits,
            stop_grace: Duration::from_secs(10),
        }
    }
}

pub(in crate::agent) fn counts(web: u16, queue: u16) -> Counts {
    Counts::from([(worker("web"), web), (worker("queue"), queue)])
}

/// A supervisor without processes, behind the fake machine's socket.
#[derive(Default)]
pub(in crate::agent) struct FakeSupervisor {
    pub(in crate::agent) document: Option<LaunchDocument>,
    pub(in crate::agent) reply: Reply,
}

impl FakeSupervisor {
    pub(in crate::agent) fn attach(app: &TestApp) -> Arc<Mutex<Self>> {
        let shared = Arc::new(Mutex::new(Self::default()));
        let (spawned, asked) = (shared.clone(), shared.clone());
        app.fake().on_spawn(move |task, process| {
            let text = task.input.as_ref().unwrap().expose();
            let document = serde_json::from_str(text).unwrap();
            spawned.lock().unwrap().start(document, process);
        });
        app.fake()
            .on_ask(move |_, line| asked.lock().unwrap().answer(line));
        shared
    }

    fn start(&mut self, document: LaunchDocument, process: &ProcessId) {
        self.reply = Reply {
            v: VERSION,
            supervisor: Some(process.clone()),
            stop_grace_ms: 10_000,
            ..Reply::default()
        };
        let (counts, ports) = (document.counts.clone(), document.ports.clone());
        self.document = Some(document);
        self.scale(&counts, &ports);
    }

    fn scale(&mut self, counts: &Counts, ports: &BTreeMap<String, u16>) {
        let old = std::mem::take(&mut self.reply.instances);
        for (worker, count) in counts {
            for index in 0..*count {
                let kept = old.iter().find(|i| i.worker == *worker && i.index == index);
                let port = ports.get(&format!("{worker}.{index}")).copied();
                let report = kept.cloned().unwrap_or_else(|| InstanceReport {
                    worker: worker.clone(),
                    index,
                    port,
                    process: self.reply.supervisor.clone(),
                    state: InstanceState::Running,
                    restarts: 0,
                    last_exit: None,
                });
                self.reply.instances.push(report);
            }
        }
    }

    fn answer(&mut self, line: &str) -> Option<String> {
        self.document.as_ref()?;
        let request: Request = serde_json::from_str(line).unwrap();
        match request.act {
            Act::Scale { counts, ports } => self.scale(&counts, &ports),
            Act::Stop => self.document = None,
            Act::Ping | Act::Status => {}
        }
        Some(serde_json::to_string(&self.reply).unwrap())
    }
}
