//! The control socket: the only way to tell a running agent anything. One JSON line in, one JSON line out; mode 0600, and the peer must be
//! root or the agent's own user. Beside it, a socket on which helper processes say of which app there is news, and nothing else.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hop3_plugin_api::AppName;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixDatagram, UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use crate::control::{Message, Reply, Request};

/// The longest request line.
const LINE_LIMIT: u64 = 64 * 1024;

/// Why the agent could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Nobody listens.
    #[error("no agent listens on `{}`", path.display())]
    NoAgent {
        /// The socket.
        path: PathBuf,
    },
    /// It broke off.
    #[error("the agent on `{}` did not answer", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The socket's place in a run dir.
pub fn path(run_dir: &Path) -> PathBuf {
    run_dir.join("agent.sock")
}

/// Listens on a socket that nobody listens on any more; the data dir's lock has seen to that.
pub fn bind(path: &Path) -> std::io::Result<UnixListener> {
    remove(path)?;
    let listener = UnixListener::bind(path)?;
    rustix::fs::chmod(path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
    Ok(listener)
}

fn remove(path: &Path) -> std::io::Result<()> {
    match rustix::fs::unlink(path) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Serves requests until the loop ends.
pub async fn serve(listener: UnixListener, control: mpsc::Sender<Message>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if is_trusted(&stream) => {
                tokio::spawn(serve_one(stream, control.clone()));
            }
            Ok(_) => {
                tracing::warn!(
                    "A process of another user was turned away from the control socket."
                );
            }
            Err(error) => {
                tracing::error!(%error, "The control socket failed.");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn is_trusted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

async fn serve_one(stream: UnixStream, control: mpsc::Sender<Message>) {
    let (read, mut write) = stream.into_split();
    let mut lines = tokio::io::BufReader::new(read.take(LINE_LIMIT)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let reply = ask_loop(&line, &control).await;
        let mut text = serde_json::to_string(&reply).expect("answers serialise");
        text.push('\n');
        if write.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn ask_loop(line: &str, control: &mpsc::Sender<Message>) -> Reply {
    let request: Request = match serde_json::from_str(line) {
        Ok(request) => request,
        Err(error) => {
            return Reply::refused(
                format!("the request cannot be understood: {error}"),
                "use a client of the same version",
            );
        }
    };
    let (sender, receiver) = oneshot::channel();
    let sent = control.send(Message::Asked(request, sender)).await;
    match (sent, receiver.await) {
        (Ok(()), Ok(reply)) => reply,
        _ => Reply::refused("the agent is stopping", "start it again"),
    }
}

/// The longest app name that a nudge may hold, and a byte to see that it is longer.
const NUDGE_LIMIT: usize = 64;

/// Listens for news of apps.
pub fn bind_nudges(path: &Path) -> std::io::Result<UnixDatagram> {
    remove(path)?;
    let socket = UnixDatagram::bind(path)?;
    rustix::fs::chmod(path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
    Ok(socket)
}

/// Passes names of apps of which there is news on, until the loop ends. What is no name is nobody's news.
pub async fn serve_nudges(socket: UnixDatagram, control: mpsc::Sender<Message>) {
    let mut word = [0; NUDGE_LIMIT];
    loop {
        let length = match socket.recv(&mut word).await {
            Ok(length) => length,
            Err(error) => {
                tracing::error!(%error, "The socket for news of apps failed.");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let name = std::str::from_utf8(&word[..length]).ok();
        let app = name.and_then(|name| AppName::parse(name).ok());
        if let Some(app) = app
            && control.send(Message::Nudged(app)).await.is_err()
        {
            return;
        }
    }
}

/// Asks a running agent, from a command.
pub fn ask(run_dir: &Path, request: &Request) -> Result<Reply, SocketError> {
    let path = path(run_dir);
    let broken = |source| SocketError::Broken {
        path: path.clone(),
        source,
    };
    let stream = std::os::unix::net::UnixStream::connect(&path)
        .map_err(|_| SocketError::NoAgent { path: path.clone() })?;
    let mut line = serde_json::to_string(request).expect("requests serialise");
    line.push('\n');
    (&stream).write_all(line.as_bytes()).map_err(broken)?;
    let mut answer = String::new();
    BufReader::new(&stream)
        .read_line(&mut answer)
        .map_err(broken)?;
    serde_json::from_str(&answer).map_err(|error| broken(std::io::Error::other(error)))
}
