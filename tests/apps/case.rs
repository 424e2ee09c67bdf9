//! `case.toml`: what a test does to the app beside it. Read whole before anything starts, so that a mistake in it is no failure of the app.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/apps");

/// The file itself, which is not part of the app.
pub(crate) const FILE: &str = "case.toml";

/// One app and its story.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Case {
    /// Programs without which the case is not run.
    pub(crate) needs: Vec<String>,
    /// The toolchain, or the builder where none is used, that must be found without being named.
    pub(crate) detected: String,
    /// Whether it needs a container engine.
    #[serde(default)]
    pub(crate) engine: bool,
    /// Where its dependencies come from.
    #[serde(default)]
    pub(crate) registry: Registry,
    /// The author's commands, run in the app's directory before the first commit and after a change of dependencies.
    #[serde(default)]
    pub(crate) lock: Vec<String>,
    /// Prints the version of the tool that the app must have been built with or run by.
    pub(crate) tool: Option<String>,
    /// What the app computes with its dependency.
    pub(crate) value: Option<String>,
    /// Paths whose answers together are the marker.
    #[serde(default = "root_path")]
    pub(crate) paths: Vec<String>,
    /// The build log has it when dependencies are installed, and never otherwise.
    pub(crate) installs: Option<String>,
    /// What the agent says when it finds the dependencies of the release before as they are to be.
    pub(crate) reuses: Option<String>,
    /// How else it shows that a change of the code alone installs nothing.
    #[serde(default)]
    pub(crate) installs_nothing_because: String,
    /// Seconds that a build may take, where the usual ones do not suffice.
    pub(crate) patience: Option<u64>,
    /// The author writes something else: `one` becomes `two`.
    pub(crate) code: Change,
    /// The author asks for another version.
    pub(crate) dependency: Option<Change>,
    /// The author makes a mistake that the build finds.
    pub(crate) broken: Change,
}

/// Where dependencies come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Registry {
    /// There are none, or they lie in the source.
    #[default]
    None,
    /// The test's own, on loopback.
    Own,
    /// The one that the tools of this machine are set up for.
    Machine,
}

/// A commit of the author.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Change {
    /// File, what stands there, what is to stand there; a file that is not there yet is made of an empty text.
    pub(crate) change: Vec<[String; 3]>,
    /// Whether the lock is made anew.
    #[serde(default)]
    pub(crate) lock: bool,
    /// What the app computes from then on.
    pub(crate) value: Option<String>,
    /// What the tool itself says of a mistake.
    #[serde(default)]
    pub(crate) says: Vec<String>,
}

fn root_path() -> Vec<String> {
    vec!["/".to_owned()]
}

/// The folder of a case.
pub(crate) fn directory(folder: &str) -> PathBuf {
    Path::new(ROOT).join(folder)
}

/// All folders with a case, sorted.
pub(crate) fn folders() -> Vec<String> {
    let entries = fs::read_dir(ROOT).unwrap().map(Result::unwrap);
    let cases = entries.filter(|entry| entry.path().join(FILE).is_file());
    let mut names: Vec<String> = cases
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

impl Case {
    /// Reads a folder's case.
    pub(crate) fn read(folder: &str) -> Self {
        let path = directory(folder).join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        let case: Self =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        case.check(folder);
        case
    }

    /// A case that could not fail proves nothing.
    fn check(&self, folder: &str) {
        assert!(
            !self.broken.says.is_empty(),
            "{folder}: what does the tool say of the mistake?"
        );
        let lies_in_the_source = self.registry == Registry::None;
        if self.dependency.is_some() && !lies_in_the_source {
            assert!(
                self.installs.is_some()
                    || self.reuses.is_some()
                    || !self.installs_nothing_because.is_empty(),
                "{folder}: how can one tell that nothing was installed?"
            );
        }
    }
}
