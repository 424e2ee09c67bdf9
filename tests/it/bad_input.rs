//! Bad input of every kind, one agent for many cases: a clear error with its place, the app at fault unchanged, and every other app of the
//! same commit deployed.

mod failures;
mod machine;
mod remotes;
mod specs;

use serde_json::Value;

pub(crate) use failures::assert_no_process;

use super::support::TestHost;

/// A static app whose page says which edition it is.
fn page(host: &TestHost, app: &str) -> String {
    host.visit(app, "/").map_or_else(
        |error| error.to_string(),
        |answer| answer.body.trim().to_owned(),
    )
}

/// What holds an app, as the agent tells it.
fn holds(app: &Value) -> Vec<&str> {
    let holds = app["held"].as_array().into_iter().flatten();
    holds.filter_map(|hold| hold["message"].as_str()).collect()
}

/// Asserts that a text contains all of these.
#[track_caller]
fn assert_says(text: &str, fragments: &[&str]) {
    for fragment in fragments {
        assert!(text.contains(fragment), "`{fragment}` is not in:\n{text}");
    }
}
