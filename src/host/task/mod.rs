//! `internal-task`: the process between the agent and every program it runs. Single-threaded, without a runtime or a logger.
//!
//! It comes in two roles. A *watcher* outlives the agent if need be: it holds the deadline, the log, the exit file, and ends what the
//! program leaves behind. Its child *enters*: it takes off what the program must not have (user, network, files), then becomes it.

mod enter;
mod network;
mod output;
pub(super) mod protocol;
mod sandbox;
mod watch;

use std::process::ExitCode;

pub(super) use sandbox::visible;

/// The exit code of a helper that could not do its part.
const UNABLE: u8 = 127;

/// The entry point `hop3-agent internal-task`: everything it needs comes over its standard input.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the type of every entry point"
)]
pub fn internal_task(args: Vec<String>) -> ExitCode {
    match args.first().map(String::as_str) {
        Some("watch") => watch::watch(),
        Some("enter") => enter::enter(),
        _ => ExitCode::from(UNABLE),
    }
}
