//! A repository, its mirror, and the words that the tests use.

use std::path::Path;
use std::time::Duration;

use hop3_agent::repo::{
    CommitId, FetchLimits, FetchOutcome, Mirror, Reference, RepoConfig, RepoError, RepoListing,
    RepoUrl,
};
use tempfile::TempDir;

use crate::git_repo::GitRepo;

pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_hop3-agent");

pub(crate) const SPEC: &str = "[metadata]\nid = \"shop\"\n";

pub(crate) fn config(url: &str) -> RepoConfig {
    let mut config = RepoConfig::new(
        RepoUrl::parse(url).unwrap(),
        Reference::branch("main").unwrap(),
    );
    config.limits = FetchLimits::within(Duration::from_secs(30));
    config
}

pub(crate) fn mirror(directory: &Path, config: RepoConfig) -> Mirror {
    Mirror::open_or_init(directory.join("agent/repo"), config)
        .unwrap()
        .with_fetch_program(AGENT)
}

pub(crate) fn id(text: &str) -> CommitId {
    text.parse().unwrap()
}

/// A repository with one app and its mirror, nothing fetched yet.
pub(crate) struct World {
    pub(crate) directory: TempDir,
    pub(crate) repo: GitRepo,
    pub(crate) mirror: Mirror,
}

impl World {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        let repo = GitRepo::with(directory.path(), files);
        let mirror = mirror(directory.path(), config(&repo.url()));
        Self {
            directory,
            repo,
            mirror,
        }
    }

    pub(crate) fn packs(&self) -> usize {
        std::fs::read_dir(self.directory.path().join("agent/repo/objects/pack"))
            .unwrap()
            .count()
    }

    pub(crate) async fn cycle(&self) -> Result<FetchOutcome, RepoError> {
        let tip = self.mirror.tip().await?;
        self.mirror.fetch(&tip).await
    }

    pub(crate) fn listing(&self) -> Result<RepoListing, RepoError> {
        self.mirror
            .snapshot(&self.mirror.accepted().unwrap())?
            .entries(None)
    }
}
