//! A real git server over TLS, with a private authority and a token.

use std::time::{Duration, Instant};

use hop3_agent::repo::{
    CommitId, Credential, FetchLimits, FetchOutcome, Mirror, Reference, RepoConfig, RepoError,
    RepoUrl, Token,
};
use hop3_plugin_api::Secret;
use tempfile::TempDir;

use crate::fake_server::FakeServer;
use crate::git_repo::GitRepo;
use crate::git_server::{GitServer, TOKEN};
use crate::rows::row;
use crate::world::{SPEC, World, config, id, mirror};

/// A served repository with one app.
struct Served {
    world: World,
    server: GitServer,
}

impl Served {
    fn start() -> Option<Self> {
        let world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
        let files = world.directory.path().join("server");
        std::fs::create_dir(&files).unwrap();
        let server = GitServer::start(&files, world.directory.path())?;
        Some(Self { world, server })
    }

    fn config(&self) -> RepoConfig {
        let mut config = config(&self.server.url("config.git"));
        config.token = Some(Token::new(Secret::new(TOKEN)));
        config.ca = Some(self.server.ca());
        config
    }

    fn mirror(&self, config: RepoConfig) -> Mirror {
        let directory = TempDir::new_in(self.world.directory.path()).unwrap().keep();
        mirror(&directory, config)
    }

    fn head(&self) -> CommitId {
        id(&self.world.repo.git(&["rev-parse", "HEAD"]))
    }

    /// What asking and fetching answer, both of which must tell the same story.
    async fn both(&self, config: RepoConfig) -> [RepoError; 2] {
        let mirror = self.mirror(config);
        [
            mirror.tip().await.unwrap_err(),
            mirror.fetch(&self.head()).await.unwrap_err(),
        ]
    }
}

#[tokio::test]
async fn a_private_repo_is_read_over_tls_with_a_token_on_one_connection() {
    let Some(served) = Served::start() else {
        return;
    };
    let mirror = served.mirror(served.config());
    let tip = mirror.tip().await.unwrap();
    assert_eq!(tip, served.head());
    assert_eq!(mirror.fetch(&tip).await.unwrap(), FetchOutcome::First);
    served
        .world
        .repo
        .push(&[("apps/blog/hop3.toml", SPEC)], "second");
    let tip = mirror.tip().await.unwrap();
    assert_eq!(mirror.fetch(&tip).await.unwrap(), FetchOutcome::FastForward);
    assert_eq!(
        mirror
            .snapshot(&tip)
            .unwrap()
            .entries(None)
            .unwrap()
            .apps
            .len(),
        2
    );

    let before = served.server.requests().len();
    for _ in 0..3 {
        mirror.tip().await.unwrap();
    }
    let polls = served.server.requests().split_off(before);
    assert_eq!(polls.len(), 3, "a poll is one request: {polls:?}");
    let connections: std::collections::BTreeSet<_> = polls
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(connections.len(), 1, "polls share a connection: {polls:?}");
    assert!(
        polls
            .iter()
            .all(|line| line.contains("POST /git/config.git/git-upload-pack")),
        "{polls:?}"
    );
}

