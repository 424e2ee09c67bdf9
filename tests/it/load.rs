//! Deploys and rollbacks under a steady stream of requests from another process: nobody notices.
//!
//! Half of the requests use kept connections and half fresh ones, some carry a body, and one in a hundred takes two seconds, so that several are
//! under way at every switch.

use std::time::{Duration, Instant};

use super::support::{APPS, Load, Report, TestHost, is_long};

/// Longer than a slow request takes: from then on there are always some under way.
const WARM: Duration = Duration::from_millis(2500);

#[test]
fn no_request_fails_in_twenty_deploys() {
    let deploys = if is_long() { 20 } else { 6 };
    let host = TestHost::running_example();
    let stream = host.load().start().unwrap();
    host.keep_visiting(WARM);
    let started = Instant::now();
    for number in 1..=deploys {
        host.deploy_guestbook(&format!("edition {number}"));
    }
    let seconds = started.elapsed().as_secs_f64();
    let report = stream.finish().unwrap();
    eprintln!("{deploys} deploys in {seconds:.1} s: {}", report.summary());
    assert!(report.is_flawless(), "{}", report.summary());
    assert_eq!(report.seen.len(), deploys + 1, "{:#?}", report.seen);
    host.assert_settled(&APPS);
}

#[test]
fn no_request_fails_in_five_rollbacks_and_as_many_returns() {
    let rounds = if is_long() { 5 } else { 2 };
    let host = TestHost::running_example();
    host.deploy_guestbook("edition 1");
    host.deploy_guestbook("edition 2");
    for round in 1..=rounds {
        let rollback = under(&host, true, || {
            host.done(&["rollback", "guestbook"]);
            host.until_version("edition 1");
        });
        // Away from a pin leads either a person's word or a commit.
        let back = under(&host, false, || {
            if round < rounds {
                host.done(&["resume", "guestbook"]);
                host.until_version("edition 2");
            } else {
                host.deploy_guestbook("edition 3");
            }
        });
        eprintln!("rollback {round}: {}", rollback.summary());
        eprintln!("and back {round}: {}", back.summary());
    }
    host.assert_settled(&APPS);
}

/// The load while something is done that switches the guestbook once: flawless, and seen by the stream to have switched.
#[track_caller]
fn under(host: &TestHost, descending: bool, act: impl FnOnce()) -> Report {
    let load = Load {
        descending,
        ..host.load()
    };
    let stream = load.start().unwrap();
    host.keep_visiting(WARM);
    act();
    host.sync();
    let report = stream.finish().unwrap();
    assert!(report.is_flawless(), "{}", report.summary());
    assert_eq!(report.seen.len(), 2, "{:#?}", report.seen);
    report
}
