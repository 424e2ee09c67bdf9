//! The control socket of a worker: blocking, a short-lived thread per connection, one line in and one line out until the other side is
//! done. Mode 0600: whoever can connect is the agent's user.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::umask;

use crate::control::{self, Answer, Request};
use crate::handover;
use crate::note::note;

use super::spawn;
use super::state::{Listener, State};

/// How long an asker may stay silent.
const SILENCE: Duration = Duration::from_mins(1);
/// After a failed accept.
const PAUSE: Duration = Duration::from_millis(100);

/// Removes the socket of this process, as far as it may: nobody asks it anything any more.
pub(super) fn remove_socket(run: &Path) {
    rustix::fs::unlink(control::worker_socket(run, std::process::id())).ok();
}

/// A bound control socket that nobody is told of yet: the holder publishes it once the worker is ready.
pub(super) struct Console {
    listener: UnixListener,
}

impl Console {
    /// Binds the socket of this process.
    pub(super) fn bind(run: &Path) -> Result<Self, String> {
        let path = control::worker_socket(run, std::process::id());
        let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = UnixListener::bind(&path);
        umask(before);
        let listener =
            bound.map_err(|e| format!("could not listen on `{}`: {e}", path.display()))?;
        Ok(Self { listener })
    }

    /// Answers from now on.
    pub(super) fn serve(
        self,
        state: &Arc<State>,
        retire: mpsc::Sender<Duration>,
    ) -> Result<(), String> {
        let state = Arc::clone(state);
        spawn("console", move || {
            loop {
                match self.listener.accept() {
                    Ok((stream, _)) => converse(&state, &retire, stream),
                    Err(error) => {
                        note(
                            "worker",
                            format!("could not accept on the control socket: {error}"),
                        );
                        thread::sleep(PAUSE);
                    }
                }
            }
        })
    }
}

fn converse(state: &Arc<State>, retire: &mpsc::Sender<Duration>, stream: UnixStream) {
    let (state, retire) = (Arc::clone(state), retire.clone());
    let started = spawn("answer", move || {
        if let Err(error) = answer_all(&state, &retire, &stream) {
            note(
                "worker",
                format!("could not answer on the control socket: {error}"),
            );
        }
    });
    if let Err(error) = started {
        note("worker", error);
    }
}

fn answer_all(
    state: &State,
    retire: &mpsc::Sender<Duration>,
    stream: &UnixStream,
) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    while let Some((line, _)) = handover::receive(stream)? {
        let listeners = state.listeners();
        let answer = match serde_json::from_str::<Request>(&line) {
            Ok(request) => answer(state, retire, &listeners, &request),
            Err(error) => Answer::Refused(format!("could not read the request: {error}")),
        };
        let files: Vec<BorrowedFd<'_>> = match answer {
            Answer::Listeners(_) => listeners.iter().map(|l| l.socket.as_fd()).collect(),
            _ => Vec::new(),
        };
        handover::send(stream, &serde_json::to_string(&answer)?, &files)?;
    }
    Ok(())
}

fn answer(
    state: &State,
    retire: &mpsc::Sender<Duration>,
    listeners: &[Listener],
    request: &Request,
) -> Answer {
    match request {
        Request::Status { of } => Answer::Status(Box::new(state.status(of.as_ref()))),
        Request::Reload { of } => match state.reload() {
            Ok(()) => Answer::Status(Box::new(state.status(of.as_ref()))),
            Err(problem) => Answer::Refused(problem),
        },
        Request::Drain { release } => Answer::InFlight(state.in_flight(release)),
        Request::Listeners => Answer::Listeners(listeners.iter().map(|l| l.asked).collect()),
        Request::Retire { grace } => {
            retire.send(Duration::from_secs(*grace)).ok();
            Answer::Retiring
        }
    }
}
