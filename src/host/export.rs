//! Writing an app's source into a fresh directory. The source is hostile: names are checked, nothing is ever written through a link, and
//! files, bytes and depth are counted.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use hop3_plugin_api::{HostError, SourceKind, SourceTree};
use rustix::fs::{Mode, OFlags, ResolveFlags, fchmod, mkdirat, openat2, symlinkat};
use rustix::io::Errno;

use super::files::open_directory;

/// The largest file of a source.
const FILE_BYTES: u64 = 512 * 1024 * 1024;
/// All files of a source together.
const TOTAL_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// The most entries of a source.
const ENTRIES: u64 = 500_000;
/// The deepest directory of a source.
const DEPTH: usize = 128;

pub(super) fn export_tree(
    source: &dyn SourceTree,
    only: Option<&[String]>,
    into: &Path,
) -> Result<(), HostError> {
    std::fs::create_dir(into).map_err(|e| HostError::file("make the directory", into, e))?;
    let root = open_directory(into).map_err(|e| HostError::file("open", into, e))?;
    let mut export = Export {
        source,
        into,
        entries: ENTRIES,
        bytes: TOTAL_BYTES,
    };
    match only {
        None => export.directory(root.as_fd(), ""),
        Some(paths) => paths
            .iter()
            .try_for_each(|path| export.listed(root.as_fd(), path)),
    }
}

struct Export<'a> {
    source: &'a dyn SourceTree,
    into: &'a Path,
    entries: u64,
    bytes: u64,
}

impl Export<'_> {
    fn directory(&mut self, at: BorrowedFd<'_>, path: &str) -> Result<(), HostError> {
        if path.split('/').count() > DEPTH {
            return Err(refused(
                path,
                format!("it is deeper than {DEPTH} directories"),
            ));
        }
        let entries = self
            .source
            .list(path)
            .map_err(|e| refused(path, e.message))?;
        for entry in entries {
            let inner = if path.is_empty() {
                entry.name.clone()
            } else {
                format!("{path}/{}", entry.name)
            };
            self.entry(at, &inner, entry.kind)?;
        }
        Ok(())
    }

    /// One of the listed paths with the directories that lead to it; one that the source does not have is left out.
    fn listed(&mut self, root: BorrowedFd<'_>, path: &str) -> Result<(), HostError> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let entries = self
            .source
            .list(directory)
            .map_err(|e| refused(path, e.message))?;
        let Some(entry) = entries.into_iter().find(|entry| entry.name == name) else {
            return Ok(());
        };
        let mut parent = root
            .try_clone_to_owned()
            .map_err(|e| self.failed("open", directory, e))?;
        let mut way = String::new();
        for part in directory.split('/').filter(|part| !part.is_empty()) {
            way = if way.is_empty() {
                part.to_owned()
            } else {
                format!("{way}/{part}")
            };
            parent = self.enter(parent.as_fd(), &way)?;
        }
        self.entry(parent.as_fd(), path, entry.kind)
    }

    fn entry(&mut self, at: BorrowedFd<'_>, path: &str, kind: SourceKind) -> Result<(), HostError> {
        self.entries = self
            .entries
            .checked_sub(1)
            .ok_or_else(|| refused(path, format!("the source has more than {ENTRIES} entries")))?;
        match kind {
            SourceKind::Directory => {
                let directory = self.enter(at, path)?;
                self.directory(directory.as_fd(), path)
            }
            SourceKind::File { executable } => self.file(at, path, executable),
            SourceKind::Symlink => self.symlink(at, path),
            SourceKind::Submodule => Err(refused(path, "it is a submodule")),
        }
    }

    /// Makes a directory if need be and opens it.
    fn enter(&self, at: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, HostError> {
        let name = checked_name(path)?;
        match mkdirat(at, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(self.failed("make the directory", path, error.into())),
        }
        open_beneath(at, name, OFlags::DIRECTORY).map_err(|e| self.failed("open", path, e))
    }

    fn file(&mut self, at: BorrowedFd<'_>, path: &str, executable: bool) -> Result<(), HostError> {
        let name = checked_name(path)?;
        let limit = FILE_BYTES.min(self.bytes);
        let content = self
            .source
            .read_up_to(path, limit)
            .map_err(|e| refused(path, e.message))?
            .ok_or_else(|| refused(path, "the source lists it and does not have it"))?;
        self.bytes = self.bytes.saturating_sub(content.len() as u64);
        let mode = if executable { 0o755 } else { 0o644 };
        write_file(at, name, &content, mode).map_err(|e| self.failed("write", path, e))
    }

    fn symlink(&self, at: BorrowedFd<'_>, path: &str) -> Result<(), HostError> {
        let name = checked_name(path)?;
        let target = self
            .source
            .link_target(path)
            .map_err(|e| refused(path, e.message))?
            .unwrap_or_default();
        if !stays_inside(path, &target) {
            return Err(refused(
                path,
                format!("it is a link to `{target}`, outside the source"),
            ));
        }
        match symlinkat(target.as_str(), at, name) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(self.failed("link", path, error.into())),
        }
    }

    fn failed(&self, doing: &'static str, path: &str, error: io::Error) -> HostError {
        HostError::file(doing, self.into.join(path), error)
    }
}

