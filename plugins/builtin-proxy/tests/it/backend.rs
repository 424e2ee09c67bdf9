//! An app's instance: an HTTP/1.1 server of a few threads that does what its paths say.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use crate::client::header;

/// The size of one chunk of `/stream/<count>`.
pub(crate) const STREAM_CHUNK: usize = 64 * 1024;

pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    pub(crate) release: u32,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    release: u32,
    stopped: AtomicBool,
    connections: AtomicUsize,
    requests: AtomicUsize,
    waiting: AtomicUsize,
    open: Mutex<bool>,
    opened: Condvar,
    streams: Mutex<Vec<TcpStream>>,
}

impl Backend {
    pub(crate) fn start(release: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            release,
            ..Shared::default()
        });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self {
            address,
            release,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Lets requests to `/slow` go on.
    pub(crate) fn open(&self) {
        *self.shared.open.lock().unwrap() = true;
        self.shared.opened.notify_all();
    }

    /// Requests at `/slow`.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::SeqCst)
    }

    /// Connections that were ever accepted.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Requests that were ever read.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Closes what is open, as an instance does that stops, and refuses what comes.
    pub(crate) fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        self.shared.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        acceptor.join().unwrap();
        for stream in self.shared.streams.lock().unwrap().iter() {
            stream.shutdown(std::net::Shutdown::Both).ok();
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.open();
        self.stop();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let stream = stream.unwrap();
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let known = stream.try_clone().unwrap();
        shared.streams.lock().unwrap().push(known);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            while let Ok(true) = answer(&stream, &shared) {}
            stream.shutdown(std::net::Shutdown::Both).ok();
        });
    }
}

/// Answers one request; false when the connection ends.
fn answer(stream: &TcpStream, shared: &Shared) -> io::Result<bool> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(false);
        }
    }
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let body = read_body(&mut reader, &head)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut out: &TcpStream = stream;
    if head.starts_with("HEAD ") {
        return out
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4711\r\n\r\n")
            .map(|()| true);
    }
    match path.as_str() {
        "/headers" => reply(out, &head),
        "/length" => reply(out, &body.to_string()),
        "/slow" => {
            shared.wait();
            reply(out, &shared.release.to_string())
        }
        "/never" => {
            shared.wait();
            Ok(false)
        }
        "/break" => Ok(false),
        "/close-after" => reply(out, "bye").map(|_| false),
        "/web-socket" => echo(reader, out),
        stream if stream.starts_with("/stream/") => {
            let count: usize = stream["/stream/".len()..].parse().unwrap();
            out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for index in 0..count {
                let chunk = vec![b'a' + u8::try_from(index % 26).unwrap(); STREAM_CHUNK];
                write!(out, "{STREAM_CHUNK:x}\r\n")?;
                out.write_all(&chunk)?;
                out.write_all(b"\r\n")?;
            }
            out.write_all(b"0\r\n\r\n").map(|()| true)
        }
        _ => reply(out, &shared.release.to_string()),
    }
}

fn reply(mut out: &TcpStream, text: &str) -> io::Result<bool> {
    let length = text.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nServer: app\r\nKeep-Alive: timeout=9\r\n\r\n{text}"
    );
    out.write_all(answer.as_bytes()).map(|()| true)
}

fn echo(mut reader: BufReader<&TcpStream>, mut out: &TcpStream) -> io::Result<bool> {
    out.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: yes\r\n\r\n",
    )?;
    io::copy(&mut reader, &mut out)?;
    Ok(false)
}

/// Reads a body to its end and returns its length.
fn read_body(reader: &mut BufReader<&TcpStream>, head: &str) -> io::Result<u64> {
    if let Some(length) = header(head, "content-length") {
        let length = length.parse().unwrap();
        return io::copy(&mut reader.take(length), &mut io::sink());
    }
    if header(head, "transfer-encoding").is_none() {
        return Ok(0);
    }
    let mut total = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        io::copy(&mut reader.by_ref().take(length + 2), &mut io::sink())?;
        if length == 0 {
            return Ok(total);
        }
        total += length;
    }
}

impl Shared {
    fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
