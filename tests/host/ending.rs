//! How tasks end: at their deadline, when they are cancelled, when the agent dies.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use hop3_plugin_api::{AgentDeath, Exit, ExitRecord, ExitStatus, Host, Task};

use super::rows::row;
use super::{Machine, runs, until};

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
