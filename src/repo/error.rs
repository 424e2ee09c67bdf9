//! Why the config repo could not be asked, fetched or read, in words for the operator.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Everything that can go wrong with a repository.
///
/// It crosses the border of the fetching child as JSON, so causes are text. No variant ever holds a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RepoError {
    /// Something answers there, but no repository.
    #[error("`{url}` is not a git repository: {detail}")]
    NotARepository {
        /// Where.
        url: String,
        /// What was there instead.
        detail: String,
    },
    /// The repository has no branch at all.
    #[error("`{url}` is an empty repository")]
    EmptyRepository {
        /// Where.
        url: String,
    },
    /// The branch that is followed does not exist.
    #[error("`{url}` has no branch `{branch}`")]
    BranchMissing {
        /// Where.
        url: String,
        /// The branch that was asked for.
        branch: String,
        /// Up to ten that exist.
        available: Vec<String>,
    },
    /// No tag, version or commit is what is followed.
    #[error("`{url}` has nothing that is {wanted}")]
    NothingToFollow {
        /// Where.
        url: String,
        /// What is followed.
        wanted: String,
        /// Up to ten tags or branches that exist.
        available: Vec<String>,
    },
    /// The directory that is followed does not exist in this commit.
    #[error("there is no directory `{path}` in commit {commit}")]
    PathMissing {
        /// The directory.
        path: String,
        /// The commit, shortened.
        commit: String,
    },
    /// Nobody answers, or the server cannot right now.
    #[error("could not reach `{url}`: {detail}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        detail: String,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The deadline passed.
    #[error("`{url}` did not finish within {} s", .deadline.as_secs_f32())]
    TimedOut {
        /// Where.
        url: String,
        /// The deadline.
        deadline: Duration,
    },
    /// The server said nothing for too long.
    #[error("`{url}` fell silent for {} s", .silence.as_secs_f32())]
    Stalled {
        /// Where.
        url: String,
        /// For how long.
        silence: Duration,
    },
    /// The server wants another token or key, or one at all.
    #[error("`{url}` refuses access {with}")]
    Unauthorized {
        /// Where.
        url: String,
        /// With what it was asked.
        with: Credential,
    },
    /// A key, token or file of host keys of the operator cannot be used. No server was asked.
    #[error("could not use {key} `{path}`: {detail}")]
    Credentials {
        /// The key of agent.toml.
        key: String,
        /// The file.
        path: String,
        /// Why not.
        detail: String,
    },
    /// The server shows another host key than the pinned one. Nothing was fetched.
    #[error("the host key of `{url}` has changed")]
    HostKeyChanged {
        /// Where.
        url: String,
    },
    /// No host key of the server is pinned. Nothing was fetched.
    #[error("no host key of `{url}` is known")]
    HostKeyUnknown {
        /// Where.
        url: String,
    },
    /// The server's certificate is not trusted.
    #[error("could not trust `{url}`: {detail}")]
    Tls {
        /// Where.
        url: String,
        /// Why.
        detail: String,
    },
    /// The server sends us elsewhere.
    #[error("`{url}` redirects to `{to}`")]
    Redirected {
        /// Where.
        url: String,
        /// Where it points, without a query.
        to: String,
    },
    /// A token would cross the network readable by anyone.
    #[error("a token is not sent to `{url}` in clear text")]
    ClearText {
        /// Where.
        url: String,
    },
    /// What the server sent is not git's, is cut off or does not add up.
    #[error("could not make sense of the answer of `{url}`: {detail}")]
    BadAnswer {
        /// Where.
        url: String,
        /// What was wrong.
        detail: String,
    },
    /// History was rewritten: the new tip does not descend from the accepted commit.
    #[error("commit {to} does not descend from {from}, which is what this host has accepted")]
    NonFastForward {
        /// The accepted commit.
        from: String,
        /// The tip of the remote.
        to: String,
    },
    /// The new tip has no history in common with the accepted commit.
    #[error(
        "commit {to} has no history in common with {from}, which is what this host has accepted: this is another repository"
    )]
    AnotherRepository {
        /// The accepted commit.
        from: String,
        /// The tip of the remote.
        to: String,
    },
    /// The local mirror is damaged.
    #[error("the local copy of the config repo is damaged: {detail}")]
    Corrupt {
        /// Where it shows.
        detail: String,
    },
    /// A limit was hit.
    #[error("{what} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// The machine, or a mistake of ours.
    #[error("could not {doing}: {detail}")]
    Internal {
        /// What was being done.
        doing: String,
        /// Why it failed.
        detail: String,
    },
}

/// With what a server was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// With nothing.
    None,
    /// With the operator's token.
    Token,
    /// With the operator's ssh key.
    Key,
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "without a token",
            Self::Token => "with this token",
            Self::Key => "with this key",
        })
    }
}

impl RepoError {
    /// Its kind in one word, `host-key-changed` for instance: for programs.
    pub fn state(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value["kind"].as_str().unwrap_or("internal").to_owned()
    }

    /// Whether the same request may well succeed later without anyone changing anything.
    pub fn retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::Stalled { .. }
                | Self::BadAnswer { .. }
                | Self::Corrupt { .. }
                | Self::Internal { .. }
        )
    }

    /// Whether it is the server that is down, slow or talking nonsense, so that a mirror may stand in. A server whose identity or permission
    /// is in doubt is not.
    pub(super) fn lets_a_mirror_stand_in(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::Stalled { .. }
                | Self::BadAnswer { .. }
        )
    }

    /// Whether it is about a commit that came and was not accepted.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NonFastForward { .. } | Self::AnotherRepository { .. }
        )
    }

    /// Whether a server answered and only what it has is not what is wanted: it may be asked again at the usual pace.
    pub(super) fn is_about_content(&self) -> bool {
        matches!(
            self,
            Self::EmptyRepository { .. }
                | Self::BranchMissing { .. }
                | Self::NothingToFollow { .. }
                | Self::PathMissing { .. }
                | Self::NonFastForward { .. }
                | Self::AnotherRepository { .. }
                | Self::Corrupt { .. }
                | Self::Credentials { .. }
        )
    }

    /// How long the server wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unreachable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is made for `map_err`")]
    pub(super) fn internal(doing: impl Into<String>, detail: impl ToString) -> Self {
        Self::Internal {
            doing: doing.into(),
            detail: detail.to_string(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is made for `map_err`")]
    pub(super) fn corrupt(detail: impl ToString) -> Self {
        Self::Corrupt {
            detail: detail.to_string(),
        }
    }

    pub(super) fn credentials(key: &str, path: &Path, detail: String) -> Self {
        Self::Credentials {
            key: key.to_owned(),
            path: path.display().to_string(),
            detail,
        }
    }

    pub(super) fn too_large(what: impl Into<String>, limit: impl Into<String>) -> Self {
        Self::TooLarge {
            what: what.into(),
            limit: limit.into(),
        }
    }
}
