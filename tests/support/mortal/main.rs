//! The agent with a host that tells its effects and may end it at one of them: what a third party's `main` is, with [`FaultHost`] between agent
//! and machine. Only tests start it; the product has no such point.
//!
//! `HOP3_FAULT` is the fault (`kill-after 2 write /data/x`), `HOP3_FAULT_JOURNAL` the file that gets the name of each effect before it is done, and
//! `HOP3_FAULT_ROOT` the directory that names leave out.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a test's program takes its orders from its environment, and its journal is no effect of the agent"
)]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use hop3_plugin_api::Host;
use hop3_plugin_testing::{Fault, FaultHost};

fn main() -> ExitCode {
    hop3_agent::Agent::builder()
        .plugins(hop3_agent::builtin())
        .between(mortal)
        .run()
}

fn mortal(machine: Arc<dyn Host>) -> Arc<dyn Host> {
    let host = match std::env::var("HOP3_FAULT") {
        Ok(text) => {
            let fault: Fault = text.parse().expect("HOP3_FAULT names a fault");
            FaultHost::meeting(machine, fault)
        }
        Err(_) => FaultHost::counting(machine),
    };
    let host = match std::env::var("HOP3_FAULT_ROOT") {
        Ok(root) => host.beneath(root),
        Err(_) => host,
    };
    match std::env::var("HOP3_FAULT_JOURNAL") {
        Ok(path) => Arc::new(host.telling(move |name| tell(&path, name))),
        Err(_) => Arc::new(host),
    }
}

fn tell(journal: &str, name: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(journal)
        .expect("the journal can be opened");
    file.write_all(format!("{name}\n").as_bytes())
        .expect("the journal can be written");
}
