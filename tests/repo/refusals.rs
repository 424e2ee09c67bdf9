//! Servers that are dead, silent, elsewhere or not git's.

use std::time::{Duration, Instant};

use hop3_agent::repo::{FetchLimits, Mirror, Reference, RepoConfig, RepoError, RepoUrl, Token};
use hop3_plugin_api::Secret;
use tempfile::TempDir;

use crate::fake_server::FakeServer;
use crate::git_server::free_port;
use crate::rows::row;
use crate::world::{config, id, mirror};

/// Asks and fetches from a fake server on this machine.
async fn both_from(port: u16, token: bool) -> [RepoError; 2] {
    let directory = TempDir::new().unwrap();
    let mut config = config(&format!("http://127.0.0.1:{port}/c.git"));
    config.limits = FetchLimits::within(Duration::from_secs(1));
    config.token = token.then(|| Token::new(Secret::new("canary")));
    let mirror = mirror(directory.path(), config);
    let commit = id("95d09f2b10159347eece71399a7e2e907ea3df4f");
    [
        mirror.tip().await.unwrap_err(),
        mirror.fetch(&commit).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable() {
    for error in both_from(free_port(), false).await {
        assert!(
            matches!(error, RepoError::Unreachable { .. }) && error.retryable(),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn f09_a_server_that_never_answers_ends_at_the_deadline() {
    let server = FakeServer::hanging();
    let started = Instant::now();
    for error in both_from(server.port(), false).await {
        assert!(
            matches!(
                error,
                RepoError::TimedOut { .. } | RepoError::Stalled { .. }
            ),
            "{error:?}"
        );
    }
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn t16_a_redirect_to_another_server_never_carries_the_token() {
    let other = FakeServer::answering(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let target = format!(
            "http://127.0.0.1:{}/c.git/info/refs?service=git-upload-pack",
            other.port()
        );
        let redirect = FakeServer::answering(format!(
            "HTTP/1.1 {status}\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ));
        let [tip, fetch] = both_from(redirect.port(), true).await;
        assert!(
            matches!(&tip, RepoError::Redirected { to, .. } if to.contains(&other.port().to_string())),
            "{tip:?}"
        );
        assert!(!matches!(fetch, RepoError::Corrupt { .. }), "{fetch:?}");
        assert!(
            redirect
                .heard()
                .iter()
                .all(|request| request.to_lowercase().contains("authorization: basic"))
        );
    }
    assert_eq!(
        other.heard(),
        Vec::<String>::new(),
        "the other server heard something"
    );
    row(
        "T16",
        &[
            (8, "redirects to another port"),
            (0, "tokens at the other server"),
        ],
    );
}

#[tokio::test]
async fn f10_answers_that_are_not_gits_are_refused() {
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>";
    for error in both_from(FakeServer::answering(html).port(), false).await {
        assert!(
            matches!(
                error,
                RepoError::NotARepository { .. } | RepoError::BadAnswer { .. }
            ),
            "{error:?}"
        );
    }
    let busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 120\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let [tip, fetch] = both_from(FakeServer::answering(busy).port(), false).await;
    assert_eq!(tip.retry_after(), Some(Duration::from_mins(2)), "{tip:?}");
    assert!(matches!(fetch, RepoError::Unreachable { .. }), "{fetch:?}");
    for garbage in ["", "\0\0\0\0", "HTTP/1.1 200 OK\r\n\r\n", "SSH-2.0-x\r\n"] {
        for error in both_from(FakeServer::answering(garbage).port(), false).await {
            assert!(
                !matches!(
                    error,
                    RepoError::Corrupt { .. } | RepoError::Internal { .. }
                ),
                "{garbage:?}: {error:?}"
            );
        }
    }
}

#[test]
fn t16_a_token_is_not_sent_in_clear_text() {
    let url = RepoUrl::parse_allowing_http("http://forge.example/c.git").unwrap();
    let mut config = RepoConfig::new(url, Reference::branch("main").unwrap());
    config.token = Some(Token::new(Secret::new("canary")));
    let directory = TempDir::new().unwrap();
    let refused = Mirror::open_or_init(directory.path().join("repo"), config)
        .err()
        .unwrap();
    assert!(matches!(refused, RepoError::ClearText { .. }));
}
