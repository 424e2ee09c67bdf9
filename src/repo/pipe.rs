//! A git server at the other end of a pipe: `git-upload-pack` on this machine, or behind ssh. Lives in the fetching child.
//!
//! The program gets an argument vector, never a shell, and an environment of its own. Its silence and its size have limits, and what it says
//! on standard error is read for the cause of a failure.

use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::RepoError;
use super::child::Order;
use super::complaint::Complaint;
use super::failure::harmless;
use super::pkt::{ls_refs_request, read_section};
use super::reference::{Reference, Tip};
use super::refs::{Advertisement, RemoteRef, parse_advertisement, parse_listing};
use super::remote::LISTING_LIMIT;
use super::ssh::SshPlace;
use super::url::Place;
use super::wire::Watch;

/// How much of what the program says is kept.
const WORDS_LIMIT: u64 = 8192;
/// How long a program that failed may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the program sees beside the search path. A repository on this machine that has only a part of its objects must not fetch the rest, by
/// whatever means its own configuration names.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("GIT_PROTOCOL", "version=2"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C"),
];

/// A program that serves a repository.
pub(super) struct Session {
    child: Child,
    words: Receiver<String>,
    watch: Watch,
    /// The address and the known hosts, when it is ssh.
    ssh: Option<(SshPlace, PathBuf)>,
}

/// What the program sends, with a limit on its silence and its size.
pub(super) struct Watched {
    pipe: ChildStdout,
    watch: Watch,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let silence = Timespec::try_from(self.watch.limits().stall).map_err(io::Error::other)?;
        let ready = poll(
            &mut [PollFd::new(&self.pipe, PollFlags::IN)],
            Some(&silence),
        )?;
        if ready == 0 {
            return Err(self.watch.fault(self.watch.asked().stalled()));
        }
        let read = self.pipe.read(buffer)?;
        self.watch.count(read)
    }
}

/// Starts the program that serves the repository of an order.
pub(super) fn open(
    order: &Order,
    watch: &Watch,
) -> Result<(Session, Watched, ChildStdin), RepoError> {
    let (name, arguments, ssh) = server(order)?;
    let mut child =
        start(name, arguments).map_err(|e| RepoError::internal(format!("run `{name}`"), e))?;
    let (Some(stdin), Some(pipe), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        let doing = format!("run `{name}`");
        return Err(RepoError::internal(doing, "its pipes are missing"));
    };
    let (sender, words) = channel();
    // Whoever no longer listens has learnt enough.
    std::thread::spawn(move || sender.send(read_words(stderr)).ok());
    let watch = watch.clone();
    let session = Session {
        child,
        words,
        watch: watch.clone(),
        ssh,
    };
    Ok((session, Watched { pipe, watch }, stdin))
}

