//! The process that owns the listening sockets and nothing else: it starts a worker, waits for its death, and starts the next one on the
//! same sockets. Blocking, single-threaded, small.
//!
//! A holder that starts while another worker lives takes the listeners over from it, starts a worker of its own, and only then retires
//! the former one. The same path heals a dead holder, upgrades the binary, and changes the settings.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a helper process of its own: it starts its workers and names their sockets without an agent around"
)]

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::control::{self, Answer, Request, Status};
use crate::handover;
use crate::note::note;
use crate::settings::Launch;
use crate::worker;

/// Its first argument.
pub(crate) const ENTRYPOINT: &str = "internal-proxy";

/// A worker that lived less long than this has crashed while starting.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// The longest pause between two starts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After so many short lives in a row the holder gives up, so that the agent can start another version of it.
const MOST_SHORT_LIVES: u32 = 16;
/// How long an address may stay taken by a worker that is just being replaced.
const BIND_PATIENCE: Duration = Duration::from_secs(2);
const BIND_PAUSE: Duration = Duration::from_millis(50);
/// How long the former worker may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How many seconds a retired worker lets its last requests run: web sockets may never end by themselves.
const GRACE: u64 = 3600;
/// How long a worker may take to become ready.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// Runs the holder until its worker is retired.
pub(crate) fn run(args: Vec<String>) -> ExitCode {
    match Launch::from_args(args).and_then(|launch| hold(&launch)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            note("holder", message);
            ExitCode::FAILURE
        }
    }
}

fn hold(launch: &Launch) -> Result<(), String> {
    let start = lock_start(&launch.run)?;
    let Some(Inheritance { listeners, former }) = take_or_bind(launch)? else {
        return Ok(());
    };
    remove_dead_sockets(&launch.run);
    let worker = Worker::start(launch, &listeners)?;
    if let Some(former) = former {
        former.retire();
    }
    drop(start);
    keep_alive(launch, &listeners, worker)
}

/// Starts worker after worker. A single death is answered at once, repeated ones with growing pauses.
fn keep_alive(launch: &Launch, listeners: &[Listener], first: Worker) -> Result<(), String> {
    let mut current = Ok(first);
    let mut short_lives = 0;
    loop {
        let started = Instant::now();
        match current {
            Ok(worker) => match worker.wait() {
                End::Retired => return Ok(()),
                End::Died(how) => note("holder", format!("the worker {how}, starting another")),
            },
            Err(error) => note("holder", error),
        }
        short_lives = if started.elapsed() < SHORT_LIFE {
            short_lives + 1
        } else {
            0
        };
        if short_lives > MOST_SHORT_LIVES {
            return Err("the worker does not stay alive".to_owned());
        }
        thread::sleep(pause_after(short_lives));
        remove_dead_sockets(&launch.run);
        current = Worker::start(launch, listeners);
    }
}

fn pause_after(short_lives: u32) -> Duration {
    match short_lives {
        0..=2 => Duration::ZERO,
        more => (Duration::from_millis(50) * 2_u32.pow(more.min(10))).min(LONGEST_PAUSE),
    }
}

/// One holder starts at a time. The kernel lets go when the file is closed, also by a crash.
fn lock_start(run: &Path) -> Result<OwnedFd, String> {
    let path = run.join("proxy.lock");
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|e| format!("could not open `{}`: {e}", path.display()))?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)
        .map_err(|e| format!("could not lock `{}`: {e}", path.display()))?;
    Ok(file)
}

/// A listening socket and the address that was asked for.
struct Listener {
    asked: SocketAddr,
    socket: OwnedFd,
}

/// What a holder begins with.
struct Inheritance {
    listeners: Vec<Listener>,
    former: Option<Former>,
}

/// The listeners, and whom they came from; `None` when the running proxy is what is wanted.
fn take_or_bind(launch: &Launch) -> Result<Option<Inheritance>, String> {
    let deadline = Instant::now() + BIND_PATIENCE;
    loop {
        let former = Former::connect(&launch.run);
        if former.as_ref().is_some_and(|f| f.is_current(launch)) {
            return Ok(None);
        }
        let taken = match &former {
            Some(former) => former.listeners()?,
            None => Vec::new(),
        };
        match gather(&launch.listen, taken) {
            Ok(listeners) => return Ok(Some(Inheritance { listeners, former })),
            Err((_, error))
                if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline =>
            {
                thread::sleep(BIND_PAUSE);
            }
            Err((address, error)) => return Err(format!("could not listen on {address}: {error}")),
        }
    }
}

fn gather(
    wanted: &[SocketAddr],
    mut taken: Vec<Listener>,
) -> Result<Vec<Listener>, (SocketAddr, io::Error)> {
    wanted
        .iter()
        .map(|asked| {
            if let Some(at) = taken.iter().position(|l| l.asked == *asked) {
                return Ok(taken.swap_remove(at));
            }
            let socket = TcpListener::bind(asked).map_err(|e| (*asked, e))?;
            Ok(Listener {
                asked: *asked,
                socket: socket.into(),
            })
        })
        .collect()
}

/// A worker that serves already, started by another holder.
struct Former {
    stream: UnixStream,
    status: Status,
}

impl Former {
    /// The current worker, else one that serves although its holder died before it could make it the current one.
    fn connect(run: &Path) -> Option<Self> {
        let orphan =
            |former: &Self| former.status.holder.is_none() && !former.status.listeners.is_empty();
        let unpublished = || {
            let sockets = worker_sockets(run);
            sockets
                .iter()
                .filter_map(|socket| Self::at(socket))
                .find(orphan)
        };
        Self::at(&control::current_socket(run)).or_else(unpublished)
    }

