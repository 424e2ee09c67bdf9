//! What somebody who runs as an app's user gets to see of the agent's directories.

use std::path::{Path, PathBuf};

use crate::apps::walk;
use crate::world::{World, python_as};

/// Tries to read, to write and to connect to every path it is told; prints what it got into.
const PROGRAM: &str = r#"
import os, socket, stat, sys
def tried(how, path, attempt):
    try:
        attempt()
        print(how, path)
    except OSError:
        pass
def create(path):
    name = os.path.join(path, "intruder")
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.unlink(name)
def connect(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
for path in sys.stdin.read().split("\0"):
    kind, path = path[0], path[1:]
    if kind == "d":
        tried("list", path, lambda: os.listdir(path))
        tried("create in", path, lambda: create(path))
    elif kind == "s":
        tried("connect", path, lambda: connect(path))
    elif kind == "f":
        tried("read", path, lambda: os.close(os.open(path, os.O_RDONLY)))
        tried("write", path, lambda: os.close(os.open(path, os.O_WRONLY)))
    tried("chmod", path, lambda: os.chmod(path, 0o777, follow_symlinks=False))
print("done")
"#;

/// How many paths outside its own tree an app's user has tried, and what it got into.
pub(crate) fn breaches(world: &World, app: &str, user: (u32, u32)) -> (usize, Vec<String>) {
    let own = world.data(&format!("apps/{app}"));
    let paths: Vec<PathBuf> = walk(&world.data(""))
        .into_iter()
        .chain(walk(&world.path("run")))
        .filter(|path| !path.starts_with(&own))
        .collect();
    assert!(paths.len() > 50, "{paths:?}");
    (paths.len(), tried(&paths, user))
}

/// What a user gets of these paths.
pub(crate) fn tried(paths: &[PathBuf], user: (u32, u32)) -> Vec<String> {
    let told: Vec<String> = paths
        .iter()
        .map(|path| format!("{}{}", kind(path), path.display()))
        .collect();
    let said = python_as(user, PROGRAM, &told.join("\0"));
    assert!(said.ends_with("done\n"), "{said}");
    let lines = said.lines().filter(|line| *line != "done");
    lines.map(str::to_owned).collect()
}

fn kind(path: &Path) -> char {
    use std::os::unix::fs::FileTypeExt as _;
    match std::fs::symlink_metadata(path).map(|meta| meta.file_type()) {
        Ok(kind) if kind.is_dir() => 'd',
        Ok(kind) if kind.is_file() => 'f',
        Ok(kind) if kind.is_socket() => 's',
        _ => 'o',
    }
}
