//! The helper process: starts a release's instances, restarts those that crash, keeps their logs, answers on the control socket, and
//! ends them all before itself. It outlives the agent and needs nothing of it.
//!
//! One thread and one `poll`, no runtime: idle it sleeps in the kernel for ever. It is the seam for its own instances, so it uses
//! processes and files directly.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a helper process is its own seam: no Host exists here"
)]

mod backoff;
mod become_instance;
mod confine;
mod control;
mod instance;
mod lock;
mod nudge;
mod output;
mod process;
mod release;
mod signals;
mod start;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use hop3_plugin_api::Entrypoint;

/// Supervises the release that standard input describes.
pub(crate) const SUPERVISE: &str = "internal-supervise";
/// Becomes the instance that standard input describes.
pub(crate) const INSTANCE: &str = "internal-instance";
/// Ends what a killed supervisor left behind.
pub(crate) const SWEEP: &str = "internal-sweep";

/// The helper processes of this plugin.
pub(crate) fn entrypoints() -> Vec<Entrypoint> {
    vec![
        Entrypoint {
            name: SUPERVISE,
            run: |_| ended(start::supervise()),
        },
        Entrypoint {
            name: INSTANCE,
            run: |_| ended(become_instance::become_instance()),
        },
        Entrypoint {
            name: SWEEP,
            run: |ids| {
                for id in ids {
                    process::sweep(&id);
                }
                ExitCode::SUCCESS
            },
        },
    ]
}

/// A helper's exit: its error goes to standard error, which is a log file.
fn ended(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(&message);
            ExitCode::from(127)
        }
    }
}

/// One line for the log; there is nobody to tell when that fails.
fn say(message: &str) {
    drop(writeln!(std::io::stderr(), "hop3-agent: {message}"));
}

/// An error with what was being done.
fn doing<E: Display>(what: impl Display) -> impl FnOnce(E) -> String {
    move |error| format!("could not {what}: {error}")
}
