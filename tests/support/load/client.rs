//! One request over HTTP/1.1, on a kept connection or on a fresh one.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::load::Load;

/// How many connections are kept. Each is reused in turn, so that all of them are idle for a while in between.
const KEPT: usize = 16;

type Connection = SendRequest<Full<Bytes>>;
type Answer = Result<Option<(u64, String)>, Failure>;

/// What one request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Page,
    Slow,
    Post,
}

/// Why a request has no expected answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection broke, or there was none.
    Connection(String),
    /// Something else than expected was answered.
    Answer(String),
}

/// Sends requests and keeps connections for later ones.
#[derive(Debug)]
pub(crate) struct Client {
    load: Load,
    kept: Mutex<VecDeque<Connection>>,
}

impl Client {
    pub(crate) fn new(load: Load) -> Self {
        Self {
            load,
            kept: Mutex::new(VecDeque::new()),
        }
    }

    /// The first try: on a kept connection if `keep` is set and enough are there; a connection opened with `keep` is kept.
    pub(crate) async fn ask(&self, kind: Kind, keep: bool) -> Answer {
        let kept = if keep { self.take() } else { None };
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer = self.ask_on(&mut connection, kind).await;
        if keep && answer.is_ok() {
            self.keep(connection);
        }
        answer
    }

    /// The second try, always on a connection of its own.
    pub(crate) async fn ask_again(&self, kind: Kind) -> Answer {
        self.ask_on(&mut self.connect().await?, kind).await
    }

    /// For people: `GET /`.
    pub(crate) fn describe(&self, kind: Kind) -> String {
        let (method, path) = self.line(kind);
        format!("{method} {path}")
    }

    fn take(&self) -> Option<Connection> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.len() >= KEPT).then(|| kept.pop_front()).flatten()
    }

    fn keep(&self, connection: Connection) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(connection);
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(self.load.target)
            .await
            .map_err(|error| Failure::Connection(format!("connecting: {error}")))?;
        stream.set_nodelay(true).map_err(connection_failure)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(connection_failure)?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn ask_on(&self, connection: &mut Connection, kind: Kind) -> Answer {
        connection.ready().await.map_err(connection_failure)?;
        let response = connection
            .send_request(self.request(kind))
            .await
            .map_err(connection_failure)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(connection_failure)?.to_bytes();
        check_status(kind, head.status.as_u16())?;
        self.check_body(kind, &body)?;
        self.release(&head.headers)
    }

    fn line(&self, kind: Kind) -> (Method, &str) {
        match kind {
            Kind::Page => (Method::GET, &self.load.path),
            Kind::Slow => (Method::GET, &self.load.slow_path),
            Kind::Post => (Method::POST, &self.load.post_path),
        }
    }

    fn request(&self, kind: Kind) -> Request<Full<Bytes>> {
        let (method, path) = self.line(kind);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.load.host);
        let request = match kind {
            Kind::Post => request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Full::from(self.load.post_body.clone())),
            Kind::Page | Kind::Slow => request.body(Full::default()),
        };
        request.expect("the load's paths and host name are valid in a request")
    }

    fn check_body(&self, kind: Kind, body: &Bytes) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(body);
        if kind != Kind::Page || text.contains(&self.load.contains) {
            return Ok(());
        }
        let shown: String = text.chars().take(200).collect();
        Err(Failure::Answer(format!("body {shown:?}")))
    }

    fn release(&self, headers: &HeaderMap) -> Answer {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let release = text("x-release").and_then(|release| release.parse().ok());
        match (release, text("x-version")) {
            (Some(release), Some(version)) => Ok(Some((release, version.to_owned()))),
            _ if self.load.releases => Err(Failure::Answer("names no release".to_owned())),
            _ => Ok(None),
        }
    }
}

fn check_status(kind: Kind, status: u16) -> Result<(), Failure> {
    let expected = match kind {
        Kind::Page | Kind::Slow => status == 200,
        Kind::Post => matches!(status, 200 | 201 | 303),
    };
    if expected {
        return Ok(());
    }
    Err(Failure::Answer(format!("status {status}")))
}

fn connection_failure(error: impl std::error::Error) -> Failure {
    let mut text = error.to_string();
    if let Some(cause) = error.source() {
        text = format!("{text}: {cause}");
    }
    Failure::Connection(text)
}
