//! A real sshd: the deploy key, the pinned host key, and everything that can be wrong with them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hop3_agent::repo::{
    Credential, FetchLimits, FetchOutcome, Mirror, Reference, RepoConfig, RepoError, RepoUrl,
    SshIdentity,
};
use tempfile::TempDir;

use crate::fake_server::FakeServer;
use crate::rows::row;
use crate::ssh_server::SshServer;
use crate::world::{SPEC, World, config, id, mirror};

struct Served {
    world: World,
    server: SshServer,
}

impl Served {
    fn start() -> Option<Self> {
        let world = World::new(&[("apps/shop/hop3.toml", SPEC)]);
        let server = SshServer::start(&world.directory.path().join("ssh"))?;
        Some(Self { world, server })
    }

    fn config(&self) -> RepoConfig {
        let mut config = config(&self.server.url(self.world.repo.bare()));
        config.ssh = Some(SshIdentity {
            key: self.server.key("deploy"),
            known_hosts: self.server.known_hosts(),
        });
        config
    }

    fn with_key(&self, key: PathBuf) -> RepoConfig {
        let mut config = self.config();
        config.ssh.as_mut().unwrap().key = key;
        config
    }

    /// A mirror that has fetched nothing yet.
    fn fresh(&self, config: RepoConfig) -> Mirror {
        let directory = TempDir::new_in(self.world.directory.path()).unwrap().keep();
        mirror(&directory, config)
    }

    /// What asking and fetching answer, both of which must tell the same story.
    async fn both(&self, config: RepoConfig) -> RepoError {
        let mirror = self.fresh(config);
        let head = id(&self.world.repo.git(&["rev-parse", "HEAD"]));
        let [tip, fetch] = [
            mirror.tip().await.unwrap_err(),
            mirror.fetch(&head).await.unwrap_err(),
        ];
        assert_eq!(tip, fetch);
        assert_eq!(mirror.accepted(), None);
        tip
    }
}

