//! What the demo plays on: a config repo, settings, a real agent of this very binary, and the end of all of them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::{FileWrite, Host, OutputCap, ProcessId, Program, Task};
use tempfile::TempDir;
use tokio::time::Instant;

use super::visitor::Visitor;
use crate::cli::init::write_example;
use crate::cli::output::CliError;
use crate::cli::settings;
use crate::compose::Settings;
use crate::config::AgentConfig;
use crate::control::{Reply, Request};
use crate::host::{HostConfig, SystemHost};
use crate::registry::Registry;
use crate::report::{AppState, AppStatus, Status};
use crate::socket;

const TERM: i32 = 15;
const KILL: i32 = 9;

/// Everything that the demo made.
pub(super) struct Stage {
    directory: TempDir,
    host: Arc<dyn Host>,
    agent: ProcessId,
    proxy: SocketAddr,
    settings: Settings,
}

impl Stage {
    /// Effect: makes the repo and starts the agent.
    pub(super) async fn set(port: u16) -> Result<Self, CliError> {
        let directory = tempfile::Builder::new()
            .prefix("hop3-demo-")
            .tempdir()
            .map_err(|error| CliError::new(format!("could not make a directory: {error}")))?;
        let tool_path = tool_path();
        let host: Arc<dyn Host> = Arc::new(SystemHost::new(HostConfig {
            tool_path: tool_path.clone(),
            ..HostConfig::default()
        }));
        let proxy = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(port)?));
        let repo = directory.path().join("config-repo");
        write_example(host.as_ref(), &repo).await?;
        first_commit(host.as_ref(), &repo).await?;
        let settings = write_settings(host.as_ref(), directory.path(), (&tool_path, proxy)).await?;
        let agent = start_agent(host.as_ref(), directory.path()).await?;
        Ok(Self {
            directory,
            host,
            agent,
            proxy,
            settings,
        })
    }

    pub(super) fn repo(&self) -> PathBuf {
        self.directory.path().join("config-repo")
    }

    pub(super) fn visitor(&self, app: &str) -> Visitor {
        Visitor::new(app, self.proxy).expect("an HTTP client without TLS is always made")
    }

    /// Effect: changes a file of the repo.
    pub(super) fn edit(
        &self,
        path: &str,
        change: impl FnOnce(String) -> String,
    ) -> Result<(), CliError> {
        let path = self.repo().join(path);
        let failed = |error: std::io::Error| {
            CliError::new(format!("could not change `{}`: {error}", path.display()))
        };
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        write(&path, &change(text)).map_err(failed)
    }

    /// Effect: commits everything.
    pub(super) async fn commit(&self, message: &str) -> Result<(), CliError> {
        self.git(&["commit", "--quiet", "--all", "--message", message])
            .await
    }

    /// Effect: runs git in the repo.
    pub(super) async fn git(&self, arguments: &[&str]) -> Result<(), CliError> {
        git(self.host.as_ref(), &self.repo(), arguments).await
    }

    /// Waits until the agent says that an app's change failed, and why.
    pub(super) async fn until_failing(
        &self,
        app: &str,
        patience: Duration,
    ) -> Result<String, CliError> {
        let failing = |apps: &[AppStatus]| {
            let app = apps.iter().find(|status| status.app.as_str() == app)?;
            app.failure
                .as_ref()
                .map(|failure| format!("{}: {}", failure.step, failure.message))
        };
        self.until(patience, failing).await
    }

    /// Waits until these apps run what the repo says.
    pub(super) async fn until_running(
        &self,
        names: &[&str],
        patience: Duration,
    ) -> Result<(), CliError> {
        let running = |apps: &[AppStatus]| {
            let runs = |name: &&str| {
                apps.iter()
                    .any(|app| app.app.as_str() == *name && app.state == AppState::Running)
            };
            names.iter().all(runs).then_some(())
        };
        self.until(patience, running).await
    }

    async fn until<T>(
        &self,
        patience: Duration,
        found: impl Fn(&[AppStatus]) -> Option<T>,
    ) -> Result<T, CliError> {
        let deadline = Instant::now() + patience;
        loop {
            let apps = self.apps();
            if let Some(value) = apps.as_deref().and_then(&found) {
                return Ok(value);
            }
            if Instant::now() >= deadline {
                return Err(CliError::new(format!(
                    "the agent did not get there within {} s: {apps:?}",
                    patience.as_secs()
                )));
            }
            self.host.sleep(Duration::from_millis(50)).await;
        }
    }

    fn apps(&self) -> Option<Vec<AppStatus>> {
        match socket::ask(&self.settings.config.run_dir, &Request::Status) {
            Ok(Reply::Done(value)) => serde_json::from_value::<Status>(value)
                .ok()
                .map(|status| status.apps),
            _ => None,
        }
    }

    /// The end of the agent's log.
    pub(super) fn last_words(&self) -> String {
        let text =
            std::fs::read_to_string(self.directory.path().join("agent.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Effect: ends the agent, then every process that it left running, as it should.
    pub(super) async fn end(self) -> Result<(), CliError> {
        end_process(self.host.as_ref(), &self.agent).await?;
        let machine = self.settings.machine(Arc::clone(&self.host)).await?;
        crate::uninstall::stop_everything(&machine).await?;
        self.directory.close().map_err(|error| {
            CliError::new(format!("could not remove the demo's directory: {error}"))
        })
    }
}

async fn end_process(host: &dyn Host, process: &ProcessId) -> Result<(), CliError> {
    host.signal(process, TERM, false).await?;
    let deadline = Instant::now() + Duration::from_secs(15);
    while host.is_running(process) && Instant::now() < deadline {
        host.sleep(Duration::from_millis(20)).await;
    }
    host.signal(process, KILL, false).await?;
    Ok(())
}

/// The directories in which the person's own shell finds programs.
#[expect(
    clippy::disallowed_methods,
    reason = "the demo runs as the person who typed it, with that person's tools"
)]
fn tool_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .collect()
}

