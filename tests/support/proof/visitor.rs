//! Somebody who asks an app through the proxy, once or without a pause.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between the beginnings of two requests of a visitor who keeps asking: more than 20 in a second.
const PACE: Duration = Duration::from_millis(48);

/// What the apps of a proof put before the number of their edition.
pub(crate) const EDITION: &str = "edition-";

/// How a visitor complains of a former edition after a newer one.
pub(crate) const EDITIONS_WENT_BACK: &str = "editions went back";

/// Asks one app.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    app: String,
    proxy: SocketAddr,
}

/// A visitor in the background.
pub(crate) struct Stream {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Asked>,
}

/// What a visitor was answered.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// How many requests there were.
    pub(crate) requests: u32,
    /// Those that failed, in words.
    pub(crate) failed: Vec<String>,
    /// The editions that answered, each time another one did.
    pub(crate) editions: Vec<u64>,
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
        if is_good(&answer) {
            return Ok(answer);
        }
        Err(answer.chars().take(200).collect())
    }

    /// Effect: leaves a line in the guestbook.
    pub(crate) fn sign(&self, message: &str) -> Result<(), String> {
        let body = format!("{{\"author\": \"ada\", \"message\": \"{message}\"}}");
        let head = format!(
            "POST /entries HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        let answer = self.send(&head, &body).map_err(|e| e.to_string())?;
        if answer.starts_with("HTTP/1.1 201 ") {
            return Ok(());
        }
        Err(answer.chars().take(200).collect())
    }

    fn exchange(&self, path: &str) -> std::io::Result<String> {
        self.send(&format!("GET {path} HTTP/1.1\r\n"), "")
    }

    fn send(&self, head: &str, body: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.proxy, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        let app = &self.app;
        let request = format!("{head}Host: {app}.localhost\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes())?;
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
        let thread = std::thread::spawn(move || {
            let (started, mut asked) = (Instant::now(), Asked::default());
            while !told.load(Ordering::SeqCst) {
                let next = Instant::now() + PACE;
                let answer = self.exchange(path).or_else(|_| self.exchange(path));
                asked.note(&answer, &self.app, started.elapsed());
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            asked
        });
        Stream { ended, thread }
    }
}

impl Asked {
    fn note(&mut self, answer: &std::io::Result<String>, app: &str, after: Duration) {
        self.requests += 1;
        match answer {
            Ok(text) if is_good(text) => {
                let edition = edition_of(text);
                if self.editions.last() != edition.as_ref() {
                    self.editions.extend(edition);
                }
            }
            other => {
                let words: String = format!("{other:?}").chars().take(120).collect();
                let seconds = after.as_secs_f32();
                self.failed
                    .push(format!("{app} after {seconds:.2} s: {words}"));
            }
        }
    }

    /// What a visitor may not have seen: a failure, or an edition older than one before.
    pub(crate) fn complaints(&self, invariant: &str) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(first) = self.failed.first() {
            found.push(format!(
                "{invariant} {} of {} requests failed, the first: {first}",
                self.failed.len(),
                self.requests
            ));
        }
        if !self.editions.is_sorted() {
            found.push(format!("I3 {EDITIONS_WENT_BACK}: {:?}", self.editions));
        }
        found
    }
}

fn is_good(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.0 200 ")
}

/// The edition that an answer tells.
fn edition_of(answer: &str) -> Option<u64> {
    let (_, rest) = answer.split_once(EDITION)?;
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

impl Stream {
    /// What was asked and answered.
    pub(crate) fn end(self) -> Asked {
        self.ended.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}
