//! The process that serves: takes the listeners from its holder, reads the document, and runs one thread per core. A runtime of its own
//! for each thread, with its own pool of upstream connections, so that threads share nothing but the routing table.
//!
//! Never starts a process, never writes a file, never binds an address. Its own control socket goes with it when it retires.

mod body;
mod console;
mod forward;
mod headers;
mod pages;
mod privileges;
mod serve;
mod state;
mod tunnel;
mod upload;
mod upstream;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::handover;
use crate::note::note;
use crate::settings::Launch;

use console::Console;
use state::{Listener, State};

/// Its first argument.
pub(crate) const ENTRYPOINT: &str = "internal-proxy-worker";

/// What the worker tells its holder.
pub(crate) const READY: &str = "ready";
/// What the worker tells its holder before it ends because another one has taken over.
pub(crate) const RETIRED: &str = "retired";

/// For what the threads are at: a connection that is being accepted, the last bytes of an answer.
const LINGER: Duration = Duration::from_millis(50);

/// Runs the worker until it is retired.
pub(crate) fn run(args: Vec<String>) -> ExitCode {
    match Launch::from_args(args).and_then(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            note("worker", message);
            ExitCode::FAILURE
        }
    }
}

fn work(launch: Launch) -> Result<(), String> {
    let holder = holder_stream().map_err(|e| format!("could not find the holder: {e}"))?;
    let listeners = receive_listeners(&holder)?;
    privileges::raise_open_files();
    let (run, user) = (launch.run.clone(), launch.user);
    let console = Console::bind(&run)?;
    let state = Arc::new(State::new(launch, listeners)?);
    privileges::drop_to(user)?;
    if let Err(problem) = state.reload() {
        note("worker", problem);
    }
    for index in 0..state.threads() {
        let state = Arc::clone(&state);
        spawn(&format!("serve-{index}"), move || serve::run(state))?;
    }
    let (ask_to_retire, retirement) = mpsc::channel();
    console.serve(&state, ask_to_retire)?;
    watch_holder(&state, &holder)?;
    handover::send(&holder, READY, &[]).map_err(|e| format!("could not reach the holder: {e}"))?;
    if let Ok(grace) = retirement.recv() {
        retire(&holder, &state, grace, &retirement);
        // Its holder is gone by now. One that gave up root leaves it to the next holder.
        console::remove_socket(&run);
    }
    Ok(())
}

fn holder_stream() -> io::Result<UnixStream> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    Ok(UnixStream::from(input))
}

fn receive_listeners(holder: &UnixStream) -> Result<Vec<Listener>, String> {
    let (line, files) = handover::receive(holder)
        .map_err(|e| format!("could not receive the listeners: {e}"))?
        .ok_or("the holder ended before it sent the listeners")?;
    let asked: Vec<SocketAddr> =
        serde_json::from_str(&line).map_err(|e| format!("could not read the listeners: {e}"))?;
    asked
        .into_iter()
        .zip(files)
        .map(|(asked, file)| listener(asked, file).map_err(|e| format!("`{asked}`: {e}")))
        .collect()
}

fn listener(asked: SocketAddr, file: OwnedFd) -> io::Result<Listener> {
    let socket = TcpListener::from(file);
    socket.set_nonblocking(true)?;
    Ok(Listener {
        asked,
        bound: socket.local_addr()?,
        socket,
    })
}

/// The holder never speaks after the listeners: the end of its stream is its end.
fn watch_holder(state: &Arc<State>, holder: &UnixStream) -> Result<(), String> {
    let state = Arc::clone(state);
    let holder = holder.try_clone().map_err(|e| e.to_string())?;
    spawn("holder", move || {
        while let Ok(Some(_)) = handover::receive(&holder) {}
        state.lose_holder();
    })
}

/// The holder is told first, so that it starts no successor. Whoever asks again may shorten the grace.
fn retire(holder: &UnixStream, state: &State, grace: Duration, again: &Receiver<Duration>) {
    handover::send(holder, RETIRED, &[]).ok();
    state.stop_accepting();
    let mut deadline = Instant::now() + grace;
    thread::sleep(LINGER);
    while state.open_connections() > 0 && Instant::now() < deadline {
        if let Ok(shorter) = again.recv_timeout(LINGER) {
            deadline = deadline.min(Instant::now() + shorter);
        }
    }
    thread::sleep(LINGER);
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|e| format!("could not start a thread: {e}"))
}
