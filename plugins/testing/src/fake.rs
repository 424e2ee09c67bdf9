//! A machine that obeys the test: files are real, beneath a private directory; programs, processes, endpoints, the clock and chance are scripted.

mod files;
mod host;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hop3_plugin_api::{
    Exit, ExitStatus, HttpProbe, ProbeAnswer, ProcessId, Task, Timestamp, UserId,
};
use tempfile::TempDir;

type OnRun = Box<dyn Fn(&Task) -> Exit + Send + Sync>;
type OnSpawn = Box<dyn Fn(&Task, &ProcessId) + Send + Sync>;
type OnAsk = Box<dyn Fn(&Path, &str) -> Option<String> + Send + Sync>;
type OnProbe = Box<dyn Fn(&HttpProbe) -> ProbeAnswer + Send + Sync>;
type OnFind = Box<dyn Fn(&str) -> Option<PathBuf> + Send + Sync>;

/// The fake machine.
///
/// Guarantees: nothing outside [`FakeHost::root`] is written; equal calls give equal transcripts; no program is ever run.
///
/// By default every program exists at `/usr/bin/<name>` and ends with code 0 and no output, a spawned process runs until it is signalled
/// with TERM or KILL, every probe answers 200 with an empty body, nothing listens on a unix socket, and there are no users.
pub struct FakeHost {
    root: TempDir,
    state: Mutex<State>,
    script: Mutex<Script>,
}

struct State {
    transcript: Vec<String>,
    running: BTreeMap<ProcessId, bool>,
    listening: BTreeMap<SocketAddr, Option<bool>>,
    ignores_term: bool,
    user: Option<UserId>,
    now: Timestamp,
    slept: Duration,
    next_pid: u32,
    next_port: u16,
    random: u64,
}

struct Script {
    run: OnRun,
    spawn: OnSpawn,
    ask: OnAsk,
    probe: OnProbe,
    find: OnFind,
}

impl FakeHost {
    /// A machine with an empty root and the default script.
    #[expect(
        clippy::new_without_default,
        reason = "it makes a directory, which a default should not"
    )]
    pub fn new() -> Self {
        Self {
            root: tempfile::Builder::new()
                .prefix("hop3-")
                .tempdir()
                .expect("the test machine has a writable temporary directory"),
            state: Mutex::new(State::default()),
            script: Mutex::new(Script::default()),
        }
    }

    /// Where its files are: every path given to it lies beneath.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The effects so far, one readable line each; the root is shown as `<root>`, secrets as `[redacted]`.
    pub fn transcript(&self) -> Vec<String> {
        self.state().transcript.clone()
    }

    /// The same, and starts a new transcript.
    pub fn take_transcript(&self) -> Vec<String> {
        std::mem::take(&mut self.state().transcript)
    }

    /// Scripts what running a program gives; the closure may also write the files that the program would.
    pub fn on_run(&self, answer: impl Fn(&Task) -> Exit + Send + Sync + 'static) {
        self.script().run = Box::new(answer);
    }

    /// Scripts what a detached process does as soon as it is started.
    pub fn on_spawn(&self, act: impl Fn(&Task, &ProcessId) + Send + Sync + 'static) {
        self.script().spawn = Box::new(act);
    }

    /// Scripts the answers on unix sockets; `None`: nothing listens there.
    pub fn on_ask(&self, answer: impl Fn(&Path, &str) -> Option<String> + Send + Sync + 'static) {
        self.script().ask = Box::new(answer);
    }

    /// Scripts the answers of endpoints.
    pub fn on_probe(&self, answer: impl Fn(&HttpProbe) -> ProbeAnswer + Send + Sync + 'static) {
        self.script().probe = Box::new(answer);
    }

    /// Scripts which programs are installed.
    pub fn on_find(&self, answer: impl Fn(&str) -> Option<PathBuf> + Send + Sync + 'static) {
        self.script().find = Box::new(answer);
    }

    /// Says whether a process runs, for instance to make it crash.
    pub fn set_running(&self, process: &ProcessId, running: bool) {
        self.state().running.insert(process.clone(), running);
    }

    /// Every process that runs.
    pub fn processes(&self) -> Vec<ProcessId> {
        let state = self.state();
        let running = state.running.iter().filter(|(_, running)| **running);
        running.map(|(process, _)| process.clone()).collect()
    }

    /// Says what [`hop3_plugin_api::Host::listens`] answers for an address; without a word it is whether one of the processes runs.
    pub fn set_listening(&self, address: SocketAddr, answer: Option<bool>) {
        self.state().listening.insert(address, answer);
    }

    /// Makes processes survive every signal but KILL.
    pub fn ignore_term(&self) {
        self.state().ignores_term = true;
    }

    /// Makes the host one with users: whoever is asked for gets this number.
    pub fn set_user(&self, user: UserId) {
        self.state().user = Some(user);
    }

    /// Sets the clock, which stands still otherwise.
    pub fn set_now(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// How long was slept in all. Sleeping takes no time here.
    pub fn slept(&self) -> Duration {
        self.state().slept
    }

    /// Starts chance from another seed.
    pub fn seed(&self, seed: u64) {
        self.state().random = seed;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, line: &str) {
        let root = self.root().display().to_string();
        let line = line.replace(&root, "<root>");
        self.state().transcript.push(line);
    }
}

impl fmt::Debug for FakeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeHost({})", self.root().display())
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            transcript: Vec::new(),
            running: BTreeMap::new(),
            listening: BTreeMap::new(),
            ignores_term: false,
            user: None,
            now: Timestamp(1_800_000_000),
            slept: Duration::ZERO,
            next_pid: 1001,
            next_port: 20000,
            random: 1,
        }
    }
}

impl State {
    fn start_process(&mut self) -> ProcessId {
        let process = ProcessId {
            pid: self.next_pid,
            start_time: u64::from(self.next_pid),
            boot_id: "fake-boot".to_owned(),
        };
        self.next_pid += 1;
        self.running.insert(process.clone(), true);
        process
    }

    /// splitmix64: enough for tests, the same on every machine.
    fn chance(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Default for Script {
    fn default() -> Self {
        Self {
            run: Box::new(|_| Exit {
                status: ExitStatus::Code(0),
                tail: String::new(),
            }),
            spawn: Box::new(|_, _| {}),
            ask: Box::new(|_, _| None),
            probe: Box::new(|_| ProbeAnswer::Answered {
                status: 200,
                body: Vec::new(),
            }),
            find: Box::new(|name| Some(Path::new("/usr/bin").join(name))),
        }
    }
}
