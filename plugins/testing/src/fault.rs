//! A host that fails, or dies, at one of its effects: run a scenario once to learn its effects, then once for each of them.

mod effect;
mod mode;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hop3_plugin_api::{
    Exit, FileWrite, Host, HostEntry, HostError, HttpProbe, ProbeAnswer, ProcessId, SourceTree,
    SpawnedProcess, Task, Timestamp, UserId, async_trait,
};
use rustix::process::{Signal, getpid, kill_process};

use effect::{Effect, Kind};
pub use mode::{Fault, FaultMode, Point, Trouble};

/// How long an effect goes on before the process is killed within it: long enough for a helper process to have begun.
const WITHIN: Duration = Duration::from_millis(30);

/// Gets the name of each effect before it is done.
type Listener = Box<dyn Fn(&str) + Send + Sync>;

/// Wraps a host and counts its effects.
///
/// Guarantees: every method that [`Host`] documents as an effect is one number, from 1; reading is never counted and never fails. A killed
/// process runs no further instruction of its own.
pub struct FaultHost {
    inner: Arc<dyn Host>,
    fault: Option<Fault>,
    root: Option<PathBuf>,
    listener: Option<Listener>,
    armed: AtomicBool,
    count: AtomicU64,
    occurrences: Mutex<BTreeMap<String, u64>>,
    struck: OnceLock<String>,
}

impl fmt::Debug for FaultHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultHost({:?} in {:?})", self.fault, self.inner)
    }
}

impl FaultHost {
    /// A host that only counts.
    pub fn counting(inner: Arc<dyn Host>) -> Self {
        Self {
            inner,
            fault: None,
            root: None,
            listener: None,
            armed: AtomicBool::new(true),
            count: AtomicU64::new(0),
            occurrences: Mutex::default(),
            struck: OnceLock::new(),
        }
    }

    /// A host whose effect number `at` goes wrong.
    pub fn failing(inner: Arc<dyn Host>, at: u64, mode: FaultMode) -> Self {
        let at = Point::Number(at);
        Self::meeting(inner, Fault { at, mode })
    }

    /// A host that meets a fault.
    pub fn meeting(inner: Arc<dyn Host>, fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::counting(inner)
        }
    }

    /// Names of effects leave this directory out.
    #[must_use]
    pub fn beneath(self, root: impl Into<PathBuf>) -> Self {
        Self {
            root: Some(root.into()),
            ..self
        }
    }

    /// Has each effect told by its name, just before it is done.
    #[must_use]
    pub fn telling(self, listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            listener: Some(Box::new(listener)),
            ..self
        }
    }

    /// Counts nothing, and so fails nothing, until [`FaultHost::arm`].
    #[must_use]
    pub fn disarmed(self) -> Self {
        self.armed.store(false, Ordering::SeqCst);
        self
    }

    /// Counts from here on.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// How many effects were asked for so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// The effect that went wrong first, in words; `None` when none did.
    pub fn struck(&self) -> Option<&str> {
        self.struck.get().map(String::as_str)
    }

    async fn effect<T>(
        &self,
        effect: Effect<'_>,
        act: impl Future<Output = Result<T, HostError>> + Send,
    ) -> Result<T, HostError> {
        let Some((number, mode)) = self.fault_at(&effect) else {
            return act.await;
        };
        self.struck.get_or_init(|| effect.what.clone());
        match mode {
            FaultMode::Before => Err(HostError::Injected(number)),
            FaultMode::After => {
                act.await?;
                Err(HostError::Injected(number))
            }
            FaultMode::Trouble(trouble) | FaultMode::TroubleFromThere(trouble) => {
                Err(trouble.error(&effect))
            }
            FaultMode::KillBefore => die(),
            FaultMode::KillWithin => {
                // It is not dropped: who is killed takes nothing back.
                let mut act = pin!(act);
                tokio::time::timeout(WITHIN, act.as_mut()).await.ok();
                die()
            }
            FaultMode::KillAfter => {
                act.await?;
                die()
            }
        }
    }

    /// Counts an effect; its number and how it goes wrong, if it does.
    fn fault_at(&self, effect: &Effect<'_>) -> Option<(u64, FaultMode)> {
        if !self.armed.load(Ordering::SeqCst) {
            return None;
        }
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let name = effect::name(&effect.what, self.root.as_deref());
        if let Some(listener) = &self.listener {
            listener(&name);
        }
        let occurrence = self.occurrence(&name);
        let fault = self.fault.as_ref()?;
        let reached = match &fault.at {
            Point::Number(at) => (number == *at, number >= *at),
            Point::Named {
                name: at,
                occurrence: nth,
            } => {
                let now = name == *at && occurrence == *nth;
                (now, now || self.struck().is_some())
            }
        };
        let strikes = match fault.mode {
            FaultMode::TroubleFromThere(trouble) => reached.1 && trouble.concerns(effect.kind),
            FaultMode::Trouble(trouble) => reached.0 && trouble.concerns(effect.kind),
            _ => reached.0,
        };
        strikes.then_some((number, fault.mode))
    }

    fn occurrence(&self, name: &str) -> u64 {
        let mut all = self
            .occurrences
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(name.to_owned()).or_default();
        *count += 1;
        *count
    }
}

