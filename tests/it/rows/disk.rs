//! Disks that are full, read-only or broken.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use super::super::support::until;
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

/// Effect: takes all space that is left, as somebody else's file.
fn fill(host: &TestHost) {
    let mut ballast = File::create(host.path("data/ballast")).unwrap();
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

fn host_problem(host: &TestHost) -> String {
    let status = host.status();
    status["host-problem"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn f03_a_full_disk_holds_everything_and_everything_goes_on_by_itself_when_it_is_not() {
    let Some(mut host) = host("F03") else { return };
    let before = host.app_processes();
    fill(&host);
    commit(&host, "two");
    until(
        "word of it",
        || host_problem(&host),
        |it| it.contains("full"),
    );
    until(
        "the hold",
        || holds(&host, "page"),
        |it| it.contains("full"),
    );
    for app in ["shop", "page"] {
        assert_eq!(text_of(&host, app), "one");
        assert!(host.done(&["why", app]).contains("free at least"), "{app}");
    }
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
    assert_eq!(text_of(&host, "shop"), "two");
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
        "1 full disk under a commit, 1 under a start, 1 by a build: 3 told, 3 recovered alone, 0 processes replaced by it",
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
    assert!(
        host.freeze("data"),
        "a mount may be made, but not read-only"
    );
    commit(&host, "two");
    until(
        "word of it",
        || host_problem(&host),
        |it| it.contains("read-only"),
    );
    until(
        "the hold",
        || holds(&host, "page"),
        |it| it.contains("read-only"),
    );
    assert_eq!(host.run(&["plan"]).code, 3);
    for app in ["shop", "page"] {
        assert_eq!(text_of(&host, app), "one");
    }
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

/// Something that makes every sync of the agent fail from the n-th on.
struct BrokenDisk(Child);

impl BrokenDisk {
    fn under(host: &TestHost, from: u32) -> Option<Self> {
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={from}+");
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-e", &inject])
            .arg("-o")
            .arg(host.path("strace.log"))
            .arg("-p")
            .arg(host.agent_process().pid.to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().ok()?;
        let traced = || {
            let status = format!("/proc/{}/status", host.agent_process().pid);
            let text = fs::read_to_string(status).unwrap_or_default();
            text.contains(&format!("TracerPid:\t{}", child.id()))
        };
        until("the tracer", traced, |is| *is);
        Some(Self(child))
    }
}

impl Drop for BrokenDisk {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
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
        server_of(&host, "shop", ("serve", &format!("edition-{round}")), "");
        host.commit("A commit on a broken disk");
        let code = host.until_ended();
        assert_eq!(code, 1, "{}", host.log());
        drop(broken);
        assert_eq!(host.visit("shop", "/").unwrap().status, 200);
        host.start();
        until_says(&host, "shop", &format!("edition-{round}"));
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
