//! Telling the agent that something about the release changed: one datagram with the app's name. Never waits; whoever does not listen is not
//! told, and looks by himself when he is back.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hop3_plugin_api::AppName;

/// When the agent's queue was full, how long until it is tried again.
const AGAIN: Duration = Duration::from_millis(250);

/// A word to the agent.
pub(super) struct Nudge {
    to: Option<PathBuf>,
    app: AppName,
    due: bool,
}

impl Nudge {
    /// A word about this app, not due yet.
    pub(super) fn new(to: Option<&Path>, app: &AppName) -> Self {
        Self {
            to: to.map(Path::to_owned),
            app: app.clone(),
            due: false,
        }
    }

    /// There is news.
    pub(super) fn note(&mut self) {
        self.due = self.to.is_some();
    }

    /// Tells it, if there is any.
    pub(super) fn tell(&mut self) {
        if let (true, Some(to)) = (self.due, &self.to) {
            self.due = send(to, &self.app) == Some(ErrorKind::WouldBlock);
        }
    }

    /// When it has to be tried again, if so.
    pub(super) fn again(&self) -> Option<Duration> {
        self.due.then_some(AGAIN)
    }
}

fn send(to: &Path, app: &AppName) -> Option<ErrorKind> {
    let socket = UnixDatagram::unbound().ok()?;
    let sent = socket
        .set_nonblocking(true)
        .and_then(|()| socket.send_to(app.as_str().as_bytes(), to));
    sent.err().map(|error| error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_told_once_and_kept_only_while_the_queue_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n.sock");
        let mut nudge = Nudge::new(Some(&path), &AppName::parse("shop").unwrap());
        nudge.note();
        nudge.tell();
        assert_eq!(nudge.again(), None, "nobody listens");

        let agent = UnixDatagram::bind(&path).unwrap();
        let mut sent = 0;
        while nudge.again().is_none() {
            nudge.note();
            nudge.tell();
            sent += 1;
            assert!(sent < 10_000, "the queue has no end");
        }
        let mut word = [0; 64];
        let length = agent.recv(&mut word).unwrap();
        assert_eq!(&word[..length], b"shop");
        nudge.tell();
        assert_eq!(nudge.again(), None);
    }
}
