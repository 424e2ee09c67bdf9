//! A machine that really runs programs and writes files, as far as this plugin asks it to.

use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use hop3_plugin_api::{
    EndpointAddress, Exit, ExitStatus, FileWrite, Host, HostEntry, HostError, HttpProbe,
    ProbeAnswer, ProcessId, Program, SourceKind, SourceTree, SpawnedProcess, Task, Timestamp,
    UserId, async_trait,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use hop3_plugin_testing::dockerd;

#[derive(Debug)]
pub(crate) struct TestHost {
    next_port: AtomicU16,
}

impl TestHost {
    pub(crate) fn new() -> Self {
        Self {
            next_port: AtomicU16::new(20_000),
        }
    }
}

#[async_trait]
impl Host for TestHost {
    async fn write_atomic(&self, file: FileWrite) -> Result<(), HostError> {
        let written = fs::write(&file.path, &file.content)
            .and_then(|()| fs::set_permissions(&file.path, Permissions::from_mode(file.mode)));
        written.map_err(|e| HostError::file("write", &file.path, e))
    }

    async fn ensure_dir(&self, path: &Path, _: u32, _: Option<UserId>) -> Result<(), HostError> {
        fs::create_dir_all(path).map_err(|e| HostError::file("make", path, e))
    }

    async fn ensure_link(&self, _: &Path, _: &Path) -> Result<(), HostError> {
        unreachable!("the plugin makes no links")
    }

    async fn export_tree(
        &self,
        source: &dyn SourceTree,
        _: Option<&[String]>,
        into: &Path,
    ) -> Result<(), HostError> {
        fs::create_dir_all(into).map_err(|e| HostError::file("make", into, e))?;
        export(source, "", into);
        Ok(())
    }

    async fn clone_tree(&self, _: &Path, _: &Path) -> Result<(), HostError> {
        unreachable!("the plugin clones nothing")
    }

    async fn rename(&self, _: &Path, _: &Path) -> Result<(), HostError> {
        unreachable!("the plugin renames nothing")
    }

    async fn remove_beneath(&self, root: &Path, path: &Path) -> Result<(), HostError> {
        assert!(path.starts_with(root));
        match fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(HostError::file("remove", path, e))
            }
            _ => Ok(()),
        }
    }

    async fn ensure_user(&self, _: &str, _: &Path) -> Result<Option<UserId>, HostError> {
        Ok(None)
    }

    async fn run(&self, task: &Task) -> Result<Exit, HostError> {
        let output = tempfile::NamedTempFile::new().unwrap();
        let mut child =
            command(task, output.as_file())
                .spawn()
                .map_err(|source| HostError::Start {
                    program: task.command_line(),
                    source,
                })?;
        let group = child.id().unwrap();
        let ended = tokio::time::timeout(task.deadline, child.wait()).await;
        let status = if let Ok(status) = ended {
            exit_status(status.unwrap())
        } else {
            end_group(group);
            child.wait().await.unwrap();
            ExitStatus::DeadlineExceeded
        };
        let said = fs::read(output.path()).unwrap();
        let tail = &said[said.len().saturating_sub(task.output.tail_bytes)..];
        Ok(Exit {
            status,
            tail: String::from_utf8_lossy(tail).into_owned(),
        })
    }

    async fn spawn_detached(&self, _: &Task) -> Result<SpawnedProcess, HostError> {
        unreachable!("the engine keeps the processes")
    }

    async fn signal(&self, _: &ProcessId, _: i32, _: bool) -> Result<(), HostError> {
        unreachable!("the engine keeps the processes")
    }

    async fn ask(&self, _: &Path, _: &str, _: Duration) -> Result<Option<String>, HostError> {
        unreachable!("the plugin asks nobody")
    }

    async fn probe(&self, probe: &HttpProbe) -> ProbeAnswer {
        let EndpointAddress::Tcp(address) = probe.address else {
            return ProbeAnswer::Unreachable("not an address".to_owned());
        };
        match tokio::time::timeout(probe.timeout, request(address, probe)).await {
            Ok(Ok(answer)) => answered(&answer),
            Ok(Err(error)) => ProbeAnswer::Unreachable(error.to_string()),
            Err(_) => ProbeAnswer::TimedOut,
        }
    }

    fn is_running(&self, _: &ProcessId) -> bool {
        unreachable!("the engine keeps the processes")
    }

    fn listens(&self, _: SocketAddr, _: &[ProcessId]) -> Option<bool> {
        None
    }

    /// The namespace is this test's alone: a counter is enough.
    async fn free_port(&self) -> Result<u16, HostError> {
        Ok(self.next_port.fetch_add(1, Ordering::Relaxed))
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError> {
        Ok(fs::read(path).ok())
    }

    async fn list(&self, _: &Path) -> Result<Vec<HostEntry>, HostError> {
        unreachable!("the plugin lists nothing")
    }

    fn find_program(&self, name: &str) -> Option<PathBuf> {
        dockerd::which(name)
    }

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn random(&self, bytes: &mut [u8]) {
        std::io::Read::read_exact(&mut File::open("/dev/urandom").unwrap(), bytes).unwrap();
    }
}

fn command(task: &Task, output: &File) -> Command {
    let Program::Named(name) = &task.program else {
        panic!("the plugin runs named programs only: {}", task.what);
    };
    let mut command = Command::new(dockerd::which(name).unwrap());
    command
        .args(&task.args)
        .env_clear()
        .envs(task.env.iter().map(|(key, value)| (key, value.expose())))
        .current_dir(&task.dir)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output.try_clone().unwrap())
        .process_group(0);
    command
}

fn end_group(group: u32) {
    let group = format!("-{group}");
    let kill = std::process::Command::new("kill")
        .args(["-KILL", "--", &group])
        .status();
    assert!(kill.unwrap().success());
}

fn exit_status(status: std::process::ExitStatus) -> ExitStatus {
    status.code().map_or_else(
        || ExitStatus::Signal(status.signal().unwrap_or_default()),
        ExitStatus::Code,
    )
}

fn export(source: &dyn SourceTree, directory: &str, into: &Path) {
    for entry in source.list(directory).unwrap() {
        let path = if directory.is_empty() {
            entry.name
        } else {
            format!("{directory}/{}", entry.name)
        };
        let target = into.join(&path);
        if entry.kind == SourceKind::Directory {
            fs::create_dir_all(target).unwrap();
            export(source, &path, into);
        } else {
            fs::write(target, source.read(&path).unwrap().unwrap()).unwrap();
        }
    }
}

async fn request(address: SocketAddr, probe: &HttpProbe) -> std::io::Result<Vec<u8>> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let head = format!(
        "GET {} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n",
        probe.path, probe.host
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

fn answered(answer: &[u8]) -> ProbeAnswer {
    let text = String::from_utf8_lossy(answer);
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    match (status, text.split_once("\r\n\r\n")) {
        (Some(status), Some((_, body))) => ProbeAnswer::Answered {
            status,
            body: body.as_bytes().to_vec(),
        },
        _ => ProbeAnswer::Unreachable(format!("no HTTP answer: {text}")),
    }
}