    fn at(socket: &Path) -> Option<Self> {
        let stream = UnixStream::connect(socket).ok()?;
        stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
        match ask(
            &stream,
            &Request::Status {
                of: Some(BTreeSet::new()),
            },
        )
        .ok()?
        {
            (Answer::Status(status), _) => Some(Self {
                stream,
                status: *status,
            }),
            _ => None,
        }
    }

    fn is_current(&self, launch: &Launch) -> bool {
        self.status.holder.is_some()
            && self.status.version == env!("CARGO_PKG_VERSION")
            && serde_json::to_value(launch).is_ok_and(|wanted| wanted == self.status.launch)
    }

    fn listeners(&self) -> Result<Vec<Listener>, String> {
        match ask(&self.stream, &Request::Listeners) {
            Ok((Answer::Listeners(asked), sockets)) => Ok(asked
                .into_iter()
                .zip(sockets)
                .map(|(asked, socket)| Listener { asked, socket })
                .collect()),
            Ok((other, _)) => Err(format!("the former worker answered {other:?}")),
            Err(error) => Err(format!("the former worker kept its listeners: {error}")),
        }
    }

    /// It serves on beside us if it does not hear this; nothing is lost by that.
    fn retire(self) {
        if let Err(error) = ask(&self.stream, &Request::Retire { grace: GRACE }) {
            note(
                "holder",
                format!("could not retire the former worker: {error}"),
            );
        }
    }
}

fn ask(stream: &UnixStream, request: &Request) -> io::Result<(Answer, Vec<OwnedFd>)> {
    handover::send(stream, &serde_json::to_string(request)?, &[])?;
    let (line, files) = handover::receive(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((serde_json::from_str(&line)?, files))
}

/// A worker that is ready.
struct Worker {
    process: Child,
    stream: UnixStream,
}

/// How a worker ended.
enum End {
    Retired,
    Died(String),
}

impl Worker {
    fn start(launch: &Launch, listeners: &[Listener]) -> Result<Self, String> {
        let started = Self::spawn(launch).map_err(|e| format!("could not start a worker: {e}"))?;
        let pid = started.process.id();
        match started
            .prepare(listeners)
            .and_then(|()| publish(&launch.run, pid))
        {
            Ok(()) => Ok(started),
            Err(error) => Err(format!(
                "the worker did not start: {error}; it {}",
                started.end()
            )),
        }
    }

    /// From the open file of this very program: its path may lead to a newer one by now.
    fn spawn(launch: &Launch) -> io::Result<Self> {
        let (stream, input) = UnixStream::pair()?;
        let process = Command::new("/proc/self/exe")
            .args([worker::ENTRYPOINT, &launch.to_arg()])
            .stdin(Stdio::from(OwnedFd::from(input)))
            .spawn()?;
        Ok(Self { process, stream })
    }

    fn prepare(&self, listeners: &[Listener]) -> io::Result<()> {
        let asked: Vec<SocketAddr> = listeners.iter().map(|l| l.asked).collect();
        let sockets: Vec<_> = listeners.iter().map(|l| l.socket.as_fd()).collect();
        handover::send(&self.stream, &serde_json::to_string(&asked)?, &sockets)?;
        self.stream.set_read_timeout(Some(READY_LIMIT))?;
        match handover::receive(&self.stream)? {
            Some((word, _)) if word == worker::READY => self.stream.set_read_timeout(None),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// A retired worker is left to finish by itself.
    fn wait(self) -> End {
        match handover::receive(&self.stream) {
            Ok(Some((word, _))) if word == worker::RETIRED => End::Retired,
            _ => End::Died(self.end()),
        }
    }

    /// Makes sure that it is gone, and says how it went.
    fn end(mut self) -> String {
        self.process.kill().ok();
        match self.process.wait() {
            Ok(status) => format!("ended ({status})"),
            Err(error) => format!("could not be waited for: {error}"),
        }
    }
}

/// Makes a worker's socket the current one; whoever connects gets the former or the new one.
fn publish(run: &Path, pid: u32) -> io::Result<()> {
    let fresh = run.join("proxy.sock.new");
    remove(&fresh)?;
    std::fs::hard_link(control::worker_socket(run, pid), &fresh)?;
    std::fs::rename(&fresh, control::current_socket(run))
}

/// Removes the sockets of workers that are gone.
fn remove_dead_sockets(run: &Path) {
    for path in worker_sockets(run) {
        let dead =
            UnixStream::connect(&path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
        if dead && let Err(error) = remove(&path) {
            note("holder", format!("could not remove a dead socket: {error}"));
        }
    }
}

fn worker_sockets(run: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(control::is_worker_socket)
        })
        .map(|entry| entry.path())
        .collect()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_deaths_are_answered_at_once_and_a_crash_loop_with_pauses() {
        assert_eq!(pause_after(0), Duration::ZERO);
        assert_eq!(pause_after(2), Duration::ZERO);
        assert_eq!(pause_after(3), Duration::from_millis(400));
        assert_eq!(pause_after(16), LONGEST_PAUSE);
    }

    #[test]
    fn listeners_are_taken_over_by_the_address_that_was_asked_for() {
        let asked: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let bound = TcpListener::bind(asked).unwrap();
        let port = bound.local_addr().unwrap().port();
        let taken = vec![Listener {
            asked,
            socket: bound.into(),
        }];
        let gathered = gather(&[asked], taken).ok().unwrap();
        let again = TcpListener::from(gathered.into_iter().next().unwrap().socket);
        assert_eq!(again.local_addr().unwrap().port(), port);
        let (address, error) = gather(&[again.local_addr().unwrap()], Vec::new())
            .err()
            .unwrap();
        assert_eq!(address.port(), port);
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
