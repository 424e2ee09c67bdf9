//! The toolchain's plan with the spec's own commands among its steps. Pure.

use hop3_plugin_api::{AppConfig, BuildCommand, BuildPlan, BuildStep};

/// `before-build`, the toolchain's steps, `build`, `after-build`, `test`, then what takes away what only these needed; `[build.env]` above
/// the toolchain's variables. What it makes runs on this host, so the host needs the packages of the build and those of the app.
pub(crate) fn merged(mut plan: BuildPlan, config: &AppConfig) -> BuildPlan {
    let build = &config.build;
    let toolchain_steps = std::mem::take(&mut plan.steps);
    plan.steps = hooks("before-build", &build.before_build)
        .chain(toolchain_steps)
        .chain(hooks("build", &build.build))
        .chain(hooks("after-build", &build.after_build))
        .chain(hooks("test", &build.test))
        .chain(std::mem::take(&mut plan.finish))
        .collect();
    plan.packages.clone_from(&build.packages);
    let env = build.env.iter();
    plan.env
        .extend(env.map(|(key, value)| (key.clone(), value.clone())));
    for directory in &config.writable {
        if !plan.runtime.writable.contains(directory) {
            plan.runtime.writable.push(directory.clone());
        }
    }
    plan
}

fn hooks<'a>(name: &'a str, commands: &'a [String]) -> impl Iterator<Item = BuildStep> + 'a {
    commands.iter().map(move |command| BuildStep {
        name: name.to_owned(),
        command: BuildCommand::Shell(command.clone()),
        network: false,
    })
}
