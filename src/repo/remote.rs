//! Asking the remote for its newest commit: one request on a connection that is kept, however many apps there are.
//!
//! It never follows a redirect to another scheme, host or port, so the token only ever reaches the server that it was given for.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Client, RequestBuilder, Response, Url};

use super::config::HEADS;
use super::failure::Asked;
use super::pkt::ls_refs_request;
use super::refs::{Advertisement, RemoteRef, parse_advertisement, parse_listing};
use super::url::Place;
use super::{CommitId, RepoConfig, RepoError, store, tls};

/// The largest list of refs that is read.
const LISTING_LIMIT: usize = 16 * 1024 * 1024;
/// How long an idle connection is kept: longer than the longest usual pause between two polls.
const KEEP_ALIVE: Duration = Duration::from_mins(5);
/// How many redirects within one server are followed.
const REDIRECTS: usize = 3;
/// How many branches an error names.
const SUGGESTIONS: usize = 10;

const SERVICE: &str = "git-upload-pack";
const REQUEST: &str = "application/x-git-upload-pack-request";
const RESULT: &str = "application/x-git-upload-pack-result";
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";

/// The remote end of a mirror.
pub(super) struct Remote {
    config: RepoConfig,
    client: OnceLock<Client>,
    /// The address after redirects within the same server.
    base: Mutex<Option<Url>>,
    /// Whether the server was found to know only the older protocol.
    legacy: AtomicBool,
}

impl Remote {
    pub(super) fn new(config: RepoConfig) -> Self {
        Self {
            config,
            client: OnceLock::new(),
            base: Mutex::default(),
            legacy: AtomicBool::new(false),
        }
    }

    pub(super) fn config(&self) -> &RepoConfig {
        &self.config
    }

    /// The commit that the followed ref names now.
    pub(super) async fn tip(&self) -> Result<CommitId, RepoError> {
        tokio::time::timeout(self.config.limits.deadline, self.resolve())
            .await
            .unwrap_or_else(|_| Err(self.asked().timed_out()))
    }

    async fn resolve(&self) -> Result<CommitId, RepoError> {
        let wanted = self.config.reference.full_name();
        let found = self.list(&wanted).await?;
        if let Some(found) = found.into_iter().find(|found| found.name == wanted) {
            return Ok(found.target);
        }
        Err(self.missing(&self.list(HEADS).await?))
    }

