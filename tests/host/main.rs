//! The real machine with real processes: what `internal-task` promises about them.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "these tests prepare and inspect real files and processes"
)]

mod confined;
mod detached;
mod ending;
mod removing;
#[path = "../support/rows.rs"]
#[expect(dead_code, reason = "these tests use a part of it")]
mod rows;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hop3_agent::host::{HostConfig, SystemHost};
use hop3_plugin_api::{Exit, ExitStatus, Host, HostError, Program, Secret, Task, UserId};
use rows::row;
use tempfile::TempDir;

/// A host, and a directory for one test.
struct Machine {
    host: SystemHost,
    root: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut HostConfig)) -> Self {
        let mut config = HostConfig {
            agent_binary: env!("CARGO_BIN_EXE_hop3-agent").into(),
            port_range: 22000..=22999,
            ..HostConfig::default()
        };
        change(&mut config);
        let root = tempfile::Builder::new().prefix("hop3-").tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            host: SystemHost::new(config),
            root,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn shell(&self, command: &str) -> Task {
        let program = Program::AppShell(command.to_owned());
        Task::new("a test", program, self.root.path())
            .env("PATH", "/usr/bin:/bin")
            .deadline(Duration::from_secs(30))
    }

    async fn run(&self, task: &Task) -> Exit {
        self.host.run(task).await.unwrap()
    }
}

/// Waits for something that another process does.
async fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(15), "never {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn runs(pid_file: &Path) -> bool {
    let pid = fs::read_to_string(pid_file).unwrap_or_default();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.starts_with(" Z"))
}

#[tokio::test]
async fn an_exit_has_its_code_and_the_end_of_the_output() {
    let machine = Machine::new();
    let exit = machine
        .run(&machine.shell("echo out; echo err >&2; exit 3"))
        .await;
    assert_eq!(exit.status, ExitStatus::Code(3));
    assert_eq!(exit.tail, "out\nerr\n");
    let killed = machine.run(&machine.shell("kill -9 $$")).await;
    assert_eq!(killed.status, ExitStatus::Signal(9));
}

#[tokio::test]
async fn t26_the_environment_is_exactly_what_was_given() {
    let machine = Machine::new();
    let mut task = Task::new("env", Program::Named("env".to_owned()), "/");
    task = task.args(["-0"]);
    let nasty = "a\nLD_PRELOAD=/evil.so $HOME `id` 'x' \"y\" \\ %h";
    task.env.insert("NASTY".to_owned(), Secret::new(nasty));
    task.env.insert("LD_PRELOAD".to_owned(), Secret::new(""));
    let exit = machine.run(&task).await;
    assert_eq!(exit.tail, format!("LD_PRELOAD=\0NASTY={nasty}\0"));
    row(
        "T26",
        &[(
            2,
            "values given to a program, nothing else in its environment",
        )],
    );
}

#[tokio::test]
async fn input_arrives_whole_and_then_ends() {
    let machine = Machine::new();
    let mut task = machine.shell("wc -c");
    task.input = Some(Secret::new("x".repeat(300_000)));
    assert_eq!(machine.run(&task).await.tail.trim(), "300000");
    assert_eq!(machine.run(&machine.shell("wc -c")).await.tail.trim(), "0");
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let machine = Machine::new();
    let missing = Task::new("x", Program::At("/nowhere/program".into()), "/");
    let error = machine.host.run(&missing).await.unwrap_err();
    assert!(matches!(error, HostError::Start { .. }), "{error:?}");
    let unknown = Task::new("x", Program::Named("no-such-program".to_owned()), "/");
    let error = machine.host.run(&unknown).await.unwrap_err();
    assert!(
        matches!(error, HostError::MissingProgram { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn limits_hold() {
    let machine = Machine::new();
    let mut task = machine.shell("ulimit -n; ulimit -c; head -c 100000 /dev/zero > big");
    task.limits.open_files = Some(64);
    task.limits.file_size = Some(4096);
    let exit = machine.run(&task).await;
    assert!(!exit.success());
    assert!(exit.tail.starts_with("64\n0\n"), "{exit:?}");
    assert_eq!(fs::metadata(machine.path("big")).unwrap().len(), 4096);
}

#[tokio::test]
async fn a_task_of_another_user_has_nothing_of_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let machine = Machine::new();
    let user = UserId {
        uid: 64001,
        gid: 64002,
    };
    let mut task = machine.shell(
        "id -u; id -g; id -G; grep -E 'NoNewPrivs|CapEff' /proc/self/status; echo x > /dev/stderr; cat /etc/shadow",
    );
    task.user = Some(user);
    let exit = machine.run(&task).await;
    assert!(!exit.success());
    let expected = "64001\n64002\n64002\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nx\n";
    assert!(exit.tail.starts_with(expected), "{exit:?}");
}

/// Shows the arguments of the shell and of what stands between it and the test. Not of the processes above: those may be long, and are not ours.
const ANCESTORS: &str = "cat > /dev/null; p=$$; while [ $p -gt 1 ] && [ $p != $TEST ]; do \
    tr '\\0' ' ' < /proc/$p/cmdline; echo; p=$(cut -d' ' -f4 /proc/$p/stat); done";

#[tokio::test]
async fn t27_no_secret_is_ever_an_argument() {
    let machine = Machine::new();
    let mut task = machine.shell(ANCESTORS).env("TOKEN", "canary-env-4711");
    task = task.env("TEST", std::process::id().to_string());
    task.input = Some(Secret::new("canary-input-4711"));
    let exit = machine.run(&task).await;
    assert!(exit.tail.contains("internal-task"), "{exit:?}");
    assert!(!exit.tail.contains("canary-"), "{exit:?}");
    row(
        "T27",
        &[
            (2, "secrets given to a task"),
            (0, "in an argument of it or of what stands above it"),
        ],
    );
}
