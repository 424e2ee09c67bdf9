//! Files and links put in place as a whole: written beside their target, synced, renamed. Never follows a link at the last component.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use hop3_plugin_api::{FileKind, FileWrite, HostEntry, HostError, UserId};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, syncfs};

/// What our temporary names start with, so that a sweep finds what a crash left behind.
pub(crate) const TEMPORARY: &str = ".hop3-tmp-";

pub(super) fn write_atomic(file: &FileWrite) -> Result<(), HostError> {
    let failed = |e| HostError::file("write", &file.path, e);
    let candidate = beside(&file.path).map_err(failed)?;
    let written = write_candidate(&candidate, file).and_then(|()| put(&candidate, &file.path));
    discard_on_failure(&candidate, &written);
    written.map_err(failed)
}

fn write_candidate(candidate: &Path, file: &FileWrite) -> io::Result<()> {
    let mut target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(candidate)?;
    target.write_all(&file.content)?;
    give(&target, file.mode, file.owner)?;
    target.sync_all()
}

/// The owner goes first: changing it may clear permission bits.
fn give(file: &File, mode: u32, owner: Option<UserId>) -> io::Result<()> {
    if let Some(owner) = owner.filter(|_| is_root()) {
        let (user, group) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        fchown(file, Some(user), Some(group))?;
    }
    Ok(fchmod(file, Mode::from_raw_mode(mode))?)
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn put(candidate: &Path, target: &Path) -> io::Result<()> {
    fs::rename(candidate, target)?;
    sync_parent(target)
}

fn discard_on_failure(candidate: &Path, result: &io::Result<()>) {
    if result.is_err() {
        // What cannot be removed now is found by the sweep at the next start.
        drop(fs::remove_file(candidate));
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path)?)?.sync_all()
}

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no directory"))
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    Ok(parent(path)?.join(temporary_name()))
}

pub(super) fn temporary_name() -> String {
    let mut random = [0; 8];
    fill_random(&mut random);
    format!("{TEMPORARY}{:016x}", u64::from_le_bytes(random))
}

pub(super) fn fill_random(mut bytes: &mut [u8]) {
    while !bytes.is_empty() {
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut *bytes, flags) {
            Ok(filled) => bytes = &mut bytes[filled..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => unreachable!("the kernel's random source failed: {error}"),
        }
    }
}

pub(super) fn ensure_dir(path: &Path, mode: u32, owner: Option<UserId>) -> Result<(), HostError> {
    make_dir(path, mode, owner).map_err(|e| HostError::file("make the directory", path, e))
}

fn make_dir(path: &Path, mode: u32, owner: Option<UserId>) -> io::Result<()> {
    if fs::symlink_metadata(path).is_err() {
        if let Ok(parent) = parent(path) {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)?;
        }
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => sync_parent(path)?,
        }
    }
    give(&open_directory(path)?, mode, owner)
}

/// Opens a directory, but not through a link in its place.
pub(super) fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

pub(super) fn ensure_link(link: &Path, target: &Path) -> Result<(), HostError> {
    let failed = |e| HostError::file("link", link, e);
    if fs::read_link(link).is_ok_and(|current| current == target) {
        return Ok(());
    }
    let candidate = beside(link).map_err(failed)?;
    let linked = symlink(target, &candidate).and_then(|()| put(&candidate, link));
    discard_on_failure(&candidate, &linked);
    linked.map_err(failed)
}

/// A directory's content is on disk before its new name is: what is renamed into place is whole after a power loss too.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), HostError> {
    let renamed = sync_directory(from)
        .and_then(|()| fs::rename(from, to))
        .and_then(|()| sync_parent(to))
        .and_then(|()| sync_parent(from));
    renamed.map_err(|e| HostError::file("rename", from, e))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        syncfs(open_directory(path)?)?;
    }
    Ok(())
}

pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, HostError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(HostError::file("read", path, error)),
    }
}

pub(super) fn list(directory: &Path) -> Result<Vec<HostEntry>, HostError> {
    let failed = |e| HostError::file("list", directory, e);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if let Ok(name) = entry.file_name().into_string() {
            let kind = kind_of(entry.file_type().map_err(failed)?);
            found.push(HostEntry { name, kind });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn kind_of(kind: fs::FileType) -> FileKind {
    if kind.is_symlink() {
        FileKind::Symlink
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_file() {
        FileKind::File
    } else {
        FileKind::Other
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Removes what a crash left of our own temporary files, down to `depth` levels of directories, and says how many.
///
/// Assumptions: the data dir's lock is held, so no other agent is writing one of them. Not for `/tmp`: a task that outlived the last agent
/// may still use its directory there.
pub fn sweep(directory: &Path, depth: u32) -> usize {
    let Ok(entries) = list(directory) else {
        return 0;
    };
    let mut swept = 0;
    for entry in entries {
        let path = directory.join(&entry.name);
        if entry.name.starts_with(TEMPORARY) {
            swept += usize::from(super::remove::remove_beneath(directory, &path).is_ok());
        } else if depth > 0 && entry.kind == FileKind::Directory {
            swept += sweep(&path, depth - 1);
        }
    }
    swept
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_write_leaves_the_old_or_the_new_content_and_no_temporary_file() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        write_atomic(&FileWrite::private(&path, "old")).unwrap();
        write_atomic(&FileWrite::private(&path, "new").mode(0o644)).unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"new");
        assert_eq!(mode_of(&path), 0o644);
        fs::create_dir(root.path().join("taken")).unwrap();
        fs::write(root.path().join("taken/inside"), "").unwrap();
        assert!(write_atomic(&FileWrite::private(root.path().join("taken"), "new")).is_err());
        assert!(write_atomic(&FileWrite::private(root.path().join("no/file"), "new")).is_err());
        let names: Vec<_> = list(root.path()).unwrap();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn a_write_replaces_a_link_instead_of_following_it() {
        let root = tempfile::tempdir().unwrap();
        let (victim, link) = (root.path().join("victim"), root.path().join("link"));
        fs::write(&victim, "safe").unwrap();
        symlink(&victim, &link).unwrap();
        write_atomic(&FileWrite::private(&link, "new")).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"safe");
        assert_eq!(fs::read(&link).unwrap(), b"new");
    }

    #[test]
    fn a_directory_gets_its_mode_and_a_link_in_its_place_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        ensure_dir(&deep, 0o750, None).unwrap();
        ensure_dir(&deep, 0o711, None).unwrap();
        assert_eq!(mode_of(&deep), 0o711);
        assert_eq!(mode_of(&root.path().join("a/b")), 0o755);
        symlink(&deep, root.path().join("link")).unwrap();
        assert!(ensure_dir(&root.path().join("link"), 0o777, None).is_err());
        assert_eq!(mode_of(&deep), 0o711);
    }

    #[test]
    fn a_link_is_replaced_in_one_step() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("current");
        for target in ["releases/1", "releases/2", "releases/2"] {
            ensure_link(&link, Path::new(target)).unwrap();
            assert_eq!(fs::read_link(&link).unwrap(), Path::new(target));
        }
    }

    #[test]
    fn a_sweep_removes_our_temporary_files_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        for name in [".hop3-tmp-1", "a/.hop3-tmp-2", "a/b/.hop3-tmp-3", "a/kept"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        assert_eq!(sweep(root.path(), 1), 2);
        assert!(root.path().join("a/b/.hop3-tmp-3").exists());
        assert!(root.path().join("a/kept").exists());
    }
}
