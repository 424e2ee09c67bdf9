//! One broken app among many, and many broken apps.

use std::fs;
use std::time::{Duration, Instant};

use super::super::support::{Process, until};
use super::{TestHost, page_of, pages, row, text_of, told, until_says};
use crate::support::is_long;

/// A way in which an app can be broken, and what its spec says then.
const BROKEN: [(&str, &str); 5] = [
    ("spec", "[build]\ntoolchain = \"cobol\"\n"),
    (
        "build",
        "[build]\ntoolchain = \"generic\"\nbuild = \"exit 3\"\n[run]\nstart = \"sleep 1000\"\n",
    ),
    (
        "hanging build",
        "[build]\ntoolchain = \"generic\"\nbuild = \"sleep 86390\"\n[run]\nstart = \"sleep 1000\"\n",
    ),
    (
        "start",
        "[build]\ntoolchain = \"generic\"\n[run]\nstart = \"exit 3\"\n",
    ),
    (
        "health",
        "[build]\ntoolchain = \"generic\"\n[run]\nstart = \"exec sleep 1000\"\n[healthcheck]\npath = \"/\"\n",
    ),
];

fn name(number: usize) -> String {
    format!("app-{number:02}")
}

#[test]
fn f16_one_broken_app_among_many_delays_nobody() {
    let count = if is_long() { 100 } else { 12 };
    let names: Vec<String> = (0..count).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut host = pages(&names);
    host.start();
    host.assert_settled(&names);
    let positions = [0, count / 2, count - 1];
    let mut slowest = Duration::ZERO;
    for (round, (stage, spec)) in BROKEN.iter().enumerate() {
        let broken = names[positions[round % positions.len()]];
        let text = format!("round-{round}");
        for app in &names {
            page_of(&host, app, &text);
        }
        let file = host.path("work/apps").join(broken).join("hop3.toml");
        let domains = format!("[domains]\nlist = [\"{broken}.localhost\"]\n");
        fs::write(file, format!("{spec}{domains}")).unwrap();
        let before = text_of(&host, broken);
        host.commit(stage);
        host.done(&["sync"]);
        let begun = Instant::now();
        for app in names.iter().filter(|app| **app != broken) {
            until_says(&host, app, &text);
        }
        slowest = slowest.max(begun.elapsed());
        assert_eq!(text_of(&host, broken), before, "{stage}");
        assert_ne!(host.app(broken)["state"], "running", "{stage}");
        page_of(&host, broken, &text);
        host.commit("The fix");
        host.done(&["sync"]);
        until_says(&host, broken, &text);
    }
    host.assert_settled(&names);
    row(
        "F16",
        &format!(
            "{count} apps, {} stages at which one breaks, {} deploys of the others, the slowest round {} ms, 0 held up",
            BROKEN.len(),
            BROKEN.len() * (count - 1),
            slowest.as_millis()
        ),
    );
}

/// Ticks of processor time that a process has used.
fn ticks(process: &Process) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let numbers: Vec<u64> = fields
        .skip(11)
        .take(2)
        .map(|it| it.parse().unwrap())
        .collect();
    numbers.iter().sum()
}

#[test]
fn f35_looks_at_many_apps_cost_a_hundredth_of_a_processor_and_write_nothing() {
    let (count, length) = if is_long() {
        (300, Duration::from_mins(2))
    } else {
        (40, Duration::from_secs(8))
    };
    let names: Vec<String> = (0..count).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut host = pages(&names);
    host.configure(|text| text.replace("poll = \"1s\"", "poll = \"1h\""));
    host.start();
    host.assert_settled(&names);
    let agent = host.agent_process();
    let written = |host: &TestHost| {
        let store = ["state.db", "state.db-wal"].map(|name| host.path("data/agent").join(name));
        store.map(|file| fs::metadata(file).and_then(|it| it.modified()).ok())
    };
    let (before, store, begun) = (ticks(&agent), written(&host), Instant::now());
    idle(length);
    let used = ticks(&agent) - before;
    assert_eq!(
        written(&host),
        store,
        "looks that see nothing new are remembered"
    );
    let per_mille = 1000 * u128::from(used) * 10 / begun.elapsed().as_millis();
    row(
        "F35",
        &format!(
            "{count} apps in rotation for {} s, {per_mille} per mille of a processor, 0 writes",
            length.as_secs()
        ),
    );
    // A hundredth for the looks, and as much for all else that an idle agent does.
    assert!(per_mille <= 20, "{per_mille} per mille");
}

/// Lets time pass in which nobody asks the agent anything: what is measured is what it does by itself.
fn idle(length: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < length {
        std::thread::park_timeout(length.saturating_sub(begun.elapsed()));
    }
}

#[test]
fn f17_many_apps_that_fail_for_ever_cost_little_and_are_tried_ever_more_rarely() {
    let (count, length) = if is_long() {
        (100, Duration::from_mins(10))
    } else {
        (20, Duration::from_secs(8))
    };
    let mut host = TestHost::of_files(&[("README.md", "Apps")]);
    for number in 0..count {
        let directory = host.path("work/apps").join(name(number));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("hop3.toml"), BROKEN[1].1).unwrap();
    }
    host.commit("All of them fail");
    host.start();
    let all_failed = || (0..count).all(|it| told(&host, &name(it), "failed at build") >= 1);
    until("all to have failed", all_failed, |is| *is);
    let agent = host.agent_process();
    let (before, begun) = (ticks(&agent), Instant::now());
    idle(length);
    let used = ticks(&agent) - before;
    let hertz = 100;
    let share = 100 * used / (hertz * begun.elapsed().as_secs().max(1));
    let tries: Vec<usize> = (0..count)
        .map(|it| told(&host, &name(it), "begins"))
        .collect();
    let most = *tries.iter().max().unwrap();
    let log = host.log().len();
    // At 0, 10 and 30 seconds; from then on hourly.
    assert!(most <= 3, "{tries:?}");
    assert!(log < 1024 * 1024, "{log} bytes of log");
    let tried: usize = tries.iter().sum();
    row(
        "F17",
        &format!(
            "{count} apps failing for {} s, {tried} tries, at most {most} of one, {share} % of a core, {} KiB of log",
            length.as_secs(),
            log / 1024
        ),
    );
    assert!(share < 10 || !is_long(), "{share} %");
}
