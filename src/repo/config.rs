//! What the operator says about the config repo. Values only; nothing here reads a file.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use gix::bstr::ByteSlice as _;
use hop3_plugin_api::{Abort, Secret};
use serde::{Deserialize, Serialize};

use super::RepoUrl;

/// Where the config repo is and how to read it.
#[derive(Debug, Clone)]
pub struct RepoConfig {
    /// Its address.
    pub url: RepoUrl,
    /// What is followed in it.
    pub reference: Reference,
    /// The directory in it that holds `apps/`, `hosts/` and `secrets/`.
    pub path: TreePath,
    /// What the server wants to see; only ever sent to the address above.
    pub token: Option<Token>,
    /// The only certificate authorities to trust, as PEM; those of the machine when absent.
    pub ca: Option<PathBuf>,
    /// What happens when history was rewritten.
    pub history: History,
    /// What one request or fetch may take.
    pub limits: FetchLimits,
}

impl RepoConfig {
    /// A public repository with everything else at its default.
    pub fn new(url: RepoUrl, reference: Reference) -> Self {
        Self {
            url,
            reference,
            path: TreePath::default(),
            token: None,
            ca: None,
            history: History::default(),
            limits: FetchLimits::default(),
        }
    }
}

/// What is followed in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reference {
    /// The newest commit of a branch.
    Branch(BranchName),
}

impl Reference {
    /// Follows a branch.
    pub fn branch(name: &str) -> Result<Self, Abort> {
        BranchName::parse(name).map(Self::Branch)
    }

    /// The full name of the ref on the remote.
    pub(super) fn full_name(&self) -> String {
        match self {
            Self::Branch(name) => format!("{HEADS}{}", name.0),
        }
    }
}

/// Where branches live.
pub(super) const HEADS: &str = "refs/heads/";

/// The short name of a branch, as git allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchName(String);

impl BranchName {
    fn parse(name: &str) -> Result<Self, Abort> {
        let full = format!("{HEADS}{name}");
        let allowed = !name.starts_with('-')
            && name.len() <= 255
            && !name.starts_with("refs/")
            && gix::validate::reference::name(full.as_bytes().as_bstr()).is_ok();
        allowed.then(|| Self(name.to_owned())).ok_or_else(|| {
            let shown: String = name.chars().take(80).collect();
            Abort::new(format!(
                "`{}` is not the name of a branch",
                shown.escape_debug()
            ))
            .hint("write the short name, for instance `main`")
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(name) => f.write_str(&name.0),
        }
    }
}

/// A directory inside a tree, empty for its root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreePath(String);

impl TreePath {
    /// Reads a relative path; slashes at the ends do not count.
    pub fn parse(text: &str) -> Result<Self, Abort> {
        let path = text
            .strip_prefix("./")
            .unwrap_or(text)
            .trim_end_matches('/');
        let sound = |part: &str| {
            !part.is_empty() && part != "." && part != ".." && !part.chars().any(char::is_control)
        };
        if (path.is_empty() || path.split('/').all(sound)) && path.len() <= 1024 {
            Ok(Self(path.to_owned()))
        } else {
            Err(Abort::new(format!(
                "`{}` is not a path in the repo",
                text.escape_debug()
            ))
            .hint("write it relative to the root of the repo, without `..`"))
        }
    }

    /// The path without slashes at its ends.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A path below this one.
    pub(super) fn join(&self, below: &str) -> String {
        match (self.0.as_str(), below) {
            ("", below) => below.to_owned(),
            (base, "") => base.to_owned(),
            (base, below) => format!("{base}/{below}"),
        }
    }
}

/// A read-only token of the forge.
#[derive(Debug, Clone)]
pub struct Token {
    /// The name that goes with it.
    pub username: String,
    /// The token.
    pub secret: Secret,
}

impl Token {
    /// A token under the name that GitHub insists on for its apps and that GitLab, Gitea and Forgejo ignore. Bitbucket wants another one.
    pub fn new(secret: Secret) -> Self {
        Self {
            username: "x-access-token".to_owned(),
            secret,
        }
    }
}

/// What happens when the new tip does not descend from the commit that was accepted last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum History {
    /// It is refused, until an operator acts.
    #[default]
    FastForwardOnly,
    /// It is taken, and reported.
    Follow,
}

/// What one request or fetch may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchLimits {
    /// The longest that asking or fetching may last, whatever the server does.
    pub deadline: Duration,
    /// The largest pack that is taken.
    pub max_pack_bytes: u64,
    /// The most memory that a fetch may use.
    pub memory_bytes: u64,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_mins(1),
            max_pack_bytes: 512 * 1024 * 1024,
            memory_bytes: 512 * 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_named_as_git_names_them() {
        for name in ["main", "release/1.2", "feature-x"] {
            assert_eq!(
                Reference::branch(name).unwrap().full_name(),
                format!("refs/heads/{name}")
            );
        }
        for name in [
            "",
            "-x",
            "--upload-pack=x",
            "a b",
            "a..b",
            "a\n",
            "refs/heads/x",
            "x.lock",
            "a~1",
            "a^",
            "a:b",
            "/a",
            "a/",
            "@{0}",
            "*",
        ] {
            assert!(Reference::branch(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_path_stays_inside_the_repo() {
        assert_eq!(
            TreePath::parse("./deploy/prod/").unwrap().join("apps"),
            "deploy/prod/apps"
        );
        assert_eq!(TreePath::parse("").unwrap().join("apps"), "apps");
        for path in ["..", "a/../b", "/etc", "a//b", "a/./b", "a\0b"] {
            assert!(TreePath::parse(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn t27_a_token_never_prints() {
        let token = Token::new(Secret::new("canary"));
        assert!(!format!("{token:?}").contains("canary"));
    }
}