#[tokio::test]
async fn a_wrong_or_missing_token_is_told_from_everything_else() {
    let Some(served) = Served::start() else {
        return;
    };
    let mut wrong = served.config();
    wrong.token = Some(Token::new(Secret::new("canary")));
    for error in served.both(wrong).await {
        assert!(
            matches!(
                error,
                RepoError::Unauthorized {
                    with: Credential::Token,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(!error.retryable() && !format!("{error} {error:?}").contains("canary"));
    }
    let mut missing = served.config();
    missing.token = None;
    for error in served.both(missing).await {
        assert!(
            matches!(
                error,
                RepoError::Unauthorized {
                    with: Credential::None,
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn t17_a_certificate_of_another_authority_is_never_accepted() {
    let Some(served) = Served::start() else {
        return;
    };
    let mut wrong = served.config();
    wrong.ca = Some(served.server.wrong_ca());
    for error in served.both(wrong).await {
        assert!(matches!(error, RepoError::Tls { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("ca-file"));
    }
    let mut system = served.config();
    system.ca = None;
    for error in served.both(system).await {
        assert!(matches!(error, RepoError::Tls { .. }), "{error:?}");
    }
    assert_eq!(
        served.server.requests(),
        Vec::<String>::new(),
        "a token was sent to a server that is not trusted"
    );
}

#[tokio::test]
async fn t16_a_redirect_from_https_to_http_is_not_followed() {
    let Some(served) = Served::start() else {
        return;
    };
    let mut down = served.config();
    down.url = RepoUrl::parse(&served.server.downgraded_url("config.git")).unwrap();
    for error in served.both(down).await {
        assert!(matches!(error, RepoError::Redirected { .. }), "{error:?}");
    }
    let requests = served.server.requests();
    assert!(
        !requests.is_empty() && requests.iter().all(|line| line.contains("/down/")),
        "{requests:?}"
    );
    row(
        "T16",
        &[(2, "redirects from https to http"), (0, "followed")],
    );
}

#[tokio::test]
async fn older_servers_and_moved_repositories_work() {
    let Some(served) = Served::start() else {
        return;
    };
    for url in [
        served.server.legacy_url("config.git"),
        served.server.moved_url("config.git"),
    ] {
        let mut config = served.config();
        config.url = RepoUrl::parse(&url).unwrap();
        let mirror = served.mirror(config);
        let tip = mirror.tip().await.unwrap();
        assert_eq!(
            mirror.fetch(&tip).await.unwrap(),
            FetchOutcome::First,
            "{url}"
        );
        assert_eq!(mirror.tip().await.unwrap(), tip);
    }
}

#[tokio::test]
async fn a_missing_repository_and_a_missing_branch_are_told_apart() {
    let Some(served) = Served::start() else {
        return;
    };
    let mut gone = served.config();
    gone.url = RepoUrl::parse(&served.server.url("gone.git")).unwrap();
    for error in served.both(gone).await {
        assert!(
            matches!(error, RepoError::NotARepository { .. }),
            "{error:?}"
        );
    }
    let mut branch = served.config();
    branch.reference = Reference::branch("release").unwrap();
    match served.mirror(branch).tip().await.unwrap_err() {
        RepoError::BranchMissing { available, .. } => assert_eq!(available, ["main"]),
        error => panic!("{error:?}"),
    }
    GitRepo::empty(&served.world.directory.path().join("server"));
    let mut empty = served.config();
    empty.url = RepoUrl::parse(&served.server.url("server/config.git")).unwrap();
    assert!(matches!(
        served.mirror(empty).tip().await.unwrap_err(),
        RepoError::EmptyRepository { .. }
    ));
}

#[tokio::test]
async fn f09_f10_a_cut_or_stalled_answer_leaves_the_mirror_as_it_was() {
    let Some(served) = Served::start() else {
        return;
    };
    let plain = |port: u16| {
        let mut config = config(&format!("http://127.0.0.1:{port}/git/config.git"));
        config.limits = FetchLimits::within(Duration::from_secs(2));
        config
    };
    let mirror_dir = served.world.directory.path().join("cut");
    let direct = || mirror(&mirror_dir, plain(served.server.plain_port()));
    let first = direct().tip().await.unwrap();
    assert_eq!(direct().fetch(&first).await.unwrap(), FetchOutcome::First);
    let second = id(&served
        .world
        .repo
        .push(&[("apps/blog/hop3.toml", &"y".repeat(2000))], "second"));

    let whole = FakeServer::cutting(served.server.plain_port(), usize::MAX, false);
    assert_eq!(
        mirror(&mirror_dir, plain(whole.port()))
            .tip()
            .await
            .unwrap(),
        second
    );
    for (after, stall) in [
        (0, false),
        (20, false),
        (400, false),
        (900, false),
        (1200, false),
        (1300, false),
        (400, true),
        (1200, true),
    ] {
        let cutting = FakeServer::cutting(served.server.plain_port(), after, stall);
        let started = Instant::now();
        let error = mirror(&mirror_dir, plain(cutting.port()))
            .fetch(&second)
            .await
            .unwrap_err();
        assert!(
            error.retryable() && !matches!(error, RepoError::Corrupt { .. }),
            "{after}: {error:?}"
        );
        assert_eq!(
            matches!(
                error,
                RepoError::TimedOut { .. } | RepoError::Stalled { .. }
            ),
            stall,
            "{after}: {error:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(direct().accepted(), Some(first));
    }
    assert_eq!(
        direct().fetch(&second).await.unwrap(),
        FetchOutcome::FastForward
    );
}
