//! Asking a server that speaks git's smart HTTP for its refs: one request on a connection that is kept, however many apps there are.
//!
//! It never follows a redirect to another scheme, host or port, so a token only ever reaches the server that it was given for.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Client, RequestBuilder, Response, Url};

use super::failure::Asked;
use super::pkt::ls_refs_request;
use super::refs::{Advertisement, RemoteRef, parse_advertisement, parse_listing};
use super::remote::{LISTING_LIMIT, USER_AGENT};
use super::{FetchLimits, RepoError, tls};

/// How long an idle connection is kept: longer than the longest usual pause between two polls.
const KEEP_ALIVE: Duration = Duration::from_mins(6);
/// How many redirects within one server are followed.
const REDIRECTS: usize = 3;

const SERVICE: &str = "git-upload-pack";
const REQUEST: &str = "application/x-git-upload-pack-request";
const RESULT: &str = "application/x-git-upload-pack-result";
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";

/// What is remembered of one server between two requests.
pub(super) struct SmartHttp {
    limits: FetchLimits,
    ca: Option<PathBuf>,
    client: Mutex<Option<Client>>,
    /// The address after redirects within the same server.
    base: Mutex<Option<Url>>,
    /// Whether the server was found to know only the older protocol.
    legacy: AtomicBool,
}

/// One question: to whom, and with which header.
#[derive(Clone, Copy)]
struct Question<'a> {
    client: &'a Client,
    asked: &'a Asked,
    authorization: Option<&'a str>,
    prefix: &'a str,
}

impl SmartHttp {
    pub(super) fn new(limits: FetchLimits, ca: Option<PathBuf>) -> Self {
        Self {
            limits,
            ca,
            client: Mutex::default(),
            base: Mutex::default(),
            legacy: AtomicBool::new(false),
        }
    }

    /// The refs whose names start with a prefix.
    pub(super) async fn list(
        &self,
        url: &Url,
        prefix: &str,
        (asked, authorization): (&Asked, Option<&str>),
    ) -> Result<Vec<RemoteRef>, RepoError> {
        let client = self.client()?;
        let question = Question {
            client: &client,
            asked,
            authorization,
            prefix,
        };
        let answer = self.ask(url, question).await;
        if matches!(answer, Err(RepoError::Tls { .. })) {
            // The operator may change the authorities that are trusted: the next request reads them again.
            *lock(&self.client) = None;
        }
        answer
    }

    /// The address, or where the same server said that it has moved.
    pub(super) fn base(&self, url: &Url) -> Url {
        lock(&self.base).clone().unwrap_or_else(|| url.clone())
    }

    async fn ask(&self, url: &Url, question: Question<'_>) -> Result<Vec<RemoteRef>, RepoError> {
        if !self.legacy.load(Ordering::Relaxed) {
            match question.ls_refs(&self.base(url)).await {
                Err(error) if is_unclear(&error) => {}
                done => return done,
            }
        }
        match self.discover(url, question).await? {
            Advertisement::Modern => question.ls_refs(&self.base(url)).await,
            Advertisement::Legacy(refs) => {
                self.legacy.store(true, Ordering::Relaxed);
                Ok(refs)
            }
        }
    }

    /// Learns what the server speaks, and its address if it redirects within itself.
    async fn discover(
        &self,
        url: &Url,
        question: Question<'_>,
    ) -> Result<Advertisement, RepoError> {
        let mut at = discovery(url);
        for _ in 0..REDIRECTS {
            let answer = question.send(question.client.get(at.clone())).await?;
            if !answer.status().is_redirection() {
                let body = question.read(answer, ADVERTISEMENT).await?;
                self.remember_base(&at);
                return parse_advertisement(&body, question.prefix)
                    .map_err(|detail| question.asked.bad_answer(detail));
            }
            at = within(&at, &answer).ok_or_else(|| question.refusal(&answer))?;
        }
        Err(question.asked.not_a_repository("it redirects in circles"))
    }

    fn remember_base(&self, discovered_at: &Url) {
        let mut url = discovered_at.clone();
        url.set_query(None);
        let path = url.path().strip_suffix("/info/refs").map(str::to_owned);
        if let Some(path) = path {
            url.set_path(&path);
            *lock(&self.base) = Some(url);
        }
    }

    /// Built on first use: loading the machine's authorities costs memory.
    fn client(&self) -> Result<Client, RepoError> {
        let mut kept = lock(&self.client);
        if let Some(client) = kept.as_ref() {
            return Ok(client.clone());
        }
        let client = self.build_client()?;
        *kept = Some(client.clone());
        Ok(client)
    }

    fn build_client(&self) -> Result<Client, RepoError> {
        tls::install_tls_provider();
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.limits.connect)
            .read_timeout(self.limits.stall)
            .pool_idle_timeout(KEEP_ALIVE)
            .pool_max_idle_per_host(1);
        if let Some(path) = &self.ca {
            builder = builder.tls_certs_only(tls::authorities(path)?);
        }
        builder
            .build()
            .map_err(|e| RepoError::internal("prepare a connection", e))
    }
}

impl Question<'_> {
    /// Protocol v2 is stateless: this one request is a whole conversation.
    async fn ls_refs(self, base: &Url) -> Result<Vec<RemoteRef>, RepoError> {
        let request = self.client.post(below(base, SERVICE));
        let request = request.header(CONTENT_TYPE, REQUEST).header(ACCEPT, RESULT);
        let answer = self
            .send(request.body(ls_refs_request(self.prefix)))
            .await?;
        let body = self.read(answer, RESULT).await?;
        parse_listing(&body, self.prefix).map_err(|detail| self.asked.bad_answer(detail))
    }

    async fn send(self, request: RequestBuilder) -> Result<Response, RepoError> {
        let mut request = request.header("Git-Protocol", "version=2");
        if let Some(text) = self.authorization {
            let header = HeaderValue::from_str(text);
            let mut header = header.map_err(|e| RepoError::internal("prepare a request", e))?;
            header.set_sensitive(true);
            request = request.header(AUTHORIZATION, header);
        }
        request.send().await.map_err(|e| self.asked.failed(&e))
    }

    async fn read(self, mut answer: Response, kind: &str) -> Result<Vec<u8>, RepoError> {
        if !answer.status().is_success() {
            return Err(self.refusal(&answer));
        }
        let given = answer
            .headers()
            .get(CONTENT_TYPE)
            .map(HeaderValue::as_bytes);
        if given != Some(kind.as_bytes()) {
            return Err(self
                .asked
                .not_a_repository("it answers with something that is not git's"));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.asked.failed(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > LISTING_LIMIT {
                return Err(RepoError::too_large("the list of refs", "8 MiB"));
            }
        }
        Ok(body)
    }

    fn refusal(self, answer: &Response) -> RepoError {
        self.asked.status(answer.status(), answer.headers())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