/// The program that serves the repository of an order, its arguments, and for ssh the address and the known hosts.
type Server = (&'static str, Vec<String>, Option<(SshPlace, PathBuf)>);

fn server(order: &Order) -> Result<Server, RepoError> {
    match (order.url.place(), &order.ssh) {
        (Place::Ssh(place), Some(identity)) => {
            let arguments = place.arguments(identity, &order.limits);
            let known = (place.clone(), identity.known_hosts.clone());
            Ok(("ssh", arguments, Some(known)))
        }
        (Place::File(path), _) => Ok(("git-upload-pack", vec![path.display().to_string()], None)),
        _ => Err(RepoError::internal(
            "fetch",
            "no program serves this address",
        )),
    }
}

fn start(name: &str, arguments: Vec<String>) -> io::Result<Child> {
    let program = find(name).ok_or(io::ErrorKind::NotFound)?;
    Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(ENVIRONMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// The agent has left only trusted directories in the search path.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

fn read_words(stderr: ChildStderr) -> String {
    let mut words = Vec::new();
    let mut stderr = stderr;
    // What cannot be read explains nothing; the rest is read away, for a full pipe would stop the program.
    (&mut stderr).take(WORDS_LIMIT).read_to_end(&mut words).ok();
    io::copy(&mut stderr, &mut io::sink()).ok();
    String::from_utf8_lossy(&words).into_owned()
}

impl Session {
    /// Ends the program and says why it failed: what was noticed on the wire, else what it said itself, else what was made of it.
    pub(super) fn failed(mut self, made_of_it: RepoError) -> RepoError {
        let noticed = self.watch.taken();
        let words = if noticed.is_none() {
            self.words.recv_timeout(LAST_WORDS).unwrap_or_default()
        } else {
            String::new()
        };
        self.end();
        noticed.unwrap_or_else(|| self.said(words.trim(), made_of_it))
    }

    /// What the program's own words mean.
    fn said(&self, words: &str, made_of_it: RepoError) -> RepoError {
        let asked = self.watch.asked();
        match (&self.ssh, Complaint::of(words)) {
            _ if words.is_empty() => made_of_it,
            (Some((place, known_hosts)), Some(complaint)) => {
                explain(complaint, &self.watch, (place, known_hosts), words)
            }
            (None, Some(Complaint::NotARepository)) => asked.not_a_repository(harmless(words)),
            _ => asked.bad_answer(harmless(words)),
        }
    }

    /// Ends the program.
    pub(super) fn end(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn explain(
    complaint: Complaint,
    watch: &Watch,
    (place, known_hosts): (&SshPlace, &Path),
    words: &str,
) -> RepoError {
    let asked = watch.asked();
    let url = asked.url.clone();
    match complaint {
        Complaint::HostKeyChanged => RepoError::HostKeyChanged { url },
        // A key of another kind than the pinned one is unknown to ssh, and a changed one to us.
        Complaint::HostKeyUnknown if is_known(place, known_hosts) => {
            RepoError::HostKeyChanged { url }
        }
        Complaint::HostKeyUnknown => RepoError::HostKeyUnknown { url },
        Complaint::KeyUnusable => RepoError::Credentials {
            key: "`ssh-key`".to_owned(),
            path: String::new(),
            detail: harmless(words),
        },
        Complaint::Denied => asked.unauthorized(),
        Complaint::TimedOut => asked.unreachable("no connection within its deadline"),
        Complaint::NotARepository => asked.not_a_repository(harmless(words)),
        Complaint::Unreachable => asked.unreachable(harmless(words)),
    }
}

/// Whether any key of a server is pinned; names in the file may be hashed, so the program that hashes them looks.
fn is_known(place: &SshPlace, known_hosts: &Path) -> bool {
    let Some(program) = find("ssh-keygen") else {
        return false;
    };
    let found = Command::new(program)
        .args(["-q", "-F", &place.known_as(), "-f"])
        .arg(known_hosts)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// What the remote has where we follow it.
pub(super) fn tip(order: &Order, reference: &Reference) -> Result<Tip, RepoError> {
    let watch = Watch::new(order);
    let (mut session, reader, writer) = open(order, &watch)?;
    let mut talk = Talk {
        reader,
        writer,
        watch,
    };
    match talk.tip(order, reference) {
        // What the server has was understood: there is nothing more to learn from its program.
        Ok(tip) => {
            session.end();
            tip
        }
        Err(error) => Err(session.failed(error)),
    }
}

struct Talk {
    reader: Watched,
    writer: ChildStdin,
    watch: Watch,
}

impl Talk {
    /// The tip, or why there is none; an error when the two do not understand each other.
    fn tip(
        &mut self,
        order: &Order,
        reference: &Reference,
    ) -> Result<Result<Tip, RepoError>, RepoError> {
        let advertised = self.section()?;
        let Some(prefix) = reference.prefix() else {
            return Ok(Err(RepoError::internal(
                "ask for refs",
                "none are followed",
            )));
        };
        let found = self.list(&advertised, prefix)?;
        if let Some(tip) = reference.choose(&found) {
            return Ok(Ok(tip));
        }
        let neighbours = self.list(&advertised, reference.neighbours())?;
        Ok(Err(reference.missing(&order.url.to_string(), &neighbours)))
    }

    fn list(&mut self, advertised: &[u8], prefix: &str) -> Result<Vec<RemoteRef>, RepoError> {
        let unclear = |detail: String| self.watch.asked().bad_answer(detail);
        match parse_advertisement(advertised, prefix).map_err(unclear)? {
            Advertisement::Legacy(refs) => Ok(refs),
            Advertisement::Modern => {
                let sent = self
                    .writer
                    .write_all(&ls_refs_request(prefix))
                    .and_then(|()| self.writer.flush());
                sent.map_err(|_| self.watch.asked().bad_answer("it hung up"))?;
                let body = self.section()?;
                parse_listing(&body, prefix).map_err(|detail| self.watch.asked().bad_answer(detail))
            }
        }
    }

    fn section(&mut self) -> Result<Vec<u8>, RepoError> {
        read_section(&mut self.reader, LISTING_LIMIT).map_err(|error| {
            if error.kind() == io::ErrorKind::FileTooLarge {
                self.watch
                    .fault(RepoError::too_large("the list of refs", "8 MiB"));
            }
            self.watch
                .asked()
                .bad_answer("its list of refs is cut off, or is no list of refs")
        })
    }
}
