//! A host that fails, or dies, at the N-th effect: run a scenario once to count its effects, then once for each of them.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hop3_plugin_api::{
    Exit, FileWrite, Host, HostEntry, HostError, HttpProbe, ProbeAnswer, ProcessId, SourceTree,
    SpawnedProcess, Task, Timestamp, UserId, async_trait,
};

/// What happens at the chosen effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultMode {
    /// It fails without having been done.
    Before,
    /// It is done, and reported as failed: the answer was lost.
    After,
    /// The process dies at once, without having done it.
    KillBefore,
    /// The process dies at once, after having done it.
    KillAfter,
}

/// Wraps a host and counts its effects.
///
/// Guarantees: every method that [`Host`] documents as an effect is one number, from 1; reading is never counted and never fails.
#[derive(Debug)]
pub struct FaultHost {
    inner: Arc<dyn Host>,
    fault: Option<(u64, FaultMode)>,
    count: AtomicU64,
    struck: OnceLock<String>,
}

impl FaultHost {
    /// A host that only counts.
    pub fn counting(inner: Arc<dyn Host>) -> Self {
        Self {
            inner,
            fault: None,
            count: AtomicU64::new(0),
            struck: OnceLock::new(),
        }
    }

    /// A host whose effect number `at` goes wrong, once.
    pub fn failing(inner: Arc<dyn Host>, at: u64, mode: FaultMode) -> Self {
        Self {
            fault: Some((at, mode)),
            ..Self::counting(inner)
        }
    }

    /// How many effects were asked for so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// The effect that went wrong, in words; `None` when fewer effects were asked for.
    pub fn struck(&self) -> Option<&str> {
        self.struck.get().map(String::as_str)
    }

    async fn effect<T>(
        &self,
        what: impl Display,
        act: impl Future<Output = Result<T, HostError>> + Send,
    ) -> Result<T, HostError> {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let fault = self
            .fault
            .and_then(|(at, mode)| (at == number).then_some(mode));
        if fault.is_some() {
            self.struck.get_or_init(|| what.to_string());
        }
        match fault {
            None => act.await,
            Some(FaultMode::Before) => Err(HostError::Injected(number)),
            Some(FaultMode::KillBefore) => std::process::abort(),
            Some(FaultMode::After) => {
                act.await?;
                Err(HostError::Injected(number))
            }
            Some(FaultMode::KillAfter) => {
                act.await?;
                std::process::abort()
            }
        }
    }
}

#[async_trait]
impl Host for FaultHost {
    async fn write_atomic(&self, file: FileWrite) -> Result<(), HostError> {
        let what = format!("write {}", file.path.display());
        self.effect(what, self.inner.write_atomic(file)).await
    }

    async fn ensure_dir(
        &self,
        path: &Path,
        mode: u32,
        owner: Option<UserId>,
    ) -> Result<(), HostError> {
        let what = format!("make {}", path.display());
        self.effect(what, self.inner.ensure_dir(path, mode, owner))
            .await
    }

    async fn ensure_link(&self, link: &Path, target: &Path) -> Result<(), HostError> {
        let what = format!("link {}", link.display());
        self.effect(what, self.inner.ensure_link(link, target))
            .await
    }

    async fn export_tree(
        &self,
        source: &dyn SourceTree,
        only: Option<&[String]>,
        into: &Path,
    ) -> Result<(), HostError> {
        let what = format!("export to {}", into.display());
        self.effect(what, self.inner.export_tree(source, only, into))
            .await
    }

    async fn clone_tree(&self, from: &Path, into: &Path) -> Result<(), HostError> {
        let what = format!("clone to {}", into.display());
        self.effect(what, self.inner.clone_tree(from, into)).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), HostError> {
        let what = format!("rename to {}", to.display());
        self.effect(what, self.inner.rename(from, to)).await
    }

    async fn remove_beneath(&self, root: &Path, path: &Path) -> Result<(), HostError> {
        let what = format!("remove {}", path.display());
        self.effect(what, self.inner.remove_beneath(root, path))
            .await
    }

    async fn ensure_user(&self, name: &str, home: &Path) -> Result<Option<UserId>, HostError> {
        self.effect(
            format!("ensure user {name}"),
            self.inner.ensure_user(name, home),
        )
        .await
    }

    async fn run(&self, task: &Task) -> Result<Exit, HostError> {
        let what = format!("run {}: {}", task.what, task.command_line());
        self.effect(what, self.inner.run(task)).await
    }

    async fn spawn_detached(&self, task: &Task) -> Result<SpawnedProcess, HostError> {
        let what = format!("spawn {}", task.what);
        self.effect(what, self.inner.spawn_detached(task)).await
    }

    async fn signal(&self, process: &ProcessId, signal: i32, group: bool) -> Result<(), HostError> {
        let what = format!("signal {signal} to {}", process.pid);
        self.effect(what, self.inner.signal(process, signal, group))
            .await
    }

    async fn ask(
        &self,
        socket: &Path,
        line: &str,
        timeout: Duration,
    ) -> Result<Option<String>, HostError> {
        let start: String = line.chars().take(40).collect();
        let what = format!("ask {}: {start}", socket.display());
        self.effect(what, self.inner.ask(socket, line, timeout))
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
mod tests {
    use super::*;
    use crate::FakeHost;

    fn file(host: &FakeHost) -> FileWrite {
        FileWrite::private(host.root().join("file"), "text")
    }

    #[tokio::test]
    async fn effects_are_counted_and_reading_is_not() {
        let fake = Arc::new(FakeHost::new());
        let host = FaultHost::counting(fake.clone());
        host.write_atomic(file(&fake)).await.unwrap();
        host.read(&fake.root().join("file")).await.unwrap();
        host.free_port().await.unwrap();
        assert_eq!(host.count(), 1);
    }

    #[tokio::test]
    async fn a_fault_before_leaves_nothing_and_a_fault_after_leaves_the_effect() {
        for (mode, done) in [(FaultMode::Before, false), (FaultMode::After, true)] {
            let fake = Arc::new(FakeHost::new());
            let host = FaultHost::failing(fake.clone(), 1, mode);
            let error = host.write_atomic(file(&fake)).await.unwrap_err();
            assert!(matches!(error, HostError::Injected(1)), "{error:?}");
            assert_eq!(fake.root().join("file").exists(), done, "{mode:?}");
            host.write_atomic(file(&fake)).await.unwrap();
        }
    }
}
