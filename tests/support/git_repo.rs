//! A git repository to push to, made and changed with the real git.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A work tree and the bare repository that it pushes to.
pub(crate) struct GitRepo {
    work: PathBuf,
    bare: PathBuf,
}

impl GitRepo {
    /// An empty pair of repositories in a directory.
    pub(crate) fn empty(directory: &Path) -> Self {
        let repo = Self {
            work: directory.join("work"),
            bare: directory.join("config.git"),
        };
        std::fs::create_dir_all(&repo.work).unwrap();
        run(
            directory,
            &["init", "-q", "--bare", "-b", "main", path(&repo.bare)],
        );
        repo.git(&["init", "-q", "-b", "main"]);
        repo
    }

    /// The pair of repositories that lies in a directory already.
    pub(crate) fn at(directory: &Path) -> Self {
        Self {
            work: directory.join("work"),
            bare: directory.join("config.git"),
        }
    }

    /// A pair of repositories with one commit.
    pub(crate) fn with(directory: &Path, files: &[(&str, &str)]) -> Self {
        let repo = Self::empty(directory);
        repo.push(files, "first");
        repo
    }

    /// The bare repository.
    pub(crate) fn bare(&self) -> &Path {
        &self.bare
    }

    /// Its `file://` address.
    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.bare.display())
    }

    /// Commits files and pushes; gives the commit.
    pub(crate) fn push(&self, files: &[(&str, &str)], message: &str) -> String {
        for (name, content) in files {
            let file = self.work.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.push_head()
    }

    /// Pushes what is checked out, whatever the remote has.
    pub(crate) fn push_head(&self) -> String {
        self.git(&[
            "push",
            "-q",
            "--force",
            path(&self.bare),
            "HEAD:refs/heads/main",
        ]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Pushes a commit of a tree that git itself would not check out.
    pub(crate) fn push_tree(&self, tree: &str) -> String {
        let commit = self.git(&["commit-tree", "-m", "tree", tree]);
        let to = format!("{commit}:refs/heads/main");
        self.git(&["push", "-q", "--force", path(&self.bare), &to]);
        commit
    }

    /// Runs git in the work tree; gives what it printed.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        run(&self.work, args)
    }

    /// Runs git with an input.
    pub(crate) fn git_with(&self, args: &[&str], input: &str) -> String {
        use std::io::Write as _;
        let mut child = command(&self.work, args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {args:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(directory: &Path, args: &[&str]) -> String {
    let output = command(directory, args).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {args:?}: {words}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.current_dir(directory).args(args);
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    // A collection in the background would write into a directory that is being removed.
    command.env("GIT_CONFIG_COUNT", "1");
    command
        .env("GIT_CONFIG_KEY_0", "gc.auto")
        .env("GIT_CONFIG_VALUE_0", "0");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Ada")
            .env(format!("GIT_{role}_EMAIL"), "ada@example.org");
    }
    command
}
