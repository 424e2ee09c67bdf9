//! Servers that misbehave: they hang, redirect, cut answers off or say something that is not git's.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A listener that keeps what it was told.
pub(crate) struct FakeServer {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    /// Connections that stay open as long as the server.
    open: Arc<Mutex<Vec<TcpStream>>>,
    /// How many bytes of answers may still be passed on.
    left: Arc<AtomicUsize>,
}

impl FakeServer {
    /// Answers every request with these bytes and hangs up.
    pub(crate) fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |stream, _| {
            stream.write_all(&answer).ok();
        })
    }

    /// Takes connections and requests, and never says a word.
    pub(crate) fn hanging() -> Self {
        Self::start(|stream, open| open.lock().unwrap().push(stream.try_clone().unwrap()))
    }

    /// Passes everything on to another port, but only so many bytes of all its answers together; then it hangs up, or stalls.
    pub(crate) fn cutting(upstream: u16, after: usize, stall: bool) -> Self {
        let (listener, server) = Self::bind();
        server.left.store(after, Ordering::SeqCst);
        let left = Arc::clone(&server.left);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let left = Arc::clone(&left);
                std::thread::spawn(move || pass_on(client, upstream, &left, stall));
            }
        });
        server
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many more bytes of answers it would pass on.
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }

    /// The beginnings of everything that was sent to it.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn bind() -> (TcpListener, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        (
            listener,
            Self {
                port,
                heard: Arc::default(),
                open: Arc::default(),
                left: Arc::default(),
            },
        )
    }

    fn start(behave: impl Fn(&mut TcpStream, &Mutex<Vec<TcpStream>>) + Send + 'static) -> Self {
        let (listener, server) = Self::bind();
        let (heard, open) = (Arc::clone(&server.heard), Arc::clone(&server.open));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or(0);
                heard
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&request[..length]).into_owned());
                behave(&mut stream, &open);
            }
        });
        server
    }
}

fn pass_on(mut client: TcpStream, upstream: u16, left: &AtomicUsize, stall: bool) {
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        std::io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
    });
    let mut buffer = [0; 1024];
    loop {
        let length = server.read(&mut buffer).unwrap_or(0);
        let allowed = length.min(left.load(Ordering::SeqCst));
        left.fetch_sub(allowed, Ordering::SeqCst);
        if length == 0
            || client.write_all(&buffer[..allowed]).is_err()
            || (allowed < length && !stall)
        {
            break;
        }
        if allowed < length {
            // Keep the connection open until the client gives up.
            std::io::copy(&mut server, &mut std::io::sink()).ok();
            std::io::copy(&mut client, &mut std::io::sink()).ok();
        }
    }
    client.shutdown(Shutdown::Both).ok();
}
