//! The agent's side of the proxy's processes: starts them, asks them, makes sure that they are the ones that the settings want.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hop3_plugin_api::{
    Abort, AppName, HostContext, Level, PluginError, ProcessId, Program, Result, Task,
};

use crate::control::{self, Answer, Request, SOCKET_PATH_LIMIT, Status};
use crate::holder;
use crate::settings::{BuiltinProxyConfig, Launch};

/// For one question.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks at a proxy that is starting.
const PAUSE: Duration = Duration::from_millis(20);
/// How many seconds requests in flight get when the proxy is stopped.
const STOP_SECONDS: u64 = 2;
/// How many looks: ten seconds.
const MOST_LOOKS: u32 = 500;

/// The proxy's processes on this host.
pub(crate) struct Processes<'a> {
    cx: &'a HostContext<'a>,
}

impl<'a> Processes<'a> {
    pub(crate) fn new(cx: &'a HostContext<'a>) -> Self {
        Self { cx }
    }

    /// The directory of the document.
    pub(crate) fn sites(&self) -> PathBuf {
        self.cx.dirs.sites.join("builtin")
    }

    /// What the serving worker does, without any site; `None` when there is none.
    pub(crate) async fn status(&self) -> Result<Option<Status>> {
        self.status_of(Some(BTreeSet::new())).await
    }

    /// The same with the sites of some apps, or of all.
    pub(crate) async fn status_of(&self, of: Option<BTreeSet<AppName>>) -> Result<Option<Status>> {
        match self.ask_current(&Request::Status { of }).await? {
            Some(Answer::Status(status)) => Ok(Some(*status)),
            Some(other) => Err(unexpected(&other)),
            None => Ok(None),
        }
    }

    /// Effect: has the serving worker use the document on disk, and the retired ones as far as they can.
    pub(crate) async fn reload(&self) -> Result<Status> {
        let reload = Request::Reload {
            of: Some(BTreeSet::new()),
        };
        let status = match self.ask_current(&reload).await? {
            Some(Answer::Status(status)) => *status,
            Some(Answer::Refused(reason)) => return Err(Abort::new(reason).into()),
            Some(other) => return Err(unexpected(&other)),
            None => return Err(Abort::new("the proxy ended while it was asked to reload").into()),
        };
        for socket in self.retired(&status).await? {
            self.ask(&socket, &reload).await.ok();
        }
        Ok(status)
    }

    /// Requests in flight in every worker, retired ones included.
    pub(crate) async fn in_flight(&self, request: &Request) -> Result<usize> {
        let mut total = 0;
        for socket in self.worker_sockets().await? {
            if let Some(Answer::InFlight(count)) = self.ask(&socket, request).await? {
                total += count;
            }
        }
        Ok(total)
    }

    /// Effect: makes sure that a proxy of this version and with these settings serves.
    pub(crate) async fn ensure(&self) -> Result<Status> {
        let launch = self.wanted().await?;
        self.check_socket_path()?;
        let serving = |status: &Status| {
            status.holder.is_some()
                && status.version == env!("CARGO_PKG_VERSION")
                && serde_json::to_value(&launch).is_ok_and(|wanted| wanted == status.launch)
        };
        match self.status().await {
            Ok(Some(status)) if serving(&status) => Ok(status),
            _ => self.start(&launch, serving).await,
        }
    }

    /// Effect: ends every worker and with the last one its holder; what is in flight gets a moment.
    pub(crate) async fn stop(&self) -> Result<()> {
        let request = Request::Retire {
            grace: STOP_SECONDS,
        };
        for _ in 0..MOST_LOOKS {
            let mut alive = 0;
            for socket in self.worker_sockets().await? {
                let answer = self.ask(&socket, &request).await;
                alive += u32::from(!matches!(answer, Ok(None)));
            }
            if alive == 0 {
                return Ok(());
            }
            self.cx.host.sleep(PAUSE).await;
        }
        Err(Abort::new("the proxy did not end in time").into())
    }

    /// Effect: gives a worker without a holder a new one, with the settings that it runs with.
    pub(crate) async fn heal(&self, status: Status) -> Result<Status> {
        if status.holder.is_some() {
            return Ok(status);
        }
        match serde_json::from_value::<Launch>(status.launch) {
            Ok(launch) => self.start(&launch, |status| status.holder.is_some()).await,
            Err(_) => self.ensure().await,
        }
    }

