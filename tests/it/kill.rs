//! The agent and the proxy end in every way, under a steady stream of requests: no app notices, and everything comes back by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::support::{APPS, Load, Process, Report, TestHost, is_long, until};

/// How long visitors come before and after a death.
const WHILE: Duration = Duration::from_millis(2500);

#[test]
fn a_stopped_agent_leaves_apps_serving_and_finds_nothing_to_do_when_it_is_back() {
    let mut host = TestHost::running_example();
    let before = processes_of_apps(&host);
    host.stop();
    for app in APPS {
        host.until_answers(app, "/", |answer| answer.status == 200);
    }
    host.start();
    assert_unchanged(&host, &before);
}

#[test]
fn no_app_and_no_visitor_notices_that_the_agent_is_killed() {
    let mut host = TestHost::running_example();
    let before = processes_of_apps(&host);
    let proxy = (host.proxy_holder(), host.proxy_worker());
    let stream = host.load().start().unwrap();
    host.keep_visiting(WHILE);
    host.kill();
    host.keep_visiting(WHILE);
    host.start();
    host.keep_visiting(WHILE);
    let report = finish("kill -9 of the agent", stream.finish().unwrap());
    assert_eq!(report.retried, 0, "{}", report.summary());
    assert_unchanged(&host, &before);
    assert_eq!((host.proxy_holder(), host.proxy_worker()), proxy);
}

#[test]
fn a_proxys_document_and_an_apps_stamp_that_are_both_lost_cost_no_request() {
    let mut host = TestHost::running_example();
    host.kill();
    std::fs::remove_file(host.path("data/sites/builtin/config.json")).unwrap();
    std::fs::remove_file(host.path("data/apps/echo/state/site.json")).unwrap();
    let stream = Load::of_site(host.proxy, "echo.localhost").start().unwrap();
    host.start();
    host.assert_settled(&APPS);
    let report = stream.finish().unwrap();
    assert!(report.is_flawless(), "{}", report.summary());
}

#[test]
fn an_agent_that_is_killed_at_any_moment_of_a_deploy_completes_it_when_it_is_back() {
    let mut host = TestHost::running_example();
    let stream = host.load().start().unwrap();
    let rounds = if is_long() { 4 } else { 1 };
    let mut edition = 0;
    for moment in MOMENTS.iter().cycle().take(rounds * MOMENTS.len()) {
        edition += 1;
        let version = format!("edition {edition}");
        let release = newest_release(&host) + 1;
        host.commit_guestbook(&version);
        until(
            moment.name,
            || (moment.has_come)(&host, release),
            |come| *come,
        );
        host.kill();
        host.keep_visiting(WHILE / 5);
        host.start();
        host.until_version(&version);
        host.sync();
        host.until_running(&["guestbook"]);
    }
    let report = finish(
        "kill -9 of the agent amid deploys",
        stream.finish().unwrap(),
    );
    assert_eq!(report.seen.len(), edition + 1, "{:#?}", report.seen);
    host.assert_settled(&APPS);
    assert_one_release_of_the_guestbook(&host);
}

#[test]
fn the_proxys_holder_replaces_a_killed_worker_before_anybody_notices() {
    let host = TestHost::running_example();
    let before = processes_of_apps(&host);
    let (holder, worker) = (host.proxy_holder(), host.proxy_worker());
    let stream = host.load().start().unwrap();
    host.keep_visiting(WHILE);
    worker.kill();
    host.keep_visiting(WHILE);
    finish("kill -9 of the proxy's worker", stream.finish().unwrap());
    assert_ne!(host.proxy_worker(), worker);
    assert_eq!(host.proxy_holder(), holder);
    assert_unchanged(&host, &before);
}

#[test]
fn the_agent_replaces_a_killed_holder_of_the_proxy_before_anybody_notices() {
    let host = host_that_looks_often();
    let before = processes_of_apps(&host);
    let holder = host.proxy_holder();
    let stream = host.load().start().unwrap();
    host.keep_visiting(WHILE);
    holder.kill();
    let another = host.proxy_holder();
    assert_ne!(another, holder);
    host.keep_visiting(WHILE);
    finish("kill -9 of the proxy's holder", stream.finish().unwrap());
    assert_unchanged(&host, &before);
}

#[test]
fn the_agent_replaces_a_whole_proxy_that_was_killed() {
    let host = host_that_looks_often();
    let before = processes_of_apps(&host);
    let (holder, worker) = (host.proxy_holder(), host.proxy_worker());
    holder.kill();
    worker.kill();
    for app in APPS {
        host.until_answers(app, "/", |answer| answer.status == 200);
    }
    assert_unchanged(&host, &before);
}

/// A moment of a deploy that leaves a trace.
struct Moment {
    name: &'static str,
    has_come: fn(&TestHost, u32) -> bool,
}

const MOMENTS: [Moment; 5] = [
    Moment {
        name: "the begin of a build",
        has_come: |host, release| exists(host, &format!("releases/{release}")),
    },
    Moment {
        name: "the end of a build",
        has_come: |host, release| exists(host, &format!("releases/{release}/release.json")),
    },
    Moment {
        name: "the start of the new release",
        has_come: |host, release| exists(host, &format!("state/native-{release}.json")),
    },
    Moment {
        name: "the switch to the new release",
        has_come: |host, release| {
            let answer = host.visit("guestbook", "/health");
            answer.is_ok_and(|answer| answer.release() == Some(release))
        },
    },
    Moment {
        name: "the start of the new release's other workers",
        has_come: |host, release| {
            let name = format!("guestbook {release} worker.0");
            host.app_processes().contains_key(&name)
        },
    },
];

fn exists(host: &TestHost, name: &str) -> bool {
    host.path("data/apps/guestbook").join(name).exists()
}

fn newest_release(host: &TestHost) -> u32 {
    let releases = std::fs::read_dir(host.path("data/apps/guestbook/releases"));
    let names = releases.unwrap().flatten().map(|entry| entry.file_name());
    let numbers = names.filter_map(|name| name.to_str()?.parse().ok());
    numbers.max().unwrap_or(0)
}

/// A host whose agent finds out within a second what has ended.
fn host_that_looks_often() -> TestHost {
    let mut host = TestHost::of_example();
    host.configure(|text| text + "\n[drift]\ninterval = \"1s\"\n");
    host.start();
    host.assert_settled(&APPS);
    host
}

fn processes_of_apps(host: &TestHost) -> BTreeMap<String, Process> {
    let processes = host.app_processes();
    // Of each of the two apps with processes the supervisor, its web worker and its other worker.
    assert!(processes.len() >= 6, "{processes:#?}");
    processes
}

/// Nothing was restarted, and nothing is to be done.
#[track_caller]
fn assert_unchanged(host: &TestHost, before: &BTreeMap<String, Process>) {
    host.assert_settled(&APPS);
    assert_eq!(host.app_processes(), *before);
    for name in APPS {
        let app = host.app(name);
        for instance in app["instances"].as_array().into_iter().flatten() {
            assert_eq!(instance["restarts"], 0, "{app:#}");
        }
    }
}

#[track_caller]
fn assert_one_release_of_the_guestbook(host: &TestHost) {
    let processes = host.app_processes();
    let guestbook = processes
        .keys()
        .filter(|name| name.starts_with("guestbook"));
    assert_eq!(guestbook.count(), 3, "{processes:#?}");
}

/// Prints the report; no request may have failed.
#[track_caller]
fn finish(what: &str, report: Report) -> Report {
    eprintln!("{what}: {}", report.summary());
    assert!(report.is_flawless(), "{what}: {}", report.summary());
    report
}