fn write_file(at: BorrowedFd<'_>, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let mut file = File::from(open_beneath(at, name, flags)?);
    file.write_all(content)?;
    Ok(fchmod(&file, Mode::from_raw_mode(mode))?)
}

fn open_beneath(at: BorrowedFd<'_>, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mode = if flags.contains(OFlags::CREATE) {
        Mode::from_raw_mode(0o600)
    } else {
        Mode::empty()
    };
    Ok(openat2(at, name, flags | OFlags::CLOEXEC, mode, resolve)?)
}

/// The last component of a path, if it is a name that a source may have.
fn checked_name(path: &str) -> Result<&str, HostError> {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let reason = match name {
        "" | "." | ".." => "the name leaves the source",
        _ if name.contains(['\0', '/']) => "the name holds a character that no file name has",
        _ if name.len() > 255 => "the name is longer than 255 bytes",
        _ if is_git(name) => "the name is git's own on some file system",
        _ => return Ok(name),
    };
    Err(refused(path, reason))
}

/// Whether some file system reads a name as `.git`: case, trailing dots and spaces, short names, streams and invisible characters.
fn is_git(name: &str) -> bool {
    let visible: String = name.chars().filter(|c| !is_invisible(*c)).collect();
    let before_stream = visible.split(':').next().unwrap_or_default();
    let plain = before_stream
        .trim_end_matches(['.', ' '])
        .to_ascii_lowercase();
    matches!(plain.as_str(), ".git" | "git~1")
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether a link leads to somewhere inside, whatever other links it crosses: steps up come first and are fewer than directories above it.
fn stays_inside(path: &str, target: &str) -> bool {
    let above = path.matches('/').count();
    let parts: Vec<&str> = target
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let up = parts.iter().take_while(|part| **part == "..").count();
    let plain = !target.is_empty() && !target.starts_with('/') && !target.contains('\0');
    plain && up <= above && !parts[up..].contains(&"..")
}

fn refused(path: &str, reason: impl Into<String>) -> HostError {
    HostError::Refused {
        doing: format!("export `{path}` of the source"),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    use hop3_plugin_api::{Digest, SourceEntry, SourceError};

    use super::*;

    /// A tree that may hold what no file system would.
    #[derive(Debug, Default)]
    struct Hostile(BTreeMap<String, (SourceKind, String)>);

    impl Hostile {
        fn with(mut self, path: &str, kind: SourceKind, content: &str) -> Self {
            self.0.insert(path.to_owned(), (kind, content.to_owned()));
            self
        }
    }

    impl SourceTree for Hostile {
        fn digest(&self) -> Digest {
            Digest::of_bytes(b"")
        }

        fn digest_without(&self, _files: &[&str]) -> Digest {
            self.digest()
        }

        fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
            self.read_up_to(path, u64::MAX)
        }

        fn read_up_to(&self, path: &str, _limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
            Ok(self
                .0
                .get(path)
                .map(|(_, content)| content.clone().into_bytes()))
        }

        fn link_target(&self, path: &str) -> Result<Option<String>, SourceError> {
            Ok(self.0.get(path).map(|(_, content)| content.clone()))
        }

        fn list(&self, directory: &str) -> Result<Vec<SourceEntry>, SourceError> {
            let inside = |path: &str| {
                if directory.is_empty() {
                    Some(path.to_owned())
                } else {
                    Some(path.strip_prefix(directory)?.strip_prefix('/')?.to_owned())
                }
            };
            let entries = self.0.iter().filter_map(|(path, (kind, _))| {
                let name = inside(path).filter(|name| !name.contains('/'))?;
                Some(SourceEntry { name, kind: *kind })
            });
            Ok(entries.collect())
        }
    }

    const FILE: SourceKind = SourceKind::File { executable: false };

    fn export(source: &Hostile) -> Result<tempfile::TempDir, HostError> {
        let root = tempfile::tempdir().unwrap();
        export_tree(source, None, &root.path().join("into"))?;
        Ok(root)
    }

    #[test]
    fn files_links_and_modes_arrive() {
        let source = Hostile::default()
            .with("bin", SourceKind::Directory, "")
            .with(
                "bin/run",
                SourceKind::File { executable: true },
                "#!/bin/sh",
            )
            .with("bin/link", SourceKind::Symlink, "../README")
            .with("README", FILE, "read me");
        let root = export(&source).unwrap();
        let at = |path: &str| root.path().join("into").join(path);
        let mode = |path: &str| std::fs::metadata(at(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("bin/run"), mode("README")), (0o755, 0o644));
        assert_eq!(std::fs::read(at("bin/link")).unwrap(), b"read me");
        assert!(
            export_tree(&source, None, &root.path().join("into")).is_err(),
            "it must not exist yet"
        );
    }

    #[test]
    fn only_the_listed_paths_arrive() {
        let source = Hostile::default()
            .with("a", SourceKind::Directory, "")
            .with("a/b", SourceKind::Directory, "")
            .with("a/b/wanted", FILE, "1")
            .with("a/b/other", FILE, "2");
        let root = tempfile::tempdir().unwrap();
        let only = ["a/b/wanted".to_owned(), "missing".to_owned()];
        export_tree(&source, Some(&only), &root.path().join("into")).unwrap();
        assert!(root.path().join("into/a/b/wanted").exists());
        assert!(!root.path().join("into/a/b/other").exists());
        assert!(!root.path().join("into/missing").exists());
    }

    #[test]
    fn t13_names_that_leave_the_source_or_are_gits_are_refused() {
        for name in [
            "..",
            ".",
            ".git",
            ".GIT",
            ".Git.",
            ".git . ",
            "git~1",
            "GIT~1",
            ".g\u{200c}it",
            "\u{feff}.git",
            ".git::$INDEX_ALLOCATION",
            "a\0b",
        ] {
            let source = Hostile::default().with(name, FILE, "x");
            assert!(
                matches!(export(&source), Err(HostError::Refused { .. })),
                "{name:?}"
            );
        }
        for name in [".gitignore", ".github", "git", "..."] {
            assert!(
                export(&Hostile::default().with(name, FILE, "x")).is_ok(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn t13_links_out_of_the_source_and_submodules_are_refused() {
        for target in [
            "/etc/passwd",
            "../up",
            "d/../../up",
            "a/..",
            "",
            "./../../etc",
        ] {
            let source = Hostile::default().with("link", SourceKind::Symlink, target);
            assert!(
                matches!(export(&source), Err(HostError::Refused { .. })),
                "{target:?}"
            );
        }
        let module = Hostile::default().with("module", SourceKind::Submodule, "");
        assert!(matches!(export(&module), Err(HostError::Refused { .. })));
    }

    #[test]
    fn t13_nothing_is_written_through_a_link_of_the_same_source() {
        let victim = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        let into = root.path().join("into");
        std::fs::create_dir(&into).unwrap();
        std::os::unix::fs::symlink(victim.path(), into.join("d")).unwrap();
        let at = open_directory(&into).unwrap();
        let source = Hostile::default().with("d/file", FILE, "x");
        let export = Export {
            source: &source,
            into: &into,
            entries: 9,
            bytes: 9,
        };
        assert!(export.enter(at.as_fd(), "d").is_err());
        assert_eq!(std::fs::read_dir(victim.path()).unwrap().count(), 0);
    }
}
