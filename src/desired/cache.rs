//! What an earlier commit of the config repo came to, so that the next one costs what it changes. It never answers for anything else than the same files,
//! under the same settings, after the same choice.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hop3_plugin_api::{AppName, Digest, SourceTree};

use super::DesiredApp;
use super::walk::{AppDir, Parsed};
use crate::config::HostConfig;
use crate::release::Choice;

/// What is remembered of each app directory.
#[derive(Debug, Default)]
pub struct LoaderCache {
    directories: HashMap<String, Remembered>,
    /// Whether no app stood in another one's way when these were compared last.
    at_peace: bool,
    elsewhere: BTreeSet<AppName>,
    settings: Option<(HostConfig, Vec<String>)>,
}

#[derive(Debug)]
struct Remembered {
    tree: Digest,
    parsed: Arc<Parsed>,
    planned: Option<Planned>,
}

#[derive(Debug)]
struct Planned {
    app: Arc<DesiredApp>,
    /// Whether a choice was recorded then.
    after_a_choice: bool,
}

impl LoaderCache {
    /// What a directory's files came to, if they are the same as then.
    pub(super) fn known(&self, path: &str, tree: &dyn SourceTree) -> Option<Arc<Parsed>> {
        let known = self.directories.get(path)?;
        (known.tree == tree.digest()).then(|| Arc::clone(&known.parsed))
    }

    /// Remembers these directories, as far as they could be read, and forgets all others.
    pub(super) fn renew(&mut self, dirs: &[AppDir]) {
        let mut before = std::mem::take(&mut self.directories);
        self.directories.reserve(dirs.len());
        for dir in dirs.iter().filter(|dir| !dir.loaded.unread) {
            let Some(tree) = &dir.tree else { continue };
            let same = |known: &Remembered| Arc::ptr_eq(&known.parsed, &dir.loaded);
            let (path, remembered) = match before.remove_entry(&dir.path) {
                Some((path, known)) if same(&known) => (path, known),
                known => {
                    let claims = known.as_ref().map(|(_, known)| known.parsed.as_ref());
                    self.at_peace &= claims.is_some_and(|known| claim_the_same(known, &dir.loaded));
                    (dir.path.clone(), remembered(tree.as_ref(), dir))
                }
            };
            self.directories.insert(path, remembered);
        }
        self.at_peace &= before.is_empty() && self.directories.len() == dirs.len();
    }

    /// Whether it is known without comparing them that no app stands in another one's way: none did, and none has claimed anything else since.
    pub(super) fn at_peace(&mut self, elsewhere: &BTreeSet<AppName>) -> bool {
        if self.elsewhere != *elsewhere {
            self.elsewhere.clone_from(elsewhere);
            self.at_peace = false;
        }
        self.at_peace
    }

    /// Remembers what comparing them has shown.
    pub(super) fn compared(&mut self, at_peace: bool) {
        self.at_peace = at_peace;
    }

    /// Forgets what was planned under other settings of the host.
    pub(super) fn under(&mut self, host: &HostConfig, disabled: &[String]) {
        let same = |(h, d): &(HostConfig, Vec<String>)| h == host && d == disabled;
        if !self.settings.as_ref().is_some_and(same) {
            for known in self.directories.values_mut() {
                known.planned = None;
            }
            self.settings = Some((host.clone(), disabled.to_vec()));
        }
    }

    /// What the same files were planned as. A choice that was recorded since must be the one that was made.
    pub(super) fn planned(
        &self,
        dir: &AppDir,
        recorded: Option<&Choice>,
    ) -> Option<&Arc<DesiredApp>> {
        let known = self.directories.get(&dir.path)?;
        let planned = known.planned.as_ref()?;
        let chosen = &planned.app.target.choice;
        let same = match recorded {
            None => !planned.after_a_choice,
            Some(choice) => choice == chosen,
        };
        (same && Arc::ptr_eq(&known.parsed, &dir.loaded)).then_some(&planned.app)
    }

    /// Remembers what a directory was planned as.
    pub(super) fn plan(&mut self, dir: &AppDir, recorded: Option<&Choice>, app: &Arc<DesiredApp>) {
        if let Some(known) = self.directories.get_mut(&dir.path) {
            known.planned = Some(Planned {
                app: Arc::clone(app),
                after_a_choice: recorded.is_some(),
            });
        }
    }
}

/// Whether two readings of an app claim the same of what apps share on a host.
fn claim_the_same(one: &Parsed, other: &Parsed) -> bool {
    let (Some(one), Some(other)) = (&one.app.spec, &other.app.spec) else {
        return false;
    };
    one.name == other.name
        && one.hosts == other.hosts
        && one.ports == other.ports
        && one.shares == other.shares
        && one.addons == other.addons
        && one.deploy.after == other.deploy.after
}

fn remembered(tree: &dyn SourceTree, dir: &AppDir) -> Remembered {
    Remembered {
        tree: tree.digest(),
        parsed: Arc::clone(&dir.loaded),
        planned: None,
    }
}
