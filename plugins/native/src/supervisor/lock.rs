//! One supervisor per release: a lock that its process holds for life and that vanishes with it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::doing;

/// The lock, held. Its descriptor is closed in children.
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock, or says that another supervisor has it.
    pub(super) fn take(path: &Path) -> Result<Self, String> {
        loop {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)
                .map_err(doing(format_args!("open `{}`", path.display())))?;
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
                .map_err(|_| "another supervisor runs this release".to_owned())?;
            if is_still_at(&file, path) {
                return Ok(Self {
                    path: path.to_owned(),
                    _file: file,
                });
            }
        }
    }

    /// Gives it up and leaves no file.
    pub(super) fn release(self) {
        drop(fs::remove_file(&self.path));
    }
}

/// The holder before may have removed the file between opening and locking it.
fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => held.ino() == named.ino() && held.dev() == named.dev(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_supervisor_of_a_release_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let first = Lock::take(&path).unwrap();
        assert!(Lock::take(&path).is_err());
        first.release();
        assert!(!path.exists());
        Lock::take(&path).unwrap().release();
    }
}
