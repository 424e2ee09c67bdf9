//! One thread: accepts connections, answers their requests, ends them in order.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::sleep;

use crate::note::note;

use super::body::AnswerBody;
use super::forward::Forwarder;
use super::state::State;

/// How long a new connection may take to send its first head.
const FIRST_HEAD: Duration = Duration::from_secs(10);
/// How long a connection may wait for its next request.
const IDLE: Duration = Duration::from_mins(1);
/// The largest head of a request.
const HEAD_LIMIT: usize = 64 * 1024;
/// After a failed accept, most likely for want of open files.
const PAUSE: Duration = Duration::from_millis(100);

/// A client's connection, as its requests see it.
#[derive(Clone)]
pub(super) struct Peer {
    /// Whom we talk to.
    pub(super) address: SocketAddr,
    /// On which of our addresses.
    pub(super) local: SocketAddr,
    /// Its place under the limit, which a tunnel keeps when the connection becomes one. The few that several threads accept at the same
    /// moment above the limit have none.
    #[expect(dead_code, reason = "it counts by being held")]
    pub(super) permit: Arc<Option<OwnedSemaphorePermit>>,
}

/// Serves until the process ends.
pub(super) fn run(state: Arc<State>) {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(4)
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(serve(state)),
        Err(error) => note("worker", format!("could not start a runtime: {error}")),
    }
}

async fn serve(state: Arc<State>) {
    let forwarder = Arc::new(Forwarder::new(Arc::clone(&state)));
    for listener in state.listeners().iter() {
        let socket = listener.socket.try_clone().and_then(TcpListener::from_std);
        match socket {
            Ok(socket) => drop(tokio::spawn(accept_until_retired(
                Arc::clone(&state),
                Arc::clone(&forwarder),
                socket,
            ))),
            Err(error) => note("worker", format!("could not use a listener: {error}")),
        }
    }
    std::future::pending::<()>().await;
}

async fn accept_until_retired(state: Arc<State>, forwarder: Arc<Forwarder>, socket: TcpListener) {
    let mut retirement = state.retirement();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = retirement.wait_for(|retired| *retired) => return,
            accepted = accept(&state, &socket) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = converse(Arc::clone(&forwarder), stream, peer, state.retirement());
                tokio::spawn(connection);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                note("worker", format!("could not accept a connection: {error}"));
                sleep(PAUSE).await;
            }
        }
    }
}

/// Waits for room under the limit first, so that what is above it stays in the kernel's backlog. Nothing waits once a connection is
/// accepted: a retirement at that moment would lose it.
async fn accept(state: &State, socket: &TcpListener) -> io::Result<(TcpStream, Peer)> {
    drop(state.connections.acquire().await);
    let (stream, address) = socket.accept().await?;
    let permit = Arc::clone(&state.connections).try_acquire_owned().ok();
    stream.set_nodelay(true)?;
    let peer = Peer {
        address,
        local: stream.local_addr()?,
        permit: Arc::new(permit),
    };
    Ok((stream, peer))
}

/// A connection from its first request to its last. What a client breaks is not worth a line in the log.
///
/// Ending in order closes an idle connection at once. A connection that has not asked anything yet is not idle: its client has just come
/// and gets its answer, which then says that it was the last one.
async fn converse(
    forwarder: Arc<Forwarder>,
    stream: TcpStream,
    peer: Peer,
    retirement: watch::Receiver<bool>,
) {
    let spoken = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&spoken);
    let retired = retirement.clone();
    let service = service_fn(move |request| {
        heard.store(true, Ordering::SeqCst);
        let (forwarder, peer, retired) = (Arc::clone(&forwarder), peer.clone(), retired.clone());
        async move {
            let mut response = forwarder.answer(&peer, request).await;
            say_last(&mut response, *retired.borrow());
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_header_size(HEAD_LIMIT)
        .max_buf_size(2 * HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = silence(&spoken) => return,
        () = retired_while_known(retirement, &spoken) => connection.as_mut().graceful_shutdown(),
    }
    connection.await.ok();
}

/// Ends when the first head takes too long.
async fn silence(spoken: &AtomicBool) {
    sleep(FIRST_HEAD).await;
    if spoken.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
}

/// Ends when the worker is retired after the connection's first request.
async fn retired_while_known(mut retirement: watch::Receiver<bool>, spoken: &AtomicBool) {
    let retired = retirement.wait_for(|retired| *retired).await.is_ok();
    if !retired || !spoken.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
}

fn say_last(response: &mut Response<AnswerBody>, retired: bool) {
    if retired && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}
