//! A Docker engine that belongs to one test alone: own directories, own socket, no registry. To be started in a network namespace of the test's own.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "it runs real programs and writes the files that these need"
)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The base image of the tests: a static busybox, imported, because there is no registry.
pub const BASE: &str = "local/busybox:1";

/// What is missing to run these tests.
pub fn missing() -> Option<String> {
    let root = std::fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m));
    if root.ok() != Some(0) {
        return Some("a Docker engine needs root".to_owned());
    }
    ["dockerd", "docker", "busybox", "unshare", "ip", "iptables"]
        .into_iter()
        .find(|name| which(name).is_none())
        .map(|name| format!("`{name}` is not installed (scripts/install-docker-for-tests)"))
        .or_else(missing_compose)
}

/// Compose comes as the client's plugin or as a program of its own.
fn missing_compose() -> Option<String> {
    let plugin = Command::new("docker").args(["compose", "version"]).output();
    let is_there =
        plugin.is_ok_and(|output| output.status.success()) || which("docker-compose").is_some();
    (!is_there).then(|| "docker has no compose (scripts/install-docker-for-tests)".to_owned())
}

/// Where a program is, as the tests' host finds it.
pub fn which(name: &str) -> Option<PathBuf> {
    [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    .iter()
    .map(|directory| Path::new(directory).join(name))
    .find(|path| path.is_file())
}

/// The engine's process. Dropping it ends it, with all that it runs.
pub struct Dockerd {
    process: Child,
    root: TempDir,
}

impl Dockerd {
    /// Starts an engine with the base image, and waits until it answers.
    pub fn start() -> Self {
        let root = tempfile::Builder::new().prefix("h3d-").tempdir().unwrap();
        let at = |name: &str| root.path().join(name).display().to_string();
        let log = std::fs::File::create(at("log")).unwrap();
        let process = Command::new("dockerd")
            .args(["--data-root", &at("data"), "--exec-root", &at("exec")])
            .args([
                "--pidfile",
                &at("pid"),
                "--host",
                &format!("unix://{}", at("socket")),
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let engine = Self { process, root };
        engine.wait_until_it_answers();
        engine.import_base();
        engine
    }

    /// As `DOCKER_HOST` takes it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.root.path().join("socket").display())
    }

    /// Runs the client, for what the plugin itself does not do.
    pub fn client(&self, args: &[&str]) -> String {
        let output = Command::new("docker")
            .args(args)
            .env("DOCKER_HOST", self.address())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {args:?}: {text}{error}");
        text
    }

    /// Sends the engine a signal by its name, such as `-STOP`.
    pub fn signal(&self, name: &str) {
        let process = self.process.id().to_string();
        let kill = Command::new("kill").args([name, &process]).status();
        assert!(kill.unwrap().success());
    }

    fn wait_until_it_answers(&self) {
        let end = Instant::now() + Duration::from_mins(1);
        let socket = self.root.path().join("socket");
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            let log = self.root.path().join("log");
            assert!(
                Instant::now() < end,
                "dockerd did not start: {}",
                std::fs::read_to_string(log).unwrap()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn import_base(&self) {
        let tree = self.root.path().join("base");
        let bin = tree.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::copy(which("busybox").unwrap(), bin.join("busybox")).unwrap();
        for name in [
            "sh", "httpd", "mkdir", "cat", "sleep", "env", "false", "printf", "wget", "nc",
        ] {
            symlink("busybox", bin.join(name)).unwrap();
        }
        let archive = self.root.path().join("base.tar");
        let archive = archive.to_str().unwrap();
        let tar = Command::new("tar")
            .args(["-cf", archive, "-C"])
            .arg(&tree)
            .arg(".")
            .status();
        assert!(tar.unwrap().success());
        self.client(&["import", archive, BASE]);
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        self.signal("-CONT");
        self.signal("-TERM");
        drop(self.process.wait());
    }
}
