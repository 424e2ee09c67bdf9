//! Cloning a directory tree: blocks are shared where the file system can, else copied. Modes, times, owners and links are kept.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown, lchown, symlink,
};
use std::path::Path;

use hop3_plugin_api::HostError;
use rustix::fs::{OFlags, Timespec, Timestamps, futimens, ioctl_ficlone};

use super::files::is_root;

pub(super) fn clone_tree(from: &Path, into: &Path) -> Result<(), HostError> {
    directory(from, into).map_err(|e| HostError::file("clone", from, e))
}

fn directory(from: &Path, into: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(into)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, source, target) = (
            entry.file_type()?,
            entry.path(),
            into.join(entry.file_name()),
        );
        if kind.is_dir() {
            directory(&source, &target)?;
        } else if kind.is_file() {
            file(&source, &target)?;
        } else if kind.is_symlink() {
            link(&source, &target)?;
        } else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "`{}` is neither a file, a directory nor a link",
                    source.display()
                ),
            ));
        }
    }
    // Last, because writing into it needs permission and changes its time.
    keep(&File::open(into)?, &fs::symlink_metadata(from)?)
}

fn file(from: &Path, into: &Path) -> io::Result<()> {
    let mut source = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(from)?;
    let mut target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(into)?;
    if ioctl_ficlone(&target, &source).is_err() {
        io::copy(&mut source, &mut target)?;
    }
    keep(&target, &source.metadata()?)
}

fn link(from: &Path, into: &Path) -> io::Result<()> {
    symlink(fs::read_link(from)?, into)?;
    if is_root() {
        let meta = fs::symlink_metadata(from)?;
        lchown(into, Some(meta.uid()), Some(meta.gid()))?;
    }
    Ok(())
}

/// Owner, mode and time of the original: byte code caches go by the time of their source.
fn keep(target: &File, meta: &fs::Metadata) -> io::Result<()> {
    if is_root() {
        fchown(target, Some(meta.uid()), Some(meta.gid()))?;
    }
    target.set_permissions(meta.permissions())?;
    let at = |seconds, nanoseconds| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: at(meta.atime(), meta.atime_nsec()),
        last_modification: at(meta.mtime(), meta.mtime_nsec()),
    };
    Ok(futimens(target, &times)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_clone_has_the_same_files_modes_times_and_links() {
        let root = tempfile::tempdir().unwrap();
        let (from, into) = (root.path().join("from"), root.path().join("into"));
        fs::create_dir_all(from.join("bin")).unwrap();
        fs::write(from.join("bin/run"), "text").unwrap();
        fs::set_permissions(from.join("bin/run"), fs::Permissions::from_mode(0o751)).unwrap();
        fs::set_permissions(from.join("bin"), fs::Permissions::from_mode(0o550)).unwrap();
        symlink("bin/run", from.join("link")).unwrap();
        symlink("/nowhere", from.join("dangling")).unwrap();
        clone_tree(&from, &into).unwrap();
        let meta = |root: &Path, path: &str| fs::symlink_metadata(root.join(path)).unwrap();
        for path in ["bin", "bin/run"] {
            assert_eq!(meta(&from, path).mode(), meta(&into, path).mode(), "{path}");
            assert_eq!(
                meta(&from, path).mtime_nsec(),
                meta(&into, path).mtime_nsec(),
                "{path}"
            );
        }
        assert_eq!(fs::read(into.join("link")).unwrap(), b"text");
        assert_eq!(
            fs::read_link(into.join("dangling")).unwrap(),
            Path::new("/nowhere")
        );
        assert!(clone_tree(&from, &into).is_err(), "it must not exist yet");
    }
}
