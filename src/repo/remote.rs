//! One place that the config repo can be had from: what it has, and how the fetching child is told about it.
//!
//! The operator's token is only ever meant for the scheme, host and port that it was given for: a mirror elsewhere is asked without it.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::child::{self, Order, Task};
use super::failure::Asked;
use super::reference::Tip;
use super::refs::RemoteRef;
use super::smart::SmartHttp;
use super::url::Place;
use super::{Credential, RepoConfig, RepoError, RepoUrl, store};

/// The largest list of refs that is read.
pub(super) const LISTING_LIMIT: usize = 8 * 1024 * 1024;

/// How the agent introduces itself; some forges only speak git to what sounds like git.
pub(super) const USER_AGENT: &str = concat!("git/hop3-agent-", env!("CARGO_PKG_VERSION"));

/// The remote end of a mirror.
pub(super) struct Remote {
    url: RepoUrl,
    config: Arc<RepoConfig>,
    http: SmartHttp,
}

impl Remote {
    pub(super) fn new(url: RepoUrl, config: Arc<RepoConfig>) -> Self {
        let http = SmartHttp::new(config.limits, config.ca.clone());
        Self { url, config, http }
    }

    /// Its address.
    pub(super) fn url(&self) -> &RepoUrl {
        &self.url
    }

    /// What it has where we follow it; one request where that is possible.
    pub(super) async fn tip(&self, program: &Path) -> Result<Tip, RepoError> {
        tokio::time::timeout(self.config.limits.deadline, self.resolve(program))
            .await
            .unwrap_or_else(|_| Err(self.asked().timed_out()))
    }

    async fn resolve(&self, program: &Path) -> Result<Tip, RepoError> {
        let reference = &self.config.reference;
        let prefix = match (reference.prefix(), self.url.place()) {
            (_, Place::Ssh(_)) => {
                let order = self.order(Task::Tip(reference.clone()))?;
                return child::tip(program, &order).await;
            }
            (prefix, _) => prefix.unwrap_or_default(),
        };
        let found = self.list(prefix).await?;
        if let Some(tip) = reference.choose(&found) {
            return Ok(tip);
        }
        let neighbours = self.list(reference.neighbours()).await?;
        Err(reference.missing(&self.url.to_string(), &neighbours))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<RemoteRef>, RepoError> {
        match self.url.place() {
            Place::Http(url) => {
                let authorization = self.authorization()?;
                self.http
                    .list(url, prefix, (&self.asked(), authorization.as_deref()))
                    .await
            }
            Place::File(path) => list_directory(path, prefix, self.asked()).await,
            Place::Ssh(_) => Err(RepoError::internal(
                "ask for refs",
                "ssh is asked through a child",
            )),
        }
    }

    /// What the fetching child is told. Reads the operator's token, and checks the key and the host keys of ssh.
    pub(super) fn order(&self, task: Task) -> Result<Order, RepoError> {
        let url = match self.url.place() {
            Place::Http(url) => RepoUrl::of_http(self.http.base(url)),
            _ => self.url.clone(),
        };
        let ssh = if url.is_ssh() {
            Some(self.identity()?)
        } else {
            None
        };
        Ok(Order {
            url,
            authorization: self.authorization()?,
            ca: self.config.ca.clone(),
            ssh,
            limits: self.config.limits,
            task,
        })
    }

    fn identity(&self) -> Result<super::SshIdentity, RepoError> {
        let identity = self.config.ssh.clone().ok_or_else(|| {
            RepoError::credentials("`ssh-key`", Path::new(""), "none is named".to_owned())
        })?;
        identity.check()?;
        Ok(identity)
    }

    fn wants_token(&self) -> bool {
        let is_http = matches!(self.url.place(), Place::Http(_));
        is_http && self.config.token.is_some() && self.url.host() == self.config.url.host()
    }

    /// The header that carries the token.
    fn authorization(&self) -> Result<Option<String>, RepoError> {
        let Some(token) = self.config.token.as_ref().filter(|_| self.wants_token()) else {
            return Ok(None);
        };
        let secret = token.secret()?;
        let pair = STANDARD.encode(format!("{}:{}", token.username, secret.expose()));
        Ok(Some(format!("Basic {pair}")))
    }

    /// What is asked, for errors.
    pub(super) fn asked(&self) -> Asked {
        let with = match self.url.place() {
            Place::Ssh(_) => Credential::Key,
            _ if self.wants_token() => Credential::Token,
            _ => Credential::None,
        };
        Asked {
            url: self.url.to_string(),
            with,
            deadline: self.config.limits.deadline,
            stall: self.config.limits.stall,
        }
    }
}

async fn list_directory(
    path: &Path,
    prefix: &str,
    asked: Asked,
) -> Result<Vec<RemoteRef>, RepoError> {
    let (path, prefix) = (path.to_owned(), prefix.to_owned());
    tokio::task::spawn_blocking(move || store::list_refs(&path, &prefix, &asked))
        .await
        .map_err(|e| RepoError::internal("read the refs of a directory", e))?
}
