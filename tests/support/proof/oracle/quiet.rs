//! I8: an agent that has nothing to do writes nothing but its own memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::ground::Ground;
use super::super::life::Life;
use super::files::entries;

/// Has the agent look once more; what it wrote meanwhile.
pub(crate) fn still(ground: &Ground, life: &Life) -> Vec<String> {
    let before = written(ground);
    if let Err(why) = life.settled() {
        return vec![format!("I8 {why}")];
    }
    let after = written(ground);
    let changed = after
        .iter()
        .filter(|(path, time)| before.get(*path) != Some(*time));
    changed
        .map(|(path, _)| {
            format!(
                "I8 nothing was to be done, and {} was written",
                path.display()
            )
        })
        .collect()
}

/// Everything that steps of a change write, with the time when it was written last.
fn written(ground: &Ground) -> BTreeMap<PathBuf, SystemTime> {
    let mut found = BTreeMap::new();
    note(&ground.data().join("sites"), 3, &mut found);
    for app in entries(&ground.data().join("apps")) {
        note(&app.join("state"), 2, &mut found);
        for release in entries(&app.join("releases")) {
            note(&release, 1, &mut found);
        }
    }
    found
}

fn note(directory: &Path, depth: u32, found: &mut BTreeMap<PathBuf, SystemTime>) {
    for path in entries(directory) {
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        if metadata.is_dir() && depth > 1 {
            note(&path, depth - 1, found);
        } else if metadata.is_file() {
            found.insert(path, metadata.modified().unwrap());
        }
    }
}
