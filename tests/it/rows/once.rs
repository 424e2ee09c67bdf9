//! Release commands: once per release, whatever dies meanwhile.

use std::fs;

use super::super::support::{Process, until};
use super::{TestHost, holds, row, server_of, text_of, told, until_says};
use crate::support::is_long;

/// Writes that it began, waits until the test lets it end, writes that it ended.
const COMMAND: &str = "echo $HOP3_RELEASE >>$HOME/began; until test -e $HOME/go; do sleep 0.05; done; echo $HOP3_RELEASE >>$HOME/ended";

fn host(more: &str) -> TestHost {
    let mut host = TestHost::of_files(&[("README.md", "Apps")]);
    host.configure(|text| text + "\n[drift]\ninterval = \"1s\"\n");
    release(&host, "one", more);
    host.commit("The first release");
    host.start();
    until_begun(&host, 1);
    go(&host, true);
    host.assert_settled(&["shop"]);
    host
}

/// Another release of the app, with its release command.
fn release(host: &TestHost, text: &str, more: &str) {
    server_of(host, "shop", ("serve", text), more);
    host.edit("apps/shop/hop3.toml", |spec| {
        spec.replace("[run]\n", &format!("[run]\nbefore-run = {COMMAND:?}\n"))
    });
}

/// Whether release commands may end.
fn go(host: &TestHost, may: bool) {
    let file = host.path("data/apps/shop/data/go");
    if may {
        fs::write(file, "").unwrap();
    } else {
        fs::remove_file(file).unwrap();
    }
}

/// How often commands began or ended, by the release that they were run for.
fn count(host: &TestHost, name: &str) -> usize {
    let text = fs::read_to_string(host.path("data/apps/shop/data").join(name));
    text.unwrap_or_default().lines().count()
}

#[track_caller]
fn until_begun(host: &TestHost, times: usize) {
    until(
        "the release command",
        || count(host, "began"),
        |count| *count == times,
    );
}

/// Commits a release whose command does not end yet, and waits until it has begun.
fn begin(host: &TestHost, text: &str, more: &str) {
    let before = count(host, "began");
    go(host, false);
    release(host, text, more);
    host.commit(text);
    host.done(&["sync"]);
    until_begun(host, before + 1);
}

/// Whoever watches the newest release's command, and outlives the agent.
fn watcher(host: &TestHost) -> Process {
    let found = || {
        let releases = fs::read_dir(host.path("data/apps/shop/releases"))
            .unwrap()
            .flatten();
        let files = releases.filter_map(|it| fs::read(it.path().join("once-0.exit.json")).ok());
        let records = files.filter_map(|it| serde_json::from_slice::<serde_json::Value>(&it).ok());
        let mut pids = records.filter_map(|it| it["running"]["pid"].as_u64());
        Process::find(pids.next()?.try_into().ok()?)
    };
    super::super::support::until_some("a watcher", found)
}

#[test]
fn f01_a_release_command_runs_exactly_once_although_the_agent_is_killed_in_the_middle_of_it() {
    let mut host = host("");
    let rounds = if is_long() { 10 } else { 2 };
    for round in 1..=rounds {
        let text = format!("edition-{round}");
        begin(&host, &text, "");
        host.kill();
        host.start();
        go(&host, true);
        until_says(&host, "shop", &text);
        host.assert_settled(&["shop"]);
        assert_eq!(count(&host, "began"), 1 + round);
        assert_eq!(count(&host, "ended"), 1 + round);
    }
    row(
        "F01",
        &format!(
            "{rounds} agents killed amid a release command, {rounds} commands finished, 0 repeated"
        ),
    );
}

