//! `logs`: an app's log, read from its deployer without asking the agent.

use std::collections::BTreeMap;
use std::time::Duration;

use hop3_plugin_api::{AppName, LogQuery, WorkerName};

use super::output::{CliError, Exit, harmless, out};
use super::{Global, settings};
use crate::compose::Settings;
use crate::observe::Scanner;
use crate::registry::Registry;
use crate::release::paths;

/// Options of `logs`.
#[derive(Debug, clap::Args)]
pub(super) struct LogsArgs {
    /// The app.
    app: AppName,
    /// Only of this worker.
    #[arg(long)]
    worker: Option<WorkerName>,
    /// The newest so many lines.
    #[arg(short = 'n', long, default_value_t = 100)]
    lines: usize,
    /// Keep showing new lines.
    #[arg(short, long)]
    follow: bool,
}

/// Shows the log.
pub(super) fn logs(
    args: &LogsArgs,
    global: &Global,
    registry: &Registry,
) -> Result<Exit, CliError> {
    let settings = settings::load(global, registry)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .map_err(|error| CliError::new(error.to_string()))?
        .block_on(show(args, &settings))
}

async fn show(args: &LogsArgs, settings: &Settings) -> Result<Exit, CliError> {
    let machine = settings.machine(settings.system_host()).await?;
    let observed = Scanner { machine: &machine }.stamps(&args.app).await?;
    let newest = observed
        .current()
        .or_else(|| observed.all_releases().next_back());
    let Some(release) = newest else {
        return Err(CliError::new(format!("`{}` has no release here", args.app))
            .hint("`hop3-agent status` lists all apps"));
    };
    let deployer = machine.deployer_of(release)?;
    let app_paths = paths(&machine.dirs.data, &release.id);
    let cx = machine.bare_context(&release.target, &app_paths);
    let mut query = LogQuery {
        worker: args.worker.clone(),
        lines: args.lines,
        after: BTreeMap::new(),
    };
    loop {
        for line in deployer.logs(&cx, &query).await? {
            out(&format!("{:<12} {}\n", line.source, harmless(&line.text)));
            query.after.insert(line.source, line.cursor);
        }
        if !args.follow {
            return Ok(Exit::Success);
        }
        machine.host.sleep(Duration::from_millis(300)).await;
    }
}
