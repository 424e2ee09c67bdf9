//! A small disk of a walk's own for its data dir, which can be full. Only root can mount one.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether this machine can do it.
pub(crate) fn is_there() -> bool {
    rustix::process::geteuid().is_root()
}

/// A mounted disk. Dropping it unmounts it.
pub(crate) struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Effect: mounts one; `None` where that is not allowed.
    pub(crate) fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        if !is_there() {
            return None;
        }
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m,mode=711", "tmpfs"])
            .arg(at)
            .status();
        assert!(mounted.unwrap().success(), "no disk could be mounted");
        Some(Self { at: at.to_owned() })
    }

    /// Effect: takes all space there is.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let mut block = vec![0; 1 << 20];
        while !block.is_empty() {
            match ballast.write(&block) {
                Ok(_) => {}
                // What is left is smaller than that.
                Err(error) if error.kind() == ErrorKind::StorageFull => {
                    block.truncate(block.len() / 2);
                }
                Err(error) => panic!("the disk cannot be filled: {error}"),
            }
        }
    }

    /// Effect: gives it back.
    pub(crate) fn free(&self) {
        match fs::remove_file(self.ballast()) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whatever still holds a file of it keeps it alive and nobody else's.
        let unmounted = Command::new("umount").arg("-l").arg(&self.at).status();
        drop(unmounted);
    }
}
