//! Asking processes of the machine: one line over a unix socket, one HTTP request to an app's endpoint. Bounded in time and size.

use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpStream, UnixStream};

use hop3_plugin_api::{EndpointAddress, HostError, HttpProbe, ProbeAnswer};

/// The longest answer line.
const LINE: u64 = 1024 * 1024;
/// As much of a body as a probe looks at.
const BODY: usize = 64 * 1024;

pub(super) async fn ask(
    socket: &Path,
    line: &str,
    timeout: Duration,
) -> Result<Option<String>, HostError> {
    let answer = tokio::time::timeout(timeout, exchange(socket, line))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if nobody_listens(&error) => Ok(None),
        Err(error) => Err(HostError::file("ask", socket, error)),
    }
}

fn nobody_listens(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory
    )
}

async fn exchange(socket: &Path, line: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    let mut answer = String::new();
    BufReader::new(stream.take(LINE))
        .read_line(&mut answer)
        .await?;
    match answer.strip_suffix('\n') {
        Some(answer) => Ok(answer.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

pub(super) async fn probe(probe: &HttpProbe) -> ProbeAnswer {
    match tokio::time::timeout(probe.timeout, request(probe)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(reason)) => ProbeAnswer::Unreachable(reason),
        Err(_) => ProbeAnswer::TimedOut,
    }
}

async fn request(probe: &HttpProbe) -> Result<ProbeAnswer, String> {
    match &probe.address {
        EndpointAddress::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(in_words)?;
            request_over(stream, probe).await
        }
        EndpointAddress::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(in_words)?;
            request_over(stream, probe).await
        }
        EndpointAddress::Directory(path) if path.is_dir() => Ok(ProbeAnswer::Answered {
            status: 200,
            body: Vec::new(),
        }),
        EndpointAddress::Directory(path) => Err(format!("`{}` is no directory", path.display())),
    }
}

async fn request_over<S>(stream: S, probe: &HttpProbe) -> Result<ProbeAnswer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(in_words)?;
    let request = hyper::Request::get(&probe.path)
        .header(HOST, &probe.host)
        .header(USER_AGENT, "hop3-agent")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(in_words)?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(in_words)?;
        let status = answer.status().as_u16();
        let body = read_body(answer.into_body()).await?;
        Ok(ProbeAnswer::Answered { status, body })
    };
    tokio::pin!(exchange, connection);
    // The connection may be over before its last answer is taken from it.
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => match exchange.await {
            Err(_) if ended.is_err() => Err(ended.map_err(in_words).err().unwrap_or_default()),
            answer => answer,
        },
    }
}

async fn read_body(mut incoming: hyper::body::Incoming) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        if let Ok(data) = frame.map_err(in_words)?.into_data() {
            let room = BODY - body.len();
            body.extend_from_slice(&data[..data.len().min(room)]);
        }
        if body.len() == BODY {
            break;
        }
    }
    Ok(body)
}

/// An error with its causes, for people.
fn in_words(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::net::{TcpListener, UnixListener};

    use super::*;

    async fn answering(answer: Vec<u8>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let read = stream.read(&mut asked).await.unwrap();
            assert!(String::from_utf8_lossy(&asked[..read]).contains("host: shop.test"));
            stream.write_all(&answer).await.unwrap();
        });
        address
    }

    fn to(address: SocketAddr) -> HttpProbe {
        HttpProbe {
            address: EndpointAddress::Tcp(address),
            path: "/health?x=1".to_owned(),
            host: "shop.test".to_owned(),
            timeout: Duration::from_secs(5),
        }
    }

    #[tokio::test]
    async fn an_answer_is_told_with_its_status_and_a_redirect_is_not_followed() {
        let moved =
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\nno";
        let answer = probe(&to(answering(moved.to_vec()).await)).await;
        assert_eq!(
            answer,
            ProbeAnswer::Answered {
                status: 302,
                body: b"no".to_vec()
            }
        );
    }

    #[tokio::test]
    async fn t43_a_body_is_cut_at_64_kib() {
        let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        endless.resize(200_000, b'x');
        let answer = probe(&to(answering(endless).await)).await;
        let ProbeAnswer::Answered { status: 200, body } = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(body.len(), BODY);
    }

    #[tokio::test]
    async fn a_closed_port_garbage_and_silence_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silent = HttpProbe {
            timeout: Duration::from_millis(50),
            ..to(address)
        };
        assert_eq!(probe(&silent).await, ProbeAnswer::TimedOut);
        drop(listener);
        assert!(matches!(
            probe(&to(address)).await,
            ProbeAnswer::Unreachable(_)
        ));
        let garbage = answering(b"SSH-2.0-nothing\r\n".to_vec()).await;
        assert!(matches!(
            probe(&to(garbage)).await,
            ProbeAnswer::Unreachable(_)
        ));
    }

    #[tokio::test]
    async fn one_line_gets_one_line_and_a_missing_socket_gets_none() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let answer = line.to_uppercase() + "more\n";
            stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
            let (_silent, _) = listener.accept().await.unwrap();
            std::future::pending::<()>().await;
        });
        let wait = Duration::from_secs(5);
        assert_eq!(
            ask(&path, "status", wait).await.unwrap().as_deref(),
            Some("STATUS")
        );
        assert!(
            ask(&path, "status", Duration::from_millis(50))
                .await
                .is_err()
        );
        assert_eq!(
            ask(&root.path().join("none"), "status", wait)
                .await
                .unwrap(),
            None
        );
    }
}
