//! Connections to backends, kept for a moment and used again. One pool per thread.
//!
//! Guarantees: a request that must not be sent twice always gets a fresh connection, so that an idle connection which the backend closes
//! at the same moment can never lose it or have it run twice.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hop3_plugin_api::EndpointAddress;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};

use super::upload::Upload;

/// How long a connection may wait for its next request: shorter than any backend waits (gunicorn: 2 s), so that we are the ones who close.
const IDLE: Duration = Duration::from_secs(1);
/// Between two looks at what has been idle for too long.
const SWEEP: Duration = Duration::from_millis(500);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// The most idle connections per backend and thread.
const MOST_IDLE: usize = 64;
/// The largest head of an answer.
const HEAD_LIMIT: usize = 256 * 1024;

/// A connection that takes requests.
pub(super) type Connection = SendRequest<Upload>;

/// The idle connections of one thread.
#[derive(Clone, Default)]
pub(super) struct Pool {
    idle: Arc<Mutex<IdleConnections>>,
}

#[derive(Default)]
struct IdleConnections {
    by_address: BTreeMap<EndpointAddress, Vec<(Connection, Instant)>>,
    sweeping: bool,
}

impl Pool {
    /// The youngest idle connection that is still open.
    pub(super) fn take(&self, address: &EndpointAddress) -> Option<Connection> {
        let mut idle = self.lock();
        let connections = idle.by_address.get_mut(address)?;
        while let Some((connection, since)) = connections.pop() {
            if connection.is_ready() && since.elapsed() < IDLE {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection once its answer has been read to the end.
    pub(super) fn keep_when_done(&self, address: &EndpointAddress, mut connection: Connection) {
        let (pool, address) = (self.clone(), address.clone());
        tokio::spawn(async move {
            if connection.ready().await.is_ok() {
                pool.keep(address, connection);
            }
        });
    }

    fn keep(&self, address: EndpointAddress, connection: Connection) {
        let mut idle = self.lock();
        let connections = idle.by_address.entry(address).or_default();
        if connections.len() < MOST_IDLE {
            connections.push((connection, Instant::now()));
        }
        if !std::mem::replace(&mut idle.sweeping, true) {
            tokio::spawn(self.clone().sweep());
        }
    }

    /// Runs only while something is idle.
    async fn sweep(self) {
        loop {
            sleep(SWEEP).await;
            let mut idle = self.lock();
            idle.by_address.retain(|_, connections| {
                connections.retain(|(connection, since)| {
                    !connection.is_closed() && since.elapsed() < IDLE
                });
                !connections.is_empty()
            });
            if idle.by_address.is_empty() {
                idle.sweeping = false;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, IdleConnections> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a connection.
pub(super) async fn connect(address: &EndpointAddress) -> io::Result<Connection> {
    timeout(CONNECT, connect_without_limit(address))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn connect_without_limit(address: &EndpointAddress) -> io::Result<Connection> {
    match address {
        EndpointAddress::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            start(TokioIo::new(stream)).await
        }
        EndpointAddress::Unix(path) => start(TokioIo::new(UnixStream::connect(path).await?)).await,
        EndpointAddress::Directory(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn start<T: Read + Write + Unpin + Send + 'static>(stream: T) -> io::Result<Connection> {
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_LIMIT)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}
