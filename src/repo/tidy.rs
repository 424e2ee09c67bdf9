//! The order in a mirror's directory: what a fetch adds is kept or taken back whole, and what a killed one left is removed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// What a mirror held before a fetch.
pub(super) struct Before {
    mirror: PathBuf,
    packs: BTreeSet<OsString>,
    shallow: Option<Vec<u8>>,
}

impl Before {
    /// Removes left-overs and notes what is there. The mirror has one writer at a time, so nothing that is removed is in use.
    pub(super) fn look(mirror: &Path) -> io::Result<Self> {
        sweep(mirror)?;
        Ok(Self {
            mirror: mirror.to_owned(),
            packs: names(&packs(mirror))?.into_iter().collect(),
            shallow: optional(std::fs::read(mirror.join("shallow")))?,
        })
    }

    /// Takes back everything that a refused fetch added.
    pub(super) fn restore(self) -> io::Result<()> {
        sweep(&self.mirror)?;
        let shallow = self.mirror.join("shallow");
        match &self.shallow {
            Some(content) if optional(std::fs::read(&shallow))?.as_ref() != Some(content) => {
                std::fs::write(&shallow, content)?
            }
            None => drop(optional(std::fs::remove_file(&shallow))?),
            Some(_) => {}
        }
        let packs = packs(&self.mirror);
        for name in names(&packs)?.difference(&self.packs) {
            std::fs::remove_file(packs.join(name))?;
        }
        Ok(())
    }

    /// Keeps what was added: no mark of a fetch under way stays behind.
    pub(super) fn keep(self) -> io::Result<()> {
        remove_where(&packs(&self.mirror), |name| is(name, "keep"))
    }
}

fn packs(mirror: &Path) -> PathBuf {
    mirror.join("objects/pack")
}

/// Removes what a killed fetch left: its locks would stop every later one.
fn sweep(mirror: &Path) -> io::Result<()> {
    // The candidate of an earlier fetch may name what has been lost since.
    let is_stale = |name: &str| is(name, "lock") || name == "candidate";
    remove_where(mirror, |name| is(name, "lock"))?;
    remove_where(&mirror.join("refs/hop3"), is_stale)?;
    let packs = packs(mirror);
    let is_known = |name: &str| name.starts_with("pack-") || name == "multi-pack-index";
    remove_where(&packs, |name| !is_known(name) || is(name, "keep"))?;
    let has_index = |name: &str| packs.join(Path::new(name).with_extension("idx")).exists();
    remove_where(&packs, |name| is(name, "pack") && !has_index(name))
}

fn is(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == extension)
}

fn remove_where(directory: &Path, is_leftover: impl Fn(&str) -> bool) -> io::Result<()> {
    for name in names(directory)? {
        let path = directory.join(&name);
        if name.to_str().is_some_and(&is_leftover) && path.symlink_metadata()?.is_file() {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn names(directory: &Path) -> io::Result<BTreeSet<OsString>> {
    let Some(entries) = optional(std::fs::read_dir(directory))? else {
        return Ok(BTreeSet::new());
    };
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

/// What is not there is no failure.
fn optional<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let packs = root.path().join("objects/pack");
        std::fs::create_dir_all(&packs).unwrap();
        std::fs::create_dir_all(root.path().join("refs/hop3")).unwrap();
        for name in ["pack-a.pack", "pack-a.idx"] {
            std::fs::write(packs.join(name), "x").unwrap();
        }
        (root, packs)
    }

    #[test]
    fn a_refused_fetch_is_taken_back_whole() {
        let (root, packs) = mirror();
        std::fs::write(root.path().join("shallow"), "old").unwrap();
        let before = Before::look(root.path()).unwrap();
        for name in ["pack-b.pack", "pack-b.idx", "pack-b.keep", "tmp"] {
            std::fs::write(packs.join(name), "x").unwrap();
        }
        std::fs::write(root.path().join("shallow"), "new").unwrap();
        std::fs::write(root.path().join("refs/hop3/candidate"), "x").unwrap();
        before.restore().unwrap();
        let left: Vec<_> = names(&packs).unwrap().into_iter().collect();
        assert_eq!(left, ["pack-a.idx", "pack-a.pack"]);
        assert_eq!(std::fs::read(root.path().join("shallow")).unwrap(), b"old");
        assert!(!root.path().join("refs/hop3/candidate").exists());
    }

    #[test]
    fn what_was_taken_stays_and_a_pack_under_way_does_not() {
        let (root, packs) = mirror();
        for name in [
            "pack-b.pack",
            "pack-b.idx",
            "pack-b.keep",
            "pack-c.pack",
            ".tmpx",
        ] {
            std::fs::write(packs.join(name), "x").unwrap();
        }
        std::fs::write(root.path().join("shallow.lock"), "x").unwrap();
        let before = Before::look(root.path()).unwrap();
        std::fs::write(packs.join("pack-d.pack"), "x").unwrap();
        std::fs::write(packs.join("pack-d.keep"), "x").unwrap();
        before.keep().unwrap();
        let left: Vec<_> = names(&packs).unwrap().into_iter().collect();
        assert_eq!(
            left,
            [
                "pack-a.idx",
                "pack-a.pack",
                "pack-b.idx",
                "pack-b.pack",
                "pack-d.pack"
            ]
        );
        assert!(!root.path().join("shallow.lock").exists());
    }
}
