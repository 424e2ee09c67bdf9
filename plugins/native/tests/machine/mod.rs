//! A machine for the tests of this plugin: as much of the real one as running a supervisor takes.
mod fixture;

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hop3_plugin_api::{
    Exit, ExitStatus, FileKind, FileWrite, Host, HostEntry, HostError, HttpProbe, ProbeAnswer,
    ProcessId, Program, SourceTree, SpawnedProcess, Task, Timestamp, UserId, async_trait,
};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

pub(crate) use fixture::{Fixture, SERVE, ask, count, eventually, kill, number_in, unique_name};

/// The machine.
#[derive(Debug)]
pub(crate) struct Machine;

/// The kernel's name for the time since it started.
pub(crate) fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    text.trim().to_owned()
}

/// State and start time of a process.
pub(crate) fn stat(pid: u32) -> Option<(char, u64)> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = line[line.rfind(')')? + 1..].split_whitespace().collect();
    Some((fields[0].chars().next()?, fields[19].parse().ok()?))
}

/// Whether a process number is in use by something that is not a zombie.
pub(crate) fn lives(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

fn file_error(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> HostError {
    move |error| HostError::file(doing, path, error)
}

fn command(task: &Task) -> Command {
    let mut command = match &task.program {
        Program::Agent => Command::new(env!("CARGO_BIN_EXE_hop3-native-supervise")),
        Program::AppShell(text) => {
            let mut shell = Command::new("/bin/sh");
            shell.arg("-c").arg(text);
            shell
        }
        Program::Named(name) => Command::new(format!("/bin/{name}")),
        Program::At(path) => Command::new(path),
    };
    command.args(&task.args).current_dir(&task.dir).env_clear();
    for (key, value) in &task.env {
        command.env(key, value.expose());
    }
    command
}

#[async_trait]
impl Host for Machine {
    async fn write_atomic(&self, file: FileWrite) -> Result<(), HostError> {
        fs::write(&file.path, &file.content).map_err(file_error("write", &file.path))
    }

    async fn ensure_dir(
        &self,
        path: &Path,
        mode: u32,
        owner: Option<UserId>,
    ) -> Result<(), HostError> {
        fs::create_dir_all(path).map_err(file_error("make", path))?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(file_error("change", path))?;
        if let Some(owner) = owner {
            std::os::unix::fs::chown(path, Some(owner.uid), Some(owner.gid))
                .map_err(file_error("change", path))?;
        }
        Ok(())
    }

    async fn ensure_link(&self, link: &Path, target: &Path) -> Result<(), HostError> {
        drop(fs::remove_file(link));
        std::os::unix::fs::symlink(target, link).map_err(file_error("link", link))
    }

    async fn export_tree(
        &self,
        _: &dyn SourceTree,
        _: Option<&[String]>,
        _: &Path,
    ) -> Result<(), HostError> {
        unreachable!("a deployer exports nothing")
    }

    async fn clone_tree(&self, _: &Path, _: &Path) -> Result<(), HostError> {
        unreachable!("a deployer clones nothing")
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), HostError> {
        fs::rename(from, to).map_err(file_error("rename", from))
    }

    async fn remove_beneath(&self, _: &Path, path: &Path) -> Result<(), HostError> {
        drop(fs::remove_file(path));
        drop(fs::remove_dir_all(path));
        Ok(())
    }

    async fn ensure_user(&self, _: &str, _: &Path) -> Result<Option<UserId>, HostError> {
        Ok(None)
    }

    async fn run(&self, task: &Task) -> Result<Exit, HostError> {
        let output = command(task)
            .stdin(Stdio::null())
            .output()
            .map_err(file_error("run", &task.dir))?;
        Ok(Exit {
            status: ExitStatus::Code(output.status.code().unwrap_or(-1)),
            tail: String::from_utf8_lossy(&output.stdout).into_owned(),
        })
    }

    async fn spawn_detached(&self, task: &Task) -> Result<SpawnedProcess, HostError> {
        let log = task.output.log.as_ref().unwrap();
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut child = command(task)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .map_err(file_error("start", &task.dir))?;
        let input = task.input.as_ref().unwrap().expose();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let pid = child.id();
        // Somebody must reap it, as the system's first process does for an agent's.
        std::thread::spawn(move || child.wait());
        let process = ProcessId {
            pid,
            start_time: stat(pid).map_or(0, |(_, start)| start),
            boot_id: boot_id(),
        };
        Ok(SpawnedProcess { process })
    }

    async fn signal(&self, process: &ProcessId, signal: i32, _: bool) -> Result<(), HostError> {
        if self.is_running(process) {
            let pid = Pid::from_raw(process.pid.cast_signed()).unwrap();
            let signal = if signal == 9 {
                Signal::KILL
            } else {
                Signal::TERM
            };
            rustix::process::kill_process(pid, signal).ok();
        }
        Ok(())
    }

    async fn ask(
        &self,
        socket: &Path,
        line: &str,
        timeout: Duration,
    ) -> Result<Option<String>, HostError> {
        let Ok(mut stream) = UnixStream::connect(socket).await else {
            return Ok(None);
        };
        let exchange = async {
            stream.write_all(format!("{line}\n").as_bytes()).await?;
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer).await?;
            Ok(answer)
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok(answer)) if !answer.is_empty() => Ok(Some(answer)),
            Ok(Ok(_)) => Ok(None),
            Ok(Err(error)) => Err(HostError::file("ask", socket, error)),
            Err(_) => Err(HostError::file(
                "ask",
                socket,
                std::io::ErrorKind::TimedOut.into(),
            )),
        }
    }

    async fn probe(&self, _: &HttpProbe) -> ProbeAnswer {
        ProbeAnswer::Unreachable("these tests ask by themselves".to_owned())
    }

    fn is_running(&self, process: &ProcessId) -> bool {
        process.boot_id == boot_id()
            && stat(process.pid)
                .is_some_and(|(state, start)| state != 'Z' && start == process.start_time)
    }

    fn listens(&self, _: SocketAddr, _: &[ProcessId]) -> Option<bool> {
        None
    }

    async fn free_port(&self) -> Result<u16, HostError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Ok(listener.local_addr().unwrap().port())
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError> {
        Ok(fs::read(path).ok())
    }

    async fn list(&self, directory: &Path) -> Result<Vec<HostEntry>, HostError> {
        let Ok(entries) = fs::read_dir(directory) else {
            return Ok(Vec::new());
        };
        let kind = |kind: fs::FileType| match kind {
            kind if kind.is_dir() => FileKind::Directory,
            kind if kind.is_file() => FileKind::File,
            kind if kind.is_symlink() => FileKind::Symlink,
            _ => FileKind::Other,
        };
        Ok(entries
            .flatten()
            .map(|entry| HostEntry {
                name: entry.file_name().into_string().unwrap(),
                kind: kind(entry.file_type().unwrap()),
            })
            .collect())
    }

    fn find_program(&self, _: &str) -> Option<PathBuf> {
        None
    }

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn random(&self, _: &mut [u8]) {}
}
