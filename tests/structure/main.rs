//! What the repository promises about itself: its documents name what is there, its plugins stand alone, its schemas are the binary's.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "these tests ask git for the tracked files and read the binary's environment"
)]

mod figures;
mod walks;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hop3_agent::builtin;
use toml::{Table, Value};

/// Crates in `plugins/` that are no plugins: the contract, and what tests share.
const NOT_PLUGINS: [&str; 2] = ["api", "testing"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()))
}

fn manifest(path: impl AsRef<Path>) -> Table {
    text(path).parse().expect("a manifest is TOML")
}

/// The plugins by their folders.
fn plugins() -> Vec<String> {
    let folders = fs::read_dir(root().join("plugins")).expect("there are plugins");
    let names = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter(|name| !NOT_PLUGINS.contains(&name.as_str()))
        .collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

/// The crates of this workspace that one depends on.
fn own_dependencies(manifest: &Table, kind: &str) -> Vec<String> {
    let table = manifest.get(kind).and_then(Value::as_table);
    let names = table.into_iter().flat_map(Table::keys);
    names
        .filter(|name| name.starts_with("hop3-"))
        .cloned()
        .collect()
}

fn tracked_files() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output()
        .expect("git is there");
    let listed = String::from_utf8(listed.stdout).expect("names are UTF-8");
    let names = listed.split('\0').filter(|name| !name.is_empty());
    names
        .map(PathBuf::from)
        .filter(|file| root().join(file).is_file())
        .collect()
}

/// A section of ARCHITECTURE.md, with its title.
fn section(title: &str) -> String {
    let architecture = text("ARCHITECTURE.md");
    let section = architecture
        .split("\n## ")
        .find(|section| section.starts_with(title));
    section
        .unwrap_or_else(|| panic!("there is no section `{title}` in ARCHITECTURE.md"))
        .to_owned()
}

#[test]
fn the_architecture_lists_the_modules_of_the_library_in_their_order() {
    let library = text("src/lib.rs");
    let modules: Vec<&str> = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let section = section("Modules");
    let listed: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(module, _)| module)
        .collect();
    assert_eq!(
        listed, modules,
        "the table of modules in ARCHITECTURE.md and `src/lib.rs` differ"
    );
}

#[test]
fn every_plugin_has_a_feature_and_is_linked() {
    let manifest = manifest("Cargo.toml");
    let features = manifest["features"].as_table().expect("there are features");
    let defaults = features["default"].as_array().expect("there are defaults");
    let source = text("src/plugins.rs");
    for plugin in plugins() {
        let dependency = Value::from(format!("dep:hop3-plugin-{plugin}"));
        let turns_on = features.get(&plugin).and_then(Value::as_array);
        assert!(
            turns_on.is_some_and(|on| on.contains(&dependency)),
            "`plugins/{plugin}` has no feature `{plugin} = [\"dep:hop3-plugin-{plugin}\"]` in Cargo.toml"
        );
        assert!(
            defaults.contains(&Value::from(plugin.as_str())),
            "the feature `{plugin}` is not among the default ones"
        );
        assert!(
            source.contains(&format!("#[cfg(feature = \"{plugin}\")]")),
            "`builtin()` in src/plugins.rs does not list `plugins/{plugin}`"
        );
    }
    assert_eq!(
        builtin().len(),
        plugins().len(),
        "a plugin without a folder"
    );
}

#[test]
fn a_plugin_depends_on_the_contract_and_on_no_other_part_of_this_repository() {
    for plugin in plugins() {
        let manifest = manifest(format!("plugins/{plugin}/Cargo.toml"));
        assert_eq!(
            own_dependencies(&manifest, "dependencies"),
            ["hop3-plugin-api"],
            "plugins/{plugin}"
        );
        assert!(
            own_dependencies(&manifest, "build-dependencies").is_empty(),
            "plugins/{plugin}"
        );
    }
    let contract = manifest("plugins/api/Cargo.toml");
    assert!(own_dependencies(&contract, "dependencies").is_empty());
}

/// Asserts that the binary would write what is committed.
#[track_caller]
fn assert_committed(arguments: &[&str], command: &str) {
    let checked = Command::new(env!("CARGO_BIN_EXE_hop3-agent"))
        .args(arguments)
        .arg("--check")
        .current_dir(root())
        .output()
        .expect("the binary starts");
    let complaint = String::from_utf8_lossy(&checked.stderr);
    assert!(
        checked.status.success(),
        "{complaint}run `cargo run --profile ci -- {command}` and commit the result"
    );
}

#[test]
fn the_committed_schemas_are_the_ones_of_this_binary() {
    assert_committed(&["schema"], "schema --write");
}

#[test]
fn the_schemas_of_the_example_repo_are_the_ones_of_this_binary() {
    let directory = "examples/gitops-repo/schema";
    assert_committed(
        &["schema", "hop3", "host", "--directory", directory],
        &format!("schema hop3 host --write --directory {directory}"),
    );
}

#[test]
fn the_committed_reference_is_the_one_of_this_binary() {
    assert_committed(&["reference"], "reference --write");
}

/// What people and build services call the directories of their checkouts. Such a path means nothing on another machine.
const CHECKOUTS: [&str; 5] = ["Users", "builds", "src/github.com", "work", "workspace"];

#[test]
fn no_tracked_file_names_a_path_of_one_machine() {
    let home = std::env::var("HOME").unwrap_or_default();
    let checkout = root().display().to_string();
    let mut personal = vec![checkout, format!("{home}/.ca")];
    personal.extend(CHECKOUTS.map(|name| format!("/{name}/")));
    for file in tracked_files() {
        let content = fs::read(root().join(&file)).expect("a tracked file is readable");
        let content = String::from_utf8_lossy(&content);
        for (number, line) in content.lines().enumerate() {
            let found = personal.iter().find(|path| line.contains(path.as_str()));
            assert!(
                found.is_none(),
                "{}:{}: `{}`",
                file.display(),
                number + 1,
                line.trim()
            );
        }
    }
}
