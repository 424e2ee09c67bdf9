//! Two agents on one data dir.

use std::process::{Command, Stdio};
use std::thread;

use super::super::support::{Process, until};
use super::{TestHost, pages, row};
use crate::support::is_long;

const AGENT: &str = env!("CARGO_BIN_EXE_hop3-agent");

#[test]
fn f20_of_many_agents_that_start_at_once_one_holds_the_data_dir_and_names_itself() {
    let mut host = pages(&["page"]);
    host.start();
    host.assert_settled(&["page"]);
    let holder = format!("process {}", host.agent_process().pid);
    let starts = if is_long() { 1000 } else { 200 };
    let refused: usize = thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(|| refused(&host, &holder, starts / 4)));
        threads.map(|it| it.join().unwrap()).iter().sum()
    });
    assert_eq!(refused, starts);
    assert_eq!(host.app("page")["state"], "running");
    row(
        "F20",
        &format!("{starts} starts beside a holder, {refused} refused, 1 held"),
    );
}

/// How many starts were refused with the holder's name.
fn refused(host: &TestHost, holder: &str, starts: usize) -> usize {
    let is_refused = |_: &usize| {
        let second = start(host).output().unwrap();
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        second.status.code() == Some(1) && said.contains(holder)
    };
    (0..starts).filter(is_refused).count()
}

fn start(host: &TestHost) -> Command {
    let mut command = Command::new(AGENT);
    command
        .arg("--config")
        .arg(host.path("agent.toml"))
        .arg("run")
        .stdin(Stdio::null());
    command
}

#[test]
fn f20_of_two_agents_that_start_at_the_same_moment_exactly_one_goes_on() {
    let host = pages(&["page"]);
    let rounds = if is_long() { 100 } else { 10 };
    for round in 0..rounds {
        let mut pair = [(); 2].map(|()| {
            let mut command = start(&host);
            command.stderr(Stdio::piped()).spawn().unwrap()
        });
        until(
            "an agent that answers",
            || host.run(&["status"]).code,
            |code| *code == 0,
        );
        let ended = || {
            let ended = pair.each_mut().map(|agent| agent.try_wait().unwrap());
            ended.map(|status| status.map(|status| status.code()))
        };
        let codes = {
            let ended = std::cell::RefCell::new(ended);
            until(
                "the end of one of both",
                || (ended.borrow_mut())(),
                |codes| codes.iter().flatten().count() == 1,
            )
        };
        assert!(codes.contains(&Some(Some(1))), "round {round}: {codes:?}");
        for agent in &mut pair {
            agent.kill().ok();
            agent.wait().unwrap();
        }
    }
    row(
        "F20",
        &format!("{rounds} pairs started at once, {rounds} times exactly one went on"),
    );
}

#[test]
fn f20_the_lock_ends_with_its_holder_although_its_children_live() {
    let mut host = TestHost::of_files(&[(
        "apps/slow/hop3.toml",
        "[build]\ntoolchain = \"generic\"\nbuild = \"sleep 86393\"\n[run]\nbefore-run = \"true\"\nstart = \"sleep 1\"\n",
    )]);
    host.start();
    let children = || {
        let mut processes = host.processes();
        processes.retain(|it| it.is_helper("internal-task") || it.command == ["sleep", "86393"]);
        processes
    };
    let children = until("a build", children, |children| children.len() >= 2);
    host.kill();
    // Whether or not the children have noticed yet.
    host.launch();
    until(
        "the next agent",
        || host.run(&["status"]),
        |status| status.code == 0,
    );
    until(
        "the end of the build that lost its agent",
        || children.iter().any(Process::lives),
        |lives| !lives,
    );
    row(
        "F20",
        &format!(
            "the holder killed with {} children alive, 1 restart, 0 refused",
            children.len()
        ),
    );
}