#[tokio::test]
async fn a_repo_is_read_over_ssh_with_a_deploy_key_and_grows_from_a_shallow_beginning() {
    let Some(served) = Served::start() else {
        return;
    };
    served.world.repo.push(&[("a", "0")], "before");
    let mirror = served.fresh(served.config());
    let tip = mirror.tip().await.unwrap();
    assert_eq!(mirror.fetch(&tip).await.unwrap(), FetchOutcome::First);
    let second = id(&served
        .world
        .repo
        .push(&[("apps/blog/hop3.toml", SPEC)], "second"));
    assert_eq!(mirror.tip().await.unwrap(), second);
    assert_eq!(
        mirror.fetch(&second).await.unwrap(),
        FetchOutcome::FastForward
    );
    assert_eq!(
        mirror
            .snapshot(&second)
            .unwrap()
            .entries(None)
            .unwrap()
            .apps
            .len(),
        2
    );
    let mut missing = served.config();
    missing.reference = Reference::branch("gone").unwrap();
    let error = served.fresh(missing).tip().await.unwrap_err();
    assert!(
        matches!(&error, RepoError::BranchMissing { available, .. } if available == &["main"]),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_wrong_or_revoked_key_and_a_missing_repository_are_told_apart() {
    let Some(served) = Served::start() else {
        return;
    };
    let denied = |error: &RepoError| {
        matches!(
            error,
            RepoError::Unauthorized {
                with: Credential::Key,
                ..
            }
        )
    };
    let wrong = served
        .both(served.with_key(served.server.key("stranger")))
        .await;
    assert!(
        denied(&wrong) && wrong.hint().unwrap().contains("deploy key"),
        "{wrong:?}"
    );
    let mirror = served.fresh(served.config());
    let tip = mirror.tip().await.unwrap();
    mirror.fetch(&tip).await.unwrap();
    served.server.revoke();
    let revoked = mirror.tip().await.unwrap_err();
    assert!(denied(&revoked), "{revoked:?}");
    assert_eq!(mirror.accepted(), Some(tip));
    served.server.allow();
    assert_eq!(mirror.tip().await.unwrap(), tip, "it resumes alone");
    let mut gone = served.config();
    gone.url = RepoUrl::parse(&served.server.url(Path::new("/nowhere/c.git"))).unwrap();
    let gone = served.both(gone).await;
    assert!(matches!(gone, RepoError::NotARepository { .. }), "{gone:?}");
    row(
        "T17",
        &[
            (3, "wrong, revoked and misdirected ssh credentials"),
            (3, "told apart"),
        ],
    );
}

#[tokio::test]
async fn t17_a_changed_host_key_fetches_nothing_and_its_return_resumes_alone() {
    let Some(mut served) = Served::start() else {
        return;
    };
    let mirror = served.fresh(served.config());
    let tip = mirror.tip().await.unwrap();
    mirror.fetch(&tip).await.unwrap();
    let second = id(&served.world.repo.push(&[("a", "1")], "second"));
    let pinned = std::fs::read(served.server.known_hosts()).unwrap();
    for key in ["other-host", "rsa-host"] {
        served.server.use_host_key(key);
        let logins = served.server.logins();
        for error in [
            mirror.tip().await.unwrap_err(),
            mirror.fetch(&second).await.unwrap_err(),
        ] {
            assert!(
                matches!(error, RepoError::HostKeyChanged { .. }),
                "{key}: {error:?}"
            );
            assert_eq!(error.state(), "host-key-changed");
            assert!(!error.retryable());
        }
        assert_eq!(served.server.logins(), logins, "somebody logged in");
        assert_eq!(mirror.accepted(), Some(tip));
        assert!(mirror.snapshot(&second).is_err(), "something was fetched");
        assert_eq!(
            std::fs::read(served.server.known_hosts()).unwrap(),
            pinned,
            "the pinned key was replaced"
        );
        served.server.use_host_key("host");
        assert_eq!(mirror.tip().await.unwrap(), second);
    }
    assert_eq!(
        mirror.fetch(&second).await.unwrap(),
        FetchOutcome::FastForward
    );
    row(
        "T17",
        &[
            (2, "changed host keys"),
            (2, "named"),
            (0, "objects fetched"),
            (2, "resumed alone"),
        ],
    );
}

#[tokio::test]
async fn t17_a_host_that_is_not_pinned_is_never_trusted_on_first_use() {
    let Some(served) = Served::start() else {
        return;
    };
    std::fs::write(
        served.server.known_hosts(),
        "elsewhere.example ssh-ed25519 AAAA\n",
    )
    .unwrap();
    let unknown = served.both(served.config()).await;
    assert!(
        matches!(unknown, RepoError::HostKeyUnknown { .. }),
        "{unknown:?}"
    );
    assert!(unknown.hint().unwrap().contains("ssh-keyscan"));
    assert_eq!(served.server.logins(), 0);
}

#[tokio::test]
async fn t17_files_of_ssh_that_others_could_read_or_change_are_not_used() {
    let Some(served) = Served::start() else {
        return;
    };
    let (key, known) = (served.server.key("deploy"), served.server.known_hosts());
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap()
    };
    for (path, mode, usual) in [
        (&key, 0o640, 0o600),
        (&key, 0o604, 0o600),
        (&known, 0o666, 0o644),
        (&known, 0o620, 0o644),
    ] {
        set(path, mode);
        let refused = served.both(served.config()).await;
        let told = matches!(&refused, RepoError::Credentials { path: named, .. } if Path::new(named) == path.as_path());
        assert!(told, "{mode:o}: {refused:?}");
        set(path, usual);
    }
    let missing = served.both(served.with_key("/nowhere/key".into())).await;
    assert!(
        matches!(missing, RepoError::Credentials { .. }),
        "{missing:?}"
    );
    let garbage = served.world.directory.path().join("garbage");
    std::fs::write(&garbage, "no key").unwrap();
    set(&garbage, 0o600);
    let unusable = served.both(served.with_key(garbage)).await;
    assert!(
        matches!(
            unusable,
            RepoError::Credentials { .. } | RepoError::Unauthorized { .. }
        ),
        "{unusable:?}"
    );
    assert_eq!(served.server.logins(), 0);
    assert!(served.fresh(served.config()).tip().await.is_ok());
}

#[tokio::test]
async fn f09_an_ssh_server_that_stalls_ends_at_its_deadline() {
    let Some(served) = Served::start() else {
        return;
    };
    let points = if crate::rows::is_long() { 64 } else { 12 };
    let mut ended = 0;
    for point in 0..points {
        // An exchange over ssh takes some five thousand bytes.
        let stalling = FakeServer::cutting(served.server.port(), point * 5000 / points, true);
        let mut config = served.config();
        let path = served.world.repo.bare().display();
        config.url = RepoUrl::parse(&format!(
            "ssh://{}@127.0.0.1:{}{path}",
            served.server.user(),
            stalling.port()
        ))
        .unwrap();
        let pinned = served.world.directory.path().join(format!("known-{point}"));
        let text = std::fs::read_to_string(served.server.known_hosts()).unwrap();
        std::fs::write(
            &pinned,
            text.replace(
                &served.server.port().to_string(),
                &stalling.port().to_string(),
            ),
        )
        .unwrap();
        config.ssh.as_mut().unwrap().known_hosts = pinned;
        config.limits = FetchLimits {
            deadline: Duration::from_secs(10),
            connect: Duration::from_secs(1),
            stall: Duration::from_millis(600),
            ..FetchLimits::default()
        };
        let started = std::time::Instant::now();
        let error = served.fresh(config).tip().await.unwrap_err();
        assert!(error.retryable(), "{point}: {error:?}");
        assert!(
            started.elapsed() < Duration::from_secs(9),
            "{point}: {error:?} after {:?}",
            started.elapsed()
        );
        ended += 1;
    }
    row(
        "F09",
        &[
            (points, "points of an ssh conversation"),
            (ended, "ended at a deadline"),
            (0, "hung"),
        ],
    );
}
