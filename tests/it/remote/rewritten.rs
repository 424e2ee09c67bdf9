//! Rewritten history and repositories in another's place, as the operator sees them.

use std::fs;

use super::super::support::{GitRepo, TestHost, until};
use super::rows::row;
use super::{deployed, page, repo, until_page, until_state};

fn follow_rewritten(host: &TestHost) {
    host.configure(|text| text + "\n[trust]\nhistory = \"follow\"\n");
}

fn events(host: &TestHost) -> Vec<serde_json::Value> {
    let history = host.done(&["history", "--json"]);
    let events: Vec<serde_json::Value> = serde_json::from_str(&history).unwrap();
    events
        .into_iter()
        .filter(|event| event["event"] == "history-rewritten")
        .collect()
}

#[test]
fn f12_rewritten_history_is_held_told_with_both_commits_and_resumes_alone() {
    let mut host = deployed();
    host.start();
    until_state(&host, "ok");
    let accepted = host.repo.git(&["rev-parse", "HEAD"]);
    host.repo.git(&["commit", "-q", "--amend", "-m", "amended"]);
    let rewritten = host
        .repo
        .push(&[("apps/good/index.html", "rewritten")], "On another past");
    let held = until_state(&host, "non-fast-forward");
    assert!(
        held["problem"].as_str().unwrap().contains(&format!(
            "commit {rewritten} does not descend from {accepted}"
        )),
        "{held:#}"
    );
    for command in [&["status"][..], &["why", "good"], &["history"]] {
        let text = host.done(command);
        assert!(
            text.contains(&accepted) && text.contains(&rewritten),
            "{command:?}: {text}"
        );
    }
    assert_eq!(host.run(&["apply"]).code, 1);
    for _ in 0..3 {
        host.sync();
    }
    let events = events(&host);
    assert_eq!(events.len(), 1, "one rewriting is one event: {events:#?}");
    assert_eq!(
        (&events[0]["from"], &events[0]["to"], &events[0]["taken"]),
        (
            &accepted.as_str().into(),
            &rewritten.as_str().into(),
            &false.into()
        )
    );
    host.repo
        .git(&["checkout", "-q", "--force", "-B", "main", &accepted]);
    host.repo
        .push(&[("apps/good/index.html", "good")], "The same past");
    until_state(&host, "ok");
    row(
        "F12",
        &[
            (1, "rewriting held by the agent"),
            (1, "event with both commits"),
            (1, "resumed alone"),
        ],
    );
}

#[test]
fn f12_followed_history_is_applied_and_the_same_tree_under_a_new_name_redeploys_nothing() {
    let mut host = deployed();
    follow_rewritten(&host);
    host.start();
    until_state(&host, "ok");
    let release = until(
        "its release",
        || host.app("good")["release"].clone(),
        serde_json::Value::is_number,
    );
    let accepted = host.repo.git(&["rev-parse", "HEAD"]);
    host.repo.git(&[
        "commit",
        "-q",
        "--amend",
        "-m",
        "The same under another name",
    ]);
    let renamed = host.repo.push_head();
    until(
        "the new name",
        || host.status()["revision"].clone(),
        |revision| *revision == renamed,
    );
    assert_eq!(host.run(&["plan"]).code, 0);
    assert_eq!(
        host.app("good")["release"],
        release,
        "it was deployed again"
    );
    // Forward, and back past it.
    host.repo.push(
        &[
            ("apps/good/index.html", "newer"),
            ("apps/late/index.html", "late"),
        ],
        "newer",
    );
    until_page(&host, "good", "newer");
    host.repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    host.repo.push_head();
    until_page(&host, "good", "good");
    let events = events(&host);
    assert_eq!(events.len(), 2, "{events:#?}");
    assert!(events.iter().all(|event| event["taken"] == true));
    assert!(
        events
            .iter()
            .any(|event| event["from"] == accepted && event["to"] == renamed),
        "{events:#?}"
    );
    row(
        "F12",
        &[
            (2, "rewritings followed by the agent"),
            (2, "events"),
            (1, "without a redeploy"),
        ],
    );
}

#[test]
fn f14_another_repository_at_the_same_address_is_held_until_the_first_is_back() {
    let mut host = deployed();
    follow_rewritten(&host);
    host.start();
    until_state(&host, "ok");
    fs::create_dir(host.path("other")).unwrap();
    let other = GitRepo::with(
        &host.path("other"),
        &[("apps/foreign/index.html", "foreign")],
    );
    let (ours, away) = (host.repo.bare().to_owned(), host.path("away.git"));
    fs::rename(&ours, &away).unwrap();
    fs::rename(other.bare(), &ours).unwrap();
    host.sync();
    let held = until_state(&host, "another-repository");
    assert!(
        held["hint"].as_str().unwrap().contains("agent/repo"),
        "{held:#}"
    );
    assert_eq!(page(&host, "good"), "good");
    assert!(host.app("foreign").is_null());
    fs::remove_dir_all(&ours).unwrap();
    fs::rename(&away, &ours).unwrap();
    host.repo.push(&[("apps/good/index.html", "ours")], "ours");
    host.sync();
    until_page(&host, "good", "ours");
    assert_eq!(repo(&host)["state"], "ok");
    row(
        "F14",
        &[
            (1, "repository swapped under the agent"),
            (1, "held"),
            (1, "resumed alone"),
        ],
    );
}
