//! Acme's agent: everything of hop3-agent, and one toolchain more.

use std::process::ExitCode;

use acme_agent::MakefilePlugin;
use hop3_agent::{Agent, builtin};

fn main() -> ExitCode {
    Agent::builder()
        .plugins(builtin())
        .plugin(MakefilePlugin)
        .run()
}
