//! Where an app lies in its source: a view of a tree from one of its directories, and what a language needs to know beside that.

use hop3_plugin_api::{Digest, PlanContext, SourceEntry, SourceError, SourceTree};

use crate::settings::ToolchainSettings;

/// What a language plans for.
pub(crate) struct Place<'a> {
    /// The source as seen from the project's root: the app's own directory, or that of the workspace it belongs to.
    pub(crate) cx: PlanContext<'a>,
    /// The whole source.
    pub(crate) whole: &'a dyn SourceTree,
    /// The project's root, relative to the whole source's.
    pub(crate) root: &'a str,
    /// The app's directory, relative to the whole source's root.
    pub(crate) directory: &'a str,
    pub(crate) settings: &'a ToolchainSettings,
}

impl<'a> Place<'a> {
    /// The app's directory, relative to the project's root; empty for the root itself.
    pub(crate) fn member(&self) -> &'a str {
        let member = self.directory.strip_prefix(self.root);
        member.unwrap_or_default().trim_start_matches('/')
    }

    /// A path of the project as people know it: relative to the whole source's root.
    pub(crate) fn shown(&self, path: &str) -> String {
        join(self.root, path)
    }

    /// A path in the app's directory, relative to the project's root.
    pub(crate) fn own(&self, path: &str) -> String {
        join(self.member(), path)
    }

    /// Whether the spec says itself how the app is compiled, so that a toolchain only installs what it depends on.
    pub(crate) fn builds_itself(&self) -> bool {
        !self.cx.config.build.build.is_empty()
    }

    pub(crate) fn allows_unlocked(&self) -> bool {
        self.cx.config.build.allow_unlocked
    }
}

/// A path beneath a directory, which may be the root.
pub(crate) fn join(directory: &str, path: &str) -> String {
    match (directory, path) {
        ("", path) => path.to_owned(),
        (directory, "") => directory.to_owned(),
        (directory, path) => format!("{directory}/{path}"),
    }
}

/// A directory of a tree and those above it, the nearest first, down to the root.
pub(crate) fn upwards(directory: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(directory), |directory| parent(directory))
}

fn parent(directory: &str) -> Option<&str> {
    match directory.rsplit_once('/') {
        Some((parent, _)) => Some(parent),
        None if directory.is_empty() => None,
        None => Some(""),
    }
}

/// A directory of a tree as a tree.
#[derive(Debug)]
pub(crate) struct Subtree<'a> {
    pub(crate) whole: &'a dyn SourceTree,
    pub(crate) directory: &'a str,
}

impl Subtree<'_> {
    fn at(&self, path: &str) -> String {
        join(self.directory, path)
    }
}

impl SourceTree for Subtree<'_> {
    fn digest(&self) -> Digest {
        Digest::of(&(self.directory, self.whole.digest()))
    }

    fn digest_without(&self, files: &[&str]) -> Digest {
        let files: Vec<String> = files.iter().map(|file| self.at(file)).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        Digest::of(&(self.directory, self.whole.digest_without(&files)))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        self.whole.read(&self.at(path))
    }

    fn read_up_to(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        self.whole.read_up_to(&self.at(path), limit)
    }

    fn link_target(&self, path: &str) -> Result<Option<String>, SourceError> {
        self.whole.link_target(&self.at(path))
    }

    fn list(&self, directory: &str) -> Result<Vec<SourceEntry>, SourceError> {
        self.whole.list(&self.at(directory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_walked_upwards_to_the_root() {
        assert_eq!(upwards("a/b").collect::<Vec<_>>(), ["a/b", "a", ""]);
        assert_eq!(upwards("").collect::<Vec<_>>(), [""]);
        assert_eq!(join("", "x"), "x");
        assert_eq!(join("a", "x"), "a/x");
        assert_eq!(join("a", ""), "a");
    }
}
