//! What the operator says about the config repo. Values only; nothing here reads a file.

use std::path::PathBuf;
use std::time::Duration;

use hop3_plugin_api::{Abort, Secret};
use serde::{Deserialize, Serialize};

use super::{Reference, RepoError, RepoUrl, SshIdentity};

/// Where the config repo is and how to read it.
#[derive(Debug, Clone)]
pub struct RepoConfig {
    /// Its address.
    pub url: RepoUrl,
    /// Where else it can be had, in order, while its own address does not answer. They serve only what descends from the accepted commit.
    pub mirrors: Vec<RepoUrl>,
    /// What is followed in it.
    pub reference: Reference,
    /// The directory in it that holds `apps/`, `hosts/` and `secrets/`.
    pub path: TreePath,
    /// What the server wants to see; only ever sent to the scheme, host and port of the address above.
    pub token: Option<Token>,
    /// What `ssh://` addresses are reached with.
    pub ssh: Option<SshIdentity>,
    /// The only certificate authorities to trust, as PEM; those of the machine when absent.
    pub ca: Option<PathBuf>,
    /// What happens when history was rewritten.
    pub history: History,
    /// What one request or fetch may take.
    pub limits: FetchLimits,
    /// The usual pause between two looks; it is shorter after news and longer without.
    pub poll: Duration,
}

impl RepoConfig {
    /// A public repository with everything else at its default.
    pub fn new(url: RepoUrl, reference: Reference) -> Self {
        Self {
            url,
            mirrors: Vec::new(),
            reference,
            path: TreePath::default(),
            token: None,
            ssh: None,
            ca: None,
            history: History::default(),
            limits: FetchLimits::default(),
            poll: Duration::from_mins(1),
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
    kept: Kept,
}

#[derive(Debug, Clone)]
enum Kept {
    Here(Secret),
    InFile(PathBuf),
}

impl Token {
    /// A token under the name that GitHub insists on for its apps and that GitLab, Gitea and Forgejo ignore. Bitbucket wants another one.
    pub fn new(secret: Secret) -> Self {
        Self {
            username: "x-access-token".to_owned(),
            kept: Kept::Here(secret),
        }
    }

    /// A token that lies in a file. It is read for each request: a new one is used without a restart.
    pub fn in_file(username: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            username: username.into(),
            kept: Kept::InFile(path.into()),
        }
    }

    /// The token, without the line end that editors leave.
    pub(super) fn secret(&self) -> Result<Secret, RepoError> {
        let path = match &self.kept {
            Kept::Here(secret) => return Ok(secret.clone()),
            Kept::InFile(path) => path,
        };
        let refuse = |detail: String| RepoError::credentials("`token-file`", path, detail);
        let text = std::fs::read_to_string(path).map_err(|e| refuse(e.to_string()))?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(refuse("it holds no token on one line".to_owned()));
        }
        Ok(Secret::new(text))
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
    /// The longest until a connection stands.
    pub connect: Duration,
    /// The longest that a server may be silent in the middle of an answer.
    pub stall: Duration,
    /// The most bytes that one fetch takes from a server, and the largest pack.
    pub max_pack_bytes: u64,
    /// The most memory that a fetch may use.
    pub memory_bytes: u64,
}

impl FetchLimits {
    /// Limits with another deadline; no step may last longer than the whole.
    #[must_use]
    pub fn within(deadline: Duration) -> Self {
        let usual = Self::default();
        Self {
            deadline,
            connect: usual.connect.min(deadline),
            stall: usual.stall.min(deadline),
            ..usual
        }
    }
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_mins(1),
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            max_pack_bytes: 512 * 1024 * 1024,
            memory_bytes: 512 * 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_token_file_is_read_anew_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let token = Token::in_file("git", &path);
        assert!(matches!(token.secret(), Err(RepoError::Credentials { .. })));
        for text in ["one\n", "two\r\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(token.secret().unwrap().expose(), text.trim_end());
        }
        for text in ["", "\n", "two\nlines"] {
            std::fs::write(&path, text).unwrap();
            assert!(token.secret().is_err(), "{text:?}");
        }
    }
}
