//! `run` and `apply`: the commands that have effects.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::Host;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::output::{CliError, Exit, Log, colored, say};
use super::{Global, inspect, settings};
use crate::compose::Settings;
use crate::control::{Control, Message, Reply, Request};
use crate::host::{DataDirLock, SystemHost};
use crate::observe::Room;
use crate::registry::Registry;
use crate::{repo, socket, webhook};

/// How long the end waits for threads that are within a call of the system, such as a read from a disk that does not answer.
const LEAVE: Duration = Duration::from_secs(1);
/// Between two looks at a data dir that cannot be written.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(2);

/// `run`: until a signal.
pub(super) fn run(global: &Global, registry: &Registry) -> Result<Exit, CliError> {
    prepare(global);
    let settings = settings::load(global, registry)?;
    to_its_end(serve(&settings))??;
    Ok(Exit::Success)
}

/// `apply`: asks a running agent, else does it here and now.
pub(super) fn apply(global: &Global, registry: &Registry) -> Result<Exit, CliError> {
    let settings = settings::load(global, registry)?;
    match socket::ask(&settings.config.run_dir, &Request::Sync { wait: true }) {
        Ok(Reply::Done(status)) => return inspect::show_status(&status, false),
        Ok(Reply::Refused { message, hints }) => return Err(CliError::refused(message, hints)),
        Err(socket::SocketError::NoAgent { .. }) => {}
        Err(error) => return Err(CliError::new(crate::execute::chain(&error))),
    }
    prepare(global);
    to_its_end(once(&settings))?
}

/// What a process with effects needs before it does anything.
fn prepare(global: &Global) {
    // Whatever is made without explicit permission bits is the agent's alone.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    repo::install_tls_provider();
    let level = match global.verbose {
        0 => "warn,hop3_agent=info",
        1 => "info,hop3_agent=debug",
        _ => "trace",
    };
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("HOP3_LOG").unwrap_or_else(|_| level.into());
    let logger = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log)
        .with_ansi(colored(global.color))
        .with_target(false);
    if let Err(error) = logger.try_init() {
        say(&format!("the log is set up already: {error}"));
    }
}

/// Carries on some work until it ends. What it left under way on threads of its own holds up the process no longer than [`LEAVE`].
fn to_its_end<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CliError::new(format!("could not start: {error}")))?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(LEAVE);
    Ok(done)
}

async fn control(
    settings: &Settings,
    host: Arc<dyn Host>,
) -> Result<(Control, mpsc::Sender<Message>), CliError> {
    let machine = settings.machine(Arc::clone(&host)).await?;
    let store = settings.store(host)?;
    Ok(Control::new(settings.parts(machine, store)?))
}

async fn serve(settings: &Settings) -> Result<(), CliError> {
    let system = settings.system_host();
    let host = settings.registry.host(system.clone());
    let Some(_lock) = until_writable(settings, host.as_ref()).await? else {
        return Ok(());
    };
    sweep(settings);
    let secret = settings.hook_secret()?;
    let (control, sender) = control(settings, Arc::clone(&host)).await?;
    let path = socket::path(&settings.config.run_dir);
    let listener = socket::bind(&path)
        .map_err(|e| CliError::new(format!("could not listen on `{}`: {e}", path.display())))?;
    tokio::spawn(socket::serve(listener, sender.clone()));
    let path = settings.dirs().nudges();
    let nudges = socket::bind_nudges(&path)
        .map_err(|e| CliError::new(format!("could not listen on `{}`: {e}", path.display())))?;
    tokio::spawn(socket::serve_nudges(nudges, sender.clone()));
    if let Some(address) = settings.config.listen {
        let listener = webhook::bind(address).await.map_err(|e| {
            CliError::new(format!("could not listen on {address}: {e}"))
                .hint("choose another `listen` in agent.toml")
        })?;
        tracing::info!(%address, "Listening.");
        tokio::spawn(webhook::serve(listener, sender.clone(), secret));
    }
    tokio::spawn(stop_on_signal(system, sender));
    let ended = control.run().await;
    tracing::info!("Stopped; apps keep running.");
    ended.map_err(|problem| {
        CliError::new(problem).hint("look at the disk; the next start looks at everything anew")
    })
}

/// The data dir's lock, as soon as the data dir can be written at all: an agent that ends because it cannot would be started again and again.
/// `None` when it was told to stop before.
async fn until_writable(
    settings: &Settings,
    host: &dyn Host,
) -> Result<Option<DataDirLock>, CliError> {
    let room = || Room::of(&settings.config.data_dir).problem();
    let Some(problem) = room() else {
        return Ok(Some(settings.lock(host).await?));
    };
    tracing::error!("Waiting to start: {problem}.");
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return Err(CliError::new(problem));
    };
    let refusals = tokio::spawn(refuse_all(settings.config.run_dir.clone(), problem));
    while room().is_some() {
        tokio::select! {
            () = tokio::time::sleep(LOOK_FOR_ROOM) => {}
            _ = terminate.recv() => return Ok(None),
            _ = interrupt.recv() => return Ok(None),
        }
    }
    refusals.abort();
    Ok(Some(settings.lock(host).await?))
}

/// Answers whoever asks an agent that cannot start yet.
async fn refuse_all(run_dir: PathBuf, problem: String) {
    let Ok(listener) = socket::bind(&socket::path(&run_dir)) else {
        return;
    };
    let (sender, mut inbox) = mpsc::channel(16);
    let serving = socket::serve(listener, sender);
    let refusing = async {
        while let Some(message) = inbox.recv().await {
            if let Message::Asked(_, reply) = message {
                let message = format!("the agent waits to start: {problem}");
                let hint = "it starts by itself when that is over; apps run without it";
                // Who hung up needs no answer.
                drop(reply.send(Reply::refused(message, hint)));
            }
        }
    };
    tokio::join!(serving, refusing);
}

async fn stop_on_signal(host: Arc<SystemHost>, control: mpsc::Sender<Message>) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return tracing::error!(
            "Signals cannot be received; stop the agent through its service manager."
        );
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // From here on, what is dropped is left by a dying agent: release commands and jobs finish by themselves.
    host.leave();
    if control.send(Message::Stop).await.is_err() {
        tracing::debug!("The loop has ended already.");
    }
}

/// Effect: removes what a crash has left half written. Releases lie five levels down; what builds leave in them is not ours.
fn sweep(settings: &Settings) {
    crate::host::sweep(&settings.config.data_dir, 4);
}

async fn once(settings: &Settings) -> Result<Exit, CliError> {
    let host = settings.registry.host(settings.system_host());
    let _lock = settings.lock(host.as_ref()).await?;
    sweep(settings);
    let (control, _sender) = control(settings, Arc::clone(&host)).await?;
    let settled = tokio::time::timeout(Duration::from_hours(6), control.settle()).await;
    let control = settled.map_err(|_| CliError::new("it did not come to rest within six hours"))?;
    if let Some(problem) = control.repo_problem() {
        let hint = control.status().repo.hint;
        let hint = hint.unwrap_or_else(|| "look at `[repo]` in agent.toml".to_owned());
        return Err(CliError::new(problem).hint(hint));
    }
    let status = serde_json::to_value(control.status()).expect("a status serialises");
    inspect::show_status(&status, false)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_thread_that_hangs_does_not_hold_up_the_end() {
        let (release, held) = mpsc::channel::<()>();
        let done = to_its_end(async move {
            tokio::task::spawn_blocking(move || held.recv());
            "done"
        });
        assert_eq!(done.unwrap(), "done");
        drop(release);
    }
}
