//! Builds that do not end, and those that do not stay where they are put.

use std::fs;
use std::time::Instant;

use super::super::support::until;
use super::{TestHost, page_of, row, until_says};
use crate::support::is_long;

/// What a build does instead of ending.
const BUILDS: [(&str, &str); 6] = [
    ("sleeps for ever", "sleep 86389"),
    (
        "does not listen to TERM",
        "trap '' TERM INT HUP; sleep 86389; sleep 86389",
    ),
    (
        "leaves a daemon behind and waits",
        "(setsid sh -c 'sleep 86389; sleep 86389' &) ; sleep 86389",
    ),
    (
        "leaves a daemon behind and ends",
        "(setsid sh -c 'trap \"\" TERM; sleep 86389; sleep 86389' >/dev/null 2>&1 &) ; exit 3",
    ),
    ("asks a question", "read answer && sleep 86389; sleep 86389"),
    ("does not stop talking", "yes 'and another line of output' "),
];

#[test]
fn f27_a_build_that_does_not_end_is_ended_with_everything_that_it_started() {
    let mut host = TestHost::of_files(&[("README.md", "Apps")]);
    let deadline = if is_long() { 20 } else { 2 };
    host.configure(|text| {
        format!("{text}\n[limits]\nbuild-timeout = \"{deadline}s\"\nbuilds = 1\n")
    });
    page_of(&host, "page", "one");
    host.commit("A page");
    host.start();
    host.assert_settled(&["page"]);
    for (round, (what, build)) in BUILDS.iter().enumerate() {
        let begun = Instant::now();
        let directory = host.path("work/apps/bad");
        fs::create_dir_all(&directory).unwrap();
        let spec = format!(
            "# {round}\n[build]\ntoolchain = \"generic\"\nbuild = {build:?}\n[run]\nstart = \"sleep 1000\"\n"
        );
        fs::write(directory.join("hop3.toml"), spec).unwrap();
        host.commit(what);
        host.done(&["sync"]);
        until(what, || host.app("bad"), |app| app["state"] == "failing");
        let left = || {
            let processes = host.processes();
            processes
                .iter()
                .filter(|it| {
                    it.command.join(" ").contains("86389")
                        || it.command.join(" ").starts_with("yes ")
                })
                .count()
        };
        until("the end of all that it started", left, |count| *count == 0);
        let text = format!("round-{round}");
        page_of(&host, "page", &text);
        host.commit("The slot is free");
        host.done(&["sync"]);
        until_says(&host, "page", &text);
        eprintln!("{what}: {:.1} s", begun.elapsed().as_secs_f32());
    }
    let bytes: u64 = sizes(&host.path("data/apps/bad"));
    assert!(bytes < 64 * 1024 * 1024, "{bytes} bytes are left");
    row(
        "F27",
        &format!(
            "{} builds that do not end, {0} ended, 0 processes left, {} KiB left, the slot free after each",
            BUILDS.len(),
            bytes / 1024
        ),
    );
}

fn sizes(directory: &std::path::Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(it) if it.is_dir() => sizes(&entry.path()),
        Ok(it) => it.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
