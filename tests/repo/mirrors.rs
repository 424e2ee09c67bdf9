//! Mirrors of the config repo, and servers that rest after failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hop3_agent::repo::{CommitId, Look, Mirror, RepoConfig, RepoError, RepoUrl, Token, Urgency};
use hop3_plugin_api::Secret;
use tempfile::TempDir;

use crate::forge::{Answer, Content, Forge};
use crate::git_repo::GitRepo;
use crate::git_server::free_port;
use crate::rows::row;
use crate::world::{SPEC, config, id, mirror};

/// A repository behind a server that can be switched off, and a mirror of it.
struct Pair {
    directory: TempDir,
    repo: GitRepo,
    forge: Forge,
    up: Arc<AtomicBool>,
    copy: Forge,
}

impl Pair {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let repo = GitRepo::with(directory.path(), &[("apps/shop/hop3.toml", SPEC)]);
        let copied = directory.path().join("copy.git");
        repo.git(&[
            "clone",
            "-q",
            "--bare",
            "--mirror",
            &repo.url(),
            copied.to_str().unwrap(),
        ]);
        let up = Arc::new(AtomicBool::new(true));
        let forge = Forge::start(Content::Repository(repo.bare().to_owned()), {
            let up = Arc::clone(&up);
            move |_, answer| {
                if up.load(Ordering::SeqCst) {
                    answer
                } else {
                    Answer::status("503 Service Unavailable")
                }
            }
        });
        let copy = Forge::of(&copied);
        Self {
            directory,
            repo,
            forge,
            up,
            copy,
        }
    }

    fn config(&self) -> RepoConfig {
        let mut config = config(&self.forge.url());
        config.mirrors = vec![RepoUrl::parse(&self.copy.url()).unwrap()];
        config.token = Some(Token::new(Secret::new("canary")));
        config
    }

    fn mirror(&self) -> Mirror {
        mirror(self.directory.path(), self.config())
    }

    fn copy_over(&self) {
        let copied = self.directory.path().join("copy.git");
        self.repo.git(&[
            "--git-dir",
            copied.to_str().unwrap(),
            "fetch",
            "-q",
            "--force",
            &self.repo.url(),
            "+refs/*:refs/*",
        ]);
    }

    fn switch(&self, up: bool) {
        self.up.store(up, Ordering::SeqCst);
    }
}

async fn look(mirror: &Mirror) -> Look {
    mirror.look(mirror.accepted(), Urgency::Person).await
}

fn found(look: &Look) -> Option<CommitId> {
    look.found.clone().unwrap().unwrap()
}

#[tokio::test]
async fn a_mirror_stands_in_while_the_address_is_down_and_is_told_apart() {
    let pair = Pair::new();
    let mirror = pair.mirror();
    found(&look(&mirror).await).unwrap();
    assert_eq!(
        pair.copy.heard().len(),
        0,
        "a mirror was asked though the address answers"
    );
    let second = id(&pair.repo.push(&[("a", "1")], "second"));
    pair.copy_over();
    pair.switch(false);
    let stood_in = look(&mirror).await;
    assert_eq!(found(&stood_in), Some(second));
    let stand_in = stood_in.stand_in.unwrap();
    assert_eq!(stand_in.url, pair.copy.url());
    assert!(stand_in.because.contains("503"), "{stand_in:?}");
    // The address is back and has nothing new.
    pair.switch(true);
    let back = look(&mirror).await;
    assert_eq!((found(&back), back.stand_in), (None, None));
}

#[tokio::test]
async fn t16_a_token_never_reaches_a_mirror_on_another_port() {
    let pair = Pair::new();
    let mirror = pair.mirror();
    look(&mirror).await;
    pair.repo.push(&[("a", "1")], "second");
    pair.copy_over();
    pair.switch(false);
    found(&look(&mirror).await).unwrap();
    assert!(
        pair.forge
            .heard()
            .iter()
            .all(|request| request.headers.contains_key("authorization"))
    );
    let heard = pair.copy.heard();
    assert!(heard.len() >= 3, "{heard:?}");
    assert!(
        heard
            .iter()
            .all(|request| !request.headers.contains_key("authorization")),
        "{heard:?}"
    );
    row(
        "T16",
        &[
            (1, "mirror on another port"),
            (heard.len(), "requests"),
            (0, "with the token"),
        ],
    );
}