#[test]
fn f01_a_release_command_that_lost_its_watcher_is_ended_and_run_again_or_held() {
    let mut host = host("");
    begin(&host, "two", "");
    interrupt(&mut host);
    host.start();
    until_begun(&host, 3);
    assert_eq!(
        leftovers(&host),
        1,
        "the interrupted command still runs beside its repetition"
    );
    go(&host, true);
    until_says(&host, "shop", "two");
    host.assert_settled(&["shop"]);
    assert_eq!((count(&host, "began"), count(&host, "ended")), (3, 2));

    let hold = "[deploy]\non-interrupt = \"hold\"\n";
    begin(&host, "three", hold);
    interrupt(&mut host);
    host.start();
    until(
        "the app to wait for a person",
        || host.app("shop"),
        |app| {
            app["failure"]["message"]
                .as_str()
                .is_some_and(|it| it.contains("was interrupted"))
        },
    );
    assert_eq!((count(&host, "began"), leftovers(&host)), (4, 0));
    assert_eq!(text_of(&host, "shop"), "two");
    assert!(
        host.done(&["why", "shop"])
            .contains("whether it took effect is not known")
    );
    go(&host, true);
    release(&host, "four", hold);
    host.commit("A new release");
    host.done(&["sync"]);
    until_says(&host, "shop", "four");
    host.assert_settled(&["shop"]);
    row(
        "F01",
        "2 release commands interrupted with their watcher, 1 run again, 1 held, 0 ran beside another",
    );
}

/// Effect: `kill -9` of the agent and of the release command's watcher.
fn interrupt(host: &mut TestHost) {
    let watcher = watcher(host);
    host.kill();
    watcher.kill();
}

/// How many release commands run.
fn leftovers(host: &TestHost) -> usize {
    let processes = host.processes();
    let waits = |it: &&Process| it.command.iter().any(|word| word.contains("HOME/began"));
    processes.iter().filter(waits).count()
}

#[test]
fn f01_healing_scaling_and_rolling_back_never_run_a_release_command() {
    let host = host("");
    release(&host, "two", "");
    host.commit("Two");
    host.done(&["sync"]);
    until_says(&host, "shop", "two");
    host.assert_settled(&["shop"]);
    let supervisor = host.app_processes()["shop 2 supervisor"].clone();
    supervisor.kill();
    until(
        "the app to be mended",
        || host.app_processes().len(),
        |count| *count == 2,
    );
    release(&host, "two", "[scale]\nweb = 2\n");
    host.commit("Two of them");
    host.assert_settled(&["shop"]);
    host.done(&["rollback", "shop"]);
    until_says(&host, "shop", "one");
    host.sync();
    host.done(&["resume", "shop"]);
    until_says(&host, "shop", "two");
    host.assert_settled(&["shop"]);
    release(&host, "one", "");
    host.commit("A revert");
    host.done(&["sync"]);
    until_says(&host, "shop", "one");
    host.assert_settled(&["shop"]);
    assert_eq!((count(&host, "began"), count(&host, "ended")), (2, 2));
    row(
        "F01",
        "1 heal, 1 scale, 1 rollback, 1 return, 1 revert: 0 release commands beyond the 2 of 2 releases",
    );
}

#[test]
fn a_release_that_never_served_is_nothing_to_roll_back_to() {
    let host = host("");
    server_of(&host, "shop", ("0", "two"), "");
    host.commit("It ends at once");
    host.done(&["sync"]);
    until(
        "the failure",
        || host.app("shop"),
        |app| app["state"] == "failing",
    );
    let refused = host.run(&["rollback", "shop", "--to", "2"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(
        refused.err.contains("release 2 of `shop` never served"),
        "{refused:#?}"
    );
}

/// Takes longer than the short form allows: a newer change waits half a minute for a release command.
#[test]
fn a_release_command_that_hangs_gives_way_to_its_fix() {
    if !is_long() {
        return super::not_run(
            "lanes",
            "a hanging release command is given 30 s (HOP3_TEST_LONG=1)",
        );
    }
    let host = host("");
    begin(&host, "two", "");
    server_of(&host, "shop", ("serve", "three"), "");
    host.commit("The fix");
    host.done(&["sync"]);
    until_says(&host, "shop", "three");
    assert_eq!(leftovers(&host), 0);
    assert_eq!(told(&host, "shop", "gave way to a newer one"), 1);
    assert_eq!(holds(&host, "shop"), "");
    row(
        "lanes",
        "1 hanging release command overtaken by its fix, 0 left running",
    );
}
