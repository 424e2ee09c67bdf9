//! Disks that are full, read-only or broken.

use std::fs::{self, File};
use std::io::Write as _;

use super::super::support::{Process, until};
use super::broken_disk::{BrokenDisk, until_the_disk_is_met};
use super::{TestHost, holds, not_run, page_of, row, server_of, text_of, told, until_says};
use crate::support::is_long;

/// A host whose data dir is a file system of its own; `None` where this user may not mount one.
fn host(row: &str) -> Option<TestHost> {
    let mut host = TestHost::of_files(&[("README.md", "Apps")]);
    if !host.mount_small("data", 64) {
        not_run(row, "this user may not mount a file system");
        return None;
    }
    host.configure(|text| text + "\n[drift]\ninterval = \"1s\"\n");
    server_of(&host, "shop", ("serve", "one"), "");
    page_of(&host, "page", "one");
    host.commit("The first release");
    host.start();
    host.assert_settled(&["shop", "page"]);
    Some(host)
}

/// Effect: takes all space but so many megabytes, as somebody else's file.
fn leave(host: &TestHost, megabytes: u64) {
    let status = rustix::fs::statvfs(host.path("data")).unwrap();
    let free = status.f_bavail * status.f_frsize;
    let taken = free.saturating_sub(megabytes * 1024 * 1024);
    let taken = vec![0; usize::try_from(taken).unwrap()];
    fs::write(host.path("data/ballast"), taken).unwrap();
}

/// Effect: takes all space that is left, as somebody else's file.
fn fill(host: &TestHost) {
    let path = host.path("data/ballast");
    let mut ballast = File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    let block = vec![0; 64 * 1024];
    while ballast.write_all(&block).is_ok() {}
    // The last bytes, too.
    while ballast.write_all(&[0]).is_ok() {}
}

fn empty(host: &TestHost) {
    fs::remove_file(host.path("data/ballast")).unwrap();
}

fn commit(host: &TestHost, text: &str) {
    server_of(host, "shop", ("serve", text), "");
    page_of(host, "page", text);
    host.commit(text);
    host.done(&["sync"]);
}

/// A commit that the agent knows and carries out in a few seconds: what cannot be fetched is not held.
fn paused_commit(host: &TestHost, text: &str) {
    host.done(&["pause", "shop", "--for", "6s", "--why", "the disk fills up"]);
    commit(host, text);
    until_says(host, "page", text);
    assert_eq!(text_of(host, "shop"), "one", "the pause was too short");
}