#[tokio::test]
async fn a_mirror_serves_only_what_descends_from_the_accepted_commit() {
    let pair = Pair::new();
    let stale = pair.repo.git(&["rev-parse", "HEAD"]);
    let accepted = id(&pair.repo.push(&[("a", "1")], "second"));
    let mirror = pair.mirror();
    look(&mirror).await;
    pair.switch(false);
    // It lags behind by what was never fetched here, then by what was.
    let behind = look(&mirror).await;
    assert!(
        matches!(behind.found, Some(Err(RepoError::Unreachable { .. }))),
        "{behind:?}"
    );
    pair.copy_over();
    let level = look(&mirror).await;
    assert_eq!(found(&level), None);
    assert!(level.stand_in.is_some());
    // Its history is another one, even for an operator who follows rewritten history.
    pair.repo.git(&["reset", "-q", "--hard", &stale]);
    pair.repo.push(&[("b", "1")], "fork");
    pair.copy_over();
    let mut follows = pair.config();
    follows.history = hop3_agent::repo::History::Follow;
    for mirror in [mirror, crate::world::mirror(pair.directory.path(), follows)] {
        let forked = look(&mirror).await;
        assert!(
            matches!(forked.found, Some(Err(RepoError::Unreachable { .. }))),
            "{forked:?}"
        );
        assert_eq!(mirror.accepted(), Some(accepted));
    }
}

#[tokio::test]
async fn the_first_commit_never_comes_from_a_mirror() {
    let pair = Pair::new();
    pair.switch(false);
    let mirror = pair.mirror();
    let first = look(&mirror).await;
    assert!(
        matches!(first.found, Some(Err(RepoError::Unreachable { .. }))),
        "{first:?}"
    );
    assert_eq!((mirror.accepted(), pair.copy.heard().len()), (None, 0));
}

#[tokio::test]
async fn a_mirror_does_not_stand_in_for_a_repository_that_refuses_us() {
    let pair = Pair::new();
    let mirror = pair.mirror();
    look(&mirror).await;
    let asked = pair.copy.heard().len();
    let mut refusing = pair.config();
    let refusal = Forge::start(Content::Refs(Vec::new()), |_, _| {
        Answer::status("403 Forbidden")
    });
    refusing.url = RepoUrl::parse(&refusal.url()).unwrap();
    let refused = look(&crate::world::mirror(pair.directory.path(), refusing)).await;
    assert!(
        matches!(refused.found, Some(Err(RepoError::Unauthorized { .. }))),
        "{refused:?}"
    );
    assert_eq!(pair.copy.heard().len(), asked);
}

#[tokio::test]
async fn f10_a_server_that_fails_is_left_alone_until_its_rest_is_over() {
    let directory = TempDir::new().unwrap();
    let busy = Forge::start(Content::Refs(Vec::new()), |_, _| {
        Answer::status("429 Too Many Requests").header("Retry-After: 120")
    });
    let mirror = mirror(directory.path(), config(&busy.url()));
    let first = mirror.look(None, Urgency::Routine).await;
    assert!(
        matches!(first.found, Some(Err(RepoError::Unreachable { .. }))),
        "{first:?}"
    );
    assert!(first.next > Duration::from_secs(115), "{first:?}");
    let asked = busy.heard().len();
    for _ in 0..100 {
        let again = mirror.look(None, Urgency::Routine).await;
        assert!(
            again.found.is_none() && again.next > Duration::from_secs(100),
            "{again:?}"
        );
    }
    assert_eq!(busy.heard().len(), asked, "it was asked while it rests");
    let person = mirror.look(None, Urgency::Person).await;
    assert!(person.found.is_some());
    assert!(busy.heard().len() > asked, "a person was not heard");
}

#[tokio::test]
async fn a_server_that_is_down_is_asked_more_and_more_rarely() {
    let directory = TempDir::new().unwrap();
    let mirror = mirror(
        directory.path(),
        config(&format!("http://127.0.0.1:{}/c.git", free_port())),
    );
    let mut rests = Vec::new();
    for _ in 0..7 {
        rests.push(mirror.look(None, Urgency::Person).await.next);
    }
    assert!(
        rests[0] >= Duration::from_secs(7) && rests[0] <= Duration::from_secs(12),
        "{rests:?}"
    );
    assert!(rests[4] > rests[0] * 5, "{rests:?}");
    assert!(
        rests[6] > Duration::from_secs(230) && rests[6] < Duration::from_secs(361),
        "{rests:?}"
    );
}
