//! Opening a file beneath a directory. The kernel resolves the path and refuses whatever leaves the directory, at any moment.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat, openat2};
use rustix::io::{Errno, Result};

/// How often a lookup that a rename disturbed is tried again.
const RACES: usize = 8;

/// What stands at a path.
#[derive(Debug)]
pub(crate) enum Found {
    /// A regular file.
    File(OwnedFd, Stat),
    /// A directory.
    Directory,
}

/// Opens what stands at the segments beneath the root; `None` when nothing to be served does.
pub(crate) fn find(root: &Path, segments: &[Vec<u8>]) -> Result<Option<Found>> {
    match look(root, segments) {
        Ok(found) => Ok(found),
        Err(
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::XDEV
            | Errno::LOOP
            | Errno::NAMETOOLONG
            | Errno::NXIO
            | Errno::ACCESS
            | Errno::PERM,
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

fn look(root: &Path, segments: &[Vec<u8>]) -> Result<Option<Found>> {
    let root = open(
        root,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    if segments.is_empty() {
        return Ok(Some(Found::Directory));
    }
    let file = open_beneath(root, segments)?;
    let stat = fstat(&file)?;
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Some(Found::File(file, stat)),
        FileType::Directory => Some(Found::Directory),
        _ => None,
    })
}

/// Never blocks on a FIFO.
const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

fn open_beneath(root: OwnedFd, segments: &[Vec<u8>]) -> Result<OwnedFd> {
    let path = segments.join(&b'/');
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut last = Errno::AGAIN;
    for _ in 0..RACES {
        match openat2(&root, path.as_slice(), FLAGS, Mode::empty(), resolve) {
            Err(Errno::NOSYS) => return open_stepwise(root, segments),
            Err(Errno::AGAIN) => last = Errno::AGAIN,
            other => return other,
        }
    }
    Err(last)
}

/// For kernels and sandboxes without `openat2`: follows no link at all.
fn open_stepwise(root: OwnedFd, segments: &[Vec<u8>]) -> Result<OwnedFd> {
    let (last, above) = segments.split_last().ok_or(Errno::NOENT)?;
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = above
        .iter()
        .try_fold(root, |at, name| enter(at.as_fd(), name, step))?;
    enter(directory.as_fd(), last, FLAGS | OFlags::NOFOLLOW)
}

fn enter(at: impl AsFd, name: &[u8], flags: OFlags) -> Result<OwnedFd> {
    openat(at, OsStr::from_bytes(name), flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "a real tree with real links is what is tested"
    )]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::files::path::UrlPath;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("site");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(root.join("sub/page.html"), "page").unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        symlink("sub/page.html", root.join("inside")).unwrap();
        symlink("../secret", root.join("outside")).unwrap();
        symlink("/etc/passwd", root.join("absolute")).unwrap();
        symlink("/etc", root.join("etc")).unwrap();
        symlink("/proc/self/root/etc", root.join("magic")).unwrap();
        dir
    }

    fn is_file(root: &Path, path: &str) -> bool {
        let segments = UrlPath::parse(path).unwrap().segments;
        let found = find(root, &segments).unwrap();
        let stepwise = open(root, OFlags::PATH, Mode::empty())
            .and_then(|root| open_stepwise(root, &segments))
            .is_ok();
        assert!(!stepwise || found.is_some(), "{path}");
        matches!(found, Some(Found::File(..)))
    }

    #[test]
    fn t29_a_link_that_leaves_the_directory_is_not_followed() {
        let dir = tree();
        let root = dir.path().join("site");
        assert!(is_file(&root, "/sub/page.html"));
        assert!(is_file(&root, "/inside"));
        for path in [
            "/outside",
            "/absolute",
            "/etc/passwd",
            "/magic/passwd",
            "/missing",
            "/sub",
            "/sub/page.html/x",
        ] {
            assert!(!is_file(&root, path), "{path}");
        }
    }

    #[test]
    fn t29_a_link_swapped_in_later_is_not_followed_either() {
        let dir = tree();
        let root = dir.path().join("site");
        assert!(is_file(&root, "/sub/page.html"));
        fs::remove_file(root.join("sub/page.html")).unwrap();
        symlink("../../secret", root.join("sub/page.html")).unwrap();
        assert!(!is_file(&root, "/sub/page.html"));
    }
}
