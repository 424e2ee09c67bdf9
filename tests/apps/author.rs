//! The author of an app: writes its files, makes its lock with the tools of this machine, commits and pushes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::case::{self, Change};
use super::machine;
use super::support::{GitRepo, TestHost};

/// The file in which an app finds the commit that it was made from. No commit can hold its own name, so the author commits the code, then this.
const COMMIT: &str = "COMMIT";

/// An app in the config repo's work tree.
pub(crate) struct Author<'a> {
    repo: GitRepo,
    directory: PathBuf,
    /// An empty one, so that nothing of this machine's user decides what is locked.
    home: PathBuf,
    /// How the author's tools reach the registry.
    variables: &'a BTreeMap<String, String>,
    lock: &'a [String],
}

impl<'a> Author<'a> {
    /// Writes the app of a folder; nothing is committed yet.
    pub(crate) fn of(
        host: &TestHost,
        folder: &str,
        (variables, lock): (&'a BTreeMap<String, String>, &'a [String]),
    ) -> Self {
        let author = Self {
            repo: GitRepo::at(&host.path("")),
            directory: host.path("work/apps").join(folder),
            home: host.path("author"),
            variables,
            lock,
        };
        fs::create_dir_all(&author.home).unwrap();
        copy(&case::directory(folder), &author.directory);
        fs::remove_file(author.directory.join(case::FILE)).unwrap();
        author.lock();
        author
    }

    /// Makes the lock anew; the author's own tools must not fail.
    fn lock(&self) {
        for line in self.lock {
            let output = Command::new("/bin/sh")
                .args(["-c", line])
                .current_dir(&self.directory)
                .envs(self.variables)
                .env("HOME", &self.home)
                .envs(machine::homes_of_tools())
                .output()
                .unwrap();
            let said =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success(), "`{line}`: {said}");
        }
    }

    /// Changes files as a case says.
    pub(crate) fn change(&self, change: &Change) {
        for [file, from, to] in &change.change {
            replace(&self.directory.join(file), from, to);
        }
        if change.lock {
            self.lock();
        }
    }

    /// Commits and pushes; gives the commit with the code, which the app answers with.
    pub(crate) fn commit(&self, message: &str) -> String {
        let repo = &self.repo;
        repo.git(&["add", "-A"]);
        repo.git(&["commit", "-q", "-m", message]);
        let commit = repo.git(&["rev-parse", "HEAD"]);
        fs::write(self.directory.join(COMMIT), format!("{commit}\n")).unwrap();
        repo.push(&[], "Write down which commit that was");
        commit
    }
}

/// The text must be there exactly as the case says, or the case speaks of another app.
fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap_or_default();
    let shown = path.display();
    if from.is_empty() {
        assert!(text.is_empty(), "{shown} is there already");
        return fs::write(path, to).unwrap();
    }
    assert!(text.contains(from), "{shown} has no {from:?}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let copied = Command::new("cp").arg("-R").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}
