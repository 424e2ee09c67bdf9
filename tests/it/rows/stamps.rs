//! Stamped files torn by a power loss: what cannot be read is not believed, and not taken for missing.

use std::fs;
use std::path::PathBuf;

use super::super::support::until;
use super::{TestHost, row};
use crate::support::{APPS, is_long};

/// Stamps that the agent goes by.
fn stamps(host: &TestHost) -> Vec<PathBuf> {
    let home = host.path("data/apps/guestbook");
    let state =
        ["current.json", "site.json", "addons.json"].map(|name| home.join("state").join(name));
    let release = fs::canonicalize(home.join("current")).unwrap();
    let release = ["release.json", "once.json"].map(|name| release.join(name));
    state.into_iter().chain(release).collect()
}

#[test]
fn f02_an_app_with_a_torn_stamp_is_left_alone_until_it_can_be_read_again() {
    let mut host = TestHost::of_example();
    host.configure(|text| text + "\n[drift]\ninterval = \"1s\"\n");
    host.start();
    host.assert_settled(&APPS);
    let before = host.app_processes();
    let (mut points, mut restarts) = (0, 0);
    for stamp in stamps(&host) {
        let whole = fs::read(&stamp).unwrap();
        let mut torn = vec![vec![0; whole.len()], whole[..whole.len() / 2].to_vec()];
        if is_long() {
            torn.extend(
                (0..whole.len())
                    .step_by(whole.len() / 8 + 1)
                    .map(|it| whole[..it].to_vec()),
            );
        }
        // A number that is cut short is a number, too: such a small file is written in one piece or not at all.
        torn.retain(|it| serde_json::from_slice::<serde_json::Value>(it).is_err());
        for content in torn {
            fs::write(&stamp, content).unwrap();
            if points % 3 == 0 {
                host.kill();
                host.start();
                restarts += 1;
            }
            until(
                &format!("word of {}", stamp.display()),
                || host.app("guestbook"),
                |app| app["state"] == "unknown",
            );
            assert!(host.done(&["why", "guestbook"]).contains("cannot be read"));
            assert_eq!(host.run(&["plan"]).code, 3);
            host.until_answers("guestbook", "/health", |answer| answer.status == 200);
            fs::write(&stamp, &whole).unwrap();
            host.assert_settled(&APPS);
            assert_eq!(host.app_processes(), before, "{}", stamp.display());
            points += 1;
        }
    }
    row(
        "F02",
        &format!(
            "{points} torn stamps, {restarts} restarts amid them, {points} held, {points} recovered alone, 0 processes replaced"
        ),
    );
}
