//! The fake machine as a [`Host`]: each effect is checked, noted in the transcript, then done or answered by the script.

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use hop3_plugin_api::{
    Exit, FileWrite, Host, HostEntry, HostError, HttpProbe, ProbeAnswer, ProcessId, Program,
    SourceTree, SpawnedProcess, Task, Timestamp, UserId, async_trait,
};

use super::{FakeHost, files};

const TERM: i32 = 15;
const KILL: i32 = 9;

impl FakeHost {
    fn beneath_root(&self, path: &Path) -> Result<(), HostError> {
        let plain = path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if plain && path.starts_with(self.root()) {
            return Ok(());
        }
        Err(HostError::Refused {
            doing: format!("touch `{}`", path.display()),
            reason: format!(
                "a fake host has nothing outside `{}`",
                self.root().display()
            ),
        })
    }

    fn require_program(&self, task: &Task) -> Result<(), HostError> {
        match &task.program {
            Program::Named(name) if self.find_program(name).is_none() => {
                Err(HostError::MissingProgram {
                    program: name.clone(),
                    searched: "the script of this test".to_owned(),
                })
            }
            _ => Ok(()),
        }
    }
}

fn owner_text(owner: Option<UserId>) -> String {
    owner.map_or_else(String::new, |user| {
        format!(" owner {}:{}", user.uid, user.gid)
    })
}

/// `install: /usr/bin/pip install . (in <root>/app; env HOME; user 900)`: everything that a test may want to pin down.
fn describe(task: &Task) -> String {
    let mut facts = vec![format!("in {}", task.dir.display())];
    if !task.env.is_empty() {
        let keys: Vec<_> = task.env.keys().map(String::as_str).collect();
        facts.push(format!("env {}", keys.join(" ")));
    }
    if let Some(user) = task.user {
        facts.push(format!("user {}", user.uid));
    }
    if task.sandbox.enabled {
        let network = if task.sandbox.network { "" } else { " offline" };
        facts.push(format!("sandboxed{network}"));
    }
    if let Some(input) = &task.input {
        facts.push(format!("input {input}"));
    }
    format!(
        "{}: {} ({})",
        task.what,
        task.command_line(),
        facts.join("; ")
    )
}

#[async_trait]
impl Host for FakeHost {
    async fn write_atomic(&self, file: FileWrite) -> Result<(), HostError> {
        self.beneath_root(&file.path)?;
        self.note(&format!(
            "write {} mode {:o}{}",
            file.path.display(),
            file.mode,
            owner_text(file.owner)
        ));
        files::write(&file.path, &file.content, file.mode)
    }

    async fn ensure_dir(
        &self,
        path: &Path,
        mode: u32,
        owner: Option<UserId>,
    ) -> Result<(), HostError> {
        self.beneath_root(path)?;
        self.note(&format!(
            "directory {} mode {mode:o}{}",
            path.display(),
            owner_text(owner)
        ));
        files::ensure_dir(path, mode)
    }

    async fn ensure_link(&self, link: &Path, target: &Path) -> Result<(), HostError> {
        self.beneath_root(link)?;
        self.note(&format!("link {} to {}", link.display(), target.display()));
        files::ensure_link(link, target)
    }

    async fn export_tree(
        &self,
        source: &dyn SourceTree,
        only: Option<&[String]>,
        into: &Path,
    ) -> Result<(), HostError> {
        self.beneath_root(into)?;
        let what = only.map_or_else(|| "the source".to_owned(), |paths| paths.join(" "));
        self.note(&format!("export {what} into {}", into.display()));
        files::export(source, only, into)
    }

    async fn clone_tree(&self, from: &Path, into: &Path) -> Result<(), HostError> {
        self.beneath_root(from)?;
        self.beneath_root(into)?;
        self.note(&format!("clone {} into {}", from.display(), into.display()));
        files::clone_tree(from, into)
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), HostError> {
        self.beneath_root(from)?;
        self.beneath_root(to)?;
        self.note(&format!("rename {} to {}", from.display(), to.display()));
        files::rename(from, to)
    }

    async fn remove_beneath(&self, root: &Path, path: &Path) -> Result<(), HostError> {
        self.beneath_root(path)?;
        if !path.starts_with(root) || path == root {
            return Err(HostError::Refused {
                doing: format!("remove `{}`", path.display()),
                reason: format!("it does not lie beneath `{}`", root.display()),
            });
        }
        self.note(&format!("remove {}", path.display()));
        files::remove(path)
    }

    async fn ensure_user(&self, name: &str, home: &Path) -> Result<Option<UserId>, HostError> {
        self.note(&format!("user {name} home {}", home.display()));
        Ok(self.state().user)
    }

    async fn run(&self, task: &Task) -> Result<Exit, HostError> {
        self.require_program(task)?;
        self.note(&format!("run {}", describe(task)));
        Ok((self.script().run)(task))
    }

    async fn spawn_detached(&self, task: &Task) -> Result<SpawnedProcess, HostError> {
        self.require_program(task)?;
        self.note(&format!("spawn {}", describe(task)));
        let process = self.state().start_process();
        (self.script().spawn)(task, &process);
        Ok(SpawnedProcess { process })
    }

