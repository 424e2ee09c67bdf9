//! The real machine with real processes: what `internal-task` promises about them.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests prepare and inspect real files and processes"
)]

#[path = "support/rows.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod rows;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hop3_agent::host::{HostConfig, SystemHost};
use hop3_plugin_api::{
    AgentDeath, Exit, ExitRecord, ExitStatus, Host, HostError, ProcessId, Program, Sandbox, Secret,
    Task, UserId,
};
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

/// Two processes that ignore TERM, one of them away from its parent, its group and its session.
fn stubborn(machine: &Machine) -> (String, PathBuf, PathBuf) {
    let (near, far) = (machine.path("near"), machine.path("far"));
    let command = format!(
        "trap '' TERM; (trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 1; done' &) ; echo $$ > {}; while :; do sleep 1; done",
        far.display(),
        near.display()
    );
    (command, near, far)
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
async fn f27_the_deadline_ends_a_tree_that_ignores_term_and_double_forks() {
    let machine = Machine::new();
    let (command, near, far) = stubborn(&machine);
    let task = machine.shell(&command).deadline(Duration::from_millis(800));
    let exit = machine.run(&task).await;
    assert_eq!(exit.status, ExitStatus::DeadlineExceeded);
    assert!(near.exists() && far.exists());
    assert!(!runs(&near) && !runs(&far));
    row(
        "F27",
        &[(
            2,
            "processes that ignore TERM ended at the deadline, one of them in a session of its own",
        )],
    );
}

#[tokio::test]
async fn f27_nothing_that_a_task_leaves_behind_lives_on() {
    let machine = Machine::new();
    let left = machine.path("left");
    let command = format!(
        "setsid sh -c 'echo $$ > {0}; exec sleep 1000' >/dev/null 2>&1 & while ! test -s {0}; do :; done",
        left.display()
    );
    let exit = machine.run(&machine.shell(&command)).await;
    assert!(exit.success(), "{exit:?}");
    assert!(!runs(&left));
    row(
        "F27",
        &[(1, "daemon left behind by a task and ended with it")],
    );
}

#[tokio::test]
async fn f27_a_flood_is_capped_with_a_line_that_says_so() {
    let machine = Machine::new();
    let mut task = machine.shell("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo the end");
    task.output.log = Some(machine.path("log"));
    task.output.log_bytes = 10_000;
    task.output.tail_bytes = 20;
    let exit = machine.run(&task).await;
    let log = fs::read_to_string(machine.path("log")).unwrap();
    assert!(log.len() < 11_000, "{}", log.len());
    assert!(log.ends_with("[hop3-agent: output after 10000 bytes was dropped]\n"));
    assert_eq!(exit.tail, "xxxxxxxxxxx\nthe end\n");
    row(
        "F27",
        &[(
            1,
            "flood of five million bytes of output, its log capped at 10 000",
        )],
    );
}

#[tokio::test]
async fn f01_a_build_ends_when_it_is_cancelled_and_when_the_agent_dies() {
    for agent_dies in [false, true] {
        let machine = Machine::new();
        if agent_dies {
            machine.host.leave();
        }
        let (command, near, far) = stubborn(&machine);
        let task = machine.shell(&command);
        let started = || near.exists() && far.exists();
        tokio::select! {
            exit = machine.host.run(&task) => panic!("it ended by itself: {exit:?}"),
            () = until("started", started) => {}
        }
        until("ended", || !runs(&near) && !runs(&far)).await;
    }
    row(
        "F01",
        &[
            (2, "builds whose agent is cancelled or dies"),
            (2, "ended with all that they started"),
        ],
    );
}

fn finishing(machine: &Machine) -> Task {
    let mut task = machine
        .shell("echo $$ > started; while ! test -e go; do sleep 0.05; done; echo done; exit 5");
    task.agent_death = AgentDeath::Finish {
        exit_file: machine.path("exit.json"),
    };
    task
}

/// How the task ended, once its exit file says so; while it runs, the file names its living watcher.
fn left_exit(machine: &Machine) -> Option<Exit> {
    let record = fs::read(machine.path("exit.json")).ok()?;
    match serde_json::from_slice(&record).unwrap() {
        ExitRecord::Ended(exit) => Some(exit),
        ExitRecord::Running(watcher) => {
            assert!(machine.host.is_running(&watcher) || left_since(machine));
            None
        }
    }
}

/// Whether the watcher ended between the two looks.
fn left_since(machine: &Machine) -> bool {
    let record = fs::read(machine.path("exit.json")).unwrap();
    matches!(serde_json::from_slice(&record), Ok(ExitRecord::Ended(_)))
}

#[tokio::test]
async fn f01_a_release_command_outlives_the_agent_and_leaves_its_exit() {
    let machine = Machine::new();
    let task = finishing(&machine);
    let started = machine.path("started");
    machine.host.leave();
    tokio::select! {
        exit = machine.host.run(&task) => panic!("it ended by itself: {exit:?}"),
        () = until("started", || started.exists()) => {}
    }
    fs::write(machine.path("go"), "").unwrap();
    until("left its exit", || left_exit(&machine).is_some()).await;
    let exit = left_exit(&machine).unwrap();
    assert_eq!(exit.status, ExitStatus::Code(5));
    assert_eq!(exit.tail, "done\n");
    row(
        "F01",
        &[(
            1,
            "release command that outlived its agent and left its exit",
        )],
    );
}

#[tokio::test]
async fn f01_who_watches_a_release_command_is_known_before_it_is_told_what_to_do() {
    // A helper that takes no orders: whatever is known of it then is known before it could begin.
    let helpers = tempfile::tempdir().unwrap();
    let deaf = helpers.path().join("deaf");
    fs::write(&deaf, "#!/bin/sh\nexec sleep 30\n").unwrap();
    fs::set_permissions(&deaf, fs::Permissions::from_mode(0o755)).unwrap();
    let machine = Machine::with(|config| config.agent_binary = deaf);
    let task = finishing(&machine);
    let record = || fs::read(machine.path("exit.json")).ok();
    tokio::select! {
        exit = machine.host.run(&task) => panic!("it ended by itself: {exit:?}"),
        () = until("announced", || record().is_some()) => {}
    }
    let record = serde_json::from_slice(&record().unwrap()).unwrap();
    let ExitRecord::Running(watcher) = record else {
        panic!("it has ended: {record:?}");
    };
    assert!(machine.host.is_running(&watcher));
    machine.host.signal(&watcher, 9, false).await.unwrap();
    row(
        "F01",
        &[(
            1,
            "watcher of a release command known before its first order",
        )],
    );
}

#[tokio::test]
async fn a_cancelled_release_command_ends_while_the_agent_lives() {
    let machine = Machine::new();
    let task = finishing(&machine);
    let started = machine.path("started");
    tokio::select! {
        exit = machine.host.run(&task) => panic!("it ended by itself: {exit:?}"),
        () = until("started", || fs::read(&started).is_ok_and(|pid| !pid.is_empty())) => {}
    }
    until("ended", || !runs(&started)).await;
    until("left its exit", || left_exit(&machine).is_some()).await;
    let exit = left_exit(&machine).unwrap();
    assert_eq!(exit.status, ExitStatus::Cancelled);
}

fn confined(machine: &Machine, command: &str) -> Task {
    let mut task = machine.shell(command);
    task.sandbox = Sandbox {
        enabled: true,
        writable: vec![machine.path("writable")],
        readable: vec![machine.path("readable")],
        network: true,
        required: true,
    };
    task.dir = machine.path("readable");
    task
}

#[tokio::test]
async fn t36_a_confined_task_sees_only_what_it_is_given() {
    let machine = Machine::new();
    for name in ["readable", "writable", "agent"] {
        fs::create_dir(machine.path(name)).unwrap();
        fs::write(machine.path(name).join("file"), name).unwrap();
    }
    let root = machine.root.path().display();
    for (command, works) in [
        (format!("cat {root}/readable/file"), true),
        (
            format!("echo x > {root}/writable/new && mkdir {root}/writable/d"),
            true,
        ),
        (
            "echo x > $TMPDIR/x && cat $TMPDIR/x && test -d $TMPDIR".to_owned(),
            true,
        ),
        ("echo x > /dev/null; cat /etc/hosts".to_owned(), true),
        ("echo x > /dev/stderr".to_owned(), true),
        (format!("cat {root}/agent/file"), false),
        (format!("ls {root}/agent"), false),
        (format!("echo x > {root}/readable/new"), false),
        ("echo x > /tmp/hop3-test-must-not-exist".to_owned(), false),
        ("ls /root".to_owned(), false),
        ("kill -0 1".to_owned(), false),
    ] {
        let exit = machine.run(&confined(&machine, &command)).await;
        assert_eq!(exit.success(), works, "{command}: {exit:?}");
    }
}

#[tokio::test]
async fn t36_its_temporary_directory_is_gone_afterwards() {
    let machine = Machine::new();
    for name in ["readable", "writable"] {
        fs::create_dir(machine.path(name)).unwrap();
    }
    let exit = machine
        .run(&confined(
            &machine,
            "mkdir -p $TMPDIR/a/b && printf %s $TMPDIR",
        ))
        .await;
    assert!(exit.tail.starts_with("/tmp/.hop3-tmp-"), "{exit:?}");
    assert!(!Path::new(&exit.tail).exists());
}

#[tokio::test]
async fn a_task_without_network_reaches_only_itself() {
    let machine = Machine::new();
    for name in ["readable", "writable"] {
        fs::create_dir(machine.path(name)).unwrap();
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "import socket\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\nsocket.create_connection(s.getsockname(), 2)\nprint('itself')\ntry:\n    socket.create_connection(('127.0.0.1', {port}), 2)\n    print('outside')\nexcept OSError as error:\n    print('cut')"
    );
    let mut task = confined(&machine, "exec /usr/bin/python3 -");
    task.input = Some(Secret::new(script));
    assert_eq!(machine.run(&task).await.tail, "itself\noutside\n");
    task.sandbox.network = false;
    assert_eq!(machine.run(&task).await.tail, "itself\ncut\n");
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

fn detached(machine: &Machine, command: &str) -> Task {
    let mut task = machine.shell(command);
    task.output.log = Some(machine.path("log"));
    task.input = Some(Secret::new("the input"));
    task
}

async fn start(machine: &Machine, command: &str) -> ProcessId {
    let task = detached(machine, command);
    machine.host.spawn_detached(&task).await.unwrap().process
}

#[tokio::test]
async fn a_detached_process_gets_its_input_and_is_known_by_identity() {
    let machine = Machine::new();
    let process = start(
        &machine,
        "cat; echo; ps -o sid= -p $$; echo $$; exec sleep 1000",
    )
    .await;
    assert!(machine.host.is_running(&process));
    let log = machine.path("log");
    until("written", || {
        fs::read_to_string(&log).unwrap().lines().count() == 3
    })
    .await;
    let said = fs::read_to_string(&log).unwrap();
    let own = process.pid.to_string();
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    assert_eq!(lines, ["the input", &own, &own]);
    let mut other = process.clone();
    other.start_time += 1;
    machine.host.signal(&other, 9, true).await.unwrap();
    assert!(machine.host.is_running(&process));
    machine.host.signal(&process, 15, true).await.unwrap();
    until("ended", || !machine.host.is_running(&process)).await;
    until("reaped", || !Path::new("/proc").join(&own).exists()).await;
    machine.host.signal(&process, 9, true).await.unwrap();
}

#[test]
fn a_detached_process_outlives_its_runtime() {
    let machine = Machine::new();
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let process = runtime().block_on(start(&machine, "exec sleep 1000"));
    assert!(machine.host.is_running(&process));
    runtime().block_on(async {
        machine.host.signal(&process, 9, false).await.unwrap();
        until("ended", || !machine.host.is_running(&process)).await;
    });
}

#[tokio::test]
async fn a_detached_program_that_is_missing_is_told_at_once() {
    let machine = Machine::new();
    let missing = Task::new("x", Program::At("/nowhere/program".into()), "/");
    let error = machine.host.spawn_detached(&missing).await.unwrap_err();
    assert!(matches!(error, HostError::Start { .. }), "{error:?}");
}

#[tokio::test]
async fn a_listener_of_a_grandchild_belongs_to_the_detached_process() {
    let machine = Machine::new();
    let port = machine.host.free_port().await.unwrap();
    let server = format!(
        "python3 -c \"import socket,time; s=socket.socket(); s.bind(('127.0.0.1',{port})); s.listen(); time.sleep(1000)\" & wait"
    );
    let process = start(&machine, &server).await;
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let host = &machine.host;
    until("listening", || {
        host.listens(address, std::slice::from_ref(&process)) == Some(true)
    })
    .await;
    host.signal(&process, 15, true).await.unwrap();
    until("ended", || {
        host.listens(address, std::slice::from_ref(&process)) == Some(false)
    })
    .await;
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

/// Exchanges a directory for a link to somebody else's and back, as fast as it can, until it is ended.
const EXCHANGER: &str = "import os, sys\n\
    tree, victim = sys.argv[1:]\n\
    print('ready', flush=True)\n\
    while True:\n\
    \x20   for step in (lambda: os.makedirs(tree + '/a/b/c'), lambda: os.rename(tree + '/a/b', tree + '/away'),\n\
    \x20                lambda: os.symlink(victim, tree + '/a/b'), lambda: os.unlink(tree + '/a/b'),\n\
    \x20                lambda: os.rename(tree + '/a', tree + '/gone'), lambda: os.symlink(victim, tree + '/a'),\n\
    \x20                lambda: os.unlink(tree + '/a')):\n\
    \x20       try:\n\
    \x20           step()\n\
    \x20       except OSError:\n\
    \x20           pass\n";

#[tokio::test]
async fn t38_a_tree_is_removed_ten_thousand_times_while_another_process_exchanges_its_directories()
{
    let machine = Machine::new();
    let (tree, victim) = (machine.path("tree"), machine.path("victim"));
    fs::create_dir_all(victim.join("c/deeper")).unwrap();
    fs::write(victim.join("c/file"), "whole").unwrap();
    let mut exchanger = std::process::Command::new("/usr/bin/python3")
        .args(["-c", EXCHANGER])
        .args([&tree, &victim])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(&mut exchanger.stdout.take().unwrap(), &mut ready).unwrap();
    let times = if rows::is_long() { 10_000 } else { 300 };
    let (mut removed, mut refused) = (0, 0);
    for _ in 0..times {
        fs::create_dir_all(tree.join("kept/inner")).ok();
        // What is written into it meanwhile may keep it from getting empty.
        match machine
            .host
            .remove_beneath(machine.root.path(), &tree)
            .await
        {
            Ok(()) => removed += 1,
            Err(_) => refused += 1,
        }
    }
    exchanger.kill().unwrap();
    exchanger.wait().unwrap();
    machine
        .host
        .remove_beneath(machine.root.path(), &tree)
        .await
        .unwrap();
    assert!(!tree.exists());
    assert_eq!(fs::read_to_string(victim.join("c/file")).unwrap(), "whole");
    assert!(victim.join("c/deeper").is_dir());
    assert_eq!(fs::read_dir(victim.join("c")).unwrap().count(), 2);
    let counts = [
        (
            times,
            "removals of a tree whose directories another process exchanges for links",
        ),
        (removed, "done"),
        (refused, "given up because the tree did not stay empty"),
        (0, "files touched behind a link"),
    ];
    row("T38", &counts);
}
