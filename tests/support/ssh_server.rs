//! A real sshd on this machine for the user that runs the tests, with a deploy key that can be revoked and a host key that can change.

use std::net::TcpStream;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::git_server::{free_port, wait_until};

const SSHD: &str = "/usr/sbin/sshd";
/// Where sshd wants an empty directory when root runs it.
const SEPARATED: &str = "/run/sshd";

/// The server; its process ends with it.
pub(crate) struct SshServer {
    directory: PathBuf,
    port: u16,
    user: String,
    process: Option<Child>,
}

impl SshServer {
    /// Starts a server that keeps its files in a directory. `None`, and a line that says so, where it is not installed.
    pub(crate) fn start(directory: &Path) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            eprintln!("skipped: `{SSHD}` is not installed");
            return None;
        }
        std::fs::create_dir_all(directory).unwrap();
        if rustix::process::geteuid().is_root() && !Path::new(SEPARATED).exists() {
            std::fs::DirBuilder::new()
                .mode(0o755)
                .create(SEPARATED)
                .ok();
        }
        let user = output(Command::new("id").arg("-un"));
        let mut server = Self {
            directory: directory.to_owned(),
            port: free_port(),
            user,
            process: None,
        };
        for (name, kind) in [
            ("host", "ed25519"),
            ("other-host", "ed25519"),
            ("rsa-host", "rsa"),
            ("deploy", "ed25519"),
            ("stranger", "ed25519"),
        ] {
            server.make_key(name, kind);
        }
        server.pin("host");
        server.allow();
        server.use_host_key("host");
        Some(server)
    }

    /// The address of a repository on this machine.
    pub(crate) fn url(&self, path: &Path) -> String {
        format!(
            "ssh://{}@127.0.0.1:{}{}",
            self.user,
            self.port,
            path.display()
        )
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// A private key: `deploy`, which the server knows, or `stranger`, which it does not.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The host keys that a client should accept.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.directory.join("known_hosts")
    }

    /// Lets the deploy key in.
    pub(crate) fn allow(&self) {
        let public = std::fs::read_to_string(self.directory.join("deploy.pub")).unwrap();
        std::fs::write(
            self.directory.join("authorized"),
            format!("restrict {public}"),
        )
        .unwrap();
    }

    /// Lets nobody in.
    pub(crate) fn revoke(&self) {
        std::fs::write(self.directory.join("authorized"), "").unwrap();
    }

    /// Pins this host key, and no other.
    pub(crate) fn pin(&self, name: &str) {
        let public = std::fs::read_to_string(self.directory.join(format!("{name}.pub"))).unwrap();
        std::fs::write(
            self.known_hosts(),
            format!("[127.0.0.1]:{} {public}", self.port),
        )
        .unwrap();
    }

    /// Shows another host key from now on: `host`, `other-host` of the same kind, or `rsa-host`.
    pub(crate) fn use_host_key(&mut self, name: &str) {
        self.end();
        let directory = self.directory.display();
        let settings = format!(
            "ListenAddress 127.0.0.1\nPort {}\nHostKey {directory}/{name}\nPidFile none\nAuthorizedKeysFile {directory}/authorized\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
             AcceptEnv GIT_PROTOCOL\nMaxStartups 200\nLogLevel VERBOSE\n",
            self.port
        );
        let file = self.directory.join("sshd_config");
        // Newer servers punish an address that fails too often; tests fail on purpose.
        std::fs::write(&file, format!("{settings}PerSourcePenalties no\n")).unwrap();
        let knows = Command::new(SSHD)
            .arg("-t")
            .arg("-f")
            .arg(&file)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        if !knows.success() {
            std::fs::write(&file, settings).unwrap();
        }
        let process = Command::new(SSHD)
            .args(["-D", "-f"])
            .arg(&file)
            .arg("-E")
            .arg(self.directory.join("log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        let port = self.port;
        wait_until("sshd answers", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }

    /// How often a key was let in.
    pub(crate) fn logins(&self) -> usize {
        let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        log.lines()
            .filter(|line| line.starts_with("Accepted publickey"))
            .count()
    }

    fn make_key(&self, name: &str, kind: &str) {
        let path = self.directory.join(name);
        output(
            Command::new("ssh-keygen")
                .args(["-q", "-t", kind, "-N", "", "-C", name, "-f"])
                .arg(&path),
        );
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.end();
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {words}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
