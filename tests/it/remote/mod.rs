//! The config repo as the built agent meets it: each way to reach it, each way in which it fails, and hostile ones. What runs goes on running,
//! the status names what is wrong in one word, and everything recovers alone.

#[path = "../../support/forge.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod forge;
#[path = "../../support/git_server.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
pub(crate) mod git_server;
#[path = "../../support/pack.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod pack;
#[path = "../../support/rows.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod rows;
#[path = "../../support/ssh_server.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod ssh_server;

mod absent;
mod bombs;
mod content;
mod elsewhere;
mod rewritten;
mod traced;
mod transports;

use std::path::Path;

use serde_json::Value;

use super::support::{TestHost, until};

/// A host whose app `good` answers, its agent stopped.
pub(crate) fn deployed() -> TestHost {
    let mut host = TestHost::of_files(&[
        (
            "apps/good/hop3.toml",
            "[domains]\nlist = [\"good.localhost\"]\n",
        ),
        ("apps/good/index.html", "good"),
    ]);
    host.start();
    host.assert_settled(&["good"]);
    host.stop();
    host
}

/// Writes `[repo]` anew.
pub(crate) fn follow(host: &TestHost, repo: &str) {
    host.configure(|text| {
        let (before, rest) = text.split_once("[repo]\n").unwrap();
        let after = &rest[rest.find("\n[policy]").unwrap()..];
        format!("{before}[repo]\n{repo}\npoll = \"1s\"\n{after}")
    });
}

fn page(host: &TestHost, app: &str) -> String {
    host.visit(app, "/").map_or_else(
        |error| error.to_string(),
        |answer| answer.body.trim().to_owned(),
    )
}

/// The repo's part of the status.
fn repo(host: &TestHost) -> Value {
    host.status()["repo"].clone()
}

/// Waits until the status names this, while the app goes on.
#[track_caller]
fn until_state(host: &TestHost, state: &str) -> Value {
    let seen = until(
        &format!("the state `{state}`"),
        || repo(host),
        |repo| repo["state"] == state,
    );
    assert_eq!(page(host, "good"), "good");
    seen
}

/// Waits until a page says something.
#[track_caller]
fn until_page(host: &TestHost, app: &str, says: &str) {
    until(
        &format!("`{says}` from `{app}`"),
        || page(host, app),
        |page| page == says,
    );
}

fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}
