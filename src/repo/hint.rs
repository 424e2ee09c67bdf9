//! What an operator can do about a config repo that could not be asked, fetched or read.

use super::error::{Credential, RepoError};

impl RepoError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::BranchMissing { available, .. } => Some(format!(
                "it has `{}`; set `branch` in agent.toml",
                available.join("`, `")
            )),
            Self::NothingToFollow { available, .. } if !available.is_empty() => {
                Some(format!("it has `{}`", available.join("`, `")))
            }
            _ => self
                .access()
                .or_else(|| self.content())
                .or_else(|| self.transport())
                .map(str::to_owned),
        }
    }

    /// Where the server and the operator do not trust each other.
    fn access(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unauthorized {
                with: Credential::Key,
                ..
            } => {
                "register the public half of `ssh-key` as a deploy key of the repository, for reading"
            }
            Self::Unauthorized { .. } => {
                "put a read-only token of the forge into `token-file`; check that it has not expired"
            }
            Self::Credentials { .. } => {
                "the file must be there, belong to root or the agent's user, and be closed to others: `chmod 600`"
            }
            Self::HostKeyChanged { .. } => {
                "nothing is fetched until the old key is back; if the server's operator confirms the new one, put it into `known-hosts`"
            }
            Self::HostKeyUnknown { .. } => {
                "put the server's host key into `known-hosts`: `ssh-keyscan` prints it; compare it with what its operator publishes"
            }
            Self::Tls { .. } => {
                "if the server uses a private authority, name its certificate in `ca-file`; check the clock of this host"
            }
            Self::ClearText { .. } => "use https",
            _ => return None,
        })
    }

    /// Where what the server has is not what is wanted.
    fn content(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotARepository { .. } => {
                "check `url`; a private repository may answer like this without a token in `token-file` or with another key in `ssh-key`"
            }
            Self::EmptyRepository { .. } => "push a first commit",
            Self::NothingToFollow { .. } => {
                "push the tag, or follow a branch: `branch` in agent.toml"
            }
            Self::PathMissing { .. } => {
                "check `path` in agent.toml, or restore the directory in the repo"
            }
            Self::NonFastForward { .. } => {
                "restore the branch: the next commit on top of the accepted one is taken; or set `history = \"follow\"` under `[trust]` in agent.toml"
            }
            Self::AnotherRepository { .. } => {
                "check `url`; if it is meant, stop the agent, remove `agent/repo` in its data dir and start it again: the apps stay"
            }
            Self::TooLarge { .. } => {
                "keep large files out of the config repo, or raise the limit in agent.toml"
            }
            _ => return None,
        })
    }

    /// Where the server does not answer, or not well.
    fn transport(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unreachable { .. } => "nothing changes on this host until it answers again",
            Self::TimedOut { .. } | Self::Stalled { .. } => {
                "check the network, or raise the deadline if the repository is large"
            }
            Self::Redirected { .. } => {
                "if the repository has moved, write its new address into `url`"
            }
            Self::BadAnswer { url, .. } if url.starts_with("file:") => {
                "git must be installed, and must trust the owner of that directory: `git config --system --add safe.directory <path>`"
            }
            _ => return None,
        })
    }
}
