//! One life of the real agent, from its start to its end or death.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::ground::Ground;

/// The longest that anything may take; generous, because hundreds of walks and other tests use the same processors.
const PATIENCE: Duration = Duration::from_mins(10);
const PAUSE: Duration = Duration::from_millis(3);

/// Which agent, and what it is told by its environment.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: PathBuf,
    env: Vec<(String, String)>,
}

impl Program {
    /// The product.
    pub(crate) fn ordinary() -> Self {
        Self::at(env!("CARGO_BIN_EXE_hop3-agent"))
    }

    /// The product, at another path.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            env: Vec::new(),
        }
    }

    /// The agent that may end at an effect. `cargo test` builds it unless told to build one target only.
    pub(crate) fn mortal() -> Self {
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap();
        let path = profile.join("examples/mortal-agent");
        assert!(
            path.exists(),
            "`{}` is not built; `cargo build --example mortal-agent` with the same profile builds it",
            path.display()
        );
        Self::at(path)
    }

    /// The same, with the same environment, at another path.
    pub(crate) fn moved_to(self, path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            ..self
        }
    }

    /// With a variable in its environment.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A running agent. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Life {
    child: Child,
    socket: PathBuf,
}

impl Life {
    /// Effect: starts an agent and returns at once.
    pub(crate) fn begin(ground: &Ground, program: &Program) -> Self {
        let log = ground.path("agent.log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(&program.path)
            .arg("--config")
            .arg(ground.path("agent.toml"))
            .arg("run")
            .envs(program.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            socket: ground.run().join("agent.sock"),
        }
    }

    /// Effect: starts the product and waits until it can be asked.
    pub(crate) fn start(ground: &Ground) -> Self {
        Self::start_as(ground, &Program::ordinary())
    }

    /// Effect: starts an agent and waits until it can be asked. A process that another case is starting at this very moment holds every lock of
    /// this test program until it becomes another one: who finds the data dir locked comes again.
    pub(crate) fn start_as(ground: &Ground, program: &Program) -> Self {
        for _ in 0..100 {
            let mut life = Self::begin(ground, program);
            match life.until_it_answers() {
                Ok(()) => return life,
                Err(why) => assert!(last_words(ground).contains("another agent"), "{why}"),
            }
        }
        panic!("the data dir stays locked: {}", last_words(ground));
    }

    /// Waits until it answers, or until it has ended. To connect proves nothing: a child of an agent that was just killed may hold its listener
    /// for another moment.
    pub(crate) fn until_it_answers(&mut self) -> Result<(), String> {
        self.answer_to(&json!({"request": "status"})).map(drop)
    }

    /// The answer to a request, as soon as there is one; an error when the agent has ended.
    fn answer_to(&mut self, request: &Value) -> Result<Value, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(request);
            if answer.is_ok() {
                return answer;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                return Err(format!("the agent ended: {status}"));
            }
            if Instant::now() > deadline {
                return answer;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its answer to a request; an error when it refuses, or dies meanwhile.
    pub(crate) fn ask(&self, request: &Value) -> Result<Value, String> {
        let text = |error: std::io::Error| format!("the agent does not answer: {error}");
        let stream = UnixStream::connect(&self.socket).map_err(text)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(text)?;
        (&stream)
            .write_all(format!("{request}\n").as_bytes())
            .map_err(text)?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).map_err(text)?;
        let answer: Value =
            serde_json::from_str(&line).map_err(|e| format!("the agent broke off: {e}"))?;
        match answer.get("done") {
            Some(done) => Ok(done.clone()),
            None => Err(format!("the agent refuses: {answer}")),
        }
    }

    /// The state of everything, when nothing is under way any more.
    pub(crate) fn settled(&self) -> Result<Value, String> {
        self.ask(&json!({"request": "sync", "wait": true}))
    }

    /// The state of everything.
    pub(crate) fn status(&self) -> Result<Value, String> {
        self.ask(&json!({"request": "status"}))
    }

    /// What it would do now.
    pub(crate) fn plan(&self) -> Result<Value, String> {
        self.ask(&json!({"request": "plan"}))
    }

    /// What happened.
    pub(crate) fn history(&self) -> Result<Value, String> {
        self.ask(&json!({"request": "history", "app": null, "most": 1000}))
    }

    /// Effect: has an app tried again now; one that does not rest needs no word.
    pub(crate) fn resume(&self, app: &str) {
        self.ask(&json!({"request": "resume", "app": app})).ok();
    }

    /// What each of its threads waits for, of one that does not answer.
    pub(crate) fn threads(&self) -> String {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let of = |task: std::fs::DirEntry| {
            let read = |name: &str| {
                let text = std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
                text.trim().to_owned()
            };
            let name = task.file_name().to_string_lossy().into_owned();
            format!(
                "{name} {} in {} ({})",
                read("comm"),
                read("wchan"),
                read("syscall")
            )
        };
        let tasks: Vec<_> = tasks.into_iter().flatten().flatten().map(of).collect();
        tasks.join("; ")
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for an end that must come by itself, or until it has nothing to do any more: then it lives on.
    pub(crate) fn until_dead_or_settled(&mut self) -> Option<ExitStatus> {
        match self.answer_to(&json!({"request": "sync", "wait": true})) {
            Ok(_) => None,
            Err(_) => Some(self.child.wait().unwrap()),
        }
    }

    /// Effect: asks it to end, as a service manager does.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().unwrap()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Effect: `kill -9`.
    pub(crate) fn kill(self) {
        drop(self);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.unwrap(), signal).unwrap();
    }
}

/// The end of the agent's log.
pub(crate) fn last_words(ground: &Ground) -> String {
    let log = std::fs::read_to_string(ground.path("agent.log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().rev().take(25).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

impl Drop for Life {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
