//! Hides from an instance what belongs to the agent and to other apps, by landlock. Best effort: without users of their own this is all that
//! stands between apps, with them it is the second lock.
//!
//! Landlock only knows what is allowed, so everything on the way to the data dir is allowed but the data dir, and of that the app's own
//! directories. Names can still be listed; connecting to a socket is not a matter of files.

use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, path_beneath_rules,
};

use crate::document::InstanceDocument;

/// What the agent keeps of an app among the app's own directories.
const STATE: &str = "state";

/// Hides the data dir but for the app's own directories. Returns what the kernel could not do.
pub(super) fn hide(instance: &InstanceDocument) -> Option<String> {
    let mut allowed = beside(&instance.data_dir);
    // An instance opens `/dev/stdout` as what it is, a FIFO of this directory.
    allowed.push(instance.run_dir.clone());
    allowed.extend(entries(&instance.app_dir).filter(|path| !path.ends_with(STATE)));
    match restrict(&allowed) {
        Ok(RulesetStatus::NotEnforced) => {
            Some("this kernel cannot hide the agent's files from apps".to_owned())
        }
        Ok(_) => None,
        Err(error) => Some(format!("could not hide the agent's files: {error}")),
    }
}

/// Everything but a directory: what lies beside it, and beside each directory above it.
fn beside(hidden: &Path) -> Vec<PathBuf> {
    let above = hidden.ancestors().skip(1);
    above
        .flat_map(entries)
        .filter(|path| !hidden.starts_with(path))
        .collect()
}

/// The entries of a directory, without links: they would be followed to where they lead.
fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let found = fs::read_dir(directory).into_iter().flatten().flatten();
    found
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .map(|entry| entry.path())
}

fn restrict(allowed: &[PathBuf]) -> Result<RulesetStatus, RulesetError> {
    let access = AccessFs::from_all(ABI::V5) & !AccessFs::ReadDir;
    let status = landlock::Ruleset::default()
        .handle_access(access)?
        .create()?
        .add_rules(path_beneath_rules(allowed, access))?
        .restrict_self()?;
    Ok(status.ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_hidden_directory_and_links_is_left() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for path in ["var/data/agent", "var/other", "home"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        std::os::unix::fs::symlink(at("var/data"), at("alias")).unwrap();
        let mut found = beside(&at("var/data"));
        found.retain(|path| path.starts_with(root.path()));
        found.sort();
        assert_eq!(found, [at("home"), at("var/other")]);
    }
}
