//! A machine for the tests: as much of the `Host` seam as the proxy uses, done for real.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use hop3_plugin_api::{
    Exit, FileKind, FileWrite, Host, HostEntry, HostError, HttpProbe, ProbeAnswer, ProcessId,
    Program, SourceTree, SpawnedProcess, Task, Timestamp, UserId, async_trait,
};

/// Real, but nothing that the proxy does not need.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    children: Mutex<Vec<Child>>,
}

impl Machine {
    /// Kills a process that this machine started, and waits for its end.
    pub(crate) fn kill(&self, pid: u32) {
        let mut children = self.children.lock().unwrap();
        let child = children.iter_mut().find(|child| child.id() == pid);
        let child = child.expect("only processes of this machine are killed");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// How many of its processes run.
    pub(crate) fn running(&self) -> usize {
        let mut children = self.children.lock().unwrap();
        let alive = |child: &mut Child| child.try_wait().unwrap().is_none();
        children
            .iter_mut()
            .filter_map(|c| alive(c).then_some(()))
            .count()
    }

    pub(crate) fn kill_all(&self) {
        for child in self.children.lock().unwrap().iter_mut() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

#[async_trait]
impl Host for Machine {
    async fn write_atomic(&self, file: FileWrite) -> Result<(), HostError> {
        let fresh = file.path.with_extension("new");
        let written = fs::write(&fresh, &file.content)
            .and_then(|()| fs::set_permissions(&fresh, fs::Permissions::from_mode(file.mode)))
            .and_then(|()| fs::rename(&fresh, &file.path));
        written.map_err(|e| HostError::file("write", &file.path, e))
    }

    async fn ensure_dir(&self, path: &Path, _: u32, _: Option<UserId>) -> Result<(), HostError> {
        fs::create_dir_all(path).map_err(|e| HostError::file("make", path, e))
    }

    async fn spawn_detached(&self, task: &Task) -> Result<SpawnedProcess, HostError> {
        assert_eq!(task.program, Program::Agent);
        let log = task.output.log.as_ref().expect("the proxy has a log");
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_hop3-builtin-proxy"))
            .args(&task.args)
            .env_clear()
            .current_dir(&task.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let process = ProcessId {
            pid: child.id(),
            start_time: 0,
            boot_id: String::new(),
        };
        self.children.lock().unwrap().push(child);
        Ok(SpawnedProcess { process })
    }

    async fn ask(
        &self,
        socket: &Path,
        line: &str,
        timeout: Duration,
    ) -> Result<Option<String>, HostError> {
        let Ok(mut stream) = UnixStream::connect(socket) else {
            return Ok(None);
        };
        let mut answer = String::new();
        stream
            .set_read_timeout(Some(timeout))
            .and_then(|()| writeln!(stream, "{line}"))
            .and_then(|()| BufReader::new(&stream).read_line(&mut answer))
            .map_err(|e| HostError::file("ask", socket, e))?;
        Ok(Some(answer))
    }

    fn is_running(&self, process: &ProcessId) -> bool {
        let mut children = self.children.lock().unwrap();
        let child = children.iter_mut().find(|child| child.id() == process.pid);
        child.is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError> {
        Ok(fs::read(path).ok())
    }

    async fn list(&self, directory: &Path) -> Result<Vec<HostEntry>, HostError> {
        let entries = fs::read_dir(directory).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        Ok(entries
            .map(|entry| HostEntry {
                name: name(entry.unwrap()),
                kind: FileKind::Other,
            })
            .collect())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn ensure_user(&self, name: &str, _: &Path) -> Result<Option<UserId>, HostError> {
        assert_eq!(name, "nobody");
        let id = 65_534;
        Ok(Some(UserId { uid: id, gid: id }))
    }

    async fn ensure_link(&self, _: &Path, _: &Path) -> Result<(), HostError> {
        unimplemented!("the proxy makes no link")
    }

    async fn export_tree(
        &self,
        _: &dyn SourceTree,
        _: Option<&[String]>,
        _: &Path,
    ) -> Result<(), HostError> {
        unimplemented!("the proxy exports nothing")
    }

    async fn clone_tree(&self, _: &Path, _: &Path) -> Result<(), HostError> {
        unimplemented!("the proxy clones nothing")
    }

    async fn rename(&self, _: &Path, _: &Path) -> Result<(), HostError> {
        unimplemented!("the proxy renames nothing")
    }

    async fn remove_beneath(&self, _: &Path, _: &Path) -> Result<(), HostError> {
        unimplemented!("the proxy removes nothing")
    }

    async fn run(&self, _: &Task) -> Result<Exit, HostError> {
        unimplemented!("the proxy runs no program to its end")
    }

    async fn signal(&self, _: &ProcessId, _: i32, _: bool) -> Result<(), HostError> {
        unimplemented!("the proxy signals nobody")
    }

    async fn probe(&self, _: &HttpProbe) -> ProbeAnswer {
        unimplemented!("the proxy probes nothing")
    }

    fn listens(&self, _: SocketAddr, _: &[ProcessId]) -> Option<bool> {
        None
    }

    async fn free_port(&self) -> Result<u16, HostError> {
        unimplemented!("the proxy takes no port of the range")
    }

    fn find_program(&self, _: &str) -> Option<PathBuf> {
        None
    }

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(4);
    }
}
