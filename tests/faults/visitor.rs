//! Somebody who asks an app through the proxy, once or without a pause.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two requests of a visitor who keeps asking.
const PAUSE: Duration = Duration::from_millis(15);

/// Asks one app.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    app: String,
    proxy: SocketAddr,
}

/// A visitor in the background.
pub(crate) struct Stream {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<(u32, Vec<String>)>,
}

impl Visitor {
    pub(crate) fn new(app: &str, proxy: SocketAddr) -> Self {
        Self {
            app: app.to_owned(),
            proxy,
        }
    }

    /// The answer to one request on a connection of its own; anything but 200 is an error.
    pub(crate) fn ask(&self, path: &str) -> Result<String, String> {
        let answer = self.exchange(path).map_err(|e| e.to_string())?;
        if answer.starts_with("HTTP/1.1 200 ") {
            return Ok(answer);
        }
        Err(answer.chars().take(200).collect())
    }

    fn exchange(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.proxy, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        let app = &self.app;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {app}.localhost\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        if answer.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Keeps asking until told to stop. A connection that breaks off is tried once more.
    pub(crate) fn keep_asking(self, path: &'static str) -> Stream {
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        let started = Instant::now();
        let thread = std::thread::spawn(move || {
            let (mut asked, mut failed) = (0, Vec::new());
            while !told.load(Ordering::SeqCst) {
                asked += 1;
                let answer = self.exchange(path).or_else(|_| self.exchange(path));
                let good = answer
                    .as_ref()
                    .is_ok_and(|a| a.starts_with("HTTP/1.1 200 "));
                if !good {
                    let words: String = format!("{answer:?}").chars().take(120).collect();
                    failed.push(format!(
                        "{} after {:.2} s: {words}",
                        self.app,
                        started.elapsed().as_secs_f32()
                    ));
                }
                std::thread::sleep(PAUSE);
            }
            (asked, failed)
        });
        Stream { ended, thread }
    }
}

impl Stream {
    /// How many requests there were, and those that failed.
    pub(crate) fn end(self) -> (u32, Vec<String>) {
        self.ended.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}