/// Effect: the process ends as by `kill -9`: no destructor, no handler, nothing flushed.
fn die() -> ! {
    kill_process(getpid(), Signal::KILL).ok();
    loop {
        std::thread::park();
    }
}

#[async_trait]
impl Host for FaultHost {
    async fn write_atomic(&self, file: FileWrite) -> Result<(), HostError> {
        let path = file.path.clone();
        let effect = Effect::on(Kind::Write, "write", &path);
        self.effect(effect, self.inner.write_atomic(file)).await
    }

    async fn ensure_dir(
        &self,
        path: &Path,
        mode: u32,
        owner: Option<UserId>,
    ) -> Result<(), HostError> {
        let effect = Effect::on(Kind::Write, "make the directory", path);
        self.effect(effect, self.inner.ensure_dir(path, mode, owner))
            .await
    }

    async fn ensure_link(&self, link: &Path, target: &Path) -> Result<(), HostError> {
        let effect = Effect::on(Kind::Write, "link", link);
        self.effect(effect, self.inner.ensure_link(link, target))
            .await
    }

    async fn export_tree(
        &self,
        source: &dyn SourceTree,
        only: Option<&[String]>,
        into: &Path,
    ) -> Result<(), HostError> {
        let effect = Effect::on(Kind::Write, "export to", into);
        self.effect(effect, self.inner.export_tree(source, only, into))
            .await
    }

    async fn clone_tree(&self, from: &Path, into: &Path) -> Result<(), HostError> {
        let effect = Effect::on(Kind::Write, "clone to", into);
        self.effect(effect, self.inner.clone_tree(from, into)).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), HostError> {
        let effect = Effect::on(Kind::Write, "rename to", to);
        self.effect(effect, self.inner.rename(from, to)).await
    }

    async fn remove_beneath(&self, root: &Path, path: &Path) -> Result<(), HostError> {
        let effect = Effect::on(Kind::Remove, "remove", path);
        self.effect(effect, self.inner.remove_beneath(root, path))
            .await
    }

    async fn ensure_user(&self, name: &str, home: &Path) -> Result<Option<UserId>, HostError> {
        let effect = Effect::start(home, format!("ensure user {name}"));
        self.effect(effect, self.inner.ensure_user(name, home))
            .await
    }

    async fn run(&self, task: &Task) -> Result<Exit, HostError> {
        let what = format!("run {}: {}", task.what, task.command_line());
        self.effect(Effect::start(&task.dir, what), self.inner.run(task))
            .await
    }

    async fn spawn_detached(&self, task: &Task) -> Result<SpawnedProcess, HostError> {
        let effect = Effect::start(&task.dir, format!("spawn {}", task.what));
        self.effect(effect, self.inner.spawn_detached(task)).await
    }

    async fn signal(&self, process: &ProcessId, signal: i32, group: bool) -> Result<(), HostError> {
        let effect = Effect {
            kind: Kind::Signal,
            doing: "signal",
            path: Path::new(""),
            what: format!("signal {signal} to {}", process.pid),
        };
        self.effect(effect, self.inner.signal(process, signal, group))
            .await
    }

    async fn ask(
        &self,
        socket: &Path,
        line: &str,
        timeout: Duration,
    ) -> Result<Option<String>, HostError> {
        let mut effect = Effect::on(Kind::Talk, "ask", socket);
        let start: String = line.chars().take(40).collect();
        effect.what = format!("{}: {start}", effect.what);
        self.effect(effect, self.inner.ask(socket, line, timeout))
            .await
    }

    async fn probe(&self, probe: &HttpProbe) -> ProbeAnswer {
        self.inner.probe(probe).await
    }

    fn is_running(&self, process: &ProcessId) -> bool {
        self.inner.is_running(process)
    }

    fn listens(&self, address: SocketAddr, processes: &[ProcessId]) -> Option<bool> {
        self.inner.listens(address, processes)
    }

    async fn free_port(&self) -> Result<u16, HostError> {
        self.inner.free_port().await
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError> {
        self.inner.read(path).await
    }

    async fn list(&self, directory: &Path) -> Result<Vec<HostEntry>, HostError> {
        self.inner.list(directory).await
    }

    fn find_program(&self, name: &str) -> Option<PathBuf> {
        self.inner.find_program(name)
    }

    fn tool_path(&self) -> Vec<PathBuf> {
        self.inner.tool_path()
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration).await;
    }

    fn random(&self, bytes: &mut [u8]) {
        self.inner.random(bytes);
    }
}

#[cfg(test)]
mod tests;
