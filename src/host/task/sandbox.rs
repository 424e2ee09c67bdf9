//! What a confined program may see and write, by landlock: an allow-list of the system's own directories and of what the task names.

use std::fs;
use std::path::{Component, Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};

use super::enter::Failure;
use super::protocol::Confinement;

/// Asked for as a whole; an older kernel gives what it has.
const WANTED: ABI = ABI::V6;

/// What every program may read.
const SYSTEM: [&str; 16] = [
    "/bin",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/opt",
    "/proc",
    "/run",
    "/sbin",
    "/snap",
    "/sys",
    "/usr",
    "/gnu/store",
];

/// Devices that hold nothing.
const DEVICES: [&str; 8] = [
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/random",
    "/dev/shm",
    "/dev/tty",
    "/dev/zero",
];

/// The directories that a confined program sees beside those it is given: the system's and the tools', without what is hidden.
pub(in crate::host) fn visible(tool_path: &[PathBuf], hidden: &[PathBuf]) -> Vec<PathBuf> {
    let system = SYSTEM.iter().map(PathBuf::from);
    let tools = tool_path.iter().map(|directory| tool_root(directory));
    let mut found = Vec::new();
    for root in system.chain(tools) {
        uncover(&root, hidden, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

/// A tool outside the system lives in a directory of its own, of which the path names only `bin`: `~/.pyenv/shims` needs all of `~/.pyenv`.
/// A home directory itself is never opened.
fn tool_root(directory: &Path) -> PathBuf {
    let dotted = directory.ancestors().filter(|ancestor| {
        ancestor
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    });
    let deep = |path: &&Path| {
        let parts = path.components();
        parts
            .filter(|part| matches!(part, Component::Normal(_)))
            .count()
            >= 3
    };
    dotted
        .last()
        .or_else(|| directory.parent().filter(deep))
        .unwrap_or(directory)
        .to_owned()
}

/// Adds a directory, or, where something hidden lies beneath it, its entries without that.
fn uncover(path: &Path, hidden: &[PathBuf], found: &mut Vec<PathBuf>) {
    if hidden.iter().any(|hidden| path.starts_with(hidden)) {
        return;
    }
    if !hidden.iter().any(|hidden| hidden.starts_with(path)) {
        found.push(path.to_owned());
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        // A link would be followed to where it leads, which may be what is hidden.
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            uncover(&entry.path(), hidden, found);
        }
    }
}

/// Confines this process for good. Returns what the kernel could not give, in words.
pub(super) fn confine(wanted: &Confinement, cut_tcp: bool) -> Result<Option<String>, Failure> {
    let mut weakness = Vec::new();
    match confine_files(wanted).map_err(|e| failed(&e))? {
        RulesetStatus::FullyEnforced => {}
        RulesetStatus::PartiallyEnforced => {
            weakness.push("this kernel confines files only in part");
        }
        RulesetStatus::NotEnforced => {
            require(wanted, "this kernel cannot confine files")?;
            weakness.push("this kernel cannot confine files");
        }
    }
    if cut_tcp {
        let cut = confine_tcp().map_err(|e| failed(&e))?;
        require(wanted, "the network cannot be taken away on this host")?;
        weakness.push(match cut {
            RulesetStatus::NotEnforced => "the network could not be taken away",
            _ => "only TCP could be taken away of the network",
        });
    }
    Ok((!weakness.is_empty()).then(|| weakness.join("; ")))
}

fn require(wanted: &Confinement, lack: &str) -> Result<(), Failure> {
    if wanted.required {
        Err(Failure::Refused(format!(
            "{lack}, and the sandbox is required"
        )))
    } else {
        Ok(())
    }
}

fn failed(error: &RulesetError) -> Failure {
    Failure::Refused(format!("the sandbox could not be set up: {error}"))
}

fn confine_files(wanted: &Confinement) -> Result<RulesetStatus, RulesetError> {
    let read = AccessFs::from_read(WANTED);
    let all = AccessFs::from_all(WANTED);
    let status = Ruleset::default()
        .handle_access(all)?
        .scope(Scope::from_all(WANTED))?
        .create()?
        .add_rules(path_beneath_rules(&wanted.visible, read))?
        .add_rules(path_beneath_rules(&wanted.readable, read))?
        .add_rules(path_beneath_rules(DEVICES, all & !AccessFs::Execute))?
        .add_rules(path_beneath_rules(&wanted.writable, all))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// No rule at all: every TCP connection and listener is refused.
fn confine_tcp() -> Result<RulesetStatus, RulesetError> {
    let status = Ruleset::default()
        .handle_access(AccessNet::from_all(ABI::V4))?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_left_out_with_everything_beneath_it() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for path in ["a/secret/x", "a/open", "b"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        std::os::unix::fs::symlink(at("a/secret"), at("a/alias")).unwrap();
        let mut found = Vec::new();
        uncover(root.path(), &[at("a/secret")], &mut found);
        found.sort();
        assert_eq!(found, [at("a/open"), at("b")]);
    }

    #[test]
    fn a_tool_brings_its_own_root_and_never_a_home() {
        let root = |path: &str| tool_root(Path::new(path)).display().to_string();
        assert_eq!(root("/root/.pyenv/shims"), "/root/.pyenv");
        assert_eq!(root("/home/u/.nvm/versions/node/v20/bin"), "/home/u/.nvm");
        assert_eq!(root("/home/u/miniconda3/bin"), "/home/u/miniconda3");
        assert_eq!(root("/home/u/bin"), "/home/u/bin");
        assert_eq!(root("/usr/bin"), "/usr/bin");
    }
}
