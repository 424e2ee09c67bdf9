//! The `hop3-agent` binary: the builtin plugins and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    hop3_agent::Agent::builder()
        .plugins(hop3_agent::builtin())
        .run()
}
