//! `internal-supervise`: from the launch document to the last instance's end.

use std::io::Read as _;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::Signal;

use super::control::Control;
use super::instance::Instance;
use super::lock::Lock;
use super::release::Release;
use super::signals::SignalPipe;
use super::{doing, process};
use crate::document::{FORMAT, LaunchDocument};

/// The pause between two looks when the kernel cannot wait.
const WITHOUT_POLL: Duration = Duration::from_millis(200);

/// Runs until it is told to stop and everything has ended.
pub(super) fn supervise() -> Result<(), String> {
    let document = read_document()?;
    settle()?;
    let lock = Lock::take(&document.socket.with_extension("lock"))?;
    let control = Control::listen(&document.socket)?;
    process::sweep(&document.id);
    let events = Events {
        term: SignalPipe::listen(&[Signal::TERM, Signal::INT])?,
        child: SignalPipe::listen(&[Signal::CHILD])?,
        control,
    };
    let release = Release::new(document)?;
    run(release, events).close();
    lock.release();
    Ok(())
}

fn read_document() -> Result<LaunchDocument, String> {
    let mut text = Vec::new();
    std::io::stdin()
        .read_to_end(&mut text)
        .map_err(doing("read the release's description"))?;
    let document: LaunchDocument =
        serde_json::from_slice(&text).map_err(doing("understand the release's description"))?;
    if document.format == FORMAT {
        Ok(document)
    } else {
        Err(format!(
            "the release's description has format {}, this is a supervisor for {FORMAT}",
            document.format
        ))
    }
}

/// Stands on its own: own session, private files, and parent of every process that loses its own.
fn settle() -> Result<(), String> {
    // It leads a session already when whoever started it made one.
    rustix::process::setsid().ok();
    rustix::process::umask(Mode::from_raw_mode(0o077));
    std::env::set_current_dir("/").map_err(doing("change to /"))?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(doing("become the parent of orphans"))
}

/// Everything that wakes the supervisor, but output.
struct Events {
    term: SignalPipe,
    child: SignalPipe,
    control: Control,
}

fn run(mut release: Release, mut events: Events) -> Control {
    loop {
        release.tick();
        wait(&release, &events);
        release.copy_output();
        if events.term.take() {
            release.stop();
        }
        events.control.serve(|act| release.answer(act));
        events.child.take();
        let children = release.reap();
        if !children && release.is_stopping() {
            release.copy_output();
            release.remove_stamp();
            return events.control;
        }
    }
}

/// Sleeps until something happens or is due.
fn wait(release: &Release, events: &Events) {
    let mut descriptors: Vec<PollFd<'_>> = [events.term.as_fd(), events.child.as_fd()]
        .into_iter()
        .chain(events.control.descriptors())
        .chain(release.instances().map(|i| Instance::readable(i).as_fd()))
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    let timeout = release.idle().and_then(timespec);
    match rustix::event::poll(&mut descriptors, timeout.as_ref()) {
        // An interrupted wait is a wake-up like any other.
        Ok(_) | Err(Errno::INTR) => {}
        // Without memory, say: looking at everything now and then still works.
        Err(_) => std::thread::sleep(WITHOUT_POLL),
    }
}

fn timespec(duration: Duration) -> Option<Timespec> {
    Timespec::try_from(duration).ok()
}
