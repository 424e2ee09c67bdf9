//! I5 and I7 for files: whole releases, layers in use, live sockets, no half written file, and nothing that grows.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::super::ground::Ground;
use super::Expectation;

/// The most releases that an app may have: the next deploy removes what one that was cut short has kept too many.
const RELEASES: usize = 24;
/// The largest log, and the most that one installation of the example may take up, in bytes.
const LOG: u64 = 4 * 1024 * 1024;
const TOTAL: u64 = 64 * 1024 * 1024;

pub(super) fn complaints(ground: &Ground, expected: &Expectation) -> Vec<String> {
    let mut found = Vec::new();
    for app in expected.apps.keys() {
        let home = ground.app(app);
        found.extend(releases(app, &home));
        found.extend(layers(app, &home));
        found.extend(stamps(app, &home));
    }
    if !ground.data().join("sites/builtin/config.json").is_file() {
        found.push("I5 the proxy's configuration is gone".to_owned());
    }
    found.extend(sockets(&ground.run()));
    found.extend(half_written(ground));
    found.extend(bounded(ground));
    found
}

/// Every release directory is whole, and the link and the number of the current one agree.
fn releases(app: &str, home: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let releases = entries(&home.join("releases"));
    for release in &releases {
        if !release.join("release.json").is_file() {
            found.push(format!("I5 half a release: {}", release.display()));
        }
    }
    if releases.len() > RELEASES {
        found.push(format!("I7 {app} has {} releases", releases.len()));
    }
    let number = current(home);
    let link = fs::read_link(home.join("current")).unwrap_or_default();
    if link != Path::new("releases").join(&number) {
        found.push(format!(
            "I5 {app}: `current` leads to {}, the number is {number}",
            link.display()
        ));
    }
    found
}

fn current(home: &Path) -> String {
    fs::read_to_string(home.join("state/current.json")).unwrap_or_default()
}

/// No layer that no release uses.
fn layers(app: &str, home: &Path) -> Vec<String> {
    let releases = entries(&home.join("releases"));
    let stamps: String = releases
        .iter()
        .filter_map(|release| fs::read_to_string(release.join("release.json")).ok())
        .collect();
    let is_unused = |layer: &PathBuf| !stamps.contains(&format!("layers/{}", name(layer)));
    let unused = entries(&home.join("layers")).into_iter().filter(is_unused);
    unused
        .map(|layer| format!("I5 a layer of nobody in {app}: {}", layer.display()))
        .collect()
}

/// The stamp of the app's site is there, and deployers left none of a release that does not run.
fn stamps(app: &str, home: &Path) -> Vec<String> {
    let number = current(home);
    let of_release = |name: &str| {
        let rest = name
            .strip_prefix("native-")
            .or_else(|| name.strip_prefix("static-"))?;
        rest.strip_suffix(".json").map(str::to_owned)
    };
    let stamps = entries(&home.join("state"));
    let mut found = Vec::new();
    if !stamps.contains(&home.join("state/site.json")) {
        found.push(format!("I5 {app} has no stamp of its site"));
    }
    let foreign = stamps
        .iter()
        .filter(|path| of_release(&name(path)).is_some_and(|release| release != number));
    found.extend(foreign.map(|path| {
        format!(
            "I5 {app} runs release {number}, and there is {}",
            path.display()
        )
    }));
    found
}

/// Somebody listens on every socket, and no lock is left of a supervisor that has ended.
fn sockets(run: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let entries = entries(run);
    for path in &entries {
        let file_type = path.symlink_metadata().map(|it| it.file_type());
        if file_type.is_ok_and(|it| it.is_socket()) && is_dead(path) {
            found.push(format!("I5 nobody listens on {}", path.display()));
        }
        let socket = path.with_extension("sock");
        if path.extension().is_some_and(|it| it == "lock") && !entries.contains(&socket) {
            found.push(format!("I5 a lock of nobody: {}", path.display()));
        }
    }
    found
}

/// The control socket may lack its agent; any other lacks its process.
fn is_dead(path: &Path) -> bool {
    let refused = UnixStream::connect(path)
        .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    refused && name(path) != "agent.sock"
}

/// No file that a crash cut short, anywhere but in what apps write themselves.
fn half_written(ground: &Ground) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![ground.data(), ground.run()];
    while let Some(directory) = open.pop() {
        for path in entries(&directory) {
            let name = name(&path);
            let is_half = name.starts_with(".hop3-tmp-")
                || name.contains(".partial")
                || path.extension().is_some_and(is_of_halves)
                || (name == "build-tmp" && directory.join("release.json").exists());
            if is_half {
                found.push(format!("I5 a leftover: {}", path.display()));
            }
            let is_foreign = ["data", "app", "repo"].contains(&name.as_str());
            let is_layer = directory.ends_with("layers");
            if path.is_dir() && !path.is_symlink() && !is_foreign && !is_layer {
                open.push(path);
            }
        }
    }
    found
}

fn is_of_halves(extension: &OsStr) -> bool {
    ["new", "tmp", "inputs"].iter().any(|it| extension == *it)
}

/// I7: logs, and everything together.
fn bounded(ground: &Ground) -> Vec<String> {
    let mut found = Vec::new();
    let (mut total, mut open) = (0, vec![ground.data()]);
    while let Some(directory) = open.pop() {
        for path in entries(&directory) {
            let Ok(metadata) = path.symlink_metadata() else {
                continue;
            };
            if metadata.is_dir() {
                open.push(path);
                continue;
            }
            total += metadata.len();
            if path.extension().is_some_and(|it| it == "log") && metadata.len() > LOG {
                found.push(format!(
                    "I7 {} has {} bytes",
                    path.display(),
                    metadata.len()
                ));
            }
        }
    }
    if total > TOTAL {
        found.push(format!("I7 the data dir holds {total} bytes"));
    }
    found
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

pub(super) fn entries(directory: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
