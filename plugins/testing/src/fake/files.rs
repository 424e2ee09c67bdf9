//! The file effects of the fake machine: real, and only beneath its root.
#![expect(
    clippy::disallowed_methods,
    reason = "this is a Host: file effects end here"
)]

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path};

use hop3_plugin_api::{FileKind, HostEntry, HostError, SourceKind, SourceTree};

pub(super) fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), HostError> {
    let candidate = path.with_added_extension("hop3-tmp");
    fs::write(&candidate, content)
        .and_then(|()| fs::set_permissions(&candidate, fs::Permissions::from_mode(mode)))
        .and_then(|()| fs::rename(&candidate, path))
        .map_err(|e| HostError::file("write", path, e))
}

pub(super) fn ensure_dir(path: &Path, mode: u32) -> Result<(), HostError> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(|e| HostError::file("make the directory", path, e))
}

pub(super) fn ensure_link(link: &Path, target: &Path) -> Result<(), HostError> {
    let candidate = link.with_added_extension("hop3-tmp");
    symlink(target, &candidate)
        .and_then(|()| fs::rename(&candidate, link))
        .map_err(|e| HostError::file("link", link, e))
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), HostError> {
    fs::rename(from, to).map_err(|e| HostError::file("rename", from, e))
}

pub(super) fn remove(path: &Path) -> Result<(), HostError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|e| HostError::file("remove", path, e))
}

pub(super) fn clone_tree(from: &Path, into: &Path) -> Result<(), HostError> {
    copy_directory(from, into).map_err(|e| HostError::file("clone", from, e))
}

fn copy_directory(from: &Path, into: &Path) -> io::Result<()> {
    fs::create_dir(into)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, into.join(entry.file_name()));
        if kind.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    fs::set_permissions(into, fs::metadata(from)?.permissions())
}

pub(super) fn export(
    source: &dyn SourceTree,
    only: Option<&[String]>,
    into: &Path,
) -> Result<(), HostError> {
    fs::create_dir(into).map_err(|e| HostError::file("make the directory", into, e))?;
    let Some(paths) = only else {
        return export_directory(source, "", into);
    };
    for path in paths {
        export_path(source, path, into)?;
    }
    Ok(())
}

fn export_path(source: &dyn SourceTree, path: &str, into: &Path) -> Result<(), HostError> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let entries = source
        .list(directory)
        .map_err(|e| refused(path, &e.to_string()))?;
    let Some(entry) = entries.into_iter().find(|entry| entry.name == name) else {
        return Ok(());
    };
    let parent = into.join(directory);
    fs::create_dir_all(&parent)
        .map_err(|e| HostError::file("make the directory", parent.as_path(), e))?;
    export_entry(source, path, entry.kind, into)
}

fn export_directory(
    source: &dyn SourceTree,
    directory: &str,
    into: &Path,
) -> Result<(), HostError> {
    let entries = source
        .list(directory)
        .map_err(|e| refused(directory, &e.to_string()))?;
    for entry in entries {
        let path = if directory.is_empty() {
            entry.name
        } else {
            format!("{directory}/{}", entry.name)
        };
        export_entry(source, &path, entry.kind, into)?;
    }
    Ok(())
}

fn export_entry(
    source: &dyn SourceTree,
    path: &str,
    kind: SourceKind,
    into: &Path,
) -> Result<(), HostError> {
    if !is_harmless(path) {
        return Err(refused(path, "the name leaves the directory or is git's"));
    }
    let target = into.join(path);
    match kind {
        SourceKind::Directory => {
            fs::create_dir_all(&target)
                .map_err(|e| HostError::file("make the directory", target.as_path(), e))?;
            export_directory(source, path, into)
        }
        SourceKind::File { executable } => {
            let content = source
                .read_up_to(path, u64::MAX)
                .map_err(|e| refused(path, &e.to_string()))?;
            let mode = if executable { 0o755 } else { 0o644 };
            write(&target, &content.unwrap_or_default(), mode)
        }
        SourceKind::Symlink => {
            let link = source
                .link_target(path)
                .map_err(|e| refused(path, &e.to_string()))?;
            ensure_link(&target, Path::new(&link.unwrap_or_default()))
        }
        SourceKind::Submodule => Err(refused(path, "it is a submodule")),
    }
}

fn is_harmless(path: &str) -> bool {
    Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git")))
}

fn refused(path: &str, reason: &str) -> HostError {
    HostError::Refused {
        doing: format!("export `{path}`"),
        reason: reason.to_owned(),
    }
}

pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, HostError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(HostError::file("read", path, error)),
    }
}

pub(super) fn list(directory: &Path) -> Result<Vec<HostEntry>, HostError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(HostError::file("list", directory, error)),
    };
    let mut found = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let kind = kind_of(entry.file_type().ok()?);
            let name = entry.file_name().into_string().ok()?;
            Some(HostEntry { name, kind })
        })
        .collect::<Vec<_>>();
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