    async fn signal(&self, process: &ProcessId, signal: i32, group: bool) -> Result<(), HostError> {
        let whom = if group { "the group of " } else { "" };
        self.note(&format!("signal {signal} to {whom}{}", process.pid));
        let mut state = self.state();
        if signal == KILL || (signal == TERM && !state.ignores_term) {
            state.running.insert(process.clone(), false);
        }
        Ok(())
    }

    async fn ask(
        &self,
        socket: &Path,
        line: &str,
        _timeout: Duration,
    ) -> Result<Option<String>, HostError> {
        self.note(&format!("ask {}: {line}", socket.display()));
        Ok((self.script().ask)(socket, line))
    }

    async fn probe(&self, probe: &HttpProbe) -> ProbeAnswer {
        (self.script().probe)(probe)
    }

    fn is_running(&self, process: &ProcessId) -> bool {
        self.state().running.get(process).copied().unwrap_or(false)
    }

    fn listens(&self, address: SocketAddr, processes: &[ProcessId]) -> Option<bool> {
        let told = self.state().listening.get(&address).copied();
        told.unwrap_or_else(|| Some(processes.iter().any(|process| self.is_running(process))))
    }

    async fn free_port(&self) -> Result<u16, HostError> {
        let mut state = self.state();
        let port = state.next_port;
        state.next_port += 1;
        Ok(port)
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError> {
        files::read(path)
    }

    async fn list(&self, directory: &Path) -> Result<Vec<HostEntry>, HostError> {
        files::list(directory)
    }

    fn find_program(&self, name: &str) -> Option<PathBuf> {
        (self.script().find)(name)
    }

    fn now(&self) -> Timestamp {
        self.state().now
    }

    async fn sleep(&self, duration: Duration) {
        self.state().slept += duration;
        tokio::task::yield_now().await;
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut state = self.state();
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&state.chance().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use hop3_plugin_api::{DirectoryTree, ExitStatus, Secret};

    use super::*;

    #[tokio::test]
    async fn the_transcript_hides_secrets_and_the_root() {
        let host = FakeHost::new();
        let mut task = Task::new(
            "install",
            Program::Named("pip".to_owned()),
            host.root().join("app"),
        )
        .args(["install", "."])
        .env("TOKEN", "canary");
        task.input = Some(Secret::new("canary"));
        assert!(host.run(&task).await.unwrap().success());
        assert_eq!(
            host.transcript(),
            ["run install: pip install . (in <root>/app; env TOKEN; input [redacted])"]
        );
    }

    #[tokio::test]
    async fn files_are_real_and_stay_beneath_the_root() {
        let host = FakeHost::new();
        let path = host.root().join("a/b");
        host.ensure_dir(&host.root().join("a"), 0o755, None)
            .await
            .unwrap();
        host.write_atomic(FileWrite::private(&path, "text"))
            .await
            .unwrap();
        assert_eq!(host.read(&path).await.unwrap().unwrap(), b"text");
        assert!(
            host.write_atomic(FileWrite::private(host.root().join("../x"), "text"))
                .await
                .is_err()
        );
        host.export_tree(
            &DirectoryTree::new(host.root().join("a")),
            Some(&["b".to_owned(), "missing".to_owned()]),
            &host.root().join("c"),
        )
        .await
        .unwrap();
        assert_eq!(
            host.list(&host.root().join("c")).await.unwrap()[0].name,
            "b"
        );
        host.remove_beneath(host.root(), &path).await.unwrap();
        host.remove_beneath(host.root(), &path).await.unwrap();
        assert_eq!(host.read(&path).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_process_runs_until_it_is_signalled() {
        let host = FakeHost::new();
        let task = Task::new("web", Program::Agent, host.root());
        let process = host.spawn_detached(&task).await.unwrap().process;
        host.ignore_term();
        host.signal(&process, TERM, true).await.unwrap();
        assert!(host.is_running(&process));
        host.signal(&process, KILL, true).await.unwrap();
        assert!(!host.is_running(&process));
        assert!(host.processes().is_empty());
    }

    #[tokio::test]
    async fn the_script_answers() {
        let host = FakeHost::new();
        host.on_run(|task| Exit {
            status: ExitStatus::Code(7),
            tail: task.what.clone(),
        });
        host.on_find(|name| (name == "sh").then(|| PathBuf::from("/bin/sh")));
        let known = Task::new("known", Program::Named("sh".to_owned()), host.root());
        let unknown = Task::new("unknown", Program::Named("go".to_owned()), host.root());
        assert_eq!(host.run(&known).await.unwrap().tail, "known");
        assert!(matches!(
            host.run(&unknown).await,
            Err(HostError::MissingProgram { .. })
        ));
        assert_eq!(host.free_port().await.unwrap(), 20000);
        assert_eq!(host.free_port().await.unwrap(), 20001);
    }

    #[test]
    fn chance_is_the_same_for_the_same_seed() {
        let draw = || {
            let (host, mut bytes) = (FakeHost::new(), [0; 13]);
            host.random(&mut bytes);
            bytes
        };
        assert_eq!(draw(), draw());
    }
}