    fn missing(&self, heads: &[RemoteRef]) -> RepoError {
        let url = self.config.url.to_string();
        if heads.is_empty() {
            return RepoError::EmptyRepository { url };
        }
        let names = heads
            .iter()
            .filter_map(|head| head.name.strip_prefix(HEADS));
        RepoError::BranchMissing {
            url,
            branch: self.config.reference.to_string(),
            available: names.take(SUGGESTIONS).map(str::to_owned).collect(),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<RemoteRef>, RepoError> {
        match self.config.url.place() {
            Place::Http(url) => self.list_http(url, prefix).await,
            Place::File(path) => list_directory(path, prefix, self.asked()).await,
        }
    }

    async fn list_http(&self, url: &Url, prefix: &str) -> Result<Vec<RemoteRef>, RepoError> {
        if !self.legacy.load(Ordering::Relaxed) {
            match self.ls_refs(&self.base(url), prefix).await {
                Err(error) if is_unclear(&error) => {}
                done => return done,
            }
        }
        match self.discover(url).await? {
            Advertisement::Modern => self.ls_refs(&self.base(url), prefix).await,
            Advertisement::Legacy(mut refs) => {
                self.legacy.store(true, Ordering::Relaxed);
                refs.retain(|found| found.name.starts_with(prefix));
                Ok(refs)
            }
        }
    }

    /// Protocol v2 is stateless: this one request is a whole conversation.
    async fn ls_refs(&self, base: &Url, prefix: &str) -> Result<Vec<RemoteRef>, RepoError> {
        let request = self.client()?.post(below(base, SERVICE));
        let request = request.header(CONTENT_TYPE, REQUEST).header(ACCEPT, RESULT);
        let answer = self.send(request.body(ls_refs_request(prefix))).await?;
        let body = self.read(answer, RESULT).await?;
        parse_listing(&body).map_err(|detail| self.asked().bad_answer(detail))
    }

    /// Learns what the server speaks, and its address if it redirects within itself.
    async fn discover(&self, url: &Url) -> Result<Advertisement, RepoError> {
        let mut at = discovery(url);
        for _ in 0..REDIRECTS {
            let answer = self.send(self.client()?.get(at.clone())).await?;
            if !answer.status().is_redirection() {
                let body = self.read(answer, ADVERTISEMENT).await?;
                self.remember_base(&at);
                return parse_advertisement(&body)
                    .map_err(|detail| self.asked().bad_answer(detail));
            }
            at = within(&at, &answer).ok_or_else(|| self.refusal(&answer))?;
        }
        Err(self.asked().not_a_repository("it redirects in circles"))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, RepoError> {
        let request = request.header("Git-Protocol", "version=2");
        self.authorize(request)
            .send()
            .await
            .map_err(|e| self.asked().failed(&e))
    }

    async fn read(&self, mut answer: Response, kind: &str) -> Result<Vec<u8>, RepoError> {
        if !answer.status().is_success() {
            return Err(self.refusal(&answer));
        }
        let given = answer
            .headers()
            .get(CONTENT_TYPE)
            .map(HeaderValue::as_bytes);
        if given != Some(kind.as_bytes()) {
            return Err(self
                .asked()
                .not_a_repository("it answers with something that is not git's"));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.asked().failed(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > LISTING_LIMIT {
                return Err(RepoError::too_large("the list of refs", "16 MiB"));
            }
        }
        Ok(body)
    }

    fn refusal(&self, answer: &Response) -> RepoError {
        self.asked().status(answer.status(), answer.headers())
    }

    fn authorize(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.config.token {
            Some(token) => request.basic_auth(&token.username, Some(token.secret.expose())),
            None => request,
        }
    }

    /// The header that carries the token, for the child that fetches.
    pub(super) fn authorization(&self) -> Result<Option<String>, RepoError> {
        let (Some(_), Place::Http(url)) = (&self.config.token, self.config.url.place()) else {
            return Ok(None);
        };
        let request = self.authorize(self.client()?.get(url.clone())).build();
        let request = request.map_err(|e| RepoError::internal("prepare a request", e))?;
        let header = request.headers().get(reqwest::header::AUTHORIZATION);
        Ok(header
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned))
    }

    /// The address to fetch from.
    pub(super) fn fetch_url(&self) -> String {
        match self.config.url.place() {
            Place::Http(url) => self.base(url).to_string(),
            Place::File(_) => self.config.url.to_string(),
        }
    }

    /// What is asked, for errors.
    pub(super) fn asked(&self) -> Asked {
        Asked {
            url: self.config.url.to_string(),
            token_sent: self.config.token.is_some(),
            deadline: self.config.limits.deadline,
        }
    }

    fn base(&self, url: &Url) -> Url {
        let base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        base.clone().unwrap_or_else(|| url.clone())
    }

    fn remember_base(&self, discovered_at: &Url) {
        let mut url = discovered_at.clone();
        url.set_query(None);
        let path = url.path().strip_suffix("/info/refs").map(str::to_owned);
        if let Some(path) = path {
            url.set_path(&path);
            *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(url);
        }
    }

    /// Built on first use: loading the machine's authorities costs memory.
    fn client(&self) -> Result<&Client, RepoError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.build_client()?;
        Ok(self.client.get_or_init(|| client))
    }

    fn build_client(&self) -> Result<Client, RepoError> {
        tls::install_tls_provider();
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .timeout(self.config.limits.deadline)
            .pool_idle_timeout(KEEP_ALIVE)
            .pool_max_idle_per_host(1);
        if let Some(path) = &self.config.ca {
            builder = builder.tls_certs_only(tls::authorities(path)?);
        }
        builder
            .build()
            .map_err(|e| RepoError::internal("prepare a connection", e))
    }
}

/// How the agent introduces itself; some forges only speak git to what sounds like git.
pub(super) const USER_AGENT: &str = concat!("git/hop3-agent-", env!("CARGO_PKG_VERSION"));

/// Whether a failed `ls-refs` may just mean an older protocol or a moved repository.
fn is_unclear(error: &RepoError) -> bool {
    matches!(
        error,
        RepoError::NotARepository { .. }
            | RepoError::BadAnswer { .. }
            | RepoError::Redirected { .. }
    )
}

fn below(base: &Url, name: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{name}", base.path()));
    url
}

fn discovery(base: &Url) -> Url {
    let mut url = below(base, "info/refs");
    url.set_query(Some(&format!("service={SERVICE}")));
    url
}

/// Where an answer redirects to, if that is on the same server.
fn within(at: &Url, answer: &Response) -> Option<Url> {
    let target = answer.headers().get(LOCATION)?.to_str().ok()?;
    let target = at.join(target).ok()?;
    (target.origin() == at.origin()).then_some(target)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_below_the_repository() {
        let base = Url::parse("https://forge.example:8443/team/c.git").unwrap();
        assert_eq!(
            below(&base, SERVICE).as_str(),
            "https://forge.example:8443/team/c.git/git-upload-pack"
        );
        assert_eq!(
            discovery(&base).as_str(),
            "https://forge.example:8443/team/c.git/info/refs?service=git-upload-pack"
        );
    }
}
