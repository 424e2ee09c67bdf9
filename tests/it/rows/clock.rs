//! Clocks that jump under a running agent, and under it alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::support::until;
use super::{TestHost, holds, not_run, page_of, pages, row, text_of, told, until_says};

/// Where the clock goes, from the real time.
const JUMPS: [&str; 6] = ["+3650d", "+0", "-3650d", "-1h", "+1h", "+0"];

/// The library that shows a process another time.
fn library() -> Option<PathBuf> {
    let places = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut libraries = places.map(|it| it.path().join("faketime/libfaketime.so.1"));
    libraries.find(|it| it.exists())
}

fn start(host: &mut TestHost, library: &Path) {
    let clock = host.path("clock");
    fs::write(&clock, "+0").unwrap();
    host.start_with(&[
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ]);
}

#[test]
fn f07_a_clock_that_jumps_stalls_nothing_starts_no_storm_and_ends_no_pause() {
    let Some(library) = library() else {
        return not_run("F07", "there is no `libfaketime`");
    };
    let mut host = pages(&["page", "paused"]);
    start(&mut host, &library);
    host.assert_settled(&["page", "paused"]);
    host.done(&["pause", "paused", "--for", "2h", "--why", "a hotfix"]);
    page_of(&host, "paused", "two");
    let broken = host.path("work/apps/broken");
    fs::create_dir_all(&broken).unwrap();
    let spec = "[build]\ntoolchain = \"generic\"\nbuild = \"exit 3\"\n[run]\nstart = \"sleep 1\"\n";
    fs::write(broken.join("hop3.toml"), spec).unwrap();
    host.commit("One is paused, one is broken");
    host.done(&["sync"]);
    until(
        "the failure",
        || told(&host, "broken", "failed at build"),
        |count| *count == 1,
    );
    let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
    for (round, jump) in JUMPS.iter().enumerate() {
        fs::write(host.path("clock"), jump).unwrap();
        let text = format!("round-{round}");
        page_of(&host, "page", &text);
        host.commit(jump);
        // Nobody says that there is a commit: the agent's own pace must not depend on the date.
        let committed = Instant::now();
        until_says(&host, "page", &text);
        slowest = slowest.max(committed.elapsed());
        assert_eq!(text_of(&host, "paused"), "one", "{jump}");
        assert!(holds(&host, "paused").contains("a hotfix"), "{jump}");
    }
    let tries = told(&host, "broken", "begins");
    let seconds = begun.elapsed().as_secs();
    // At 0, 10 and 30 seconds, whatever the clock says.
    assert!(
        tries <= 1 + usize::from(seconds >= 9) + usize::from(seconds >= 29),
        "{tries} tries in {seconds} s"
    );
    assert!(slowest < Duration::from_secs(20), "{slowest:?}");
    host.done(&["resume", "paused"]);
    until_says(&host, "paused", "two");
    row(
        "F07",
        &format!(
            "{} jumps of the clock, {0} commits live by the agent's own pace (slowest {} ms), {tries} tries of a failing app in {seconds} s, 0 pauses ended early",
            JUMPS.len(),
            slowest.as_millis()
        ),
    );
}