/// The wanted port, else one that is free now.
fn free_port(wanted: u16) -> Result<u16, CliError> {
    let bind = |port| {
        std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .and_then(|listener| listener.local_addr())
    };
    let address = bind(wanted)
        .or_else(|_| bind(0))
        .map_err(|error| CliError::new(format!("no port is free: {error}")))?;
    Ok(address.port())
}

async fn first_commit(host: &dyn Host, repo: &Path) -> Result<(), CliError> {
    git(host, repo, &["init", "--quiet", "--initial-branch", "main"]).await?;
    for (key, value) in [
        ("user.name", "hop3 demo"),
        ("user.email", "demo@example.org"),
        ("commit.gpgsign", "false"),
    ] {
        git(host, repo, &["config", key, value]).await?;
    }
    git(host, repo, &["add", "."]).await?;
    git(
        host,
        repo,
        &["commit", "--quiet", "--message", "Three apps"],
    )
    .await
}

async fn git(host: &dyn Host, repo: &Path, arguments: &[&str]) -> Result<(), CliError> {
    let task = Task::new("git", Program::Named("git".to_owned()), repo)
        .args(arguments.iter().copied())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    host.run(&task).await?.require_success(&task)?;
    Ok(())
}

async fn write_settings(
    host: &dyn Host,
    directory: &Path,
    (tool_path, proxy): (&[PathBuf], SocketAddr),
) -> Result<Settings, CliError> {
    let tools: Vec<String> = tool_path.iter().map(|path| toml_text(path)).collect();
    let text = format!(
        "# The demo's settings. A real host's are in /etc/hop3-agent/agent.toml.\nhost = \"demo\"\ndata-dir = {data}\nrun-dir = {run}\n\
         listen = \"\"\ntool-path = [{tools}]\n\n[repo]\nurl = \"file://{repo}\"\nbranch = \"main\"\npoll = \"1s\"\n\n\
         [policy]\nusers = \"none\"\n\n[plugin.builtin-proxy]\nlisten = [\"{proxy}\"]\n",
        data = toml_text(&directory.join("data")),
        run = toml_text(&directory.join("run")),
        tools = tools.join(", "),
        repo = directory.join("config-repo").display(),
    );
    host.write_atomic(FileWrite::private(
        directory.join("agent.toml"),
        text.clone(),
    ))
    .await?;
    let registry = Registry::new(crate::builtin())?;
    let schemas = settings::schemas(&registry);
    let config = AgentConfig::parse(&text, "agent.toml", &schemas).map_err(|errors| {
        let texts: Vec<_> = errors.iter().map(|error| error.message.clone()).collect();
        CliError::new(format!(
            "the demo's settings are not valid: {}",
            texts.join("; ")
        ))
    })?;
    Ok(Settings::new(config, schemas, &registry))
}

/// A path as a TOML string.
fn toml_text(path: &Path) -> String {
    toml::Value::from(path.display().to_string()).to_string()
}

async fn start_agent(host: &dyn Host, directory: &Path) -> Result<ProcessId, CliError> {
    let config = directory.join("agent.toml").display().to_string();
    let mut task = Task::new("the demo's agent", Program::Agent, directory).args([
        "--config",
        config.as_str(),
        "run",
    ]);
    task.output = OutputCap {
        log: Some(directory.join("agent.log")),
        ..OutputCap::default()
    };
    Ok(host.spawn_detached(&task).await?.process)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a person edits a work tree; so does the demo in that person's place"
)]
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)
}
