//! Looking for tools without an app: what `doctor` tells of a host. Asks each tool for its version and changes nothing.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use hop3_plugin_api::{Finding, HostContext};

use crate::{packages, tools};

/// Every tool with its version, or the package that brings it.
pub(crate) async fn examine(machine: HostContext<'_>, programs: &BTreeSet<String>) -> Vec<Finding> {
    join_all(programs.iter().map(|program| one(machine, program))).await
}

async fn one(machine: HostContext<'_>, program: &str) -> Finding {
    let Some(path) = machine.host.find_program(program) else {
        return Finding::missing(program, packages::hint(program));
    };
    let task = tools::version_task(machine.host, program, &path);
    let exit = match machine.host.run(&task).await {
        Ok(exit) => exit,
        Err(error) => return Finding::faulty(program, error.to_string()),
    };
    if !exit.success() {
        let says = format!("`{}` {}", task.command_line(), exit.status);
        return Finding::faulty(program, says).hint(packages::hint(program));
    }
    let version = tools::version_of(program, &exit.tail);
    Finding::fine(program, format!("{version}, {}", path.display()))
}
