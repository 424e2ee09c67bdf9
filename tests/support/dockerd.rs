//! An engine that belongs to one test alone, in a network namespace of its own.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The base image: a static busybox, imported, because there is no registry.
pub(crate) const BASE: &str = "local/busybox:1";

pub(crate) struct Dockerd {
    process: Child,
    root: TempDir,
}

impl Dockerd {
    pub(crate) fn start() -> Self {
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
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.root.path().join("socket").display())
    }

    /// Runs the client.
    pub(crate) fn client(&self, args: &[&str]) -> String {
        let mut command = Command::new("docker");
        let output = command
            .args(args)
            .env("DOCKER_HOST", self.address())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {args:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        succeed(Command::new("kill").args([name, &self.process.id().to_string()]));
    }

    fn wait_until_it_answers(&self) {
        let end = Instant::now() + Duration::from_mins(1);
        let path = |name: &str| self.root.path().join(name);
        while std::os::unix::net::UnixStream::connect(path("socket")).is_err() {
            assert!(
                Instant::now() < end,
                "dockerd did not start: {}",
                std::fs::read_to_string(path("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn import_base(&self) {
        let tree = self.root.path().join("base");
        std::fs::create_dir_all(tree.join("bin")).unwrap();
        std::fs::copy("/usr/bin/busybox", tree.join("bin/busybox")).unwrap();
        for name in ["sh", "httpd", "mkdir", "cat", "sleep", "env", "false"] {
            symlink("busybox", tree.join("bin").join(name)).unwrap();
        }
        let archive = self.root.path().join("base.tar").display().to_string();
        succeed(
            Command::new("tar")
                .args(["-cf", &archive, "-C"])
                .arg(Path::new(&tree))
                .arg("."),
        );
        self.client(&["import", &archive, BASE]);
    }
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        self.signal("-CONT");
        self.signal("-TERM");
        drop(self.process.wait());
    }
}