    async fn start(&self, launch: &Launch, serving: impl Fn(&Status) -> bool) -> Result<Status> {
        self.cx.log.say(Level::Info, "Starting the proxy.");
        let holder = self.spawn(launch).await?;
        for _ in 0..MOST_LOOKS {
            let ended = !self.cx.host.is_running(&holder);
            if let Ok(Some(status)) = self.status().await
                && serving(&status)
            {
                return Ok(status);
            }
            if ended {
                return Err(self.why_not(launch).await);
            }
            self.cx.host.sleep(PAUSE).await;
        }
        Err(Abort::new("the proxy did not become ready in time").into())
    }

    async fn spawn(&self, launch: &Launch) -> Result<ProcessId> {
        let host = self.cx.host;
        host.ensure_dir(&launch.sites, 0o700, None).await?;
        let mut task = Task::new("start the proxy", Program::Agent, &launch.sites)
            .args([holder::ENTRYPOINT.to_owned(), launch.to_arg()]);
        task.output.log = Some(self.log_file());
        Ok(host.spawn_detached(&task).await?.process)
    }

    /// The holder's last words.
    async fn why_not(&self, launch: &Launch) -> PluginError {
        let log = self.cx.host.read(&self.log_file()).await.ok().flatten();
        let log = String::from_utf8_lossy(&log.unwrap_or_default()).into_owned();
        let last = log.lines().last().unwrap_or("it said nothing");
        let mut abort = Abort::new(format!("the proxy did not start: {last}"));
        if launch.listen.iter().any(|address| address.port() < 1024) {
            abort = abort.hint(
                "ports below 1024 need root; set `listen` in `[plugin.builtin-proxy]` of agent.toml",
            );
        }
        abort.into()
    }

    async fn wanted(&self) -> Result<Launch> {
        let config: BuiltinProxyConfig = self.cx.section()?;
        if config.listen.is_empty() {
            return Err(PluginError::Config {
                message: "`[plugin.builtin-proxy] listen` is empty".to_owned(),
                hint: Some("name at least one address, for instance `0.0.0.0:80`".to_owned()),
            });
        }
        let user = match &config.user {
            Some(name) => self.cx.host.ensure_user(name, &self.sites()).await?,
            None => None,
        };
        Ok(Launch {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listen: config.listen,
            threads: config.threads,
            user,
            sites: self.sites(),
            run: self.cx.dirs.run.clone(),
        })
    }

    fn check_socket_path(&self) -> Result<()> {
        let longest = control::worker_socket(&self.cx.dirs.run, u32::MAX);
        if longest.as_os_str().len() <= SOCKET_PATH_LIMIT {
            return Ok(());
        }
        let message = format!("`{}` is too long for a unix socket", longest.display());
        Err(Abort::new(message)
            .hint("set a shorter `run-dir` in agent.toml")
            .into())
    }

    fn log_file(&self) -> PathBuf {
        self.cx.dirs.log.join("proxy.log")
    }

    async fn worker_sockets(&self) -> Result<Vec<PathBuf>> {
        let entries = self.cx.host.list(&self.cx.dirs.run).await?;
        Ok(entries
            .iter()
            .filter(|entry| control::is_worker_socket(&entry.name))
            .map(|entry| self.cx.dirs.run.join(&entry.name))
            .collect())
    }

    async fn retired(&self, current: &Status) -> Result<Vec<PathBuf>> {
        let current = control::worker_socket(&self.cx.dirs.run, current.worker);
        let mut sockets = self.worker_sockets().await?;
        sockets.retain(|socket| *socket != current);
        Ok(sockets)
    }

    /// A worker that dies at this moment breaks off; a moment later it is gone or replaced.
    async fn ask_again_once(&self, socket: &Path, line: &str) -> Result<Option<String>> {
        let host = self.cx.host;
        if let Ok(answer) = host.ask(socket, line, ANSWER_LIMIT).await {
            return Ok(answer);
        }
        host.sleep(PAUSE).await;
        Ok(host.ask(socket, line, ANSWER_LIMIT).await?)
    }

    async fn ask_current(&self, request: &Request) -> Result<Option<Answer>> {
        self.ask(&control::current_socket(&self.cx.dirs.run), request)
            .await
    }

    async fn ask(&self, socket: &Path, request: &Request) -> Result<Option<Answer>> {
        let line = serde_json::to_string(request)
            .map_err(|e| PluginError::other("could not write a request to the proxy", e))?;
        let Some(answer) = self.ask_again_once(socket, &line).await? else {
            return Ok(None);
        };
        serde_json::from_str(&answer)
            .map(Some)
            .map_err(|e| PluginError::other("could not read the proxy's answer", e))
    }
}

fn unexpected(answer: &Answer) -> PluginError {
    Abort::new(format!("the proxy answered something else: {answer:?}")).into()
}
