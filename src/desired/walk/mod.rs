//! The walk over a config repo that the agent and `validate` share, so that they cannot differ: which directories of `apps/` are apps, which
//! of their files count, and what is refused unread. It never follows anything: not a symbolic link, not a submodule.
//!
//! Guarantees: a file that cannot be used is a mistake of its app, with the file's path, and of no other app.

mod files;

use std::sync::Arc;

use hop3_plugin_api::{SourceEntry, SourceKind, SourceTree};

pub(super) use self::files::cut_off_by;
pub(crate) use self::files::{Content, content, refusal};
use self::files::{Found, cut_off, refused};
pub use self::files::{Parsed, parse_app};
use super::ConfigTree;
use super::parallel::in_parallel;
use crate::config::HostConfig;
use crate::contain::contained;
use crate::schema::Schemas;
use crate::spec::Diagnostic;

/// Something in `apps/` that is an app, or stands where one could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name in `apps/`.
    pub name: String,
    kind: SourceKind,
}

impl Candidate {
    /// Its path from the repo's root.
    pub fn path(&self) -> String {
        format!("apps/{}", self.name)
    }
}

/// One app directory.
#[derive(Debug, Clone)]
pub struct AppDir {
    /// Its path from the repo's root.
    pub path: String,
    /// Its files; none when it is refused as a whole.
    pub tree: Option<Arc<dyn SourceTree>>,
    /// What its files came to.
    pub loaded: Arc<Parsed>,
}

impl AppDir {
    /// Its name in `apps/`.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// What was parsed of an unchanged tree before.
pub type Known<'a> = &'a (dyn Fn(&str, &dyn SourceTree) -> Option<Arc<Parsed>> + Sync);

/// A config repo, to be read.
pub struct Walk<'a> {
    /// The repo.
    pub repo: &'a dyn ConfigTree,
    /// Composed schemas.
    pub schemas: &'a Schemas,
    /// Whether the texts of specs are kept, for excerpts.
    pub texts: bool,
}

impl Walk<'_> {
    /// Everything in `apps/` but plain files, by name; none when there is no `apps/`.
    pub fn candidates(&self) -> Result<Option<Vec<Candidate>>, String> {
        let Some(apps) = self.directory("apps")? else {
            return Ok(None);
        };
        let entries = apps.list("").map_err(|error| error.to_string())?;
        let candidate = |entry: SourceEntry| match entry.kind {
            SourceKind::File { .. } => None,
            kind => Some(Candidate {
                kind: self.kind(&format!("apps/{}", entry.name), kind),
                name: entry.name,
            }),
        };
        Ok(Some(entries.into_iter().filter_map(candidate).collect()))
    }

    fn kind(&self, path: &str, kind: SourceKind) -> SourceKind {
        if kind == SourceKind::Directory && self.repo.is_submodule(path) {
            SourceKind::Submodule
        } else {
            kind
        }
    }

    /// Reads all of them, on all processors. The order stays.
    pub fn apps(
        &self,
        candidates: &[Candidate],
        known: Known<'_>,
    ) -> Result<Vec<Option<AppDir>>, String> {
        let read = in_parallel(candidates, |candidate| self.app(candidate, known));
        read.into_iter().collect()
    }

    /// Reads a candidate; none when it holds no app. `Err` only when the repo itself cannot be read.
    pub fn app(&self, candidate: &Candidate, known: Known<'_>) -> Result<Option<AppDir>, String> {
        let path = candidate.path();
        if candidate.kind != SourceKind::Directory {
            let loaded = Arc::new(refused(&path, candidate.kind));
            return Ok(Some(AppDir {
                path,
                tree: None,
                loaded,
            }));
        }
        let Some(tree) = self.repo.tree(&path)? else {
            return Ok(None);
        };
        let loaded = known(&path, tree.as_ref());
        let parse = || {
            let parsed = contained(|| self.parse(&path, tree.as_ref()));
            parsed.unwrap_or_else(|words| Some(cut_off(&path, &words)))
        };
        let loaded = loaded.or_else(|| parse().map(|parsed| self.kept(parsed)));
        Ok(loaded.map(|loaded| AppDir {
            path,
            tree: Some(tree),
            loaded,
        }))
    }

    fn parse(&self, path: &str, tree: &dyn SourceTree) -> Option<Parsed> {
        let mut found = Found::open(path, tree);
        if found.is_repository() {
            return Some(refused(path, SourceKind::Submodule));
        }
        found.take_all(self.repo.is_submodule(&format!("{path}/hop3")));
        found.parsed(self.schemas)
    }

    fn kept(&self, mut parsed: Parsed) -> Arc<Parsed> {
        if !self.texts {
            parsed.app.sources.clear();
        }
        Arc::new(parsed)
    }

    /// A directory of the repo's root; none when there is nothing of that name. Anything else of that name is an error: without `hosts/`, every
    /// host would run every app.
    pub fn directory(&self, name: &str) -> Result<Option<Arc<dyn SourceTree>>, String> {
        let found = self.repo.tree(name)?;
        if found.is_some() || !self.stands_in_the_root(name)? {
            return Ok(found);
        }
        Err(format!("`{name}` of the config repo is not a directory"))
    }

    fn stands_in_the_root(&self, name: &str) -> Result<bool, String> {
        let Some(root) = self.repo.tree("")? else {
            return Ok(false);
        };
        Ok(match root.list("") {
            Ok(entries) => entries.iter().any(|entry| entry.name == name),
            Err(_) => root.link_target(name).is_ok_and(|target| target.is_some()),
        })
    }

    /// The names of hosts that have a file in `hosts/`; none without such a directory.
    pub fn hosts(&self) -> Result<Option<Vec<String>>, String> {
        let Some(hosts) = self.directory("hosts")? else {
            return Ok(None);
        };
        let entries = hosts.list("").map_err(|error| error.to_string())?;
        let names = entries
            .iter()
            .filter_map(|entry| entry.name.strip_suffix(".toml"));
        Ok(Some(names.map(str::to_owned).collect()))
    }

    /// The bytes of a host's file, or what is wrong with it; none when the host has no file.
    pub(crate) fn host_file(&self, host: &str) -> Result<Option<Content>, String> {
        let Some(hosts) = self.directory("hosts")? else {
            return Ok(None);
        };
        let name = format!("{host}.toml");
        let entries = hosts.list("").map_err(|error| error.to_string())?;
        let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
            return Ok(None);
        };
        let file = (format!("hosts/{name}"), entry.kind);
        Ok(Some(content(hosts.as_ref(), &name, &file)))
    }

    /// A host's settings, or what is wrong with them; none when the host has no file.
    pub fn host(&self, host: &str) -> Result<Option<Result<HostConfig, Vec<Diagnostic>>>, String> {
        let path = format!("hosts/{host}.toml");
        let found = self.host_file(host)?;
        Ok(found.map(|content| {
            let bytes = content.map_err(|problem| vec![*problem])?;
            HostConfig::read(&bytes, &path, self.schemas)
        }))
    }
}
