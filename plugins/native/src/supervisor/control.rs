//! The control socket: one JSON line in, one out. Slow askers wait for themselves, never the instances for them.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::doing;
use crate::protocol::{Act, LINE_LIMIT, Reply, Request, VERSION};

/// More askers than this push the oldest out.
const MOST_ASKERS: usize = 16;
/// For writing one reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// The socket and who is asking.
pub(super) struct Control {
    path: PathBuf,
    listener: UnixListener,
    askers: Vec<Asker>,
}

struct Asker {
    stream: UnixStream,
    line: Vec<u8>,
}

/// What became of reading from an asker.
enum Heard {
    Line,
    NotYet,
    Gone,
}

impl Control {
    /// Listens. A socket file that nobody answers is a leftover and replaced. The process' umask makes it 0600.
    pub(super) fn listen(path: &Path) -> Result<Self, String> {
        if UnixStream::connect(path).is_ok() {
            return Err(format!("somebody answers at `{}`", path.display()));
        }
        drop(fs::remove_file(path));
        let listener = UnixListener::bind(path)
            .map_err(doing(format_args!("listen at `{}`", path.display())))?;
        listener
            .set_nonblocking(true)
            .map_err(doing("set up the control socket"))?;
        Ok(Self {
            path: path.to_owned(),
            listener,
            askers: Vec::new(),
        })
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(self.listener.as_fd())
            .chain(self.askers.iter().map(|asker| asker.stream.as_fd()))
    }

    /// Answers every request that is complete.
    pub(super) fn serve(&mut self, mut answer: impl FnMut(&Act) -> Reply) {
        while let Ok((stream, _)) = self.listener.accept() {
            self.admit(stream);
        }
        let mut waiting = Vec::new();
        for mut asker in self.askers.drain(..) {
            match asker.listen() {
                Heard::Line => asker.reply(&reply_to(&asker.line, &mut answer)),
                Heard::NotYet => waiting.push(asker),
                Heard::Gone => {}
            }
        }
        self.askers = waiting;
    }

    fn admit(&mut self, stream: UnixStream) {
        if !is_trusted(&stream) || stream.set_nonblocking(true).is_err() {
            return;
        }
        if self.askers.len() == MOST_ASKERS {
            self.askers.remove(0);
        }
        self.askers.push(Asker {
            stream,
            line: Vec::new(),
        });
    }

    /// Stops listening and leaves no file.
    pub(super) fn close(self) {
        drop(fs::remove_file(&self.path));
    }
}

impl Asker {
    fn listen(&mut self) -> Heard {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Heard::Gone,
                Ok(read) => self.line.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Heard::NotYet,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Heard::Gone,
            }
            if self.line.ends_with(b"\n") {
                return Heard::Line;
            }
            if self.line.len() > LINE_LIMIT {
                return Heard::Gone;
            }
        }
    }

    fn reply(&mut self, reply: &Reply) {
        drop(self.try_reply(reply));
    }

    fn try_reply(&mut self, reply: &Reply) -> io::Result<()> {
        self.stream.set_nonblocking(false)?;
        self.stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        self.stream.write_all(&line)
    }
}

/// The socket's mode keeps others out; this does so too while the mode is changed by somebody.
fn is_trusted(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::geteuid())
}

fn reply_to(line: &[u8], answer: &mut impl FnMut(&Act) -> Reply) -> Reply {
    match serde_json::from_slice::<Request>(line) {
        Ok(request) => answer(&request.act),
        Err(error) => Reply {
            v: VERSION,
            error: Some(format!("did not understand the request: {error}")),
            ..Reply::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    fn ask(path: &Path, control: &mut Control, line: &str) -> Reply {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        control.serve(|_| Reply {
            v: VERSION,
            ..Reply::default()
        });
        let mut text = String::new();
        BufReader::new(stream).read_line(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_request_is_answered_and_nonsense_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let mut control = Control::listen(&path).unwrap();
        assert_eq!(
            ask(&path, &mut control, "{\"v\":1,\"do\":\"ping\"}\n").error,
            None
        );
        let refused = ask(&path, &mut control, "hello\n").error.unwrap();
        assert!(refused.contains("did not understand"), "{refused}");
        control.close();
        assert!(!path.exists());
    }

    #[test]
    fn f25_a_socket_file_that_nobody_answers_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let _control = Control::listen(&path).unwrap();
        assert!(Control::listen(&path).is_err());
    }

    #[test]
    fn askers_that_say_nothing_are_pushed_out_by_later_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let mut control = Control::listen(&path).unwrap();
        let silent: Vec<_> = (0..20)
            .map(|_| UnixStream::connect(&path).unwrap())
            .collect();
        control.serve(|_| Reply::default());
        assert_eq!(control.askers.len(), MOST_ASKERS);
        drop(silent);
        assert_eq!(
            ask(&path, &mut control, "{\"v\":1,\"do\":\"ping\"}\n").v,
            VERSION
        );
    }
}
