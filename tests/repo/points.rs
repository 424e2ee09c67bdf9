//! Many hostile servers, one after another or a few at a time, against copies of one mirror: what each leads to, and that the mirror stays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use hop3_agent::repo::{CommitId, FetchLimits, Mirror, RepoError};
use tempfile::TempDir;

use crate::forge::{Answer, Content, Forge, Request, Stage};
use crate::git_repo::GitRepo;
use crate::world::{SPEC, config, id, mirror};

/// How many at a time.
const AT_ONCE: usize = 4;

/// A repository with two commits, and a mirror that has the first.
pub(crate) struct Field {
    directory: TempDir,
    pub(crate) repo: GitRepo,
    first: CommitId,
    second: CommitId,
}

/// One server's behaviour.
pub(crate) struct Point {
    pub(crate) name: String,
    /// In the middle of what it misbehaves.
    pub(crate) stage: Stage,
    pub(crate) script: Box<dyn Fn(Answer) -> Answer + Send + Sync>,
}

/// What became of one point.
pub(crate) struct Ending {
    pub(crate) name: String,
    pub(crate) error: RepoError,
    pub(crate) took: Duration,
}

impl Field {
    pub(crate) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let repo = GitRepo::with(
            directory.path(),
            &[
                ("apps/shop/hop3.toml", SPEC),
                ("apps/shop/index.html", "first"),
            ],
        );
        let first = id(&repo.git(&["rev-parse", "HEAD"]));
        let forge = Forge::of(repo.bare());
        mirror(directory.path(), config(&forge.url()))
            .fetch(&first)
            .await
            .unwrap();
        let noise: String = (0..400).map(|n| format!("{:x}", n * 7919)).collect();
        let second = id(&repo.push(
            &[("apps/blog/hop3.toml", SPEC), ("apps/blog/noise", &noise)],
            "second",
        ));
        Self {
            directory,
            repo,
            first,
            second,
        }
    }

    /// The length of the honest answer of a stage, with its head.
    pub(crate) async fn length(&self, stage: Stage) -> usize {
        let longest = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let seen = std::sync::Arc::clone(&longest);
        let forge = Forge::start(self.content(), move |request, answer| {
            if request.stage == stage {
                seen.fetch_max(answer.bytes().len(), std::sync::atomic::Ordering::SeqCst);
            }
            answer
        });
        let copy = self.copy();
        let honest = mirror(&copy, config(&forge.url()));
        assert_eq!(honest.tip().await.unwrap(), self.second);
        honest.fetch(&self.second).await.unwrap();
        longest.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn content(&self) -> Content {
        Content::Repository(self.repo.bare().to_owned())
    }

    fn copy(&self) -> PathBuf {
        let copy = TempDir::new_in(self.directory.path()).unwrap().keep();
        copy_tree(&self.directory.path().join("agent"), &copy.join("agent"));
        copy
    }

    /// Tries all points. Every one must fail, leave the mirror as it was, byte for byte, and not stop the next honest fetch.
    pub(crate) async fn try_all(&self, limits: FetchLimits, points: Vec<Point>) -> Vec<Ending> {
        stream::iter(points)
            .map(|point| self.try_one(limits, point))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }

    async fn try_one(&self, limits: FetchLimits, point: Point) -> Ending {
        let Point {
            name,
            stage,
            script,
        } = point;
        let forge = Forge::start(self.content(), move |request: &Request, answer| {
            if request.stage == stage {
                script(answer)
            } else {
                answer
            }
        });
        let copy = self.copy();
        let before = content(&copy);
        let mut settings = config(&forge.url());
        settings.limits = limits;
        let mirror = mirror(&copy, settings);
        let started = Instant::now();
        let error = self.ask(&mirror, stage).await.expect_err(&name);
        let took = started.elapsed();
        assert!(
            !matches!(error, RepoError::Corrupt { .. }),
            "{name}: the mirror was blamed: {error:?}"
        );
        assert!(!mirror.is_damaged(), "{name}");
        assert_eq!(mirror.accepted(), Some(self.first), "{name}");
        // What a child that was killed left is removed by the next one.
        let honest = Forge::of(self.repo.bare());
        let next = crate::world::mirror(&copy, config(&honest.url()));
        assert_eq!(
            next.fetch(&self.first).await.unwrap(),
            hop3_agent::repo::FetchOutcome::Unchanged,
            "{name}"
        );
        if !matches!(
            error,
            RepoError::TimedOut { .. } | RepoError::TooLarge { .. }
        ) {
            assert_eq!(
                content(&copy),
                before,
                "{name}: the mirror is not what it was: {error:?}"
            );
        }
        assert_eq!(
            next.fetch(&self.second).await.unwrap(),
            hop3_agent::repo::FetchOutcome::FastForward,
            "{name}"
        );
        Ending { name, error, took }
    }

    async fn ask(&self, mirror: &Mirror, stage: Stage) -> Result<(), RepoError> {
        if stage == Stage::Refs {
            mirror.tip().await.map(drop)
        } else {
            mirror.fetch(&self.second).await.map(drop)
        }
    }
}

/// Every file and its content.
fn content(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            found.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    found
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &copy);
        } else {
            std::fs::copy(path, copy).unwrap();
        }
    }
}
