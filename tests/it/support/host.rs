//! A host of its own for one test: a config repo, settings, the real agent, and the end of everything that they started.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use super::git_repo::GitRepo;
use super::http::{self, Answer};
use super::mount::Mount;
use super::processes::{self, Process, Signal};
use super::wait::{until, until_some};

/// The program under test.
const AGENT: &str = env!("CARGO_BIN_EXE_hop3-agent");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/gitops-repo");

/// Dropping it ends every process that belongs to it and removes its directory.
pub(crate) struct TestHost {
    /// The config repo that the agent follows.
    pub(crate) repo: GitRepo,
    /// Where apps answer.
    pub(crate) proxy: SocketAddr,
    agent: Option<Child>,
    mounts: Mutex<Vec<Mount>>,
    directory: TempDir,
}

/// How a command ended.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl TestHost {
    /// A host named `demo` that follows a copy of the example config repo. The agent is not started yet.
    pub(crate) fn of_example() -> Self {
        let host = Self::new();
        copy_tree(Path::new(EXAMPLE), &host.path("work"));
        host.repo.push(&[], "Three apps");
        host
    }

    /// A host named `demo` that follows a config repo with these files.
    pub(crate) fn of_files(files: &[(&str, &str)]) -> Self {
        let host = Self::new();
        host.repo.push(files, "The first commit");
        host
    }

    fn new() -> Self {
        // Short: sockets lie below it, and their paths are limited to 107 bytes.
        let directory = tempfile::Builder::new()
            .prefix("h3it-")
            .tempdir_in("/tmp")
            .unwrap();
        let proxy = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let repo = GitRepo::empty(directory.path());
        let host = Self {
            repo,
            proxy,
            agent: None,
            mounts: Mutex::default(),
            directory,
        };
        fs::write(host.path("agent.toml"), host.default_settings()).unwrap();
        host
    }

    fn default_settings(&self) -> String {
        let quoted = |path: &Path| toml::Value::from(path.display().to_string());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let tools: Vec<_> = std::env::split_paths(&path)
            .filter(|directory| directory.is_absolute())
            .map(|directory| quoted(&directory))
            .collect();
        format!(
            "host = \"demo\"\ndata-dir = {}\nrun-dir = {}\nlisten = \"\"\ntool-path = {}\n\n\
             [repo]\nurl = {:?}\nbranch = \"main\"\npoll = \"1s\"\n\n[policy]\nusers = \"none\"\n\n\
             [plugin.builtin-proxy]\nlisten = [\"{}\"]\n",
            quoted(&self.path("data")),
            quoted(&self.path("run")),
            toml::Value::from(tools),
            self.repo.url(),
            self.proxy,
        )
    }

    /// A path in the test's own directory: `data`, `run`, `work` (the config repo's work tree), `agent.toml`, `agent.log`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The test's own directory.
    pub(super) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Effect: gives a directory of the test a small file system of its own. False where this user may not do that.
    pub(crate) fn mount_small(&self, name: &str, megabytes: u32) -> bool {
        self.keep(Mount::small(&self.path(name), megabytes))
    }

    /// Effect: makes what a directory holds read-only for whoever asks by name, until [`Self::unmount`]. False where this user may not do that.
    pub(crate) fn freeze(&self, name: &str) -> bool {
        self.keep(Mount::read_only(&self.path(name)))
    }

    fn keep(&self, mount: Option<Mount>) -> bool {
        let made = mount.is_some();
        self.mounts.lock().unwrap().extend(mount);
        made
    }

    /// Effect: takes the mount away that was made last.
    pub(crate) fn unmount(&self) {
        drop(self.mounts.lock().unwrap().pop());
    }

    /// Effect: rewrites agent.toml.
    pub(crate) fn configure(&self, change: impl FnOnce(String) -> String) {
        let path = self.path("agent.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, change(text)).unwrap();
    }

    /// Effect: changes one file of the config repo, without a commit.
    pub(crate) fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path = self.path("work").join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, change(text)).unwrap();
    }

    /// Effect: commits everything and pushes; gives the commit.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.repo.push(&[], message)
    }

    /// Effect: starts the agent and waits until it can be asked.
    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Effect: the same with these variables in its environment.
    pub(crate) fn start_with(&mut self, variables: &[(&str, &str)]) {
        self.launch_with(variables);
        self.until_it_answers();
    }

    /// Effect: starts the agent and returns at once.
    pub(crate) fn launch(&mut self) {
        self.launch_with(&[]);
    }

    fn launch_with(&mut self, variables: &[(&str, &str)]) {
        assert!(self.agent.is_none(), "the agent was started already");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("agent.log"))
            .unwrap();
        let mut command = self.command(&["run"]);
        command.envs(variables.iter().copied()).stderr(log);
        let agent = command.spawn().unwrap();
        self.agent = Some(agent);
    }

    /// Effect: starts the agent beneath another program, which gets its command line as arguments, and waits until it can be asked.
    pub(crate) fn start_under(&mut self, wrapper: &[&str]) {
        assert!(self.agent.is_none(), "the agent was started already");
        let log = File::create(self.path("agent.log")).unwrap();
        let mut command = process::Command::new(wrapper[0]);
        command
            .args(&wrapper[1..])
            .arg(AGENT)
            .arg("--config")
            .arg(self.path("agent.toml"))
            .arg("run")
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stderr(log);
        self.agent = Some(command.spawn().unwrap());
        self.until_it_answers();
    }

    /// Effect: ends the program that the agent was started beneath; the agent itself may go on.
    pub(crate) fn end_wrapper(&mut self) {
        self.agent_process().signal(Signal::TERM);
        self.agent.take().unwrap().wait().unwrap();
    }

    fn until_it_answers(&self) {
        until(
            "an agent that answers",
            || self.run(&["status", "--json"]),
            Command::succeeded,
        );
    }

    /// Effect: asks the agent to end, as a service manager does, and waits until it has.
    pub(crate) fn stop(&mut self) {
        let agent = self.agent_process();
        agent.signal(Signal::TERM);
        let status = self.agent.take().unwrap().wait().unwrap();
        assert!(
            status.success(),
            "the agent ended with {status}\n{}",
            self.log()
        );
    }

    /// Waits until the agent ends by itself, which gives its exit code, or something else is so.
    #[track_caller]
    pub(crate) fn until_ended_or(&mut self, is_so: impl Fn(&Self) -> bool) -> Option<i32> {
        let mut agent = self.agent.take().expect("the agent was started");
        let child = RefCell::new(&mut agent);
        let look = || (child.borrow_mut().try_wait().unwrap(), is_so(self));
        let is_over = |seen: &(Option<_>, bool)| seen.0.is_some() || seen.1;
        let (status, _) = until("the agent's own end", look, is_over);
        if status.is_none() {
            self.agent = Some(agent);
        }
        status.map(|status| status.code().unwrap_or(-1))
    }

    /// Effect: `kill -9` of the agent.
    pub(crate) fn kill(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
    }

    /// The agent's own process.
    pub(crate) fn agent_process(&self) -> Process {
        let agent = self.agent.as_ref().expect("the agent was started");
        Process::find(agent.id()).expect("the agent lives")
    }

    /// Effect: runs a command of the program on this host's settings.
    pub(crate) fn run(&self, arguments: &[&str]) -> Command {
        let output = self.command(arguments).output().unwrap();
        Command {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Effect: runs a command that must succeed; gives what it printed.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let command = self.run(arguments);
        assert!(
            command.succeeded(),
            "`{}`: {command:#?}",
            arguments.join(" ")
        );
        command.out
    }

    fn command(&self, arguments: &[&str]) -> process::Command {
        let mut command = process::Command::new(AGENT);
        command
            .arg("--config")
            .arg(self.path("agent.toml"))
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Effect: has the agent look at the config repo now and waits until it has nothing to do any more. The exit code tells of apps that are
    /// held or failing.
    pub(crate) fn sync(&self) -> Command {
        let command = self.run(&["sync", "--wait"]);
        assert!(command.out.contains("host demo"), "{command:#?}");
        command
    }

    /// What the agent says of itself.
    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.done(&["status", "--json"])).unwrap()
    }

    /// What the agent says of one app; null when it knows none of that name.
    pub(crate) fn app(&self, name: &str) -> Value {
        let status = self.status();
        let mut apps = status["apps"].as_array().into_iter().flatten();
        let app = apps.find(|app| app["app"] == name);
        app.cloned().unwrap_or_default()
    }

    /// Waits until the agent says that these apps run what the config repo asks for.
    #[track_caller]
    pub(crate) fn until_running(&self, apps: &[&str]) {
        for name in apps {
            let what = format!("`{name}` to run");
            until(&what, || self.app(name), |app| app["state"] == "running");
        }
    }

    /// Everything runs as committed, and the agent would change nothing.
    #[track_caller]
    pub(crate) fn assert_settled(&self, apps: &[&str]) {
        self.sync();
        self.until_running(apps);
        let plan = self.run(&["plan"]);
        assert_eq!(plan.code, 0, "the plan is not empty: {plan:#?}");
    }

    /// Asks an app as a visitor would, through the proxy.
    pub(crate) fn visit(&self, app: &str, path: &str) -> io::Result<Answer> {
        let host = format!("{app}.localhost");
        http::ask(self.proxy, &format!("GET {path}"), &[("Host", &host)], b"")
    }

    /// Waits until an app answers as wanted.
    #[track_caller]
    pub(crate) fn until_answers(
        &self,
        app: &str,
        path: &str,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let what = format!("an answer of `{app}` at {path}");
        let answered = || match self.visit(app, path) {
            Ok(answer) if wanted(&answer) => Ok(answer),
            other => Err(other),
        };
        until(&what, answered, Result::is_ok).unwrap()
    }

    /// What the agent wrote to its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(60)..].join("\n");
            eprintln!("the agent's last words:\n{last}");
        }
        if let Some(agent) = &mut self.agent
            && agent.kill().is_ok()
        {
            agent.wait().ok();
        }
        processes::end_all(self.directory.path());
        // The last one lies on those before.
        let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        while mounts.pop().is_some() {}
    }
}

impl Command {
    /// Whether it exited with 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.code == 0
    }
}

/// A port that nobody listens on, below those that the system gives to outgoing connections and to apps.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(process::id() % 9000).unwrap();
    let candidate = || {
        let port = 10_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 9000;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        listener.is_ok().then_some(port)
    };
    until_some("a free port", candidate)
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&source, &copy);
        } else {
            fs::copy(source, copy).unwrap();
        }
    }
}
