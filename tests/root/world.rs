//! A host of one's own: a config repo, an agent of the real binary, and the end of everything that it started.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hop3_agent::compose::Settings;
use hop3_agent::config::AgentConfig;
use hop3_agent::host::{HostConfig, SystemHost};
use hop3_agent::registry::Registry;
use hop3_agent::schema::Schemas;
use hop3_agent::uninstall::stop_everything;
use hop3_plugin_api::Digest;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_hop3-agent");

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The host, the agent, and what they made.
pub(crate) struct World {
    root: TempDir,
    agent: Option<Child>,
    proxy: SocketAddr,
    users: &'static str,
    top: String,
    in_repo: String,
    in_policy: String,
    extra: String,
    users_before: BTreeSet<String>,
    _turn: MutexGuard<'static, ()>,
}

/// The system's users are one thing that all worlds of this machine share: one world at a time.
static TURN: Mutex<()> = Mutex::new(());

/// What somebody is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl World {
    /// A host with an empty config repo.
    pub(crate) fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let root = tempfile::Builder::new().prefix("h3r-").tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr());
        let world = Self {
            root,
            agent: None,
            proxy: proxy.unwrap(),
            users: "per-app",
            top: String::new(),
            in_repo: String::new(),
            in_policy: String::new(),
            extra: String::new(),
            users_before: users(),
            _turn: turn,
        };
        fs::create_dir(world.repo()).unwrap();
        world.git(&["init", "--quiet", "--initial-branch", "main"]);
        world
    }

    /// The same with the example's apps in it.
    pub(crate) fn with_example() -> Self {
        let world = Self::new();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitops-repo/.");
        succeed(Command::new("cp").arg("-R").arg(example).arg(world.repo()));
        world.file("hosts/test.toml", "apps = [\"*\"]\n");
        world
    }

    /// Adds to agent.toml.
    pub(crate) fn setting(mut self, toml: &str) -> Self {
        self.extra.push_str(toml);
        self
    }

    /// As whom apps run.
    pub(crate) fn users(mut self, policy: &'static str) -> Self {
        self.users = policy;
        self
    }

    /// Adds to the top of agent.toml.
    pub(crate) fn top_setting(mut self, toml: &str) -> Self {
        self.top.push_str(toml);
        self
    }

    /// Adds to `[repo]`.
    pub(crate) fn repo_setting(mut self, toml: &str) -> Self {
        self.in_repo.push_str(toml);
        self
    }

    /// Adds to `[policy]`.
    pub(crate) fn policy_setting(mut self, toml: &str) -> Self {
        self.in_policy.push_str(toml);
        self
    }

    pub(crate) fn agent_pid(&self) -> u32 {
        self.agent.as_ref().map(Child::id).unwrap()
    }

    pub(crate) fn proxy_port(&self) -> u16 {
        self.proxy.port()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.path("data").join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    /// Writes a file of the config repo.
    pub(crate) fn file(&self, name: &str, content: &str) -> &Self {
        let path = self.repo().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Puts a symbolic link into the config repo.
    pub(crate) fn link(&self, name: &str, target: &str) {
        let path = self.repo().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(fs::remove_file(&path));
        symlink(target, path).unwrap();
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    fn git(&self, arguments: &[&str]) {
        let who = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
        let mut git = Command::new("/usr/bin/git");
        git.arg("-C").arg(self.repo()).args(who).args(arguments);
        succeed(git.env("GIT_CONFIG_GLOBAL", "/dev/null"));
    }

    fn settings_text(&self) -> String {
        format!(
            "host = \"test\"\ndata-dir = \"{data}\"\nrun-dir = \"{run}\"\nlisten = \"\"\n{top}\n\
             [repo]\nurl = \"file://{repo}\"\nbranch = \"main\"\npoll = \"1s\"\n{in_repo}\n[policy]\nusers = \"{users}\"\n{in_policy}\n\
             [plugin.builtin-proxy]\nlisten = [\"{proxy}\"]\n{extra}",
            data = self.path("data").display(),
            run = self.path("run").display(),
            repo = self.repo().display(),
            users = self.users,
            top = self.top,
            in_repo = self.in_repo,
            in_policy = self.in_policy,
            proxy = self.proxy,
            extra = self.extra,
        )
    }

    /// Starts the agent with this `PATH`.
    pub(crate) fn start_with_path(&mut self, path: &str) {
        fs::write(self.path("agent.toml"), self.settings_text()).unwrap();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("agent.log"));
        // Whatever the permissions that are left to chance, the worst is assumed.
        let mut command = Command::new("/bin/sh");
        command.args([
            "-c",
            "umask 000; exec \"$@\"",
            "sh",
            AGENT,
            "run",
            "--config",
        ]);
        command.arg(self.path("agent.toml")).args(["-vv"]);
        command
            .env_clear()
            .env("PATH", path)
            .env("HOP3_CANARY", "of-the-agents-environment");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap());
        self.agent = Some(child.spawn().unwrap());
    }

    pub(crate) fn start(&mut self) {
        self.start_with_path("/usr/bin:/bin");
    }

    /// Runs a command of the agent and gives what it printed.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(AGENT);
        command.arg("--config").arg(self.path("agent.toml"));
        command.args(arguments).env_clear().output().unwrap()
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_slice(&self.cli(&["status", "--json"]).stdout).unwrap_or_default()
    }

    /// What the status says of one app.
    pub(crate) fn app(&self, name: &str) -> Value {
        let status = self.status();
        let apps = status["apps"].as_array().cloned().unwrap_or_default();
        let found = apps.into_iter().find(|app| app["app"] == name);
        found.unwrap_or_default()
    }

    /// Waits until an app's status is as wanted.
    pub(crate) fn until(&self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let app = self.app(name);
            if wanted(&app) {
                return app;
            }
            assert!(
                Instant::now() < deadline,
                "`{name}` is not {what}: {app:#}\n{}",
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until a file has something in it that holds this.
    pub(crate) fn until_text(&self, path: &Path, wanted: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string(path).unwrap_or_default();
            if text.contains(wanted) {
                return text;
            }
            assert!(
                Instant::now() < deadline,
                "`{}` is `{text}`\n{}",
                path.display(),
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn until_running(&self, names: &[&str]) {
        for name in names {
            self.until(name, "running", |app| app["state"] == "running");
        }
    }

    /// Waits until a release beyond this one runs.
    pub(crate) fn until_release(&self, name: &str, number: u64) {
        self.until(name, &format!("at release {number}"), |app| {
            app["state"] == "running" && app["release"] == number
        });
    }

    pub(crate) fn until_failing(&self, name: &str) -> Value {
        self.until(name, "failing", |app| app["failure"].is_object())
    }

    /// Somebody who asks at the proxy.
    pub(crate) fn visitor(&self) -> Visitor {
        Visitor(self.proxy)
    }

    /// Asks `<app>.localhost` at the proxy.
    pub(crate) fn ask(&self, app: &str, path: &str) -> Answer {
        self.visitor().ask(app, path)
    }

    /// The end of the agent's log.
    pub(crate) fn last_words(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    pub(crate) fn stop_agent(&mut self) {
        let Some(mut agent) = self.agent.take() else {
            return;
        };
        let pid = rustix::process::Pid::from_child(&agent);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let deadline = Instant::now() + Duration::from_secs(15);
        while agent.try_wait().unwrap().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(agent.kill());
        agent.wait().unwrap();
    }

    /// Ends what the agent left running, as an operator would who takes it off the host.
    fn stop_apps(&self) {
        let text = self.settings_text();
        let registry = Registry::new(hop3_agent::builtin()).unwrap();
        let names: Vec<&str> = registry.linked().iter().map(|linked| linked.name).collect();
        let schemas = Schemas::compose_for(&names, &registry.sections());
        let config = AgentConfig::parse(&text, "agent.toml", &schemas).unwrap();
        let settings = Settings::new(config, schemas, &registry);
        let host = SystemHost::new(HostConfig {
            agent_binary: AGENT.into(),
            ..HostConfig::default()
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let stopped = runtime.unwrap().block_on(async {
            let machine = settings.machine(Arc::new(host)).await?;
            stop_everything(&machine).await
        });
        if let Err(error) = stopped {
            println!("not everything could be ended: {error}");
        }
    }
}

/// Somebody who asks at a proxy; no answer is status 0.
pub(crate) struct Visitor(SocketAddr);

impl Visitor {
    pub(crate) fn ask(&self, app: &str, path: &str) -> Answer {
        self.try_ask(app, path).unwrap_or_else(|error| Answer {
            status: 0,
            body: error.to_string(),
        })
    }

    fn try_ask(&self, app: &str, path: &str) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(self.0)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {app}.localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let broken = || std::io::Error::other(format!("no HTTP answer: {text}"));
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Ok(Answer {
            status: status.ok_or_else(broken)?,
            body: body.to_owned(),
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.last_words());
        }
        self.stop_agent();
        self.stop_apps();
        for user in users().difference(&self.users_before) {
            drop(Command::new("userdel").arg(user).status());
        }
    }
}

/// The system's users that an agent makes.
fn users() -> BTreeSet<String> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let names = passwd.lines().filter_map(|line| line.split(':').next());
    names
        .filter(|name| name.starts_with("h3-"))
        .map(str::to_owned)
        .collect()
}

/// The user and group of an app.
pub(crate) fn user_of(app: &str) -> (u32, u32) {
    let name = format!("h3-{}", Digest::of_bytes(app.as_bytes()).short());
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd
        .lines()
        .find(|line| line.starts_with(&format!("{name}:")));
    let fields: Vec<&str> = line
        .unwrap_or_else(|| panic!("no user {name}"))
        .split(':')
        .collect();
    assert_eq!(fields[6], "/usr/sbin/nologin");
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}

pub(crate) fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// Runs a Python program as a user, its input on standard input.
pub(crate) fn python_as((uid, gid): (u32, u32), program: &str, input: &str) -> String {
    let mut command = Command::new("/usr/bin/python3");
    command
        .args(["-c", program])
        .uid(uid)
        .gid(gid)
        .current_dir("/")
        .env_clear();
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut child = child.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}
