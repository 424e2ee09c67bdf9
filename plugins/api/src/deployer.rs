//! Running artifacts: instances, their endpoints and their liveness.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AppName, ArtifactKind, BuildArtifact, Context, Exit, HostContext, Limits, PlanContext,
    ProcessId, Result, Verdict, WorkerName, async_trait,
};

/// How many instances of each worker should run: absolute, not a difference.
pub type Counts = BTreeMap<WorkerName, u16>;

/// One release of one app.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct ReleaseId {
    /// The app.
    pub app: AppName,
    /// Its number, counted up per app on this host and never used twice.
    pub number: u32,
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.number)
    }
}

/// One running copy of a worker.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct InstanceId {
    /// The release that it runs.
    pub release: ReleaseId,
    /// Its worker.
    pub worker: WorkerName,
    /// Its index, from 0.
    pub index: u16,
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.release, self.worker, self.index)
    }
}

/// Whether an instance runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Liveness {
    /// It runs.
    Running,
    /// It does not; how it ended, where known.
    Stopped {
        /// For people: `exited with status 1`.
        reason: Option<String>,
    },
    /// It cannot be told. Nothing is done on this ground.
    Unknown {
        /// Why not.
        reason: String,
    },
}

/// Where an instance answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
    /// No process: files that the proxy serves itself.
    Directory(PathBuf),
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) | Self::Directory(path) => write!(f, "{}", path.display()),
        }
    }
}

/// An endpoint of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Whose it is.
    pub instance: InstanceId,
    /// Where it is.
    pub address: EndpointAddress,
}

/// What an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// Nothing: it is a directory.
    Files,
}

/// What a deployment offers to the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentInfo {
    /// What the endpoints speak.
    pub protocol: Protocol,
    /// Endpoints of routed workers, by instance.
    pub endpoints: Vec<Endpoint>,
}

/// How one worker is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WorkerSpec {
    /// The app's own command line; empty where the artifact knows (an image's own command).
    pub command: String,
    /// Whether it listens on `$PORT` and gets requests.
    pub routed: bool,
}

/// A release to run.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// Which one.
    pub release: &'a ReleaseId,
    /// What it runs.
    pub artifact: &'a BuildArtifact,
    /// Its workers.
    pub workers: &'a BTreeMap<WorkerName, WorkerSpec>,
    /// What each instance may use.
    pub limits: &'a Limits,
    /// Between TERM and KILL.
    pub stop_grace: Duration,
}

/// One of the app's own commands that is run once: a release command, a job, `exec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOff {
    /// The command line, as the app's author wrote it.
    pub command: String,
    /// When it is ended.
    pub deadline: Duration,
    /// What receives its exit if the agent dies meanwhile; without one it is ended with the agent.
    pub exit_file: Option<PathBuf>,
}

impl OneOff {
    /// A command that ends with the agent.
    pub fn new(command: impl Into<String>, deadline: Duration) -> Self {
        Self {
            command: command.into(),
            deadline,
            exit_file: None,
        }
    }
}

/// One instance as a deployer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct InstanceStatus {
    /// Which one.
    pub instance: InstanceId,
    /// Whether it runs.
    pub liveness: Liveness,
    /// Its endpoint, for a routed worker.
    pub endpoint: Option<EndpointAddress>,
    /// Its process, where it is one of this host.
    #[serde(skip)]
    pub process: Option<ProcessId>,
    /// How often it was restarted after a crash.
    pub restarts: u32,
}

/// Something on the machine that carries this installation's stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The app.
    pub app: AppName,
    /// The release, where the thing belongs to one.
    pub release: Option<ReleaseId>,
    /// What it is, for people: `supervisor 4711`.
    pub what: String,
}

/// Which log lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Only of this worker.
    pub worker: Option<WorkerName>,
    /// The last so many lines, when there is no cursor.
    pub lines: usize,
    /// Continue where an earlier answer ended (see [`LogLine::cursor`]), by log file.
    pub after: BTreeMap<String, u64>,
}

/// One line of an app's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The log that it is from: `web.0`.
    pub source: String,
    /// The text without its newline.
    pub text: String,
    /// The position after it, to continue from.
    pub cursor: u64,
}

/// Runs artifacts. Stateless: what runs is found out by looking.
///
/// Guarantees: a release starts beside the old one and touches nothing of it; every call may be repeated; `stop` ends exactly its release;
/// the environment reaches the app byte for byte.
#[async_trait]
pub trait Deployer: Send + Sync {
    /// Its name in `[deploy] deployer`.
    fn name(&self) -> &'static str;

    /// Whether it can run this kind of artifact for this app. Pure: asks no engine.
    fn accept(&self, cx: &PlanContext<'_>, kind: &ArtifactKind) -> Verdict;

    /// Whether a release can start beside the old one; if not, the plan says `recreate`.
    fn overlaps(&self, _cx: &PlanContext<'_>) -> bool {
        true
    }

    /// Effect: makes exactly `counts` instances of the release run and returns the endpoints of its routed workers. Instances that run
    /// already are left alone. Returns when processes are started, not when they are healthy.
    async fn deploy(
        &self,
        cx: &Context<'_>,
        launch: &Launch<'_>,
        counts: &Counts,
    ) -> Result<DeploymentInfo>;

    /// Effect: sets the counts of a running release; instances that stay are not restarted.
    async fn scale(
        &self,
        cx: &Context<'_>,
        launch: &Launch<'_>,
        counts: &Counts,
    ) -> Result<DeploymentInfo> {
        self.deploy(cx, launch, counts).await
    }

    /// Effect: ends every instance of the release and what belongs to it; a release that does not run is fine.
    async fn stop(&self, cx: &Context<'_>, release: &ReleaseId) -> Result<()>;

    /// Every instance of the release that should run or does, by looking at the real thing.
    async fn check_status(
        &self,
        cx: &Context<'_>,
        release: &ReleaseId,
    ) -> Result<Vec<InstanceStatus>>;

    /// Effect: runs one of the app's own commands in the release's environment, to its end.
    async fn run(&self, cx: &Context<'_>, launch: &Launch<'_>, command: &OneOff) -> Result<Exit>;

    /// Lines of the app's logs.
    async fn logs(&self, cx: &Context<'_>, query: &LogQuery) -> Result<Vec<LogLine>>;

    /// Effect: ends what is left of commands that [`Deployer::run`] started for a release and that nobody watches any more. What runs under
    /// a watcher, and the release's instances, are left alone.
    async fn end_commands(&self, _cx: &Context<'_>, _release: &ReleaseId) -> Result<()> {
        Ok(())
    }

    /// Everything on the machine that carries our stamp.
    async fn observe(&self, cx: &HostContext<'_>) -> Result<Vec<Owned>>;

    /// The same of one app. Worth its own way where that costs less than looking at everything.
    async fn observe_app(&self, cx: &HostContext<'_>, app: &AppName) -> Result<Vec<Owned>> {
        let all = self.observe(cx).await?;
        Ok(all.into_iter().filter(|owned| owned.app == *app).collect())
    }
}
