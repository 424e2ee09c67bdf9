//! Lanes: whatever one app does, another one's commit goes live, and so does its own fix.

use super::bad_input::assert_no_process;
use super::support::{TestHost, until};

const HANGING: &str = "[build]\ntoolchain = \"generic\"\nbuild = \"sleep 86397 & sleep 86397\"\n[run]\nstart = \"exec python3 -m http.server --bind $BIND_ADDRESS $PORT\"\n\
                       [domains]\nlist = [\"slow.localhost\"]\n";

fn host() -> TestHost {
    TestHost::of_files(&[
        (
            "apps/slow/hop3.toml",
            &HANGING.replace("sleep 86397 & sleep 86397", "true"),
        ),
        ("apps/slow/edition.txt", "one"),
        (
            "apps/page/hop3.toml",
            "[domains]\nlist = [\"page.localhost\"]\n",
        ),
        ("apps/page/index.html", "one"),
    ])
}

/// Commits a build that never ends, and waits until it runs.
fn hang(host: &TestHost) {
    host.repo.push(
        &[("apps/slow/hop3.toml", HANGING)],
        "A build that never ends",
    );
    host.done(&["sync"]);
    let builds = || {
        let processes = host.processes();
        let sleeping = |command: &[String]| command == ["sleep", "86397"];
        processes
            .iter()
            .filter(|process| sleeping(&process.command))
            .count()
    };
    until("a build that hangs", builds, |count| *count == 2);
    assert_eq!(host.app("slow")["state"], "changing");
    assert_eq!(host.app("slow")["step"], "build");
}

#[test]
fn a_build_that_hangs_delays_no_other_app_and_not_its_own_fix() {
    let mut host = host();
    host.start();
    host.assert_settled(&["slow", "page"]);
    hang(&host);

    host.repo
        .push(&[("apps/page/index.html", "two")], "Another app's commit");
    host.done(&["sync"]);
    host.until_answers("page", "/", |answer| answer.body == "two");
    assert_eq!(host.app("slow")["state"], "changing");
    host.until_answers("slow", "/edition.txt", |answer| answer.body == "one");

    let fixed = HANGING.replace("sleep 86397 & sleep 86397", "true");
    host.repo.push(
        &[
            ("apps/slow/hop3.toml", &fixed),
            ("apps/slow/edition.txt", "two"),
        ],
        "The fix",
    );
    host.done(&["sync"]);
    host.until_answers("slow", "/edition.txt", |answer| answer.body == "two");
    assert_no_process(&host, "sleep 86397");
    assert!(
        host.done(&["history", "slow"])
            .contains("gave way to a newer one")
    );
    host.assert_settled(&["slow", "page"]);
}

#[test]
fn a_revert_ends_a_build_that_hangs_and_leaves_what_serves_alone() {
    let mut host = host();
    host.start();
    host.assert_settled(&["slow", "page"]);
    let before = host.app_processes();
    hang(&host);
    host.repo.git(&["revert", "--no-edit", "HEAD"]);
    host.repo.push_head();
    host.assert_settled(&["slow", "page"]);
    assert_no_process(&host, "sleep 86397");
    assert_eq!(host.app_processes(), before);
}

#[test]
fn an_app_that_leaves_the_repo_while_its_build_hangs_is_removed_at_once() {
    let mut host = host();
    host.start();
    host.assert_settled(&["slow", "page"]);
    hang(&host);
    host.repo.git(&["rm", "-rq", "apps/slow"]);
    host.repo.push(&[], "Without the slow one");
    host.done(&["sync"]);
    until(
        "the end of the app",
        || host.app("slow"),
        |app| app["state"] != "changing",
    );
    assert_no_process(&host, "sleep 86397");
    host.assert_settled(&["page"]);
}

#[test]
fn an_agent_that_stops_takes_a_hanging_build_with_it_and_nothing_else() {
    let mut host = host();
    host.start();
    host.assert_settled(&["slow", "page"]);
    let before = host.app_processes();
    hang(&host);
    host.stop();
    assert_no_process(&host, "sleep 86397");
    assert_eq!(host.app_processes(), before);
}
