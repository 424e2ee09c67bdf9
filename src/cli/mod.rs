//! The commands. Only this module prints, reads the process's arguments and environment, and knows exit codes.

mod agent;
mod demo;
mod doctor;
mod documents;
mod init;
mod inspect;
mod logs;
mod output;
mod person;
mod plan;
mod settings;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use hop3_plugin_api::{Abort, AppName};

use crate::registry::Registry;
use output::{CliError, Exit};

/// Makes this server run the apps of a git repository, and keeps it so.
#[derive(Debug, Parser)]
#[command(name = "hop3-agent", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
struct Global {
    /// The operator's settings.
    #[arg(
        long,
        global = true,
        default_value = "/etc/hop3-agent/agent.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// Overrides `data-dir` of the settings.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    color: Color,
    /// Says more; twice, everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the whole thing on an example: commits become running apps, a bad commit changes nothing.
    Demo(demo::DemoArgs),
    /// Runs the agent until it is stopped; apps keep running without it.
    Run,
    /// Brings this host to the newest commit, and returns.
    Apply,
    /// Shows what would be done.
    Plan(plan::PlanArgs),
    /// Checks specs, app directories or whole config repos, without a network or an agent.
    Validate(validate::ValidateArgs),
    /// Shows every app.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Explains one app: what it is waiting for, what failed, what happens next.
    Why {
        /// The app.
        app: AppName,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows what happened.
    History {
        /// Only of this app.
        app: Option<AppName>,
        /// The newest so many.
        #[arg(short = 'n', long, default_value_t = 50)]
        most: usize,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows an app's log.
    Logs(logs::LogsArgs),
    /// Returns an app to an earlier release and pins it there.
    Rollback {
        /// The app.
        app: AppName,
        /// The release; the one before the current one by default.
        #[arg(long, value_name = "N")]
        to: Option<u32>,
    },
    /// Does nothing to an app for a while: no change, no repair.
    Pause(person::PauseArgs),
    /// Ends a pin or a pause, or lets a failed release be tried again at once; without an app, releases what is held for the whole host.
    Resume {
        /// The app.
        app: Option<AppName>,
    },
    /// Makes the agent look at the config repo now.
    Sync {
        /// Return only when nothing is under way any more.
        #[arg(long)]
        wait: bool,
    },
    /// Shows what is linked into this binary.
    #[command(subcommand)]
    Plugins(documents::PluginsCommand),
    /// Prints a JSON schema, or writes and compares all.
    Schema(documents::SchemaArgs),
    /// Prints a reference page, or writes and compares all.
    Reference(documents::ReferenceArgs),
    /// Looks at this host: settings, the agent, and the tools that builds need; says what is missing and which package brings it.
    Doctor(doctor::DoctorArgs),
    /// Writes an example config repo and settings to start from.
    Init(init::InitArgs),
}

/// Runs a command line.
pub fn run(registry: &Registry, arguments: &[String]) -> ExitCode {
    if let Some(command) = arguments.get(1).and_then(|name| {
        registry
            .cli_commands()
            .into_iter()
            .find(|c| c.name == *name)
    }) {
        return (command.run)(arguments[2..].to_vec());
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    let result = dispatch(cli.command, &cli.global, registry);
    output::exit(result, cli.global.color)
}

/// Says why nothing can run at all.
pub fn refuse(refusal: &Abort) -> ExitCode {
    output::exit(Err(CliError::from(refusal.clone())), Color::Auto)
}

fn dispatch(command: Command, global: &Global, registry: &Registry) -> Result<Exit, CliError> {
    match command {
        Command::Demo(args) => demo::demo(&args),
        Command::Run => agent::run(global, registry),
        Command::Apply => agent::apply(global, registry),
        Command::Plan(args) => plan::plan(&args, global, registry),
        Command::Validate(args) => Ok(validate::validate(&args, global, registry)),
        Command::Status { json } => inspect::status(json, global, registry),
        Command::Why { app, json } => inspect::why(app, json, global, registry),
        Command::History { app, most, json } => {
            inspect::history((app, most), json, global, registry)
        }
        Command::Logs(args) => logs::logs(&args, global, registry),
        Command::Rollback { app, to } => person::rollback(&app, to, global, registry),
        Command::Pause(args) => person::pause(&args, global, registry),
        Command::Resume { app } => person::resume(app, global, registry),
        Command::Sync { wait } => inspect::sync(wait, global, registry),
        Command::Plugins(command) => documents::plugins(&command, registry),
        Command::Schema(args) => documents::schema(&args, registry),
        Command::Reference(args) => documents::reference(&args, registry),
        Command::Doctor(args) => doctor::doctor(&args, global, registry),
        Command::Init(args) => init::init(&args, registry),
    }
}
