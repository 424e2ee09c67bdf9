//! From a request to its answer: the host's route, its files or a backend, and what happens when a backend fails.
//!
//! Guarantees: a request stays on the backend it picked at its start. A backend that cannot be reached has received nothing, so the next
//! one is asked; an idle connection that closed is replaced once, for requests that may be repeated. Nothing else is sent twice.

use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::EndpointAddress;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use tokio::time::{Instant, sleep_until};

use crate::files::{self, Asked, PathError, Root, UrlPath};
use crate::note::note;
use crate::routing::{Claim, Claimed, InFlight, RequestHost, Route};

use super::body::AnswerBody;
use super::headers::{self, Sender};
use super::pages::Trouble;
use super::serve::Peer;
use super::state::State;
use super::tunnel::Tunnel;
use super::upload::{Progress, Upload, discard};
use super::upstream::{Connection, Pool, connect};

/// The most backends that are asked for one request.
const MOST_TRIES: usize = 8;

/// Answers the requests of one thread.
pub(super) struct Forwarder {
    state: Arc<State>,
    pool: Pool,
}

/// A request ready for any backend of its site.
struct Outgoing {
    request: Request<Upload>,
    host: RequestHost,
    peer: Peer,
    upgrade: Option<OnUpgrade>,
}

/// Why a backend did not answer.
enum Failure {
    /// It could not be reached: nothing was sent.
    Unsent(Box<Request<Upload>>, String),
    /// It broke off.
    Broken(String),
    /// It took too long.
    TimedOut,
    /// The body is over the limit.
    TooLarge,
}

impl Forwarder {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self {
            state,
            pool: Pool::default(),
        }
    }

    /// The answer to a request, whatever happens.
    pub(super) async fn answer(
        &self,
        peer: &Peer,
        request: Request<Incoming>,
    ) -> Response<AnswerBody> {
        let Ok(host) = RequestHost::of(&request) else {
            return refuse(request, Trouble::BadRequest);
        };
        if request.method() == Method::CONNECT {
            return refuse(request, Trouble::BadRequest);
        }
        let Some(claim) = self.state.routing.claim(&host, &[]) else {
            return refuse(request, Trouble::UnknownHost);
        };
        let route = Arc::clone(&claim.route);
        let mut response = match self.route(peer, host, claim, request).await {
            Ok(response) => response,
            Err(trouble) => trouble.page(),
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            headers::add(response.headers_mut(), &route.headers);
        }
        response
    }

    async fn route(
        &self,
        peer: &Peer,
        host: RequestHost,
        claim: Claim,
        request: Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Trouble> {
        let Claim { route, backend } = claim;
        let file = static_path(&route, &request);
        match (file, backend) {
            (Some(served), backend) => served.answer(&route, request, backend.map(|b| b.in_flight)),
            (None, None) => {
                discard(request.into_body());
                Err(if route.statics.is_empty() {
                    Trouble::Maintenance
                } else {
                    Trouble::NotFound
                })
            }
            (
                None,
                Some(Claimed {
                    address: EndpointAddress::Directory(directory),
                    in_flight,
                }),
            ) => {
                let served = Served {
                    path: url_path(&request)?,
                    prefix: Vec::new(),
                    directory,
                };
                served.answer(&route, request, Some(in_flight))
            }
            (None, Some(claimed)) => {
                let outgoing = outgoing(peer, host, &route, request)?;
                self.forward(&route, claimed, outgoing).await
            }
        }
    }

    async fn forward(
        &self,
        route: &Route,
        mut claimed: Claimed,
        mut outgoing: Outgoing,
    ) -> Result<Response<AnswerBody>, Trouble> {
        let progress = Arc::clone(outgoing.request.body().progress());
        let mut tried = Vec::new();
        loop {
            let sent = self
                .send(&claimed.address, outgoing.request, &progress, route.timeout)
                .await;
            let (request, why) = match sent {
                Ok(response) => {
                    let client = (outgoing.upgrade, outgoing.peer);
                    return deliver(route, claimed.in_flight, response, client);
                }
                Err(Failure::Unsent(request, why)) => (request, why),
                Err(Failure::Broken(why)) => {
                    return Err(bad_gateway(route, &claimed.address, &why));
                }
                Err(Failure::TimedOut) => return Err(Trouble::TimedOut),
                Err(Failure::TooLarge) => return Err(Trouble::TooLarge),
            };
            tried.push(claimed.address.clone());
            let next = self
                .state
                .routing
                .claim(&outgoing.host, &tried)
                .and_then(|claim| claim.backend)
                .filter(|next| !matches!(next.address, EndpointAddress::Directory(_)));
            match next {
                Some(next) if tried.len() < MOST_TRIES => claimed = next,
                _ => return Err(bad_gateway(route, &claimed.address, &why)),
            }
            outgoing.request = *request;
        }
    }

    /// Over an idle connection where the request may be repeated, else over a fresh one.
    async fn send(
        &self,
        address: &EndpointAddress,
        request: Request<Upload>,
        progress: &Arc<Progress>,
        limit: Duration,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = request;
        if repeatable(&request)
            && let Some(connection) = self.pool.take(address)
        {
            let spare = copy(&request, progress);
            match self.exchange(address, connection, request, limit).await {
                Err(Failure::Unsent(unsent, _)) => request = *unsent,
                Err(Failure::Broken(_)) => request = spare,
                other => return other,
            }
        }
        match connect(address).await {
            Ok(connection) => self.exchange(address, connection, request, limit).await,
            Err(error) => Err(Failure::Unsent(Box::new(request), error.to_string())),
        }
    }

    async fn exchange(
        &self,
        address: &EndpointAddress,
        mut connection: Connection,
        request: Request<Upload>,
        limit: Duration,
    ) -> Result<Response<Incoming>, Failure> {
        let progress = Arc::clone(request.body().progress());
        let answer = within(limit, &progress, connection.try_send_request(request));
        match answer.await.ok_or(Failure::TimedOut)? {
            Ok(response) => {
                if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    self.pool.keep_when_done(address, connection);
                }
                Ok(response)
            }
            Err(_) if progress.too_large() => Err(Failure::TooLarge),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => Failure::Unsent(Box::new(request), error.into_error().to_string()),
                None => Failure::Broken(error.into_error().to_string()),
            }),
        }
    }
}