fn host_problem(host: &TestHost) -> String {
    let status = host.status();
    status["host-problem"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn f03_a_full_disk_holds_everything_and_everything_goes_on_by_itself_when_it_is_not() {
    let Some(host) = host("F03") else { return };
    let before = host.app_processes();
    paused_commit(&host, "two");
    fill(&host);
    until(
        "word of it",
        || host_problem(&host),
        |it| it.contains("full"),
    );
    // The store may have room of its own for a word that takes one back; then the disk holds the app. Else whoever gave the word is told.
    let resumed = host.run(&["resume", "shop"]);
    assert!(
        resumed.code == 3 && resumed.out.contains("is full")
            || resumed.err.contains("could not be written down"),
        "{resumed:#?}"
    );
    until(
        "the hold",
        || holds(&host, "shop"),
        |it| it.contains("is full"),
    );
    assert_eq!(text_of(&host, "shop"), "one");
    assert!(host.done(&["why", "shop"]).contains("free at least"));
    assert!(host.done(&["why", "page"]).contains("is full"));
    assert!(
        host.done(&["status"])
            .contains("! the data dir's file system is full")
    );
    assert_eq!(host.run(&["plan"]).code, 3);
    assert_eq!(host.app_processes(), before);
    empty(&host);
    until_says(&host, "shop", "two");
    host.assert_settled(&["shop", "page"]);
    assert_eq!(host_problem(&host), "");
    assert_eq!(
        told(&host, "shop", "failed at"),
        0,
        "nothing was tried in vain"
    );
    row(
        "F03",
        "1 full disk under a commit, 1 told, 1 recovered alone, 0 tries in vain, 0 processes replaced",
    );
}

#[test]
fn f03_an_agent_that_starts_on_a_full_disk_waits_and_a_build_that_fills_it_frees_what_it_took() {
    let Some(mut host) = host("F03") else { return };
    // An agent that starts on a full disk waits, says so, and starts by itself.
    fill(&host);
    host.kill();
    commit_unseen(&host, "three");
    host.launch();
    until(
        "an agent that says why it waits",
        || host.run(&["status"]),
        |status| status.err.contains("waits to start") && status.err.contains("full"),
    );
    assert_eq!(text_of(&host, "shop"), "one");
    empty(&host);
    until_says(&host, "shop", "three");
    host.assert_settled(&["shop", "page"]);

    // A build that fills the disk by itself fails, and frees what it took.
    host.edit("apps/shop/hop3.toml", |text| {
        text.replace(
            "[build]\n",
            "[build]\nbuild = \"head -c 200000000 /dev/zero >big\"\n",
        )
    });
    host.commit("A build that fills the disk");
    host.done(&["sync"]);
    until(
        "its failure",
        || told(&host, "shop", "failed at build"),
        |count| *count > 0,
    );
    commit(&host, "four");
    until_says(&host, "page", "four");
    until_says(&host, "shop", "four");
    host.assert_settled(&["shop", "page"]);
    row(
        "F03",
        "1 full disk under a start, 1 by a build: 2 told, 2 recovered alone",
    );
}

/// Steps of a deploy in whose middle the disk fills up: a program of the app waits there. The spec's text, and what the one of [`server_of`] has
/// in its place.
const PHASES: [(&str, &str, &str); 3] = [
    (
        "build",
        "[build]\n",
        "[build]\nbuild = \"sleep 86387 || true\"\n",
    ),
    (
        "release command",
        "[run]\n",
        "[run]\nbefore-run = \"sleep 86387 || true\"\n",
    ),
    (
        "start",
        "start = \"exec ",
        "start = \"sleep 86387 || true; exec ",
    ),
];

/// The program in which a deploy waits.
fn waiting(host: &TestHost) -> Vec<Process> {
    let mut processes = host.processes();
    processes.retain(|it| it.command == ["sleep", "86387"]);
    processes
}

#[test]
fn f03_a_disk_that_fills_up_in_any_phase_of_a_deploy_is_told_and_the_deploy_completes_when_there_is_room()
 {
    let Some(host) = host("F03") else { return };
    let mut serving = "one".to_owned();
    for (phase, text, waits) in PHASES {
        server_of(&host, "shop", ("serve", &phase.replace(' ', "-")), "");
        host.edit("apps/shop/hop3.toml", |spec| spec.replace(text, waits));
        host.commit(phase);
        host.done(&["sync"]);
        let held_up = until(phase, || waiting(&host), |it| !it.is_empty());
        fill(&host);
        until(
            "word of it",
            || host_problem(&host),
            |it| it.contains("full"),
        );
        held_up.iter().for_each(Process::kill);
        until(
            "the cause in what is told of the app",
            || host.run(&["why", "shop"]).out,
            |why| why.contains("full"),
        );
        assert!(host.done(&["status"]).contains("is full"));
        assert_eq!(text_of(&host, "shop"), serving, "{phase}");
        empty(&host);
        // A further try waits there as the first one did.
        serving = phase.replace(' ', "-");
        until(
            "the new release",
            || {
                waiting(&host).iter().for_each(Process::kill);
                text_of(&host, "shop")
            },
            |text| *text == serving,
        );
        host.assert_settled(&["shop", "page"]);
        assert_eq!(host_problem(&host), "");
    }
    row(
        "F03",
        &format!(
            "{} phases of a deploy in which the disk fills up, {0} told in `status` and `why`, {0} recovered alone, 0 requests to a half release",
            PHASES.len()
        ),
    );
}

/// A commit while no agent runs.
fn commit_unseen(host: &TestHost, text: &str) {
    server_of(host, "shop", ("serve", text), "");
    host.commit(text);
}

#[test]
fn f05_a_read_only_disk_holds_everything_and_everything_goes_on_by_itself_when_it_is_not() {
    let Some(mut host) = host("F05") else { return };
    let before = host.app_processes();
    paused_commit(&host, "two");
    assert!(
        host.freeze("data"),
        "a mount may be made, but not read-only"
    );
    until(
        "word of it",
        || host_problem(&host),
        |it| it.contains("read-only"),
    );
    until(
        "the hold",
        || holds(&host, "shop"),
        |it| it.contains("read-only"),
    );
    assert_eq!(host.run(&["plan"]).code, 3);
    assert_eq!(text_of(&host, "shop"), "one");
    assert!(host.done(&["why", "page"]).contains("read-only"));
    assert_eq!(host.app_processes(), before);
    let agent = host.agent_process();
    host.unmount();
    until_says(&host, "shop", "two");
    host.assert_settled(&["shop", "page"]);
    assert!(
        agent.lives(),
        "the agent did not go on, it was started anew"
    );

    host.kill();
    assert!(host.freeze("data"));
    commit_unseen(&host, "three");
    host.launch();
    until(
        "an agent that says why it waits",
        || host.run(&["status"]),
        |status| status.err.contains("waits to start") && status.err.contains("read-only"),
    );
    assert_eq!(text_of(&host, "shop"), "two");
    host.unmount();
    until_says(&host, "shop", "three");
    host.assert_settled(&["shop", "page"]);
    row(
        "F05",
        "1 disk read-only under a commit, 1 under a start: 2 told, 2 recovered alone, 0 ended",
    );
}

#[test]
fn f03_old_releases_and_caches_give_way_where_the_disk_has_little_left_and_data_never_does() {
    let Some(host) = host("F03") else { return };
    commit(&host, "two");
    until_says(&host, "shop", "two");
    host.assert_settled(&["shop", "page"]);
    let home = host.path("data/apps/shop");
    fs::write(home.join("cache/wheel"), "may go").unwrap();
    fs::write(home.join("data/row"), "must stay").unwrap();
    let before = host.app_processes();
    let releases = || {
        let apps = ["shop", "page"].map(|app| host.path("data/apps").join(app).join("releases"));
        apps.map(|it| fs::read_dir(it).unwrap().count())
    };
    assert_eq!(releases(), [2, 2]);
    leave(&host, 25);
    // The shop's first release holds the artifact of its second one.
    until("room to be made", releases, |left| *left == [2, 1]);
    let cache = || fs::read_dir(home.join("cache")).map(Iterator::count).ok();
    until("the cache to be empty", cache, |left| *left == Some(0));
    assert_eq!(
        fs::read_to_string(home.join("data/row")).unwrap(),
        "must stay"
    );
    host.assert_settled(&["shop", "page"]);
    assert_eq!(host.app_processes(), before);
    assert_eq!(text_of(&host, "shop"), "two");
    row(
        "F03",
        "1 disk with little left: 1 old release and 1 cache gave way, 0 bytes of data, 0 processes replaced",
    );
}

#[test]
fn f04_an_agent_whose_disk_reports_errors_ends_and_the_next_one_looks_anew() {
    let mut host = TestHost::of_files(&[("README.md", "Apps")]);
    server_of(&host, "shop", ("serve", "one"), "");
    host.commit("The first release");
    host.start();
    host.assert_settled(&["shop"]);
    let before = host.app_processes();
    let points: &[u32] = if is_long() {
        &[1, 2, 3, 5, 8, 13]
    } else {
        &[1, 4]
    };
    for (round, from) in points.iter().enumerate() {
        let Some(broken) = BrokenDisk::under(&host, *from) else {
            return not_run("F04", "there is no `strace`");
        };
        let (edition, code) = until_the_disk_is_met(&mut host, round);
        assert_eq!(code, 1, "{}", host.log());
        drop(broken);
        assert_eq!(host.visit("shop", "/").unwrap().status, 200);
        host.start();
        until_says(&host, "shop", &edition);
        host.assert_settled(&["shop"]);
    }
    assert!(!before.is_empty());
    row(
        "F04",
        &format!(
            "{} disks with errors from a sync on, {0} agents ended with 1, {0} restarts converged, 0 requests unanswered",
            points.len()
        ),
    );
}
