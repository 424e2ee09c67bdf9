//! Asking the engine through its command line: one place for the client's environment, the deadlines and whose fault a failure is.
//! Nothing here knows what a release is.

use std::path::Path;
use std::time::Duration;

use hop3_plugin_api::{
    Exit, ExitStatus, HostContext, OutputCap, PluginError, Program, Result, Task,
};

use crate::failure;
use crate::settings::HostSettings;

/// For what may pull images or wait for a container to end.
pub(crate) const LONG: Duration = Duration::from_mins(10);

const CLIENT: &str = "docker";
const COMPOSE_V1: &str = "docker-compose";
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// The engine of this host.
///
/// Guarantees: every call has a deadline; an engine that does not answer is an infrastructure failure, never an answer.
#[derive(Clone)]
pub(crate) struct Engine<'a> {
    machine: HostContext<'a>,
    settings: HostSettings,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(machine: HostContext<'a>) -> Result<Self> {
        Ok(Self {
            settings: machine.section()?,
            machine,
        })
    }

    /// Whether this host has the client at all; without it nothing here can be ours.
    pub(crate) fn is_installed(&self) -> bool {
        self.machine.host.find_program(CLIENT).is_some()
    }

    /// A call of the client, with the deadline of a question.
    pub(crate) fn task<S: Into<String>>(
        &self,
        what: impl Into<String>,
        args: impl IntoIterator<Item = S>,
    ) -> Task {
        self.with_client_env(self.program(what, CLIENT).args(args))
    }

    fn program(&self, what: impl Into<String>, name: &str) -> Task {
        let program = Program::Named(name.to_owned());
        let mut task = Task::new(what, program, &self.machine.dirs.data)
            .deadline(Duration::from_secs(self.settings.timeout));
        task.output = OutputCap {
            tail_bytes: ANSWER_BYTES,
            ..OutputCap::default()
        };
        task
    }

    /// What the client itself reads. Its PATH is for credential helpers, which lie beside it.
    pub(crate) fn with_client_env(&self, mut task: Task) -> Task {
        task = task.env("HOME", self.machine.dirs.addons.display().to_string());
        if let Some(host) = &self.settings.host {
            task = task.env("DOCKER_HOST", host);
        }
        if let Some(directory) = &self.settings.config_dir {
            task = task.env("DOCKER_CONFIG", directory);
        }
        let client = self.machine.host.find_program(CLIENT);
        if let Some(directory) = client.as_deref().and_then(Path::parent) {
            task = task.env("PATH", directory.display().to_string());
        }
        task
    }

    /// Runs a task; that the engine is silent or out of reach is an error here, every other exit is the caller's to judge.
    pub(crate) async fn run(&self, task: &Task) -> Result<Exit> {
        let exit = self.machine.host.run(task).await?;
        match exit.status {
            ExitStatus::Code(0) | ExitStatus::Cancelled => Ok(exit),
            ExitStatus::DeadlineExceeded => Err(PluginError::other(
                format!("could not {}", task.what),
                format!(
                    "`{}` did not end within {} s",
                    task.command_line(),
                    task.deadline.as_secs()
                ),
            )),
            _ if failure::is_infrastructure(&exit.tail) => Err(PluginError::other(
                format!("could not {}", task.what),
                last_line(&exit.tail),
            )),
            _ => Ok(exit),
        }
    }

    /// Runs a task that has to succeed.
    pub(crate) async fn succeed(&self, task: &Task) -> Result<String> {
        Ok(self.run(task).await?.require_success(task)?.tail)
    }

    /// Asks the engine something; the answer is what it printed.
    pub(crate) async fn ask<S: Into<String>>(
        &self,
        what: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        self.succeed(&self.task(what, args)).await
    }
}

fn last_line(output: &str) -> String {
    let line = output.lines().rev().find(|l| !l.trim().is_empty());
    line.unwrap_or("it gave no reason").trim().to_owned()
}

/// Which compose there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compose {
    /// The client's plugin, `docker compose`.
    V2,
    /// The old program, `docker-compose`.
    V1,
}

impl Compose {
    pub(crate) async fn find(engine: &Engine<'_>) -> Result<Self> {
        let version = engine.task("ask for compose's version", ["compose", "version"]);
        if engine.run(&version).await?.success() {
            return Ok(Self::V2);
        }
        if engine.machine.host.find_program(COMPOSE_V1).is_some() {
            return Ok(Self::V1);
        }
        Err(PluginError::Config {
            message: "docker has no compose on this host".to_owned(),
            hint: Some(
                "install the compose plugin of docker (version 2), or `docker-compose`".to_owned(),
            ),
        })
    }

    /// A call of compose for a project.
    pub(crate) fn task(
        self,
        engine: &Engine<'_>,
        what: impl Into<String>,
        project: &str,
        file: Option<&Path>,
    ) -> Task {
        let task = match self {
            Self::V2 => engine.program(what, CLIENT).args(["compose"]),
            Self::V1 => engine.program(what, COMPOSE_V1),
        };
        let mut task = engine
            .with_client_env(task)
            .args(["--project-name", project]);
        if let Some(file) = file {
            task = task.args(["--file".to_owned(), file.display().to_string()]);
        }
        task
    }
}