/// Waits for an answer; the time counts from the last part of the body that went through.
async fn within<T>(
    limit: Duration,
    progress: &Progress,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    loop {
        tokio::select! {
            answer = answer.as_mut() => return Some(answer),
            () = sleep_until(progress.latest() + limit) => {}
        }
        if progress.latest() + limit <= Instant::now() {
            return None;
        }
    }
}

/// Whether a request may reach a backend twice without harm, and can be sent again.
fn repeatable(request: &Request<Upload>) -> bool {
    request.method().is_idempotent()
        && request.body().is_end_stream()
        && !request.headers().contains_key(UPGRADE)
}

fn copy(request: &Request<Upload>, progress: &Arc<Progress>) -> Request<Upload> {
    let mut copy = Request::new(Upload::empty(Arc::clone(progress)));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn outgoing(
    peer: &Peer,
    host: RequestHost,
    route: &Route,
    mut request: Request<Incoming>,
) -> Result<Outgoing, Trouble> {
    if request.body().size_hint().lower() > route.body_size {
        discard(request.into_body());
        return Err(Trouble::TooLarge);
    }
    let web_socket = headers::asks_for_web_socket(request.headers());
    let upgrade = web_socket.then(|| hyper::upgrade::on(&mut request));
    let (mut head, body) = request.into_parts();
    let sender = Sender {
        peer: peer.address,
        local: peer.local,
        host: &host,
    };
    headers::for_backend(&mut head.headers, &sender, web_socket);
    head.uri = origin_form(&head.uri);
    head.version = Version::HTTP_11;
    head.extensions.clear();
    Ok(Outgoing {
        request: Request::from_parts(head, Upload::new(body, route.body_size)),
        host,
        peer: peer.clone(),
        upgrade,
    })
}

/// The path and query alone, as a server other than a proxy is asked.
fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query()
        .cloned()
        .map_or_else(|| Uri::from_static("/"), Uri::from)
}

fn deliver(
    route: &Route,
    in_flight: InFlight,
    mut response: Response<Incoming>,
    (upgrade, peer): (Option<OnUpgrade>, Peer),
) -> Result<Response<AnswerBody>, Trouble> {
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    headers::for_client(response.headers_mut(), &[]);
    if !switching {
        return Ok(response.map(|body| AnswerBody::backend(body, in_flight)));
    }
    let Some(client) = upgrade else {
        note(&route.app, "switched protocols without being asked");
        return Err(Trouble::BadGateway);
    };
    let backend = hyper::upgrade::on(&mut response);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let tunnel = Tunnel {
        client,
        backend,
        in_flight,
        peer,
    };
    tokio::spawn(tunnel.run());
    Ok(response.map(|_| AnswerBody::text("")))
}

/// A path that is served from files.
struct Served {
    path: UrlPath,
    prefix: Vec<Vec<u8>>,
    directory: std::path::PathBuf,
}

impl Served {
    fn answer(
        &self,
        route: &Route,
        request: Request<Incoming>,
        in_flight: Option<InFlight>,
    ) -> Result<Response<AnswerBody>, Trouble> {
        let (head, body) = request.into_parts();
        discard(body);
        if head.method != Method::GET && head.method != Method::HEAD {
            return Err(Trouble::MethodNotAllowed);
        }
        let root = Root {
            directory: &self.directory,
            prefix: &self.prefix,
            spa: route.spa,
        };
        let with_mark = head.uri.query().map(|query| format!("?{query}"));
        let asked = Asked {
            method: &head.method,
            path: &self.path,
            query: with_mark.as_deref(),
            headers: &head.headers,
        };
        match files::answer(&root, &asked) {
            Ok(Some(response)) => Ok(response.map(|body| AnswerBody::file(body, in_flight))),
            Ok(None) => Err(Trouble::NotFound),
            Err(error) => {
                note(&route.app, format!("could not read a file: {error}"));
                Err(Trouble::Broken)
            }
        }
    }
}

/// A path that cannot be a file's may still mean something to the app.
fn static_path(route: &Route, request: &Request<Incoming>) -> Option<Served> {
    if route.statics.is_empty() {
        return None;
    }
    let path = UrlPath::parse(request.uri().path()).ok()?;
    let root = route
        .statics
        .iter()
        .find(|root| path.below(&root.prefix).is_some())?;
    Some(Served {
        prefix: root.prefix.clone(),
        directory: root.directory.clone(),
        path,
    })
}

fn url_path(request: &Request<Incoming>) -> Result<UrlPath, Trouble> {
    UrlPath::parse(request.uri().path()).map_err(|error| match error {
        PathError::Malformed => Trouble::BadRequest,
        PathError::Hidden => Trouble::NotFound,
    })
}

fn refuse(request: Request<Incoming>, trouble: Trouble) -> Response<AnswerBody> {
    discard(request.into_body());
    trouble.page()
}

fn bad_gateway(route: &Route, address: &EndpointAddress, why: &str) -> Trouble {
    note(&route.app, format!("no answer from {address}: {why}"));
    Trouble::BadGateway
}
