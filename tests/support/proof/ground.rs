//! A whole installation in a directory of its own: config repo, settings, data dir, run dir, the proxy's port.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::git_repo::GitRepo;
use super::process::{self, Process};
use super::visitor::Visitor;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/gitops-repo");

/// What a ground is made from: a config repo that was committed once, to be copied.
pub(crate) struct Template {
    directory: TempDir,
}

/// One installation. Dropping it ends every process that belongs to it and removes its directory.
pub(crate) struct Ground {
    directory: TempDir,
    pub(crate) repo: GitRepo,
    pub(crate) proxy: SocketAddr,
}

impl Template {
    /// The example config repo with some more files.
    pub(crate) fn of_example(more: &[(&str, &str)]) -> Self {
        let files = texts(Path::new(EXAMPLE));
        let files = files.iter().map(|(n, t)| (n.as_str(), t.as_str()));
        let files: Vec<_> = files.chain(more.iter().copied()).collect();
        Self::of_files(&files)
    }

    /// A config repo with these files.
    pub(crate) fn of_files(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        GitRepo::empty(directory.path()).push(files, "The first commit");
        Self { directory }
    }

    /// An installation on which nothing is applied yet.
    pub(crate) fn ground(&self) -> Ground {
        // Short: sockets lie below it, and their paths are limited to 107 bytes.
        let directory = tempfile::Builder::new().prefix("h3-").tempdir().unwrap();
        copy_tree(self.directory.path(), directory.path());
        let ground = Ground {
            repo: GitRepo::at(directory.path()),
            proxy: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())),
            directory,
        };
        fs::write(ground.path("agent.toml"), ground.default_settings()).unwrap();
        ground
    }
}

impl Ground {
    /// Looks are rare: a life does what it does at its start, or when it is asked to.
    fn default_settings(&self) -> String {
        let quoted = |path: &Path| toml::Value::from(path.display().to_string());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let tools = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
        let tools: Vec<_> = tools.map(|directory| quoted(&directory)).collect();
        format!(
            "host = \"demo\"\ndata-dir = {}\nrun-dir = {}\nlisten = \"\"\ntool-path = {}\n\n\
             [repo]\nurl = \"{}\"\nbranch = \"main\"\npoll = \"1h\"\n\n[drift]\ninterval = \"1h\"\n\n\
             [policy]\nusers = \"none\"\n\n[plugin.builtin-proxy]\nlisten = [\"{}\"]\n",
            quoted(&self.data()),
            quoted(&self.run()),
            toml::Value::from(tools),
            self.repo.url(),
            self.proxy,
        )
    }

    /// Effect: rewrites agent.toml.
    pub(crate) fn configure(&self, change: impl FnOnce(String) -> String) {
        let path = self.path("agent.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, change(text)).unwrap();
    }

    /// The settings' text.
    pub(crate) fn settings(&self) -> String {
        fs::read_to_string(self.path("agent.toml")).unwrap()
    }

    /// The directory that everything lies in.
    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// A path in it: `agent.toml`, `agent.log`, `work` (the config repo's work tree), `config.git`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The data dir.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The run dir.
    pub(crate) fn run(&self) -> PathBuf {
        self.path("run")
    }

    /// What an app has in the data dir.
    pub(crate) fn app(&self, name: &str) -> PathBuf {
        self.data().join("apps").join(name)
    }

    /// Somebody who asks an app.
    pub(crate) fn visitor(&self, app: &str) -> Visitor {
        Visitor::new(app, self.proxy)
    }

    /// Every process of this installation.
    pub(crate) fn processes(&self) -> BTreeSet<Process> {
        process::of(self.root())
    }

    /// The processes that serve an app: its supervisors and instances. What an instance starts for a moment comes and goes by itself.
    pub(crate) fn processes_of(&self, app: &str) -> BTreeSet<Process> {
        let beneath = format!("data/apps/{app}/");
        let mut processes = self.processes();
        processes.retain(|process| {
            process.place.starts_with(&beneath) && !process.command.starts_with("sleep ")
        });
        processes
    }

    /// The holder and the worker of the proxy.
    pub(crate) fn proxies(&self) -> BTreeSet<Process> {
        let mut processes = self.processes();
        let is = |process: &Process, name| process.is_helper(name);
        processes.retain(|it| is(it, "internal-proxy") || is(it, "internal-proxy-worker"));
        processes
    }

    /// Effect: ends every process; gives those that did not end.
    pub(crate) fn end(&self) -> BTreeSet<Process> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let left = self.processes();
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            // A supervisor would start what it supervises anew.
            left.iter().for_each(Process::kill);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Whatever happens, nothing of it runs on.
impl Drop for Ground {
    fn drop(&mut self) {
        self.end();
    }
}

/// A port that nobody listens on, below those that the system gives to outgoing connections and to apps.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 9000).unwrap();
    loop {
        let port = 10_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 9000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Every file below a directory, by its path.
pub(crate) fn texts(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&source, &copy);
        } else {
            fs::copy(source, copy).unwrap();
        }
    }
}
