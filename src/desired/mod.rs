//! What every app of this host should be at one revision of the config repo. Reads the repo's trees; never runs anything, never asks an
//! engine, never looks at what is deployed except for recorded choices and holders of host names.

mod cache;
mod choose;
mod held;
mod load;
mod parallel;
mod tree;
pub mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

use hop3_plugin_api::{AppName, HostName, SourceTree};

use crate::plan::{Action, Held, Reason};
use crate::release::{Choice, FixedTarget};
use crate::spec::{AppSpec, Diagnostic, Position, Positions};

pub use cache::LoaderCache;
pub use load::Loader;
pub use tree::{DirectoryRepo, RevisionTree};

/// What a config repo looks like at one revision.
pub trait ConfigTree: Send + Sync {
    /// The commit, for people; `None` for a directory.
    fn revision(&self) -> Option<String>;

    /// The tree at a path from the root of the config repo, `None` when there is no directory.
    fn tree(&self, path: &str) -> Result<Option<Arc<dyn SourceTree>>, String>;

    /// The newest commit that touched each of these directories of `apps/`, as far as is known. All at once: looking at a commit shows them all.
    fn touched(&self, names: &[&str]) -> Vec<Option<String>>;

    /// Whether a directory is a submodule, where [`SourceTree::list`] cannot tell: a commit lists it as one, a work tree as a directory.
    fn is_submodule(&self, _path: &str) -> bool {
        false
    }
}

/// What all apps of a host should be.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// The commit.
    pub revision: Option<String>,
    /// Valid apps.
    pub apps: BTreeMap<AppName, Arc<DesiredApp>>,
    /// Apps that the repo has but that cannot be planned, and why. They stay as they are.
    pub held: Vec<Held>,
    /// Mistakes of directories whose app has no valid name, so that no app can be held for them.
    pub nameless: Vec<String>,
    /// Why nothing at all may be removed or made, if so: the host file is unreadable or missing.
    pub everything_held: Option<String>,
    /// Where the apps should be and nothing is, if so: that is no reason to remove them all.
    pub vanished: Option<String>,
    /// Every mistake and note found, for `validate` and for status.
    pub diagnostics: Vec<Diagnostic>,
}

impl Desired {
    /// Whether the repo speaks of an app, validly or not.
    pub fn mentions(&self, app: &AppName) -> bool {
        self.apps.contains_key(app) || self.held.iter().any(|held| held.app == *app)
    }
}

/// One valid app.
#[derive(Debug, Clone)]
pub struct DesiredApp {
    /// What it should be.
    pub target: FixedTarget,
    /// Where its spec says so.
    pub placement: Placement,
    /// The directory of its source in the config repo.
    pub directory: String,
}

/// What the choice of plugins and host names takes into account of the past.
pub trait Past: Sync {
    /// The choice of an app's current release.
    fn choice(&self, app: &AppName) -> Option<&Choice>;

    /// Who holds which host name now.
    fn holders(&self) -> BTreeMap<HostName, AppName>;
}

/// The past as it was written down.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// Choices of the current releases.
    pub choices: BTreeMap<AppName, Choice>,
    /// Who holds which host name now.
    pub holders: BTreeMap<HostName, AppName>,
}

impl Past for Recorded {
    fn choice(&self, app: &AppName) -> Option<&Choice> {
        self.choices.get(app)
    }

    fn holders(&self) -> BTreeMap<HostName, AppName> {
        self.holders.clone()
    }
}

/// Where a spec says what: positions by JSON pointer, and the newest commit that touched the app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// The app's spec or Procfile.
    pub file: String,
    /// Positions.
    pub positions: Positions,
    /// The newest commit.
    pub commit: Option<String>,
}

impl Placement {
    /// The placement of a spec.
    pub fn new(spec: &AppSpec, commit: Option<String>) -> Self {
        Self {
            file: spec.file.clone(),
            positions: spec.positions.clone(),
            commit,
        }
    }

    /// Where the spec asks for a step: the first changed key that it has, else the section that the action comes from.
    pub fn of(&self, action: &Action, reason: &Reason) -> Option<Position> {
        let changed = match reason {
            Reason::Changed { fields } => fields
                .iter()
                .find_map(|change| self.first(&pointers(&change.field))),
            _ => None,
        };
        changed.or_else(|| self.first(sections(action)))
    }

    fn first<S: AsRef<str>>(&self, pointers: &[S]) -> Option<Position> {
        pointers
            .iter()
            .find_map(|pointer| self.positions.get(pointer.as_ref()))
    }
}

/// Where a changed field may stand in a spec.
fn pointers(field: &str) -> Vec<String> {
    match field.split_once('.') {
        Some(("workers", "web")) => vec!["/run/workers/web".to_owned(), "/run/start".to_owned()],
        Some(("workers", worker)) => vec![format!("/run/workers/{worker}")],
        Some(("env", key)) => vec![format!("/env/{key}"), format!("/env/computed/{key}")],
        Some((section, key)) => vec![format!("/{section}/{key}")],
        None if field == "route" => vec![
            "/domains/list".to_owned(),
            "/domains".to_owned(),
            "/proxy".to_owned(),
        ],
        None => vec![
            format!("/{field}"),
            format!("/build/{field}"),
            format!("/deploy/{field}"),
        ],
    }
}

fn sections(action: &Action) -> &'static [&'static str] {
    match action {
        Action::Build { .. } | Action::ReuseArtifact { .. } => &["/build"],
        Action::EnsurePackages { .. } => &["/build/packages", "/run/packages"],
        Action::EnsureAddon { .. } => &["/addons", "/provider"],
        Action::ReleaseCommand { .. } => &["/run/before-run", "/run/workers/release"],
        Action::Deploy { .. } => &["/run/start", "/run/workers/web", "/run"],
        Action::Scale { .. } => &["/scale", "/run/workers"],
        Action::Gate { .. } => &["/healthcheck", "/run/healthcheck"],
        Action::Switch { .. } => &["/domains/list", "/domains"],
        Action::Drain { .. } => &["/deploy/drain-timeout"],
        _ => &[],
    }
}
