//! How a failed step is told, and whose failure it is.

use std::time::Duration;

use hop3_plugin_api::{BuildStep, Exit, ExitStatus, PluginError};

/// What tools say when the network, not the app, is at fault. Only steps that may use the network are asked.
const NETWORK_WORDS: [&str; 8] = [
    "temporary failure in name resolution",
    "name or service not known",
    "could not resolve host",
    "network is unreachable",
    "connection refused",
    "connection reset",
    "connection timed out",
    "read timed out",
];

/// The error of a step that did not succeed. It names the step and keeps the end of its output.
pub(crate) fn of_step(step: &BuildStep, exit: Exit, limit: Duration) -> PluginError {
    let status = match exit.status {
        ExitStatus::DeadlineExceeded => {
            format!(
                "did not end within the {} s of the build's timeout",
                limit.as_secs()
            )
        }
        other => other.to_string(),
    };
    let command: String = format!("{}: {}", step.name, step.command)
        .chars()
        .take(200)
        .collect();
    let network = step.network && speaks_of_the_network(&exit.tail);
    let error = PluginError::Command {
        command,
        status,
        tail: exit.tail,
    };
    if !network {
        return error;
    }
    PluginError::other(
        format!("the step `{}` could not reach the network", step.name),
        error,
    )
}

fn speaks_of_the_network(tail: &str) -> bool {
    let tail = tail.to_ascii_lowercase();
    NETWORK_WORDS.iter().any(|words| tail.contains(words))
}

#[cfg(test)]
mod tests {
    use hop3_plugin_api::{BuildCommand, Fault};

    use super::*;

    fn failure(network: bool, status: ExitStatus, tail: &str) -> PluginError {
        let step = BuildStep {
            name: "install dependencies".to_owned(),
            command: BuildCommand::Shell("make deps".to_owned()),
            network,
        };
        let exit = Exit {
            status,
            tail: tail.to_owned(),
        };
        of_step(&step, exit, Duration::from_mins(15))
    }

    #[test]
    fn a_failing_step_names_itself_and_keeps_its_last_words() {
        let error = failure(true, ExitStatus::Code(2), "no such package");
        assert_eq!(
            error.to_string(),
            "`install dependencies: make deps` exited with status 2"
        );
        assert_eq!(error.fault(), Fault::App);
        assert!(matches!(error, PluginError::Command { tail, .. } if tail == "no such package"));
        let late = failure(false, ExitStatus::DeadlineExceeded, "");
        assert!(
            late.to_string()
                .ends_with("did not end within the 900 s of the build's timeout")
        );
    }

    #[test]
    fn a_network_step_without_network_is_no_fault_of_the_app() {
        let tail = "Temporary failure in name resolution";
        assert_eq!(
            failure(true, ExitStatus::Code(1), tail).fault(),
            Fault::Infrastructure
        );
        assert_eq!(
            failure(false, ExitStatus::Code(1), tail).fault(),
            Fault::App
        );
    }
}
