//! Removing a tree that its owner may be changing meanwhile: every step is relative to an open directory and follows no link.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use hop3_plugin_api::HostError;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, fchmod, openat, openat2,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::files::temporary_name;

/// How deep directories are held open; what lies deeper is moved up first, so that no tree is too deep to remove.
const DEPTH: usize = 64;

/// How often a directory is emptied again because something keeps writing into it.
const ATTEMPTS: usize = 16;

pub(super) fn remove_beneath(root: &Path, path: &Path) -> Result<(), HostError> {
    let relative = relative(root, path)?;
    remove(root, relative).map_err(|e| HostError::file("remove", path, e))
}

/// The path from the root, which must be plain and lead somewhere beneath it.
fn relative<'a>(root: &Path, path: &'a Path) -> Result<&'a Path, HostError> {
    let plain = |path: &Path| {
        path.components()
            .all(|part| matches!(part, Component::Normal(_)))
    };
    path.strip_prefix(root)
        .ok()
        .filter(|rest| !rest.as_os_str().is_empty() && plain(rest) && root.is_absolute())
        .ok_or_else(|| HostError::Refused {
            doing: format!("remove `{}`", path.display()),
            reason: format!("it does not lie beneath `{}`", root.display()),
        })
}

fn remove(root: &Path, relative: &Path) -> io::Result<()> {
    let name = relative
        .file_name()
        .map(|name| CString::new(name.as_bytes()))
        .expect("a plain path has a last component")?;
    let found = fs::File::open(root).and_then(|root| open_parent(root, relative));
    let removed = match found {
        Ok(parent) => remove_entry(&parent, &parent, &name, 0),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn open_parent(root: fs::File, relative: &Path) -> io::Result<OwnedFd> {
    let parent = relative.parent().unwrap_or(Path::new(""));
    if parent.as_os_str().is_empty() {
        return Ok(root.into());
    }
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(root, parent, flags, Mode::empty(), resolve)?)
}

/// Removes one entry of `parent`. `top` receives what lies too deep.
fn remove_entry(top: &OwnedFd, parent: &OwnedFd, name: &CStr, depth: usize) -> io::Result<()> {
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(unlinkat(parent, name, AtFlags::empty())?);
    }
    if depth == DEPTH {
        return move_up(top, parent, name);
    }
    let directory = open_for_removal(parent, name)?;
    for _ in 0..ATTEMPTS {
        empty(top, &directory, depth)?;
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            other => return Ok(other?),
        }
    }
    Err(Errno::NOTEMPTY.into())
}

fn empty(top: &OwnedFd, directory: &OwnedFd, depth: usize) -> io::Result<()> {
    for name in names(directory)? {
        match remove_entry(top, directory, &name, depth + 1) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// Names are read first: removing while reading may skip some.
fn names(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

/// Takes a directory out of its depth and removes it from there.
fn move_up(top: &OwnedFd, parent: &OwnedFd, name: &CStr) -> io::Result<()> {
    let higher = CString::new(temporary_name())?;
    renameat_with(parent, name, top, higher.as_c_str(), RenameFlags::NOREPLACE)?;
    remove_entry(top, top, &higher, 0)
}

/// Opens a directory so that its entries can be removed, whatever its permission bits say.
fn open_for_removal(parent: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            make_readable(parent, name)?;
            openat(parent, name, flags, Mode::empty())
        }
        other => other,
    }?;
    // Not ours to change, perhaps; then removing its entries says so.
    fchmod(opened.as_fd(), Mode::RWXU).ok();
    Ok(opened)
}

/// An unreadable directory is pinned by a handle that needs no permission, then changed through it: a link put in its place is not followed.
fn make_readable(parent: &OwnedFd, name: &CStr) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let pinned = openat(parent, name, flags, Mode::empty())?;
    let through = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    Ok(rustix::fs::chmod(through, Mode::RWXU)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn nothing_outside_the_root_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("inside");
        fs::create_dir(&inside).unwrap();
        for path in [
            root.path().to_owned(),
            inside.clone(),
            inside.join("../other"),
            "/etc".into(),
        ] {
            assert!(matches!(
                remove_beneath(&inside, &path),
                Err(HostError::Refused { .. })
            ));
        }
        remove_beneath(root.path(), &inside.join("missing/deeper")).unwrap();
        remove_beneath(root.path(), &inside).unwrap();
        assert!(!inside.exists());
    }

    #[test]
    fn t13_a_link_on_the_way_or_in_the_tree_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let victim = tempfile::tempdir().unwrap();
        fs::write(victim.path().join("file"), "safe").unwrap();
        symlink(victim.path(), root.path().join("link")).unwrap();
        assert!(remove_beneath(root.path(), &root.path().join("link/file")).is_err());
        fs::create_dir(root.path().join("tree")).unwrap();
        symlink(victim.path(), root.path().join("tree/link")).unwrap();
        remove_beneath(root.path(), &root.path().join("tree")).unwrap();
        remove_beneath(root.path(), &root.path().join("link")).unwrap();
        assert!(victim.path().join("file").exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn t13_a_link_swapped_in_while_removing_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let victim = tempfile::tempdir().unwrap();
        fs::write(victim.path().join("file"), "safe").unwrap();
        let tree = root.path().join("tree");
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    drop(fs::create_dir_all(tree.join("a")));
                    drop(fs::remove_dir(tree.join("a")));
                    drop(symlink(victim.path(), tree.join("a")));
                    drop(fs::remove_file(tree.join("a")));
                }
            });
            for _ in 0..500 {
                drop(remove_beneath(root.path(), &tree));
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert!(victim.path().join("file").exists());
    }

    #[test]
    fn a_tree_without_permissions_and_a_very_deep_one_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let closed = root.path().join("closed/inner");
        fs::create_dir_all(&closed).unwrap();
        fs::write(closed.join("file"), "").unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o0)).unwrap();
        remove_beneath(root.path(), &root.path().join("closed")).unwrap();
        let mut deep = root.path().join("deep");
        for _ in 0..300 {
            deep.push("d");
        }
        fs::create_dir_all(&deep).unwrap();
        remove_beneath(root.path(), &root.path().join("deep")).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
