//! The composition root: linked plugins in, a running program out. The only place where everything meets.

use std::process::ExitCode;
use std::sync::Arc;

use hop3_plugin_api::{Abort, Entrypoint, Plugin};

use crate::cli;
use crate::host::internal_task;
use crate::registry::{Between, Registry};
use crate::repo::internal_fetch;

/// An agent with its plugins.
pub struct Agent;

impl Agent {
    /// An agent without plugins.
    pub fn builder() -> AgentBuilder {
        AgentBuilder {
            plugins: Vec::new(),
            between: None,
        }
    }
}

/// Collects plugins. A third party writes its own `main` with it.
pub struct AgentBuilder {
    plugins: Vec<Arc<dyn Plugin>>,
    between: Option<Between>,
}

impl AgentBuilder {
    /// Links plugins.
    #[must_use]
    pub fn plugins(mut self, plugins: Vec<Arc<dyn Plugin>>) -> Self {
        self.plugins.extend(plugins);
        self
    }

    /// Links one plugin.
    #[must_use]
    pub fn plugin(self, plugin: impl Plugin + 'static) -> Self {
        self.plugins(vec![Arc::new(plugin)])
    }

    /// Links a plugin in place of the one of the same name.
    #[must_use]
    pub fn replace(mut self, plugin: impl Plugin + 'static) -> Self {
        self.plugins.retain(|other| other.name() != plugin.name());
        self.plugin(plugin)
    }

    /// Puts a host of one's own between the agent and the machine: one that counts, delays or fails, to prove what becomes of plugins then.
    #[must_use]
    pub fn between(mut self, between: Between) -> Self {
        self.between = Some(between);
        self
    }

    /// Checks the plugins' names.
    pub fn registry(self) -> Result<Registry, Abort> {
        Ok(Registry::new(self.plugins)?.with_between(self.between))
    }

    /// Runs what the command line asks for: a helper process, else a command.
    pub fn run(self) -> ExitCode {
        let arguments: Vec<String> = std::env::args_os()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        // Helper processes are many and small: they start before anything else is made.
        if let Some(helper) = arguments
            .get(1)
            .filter(|name| name.starts_with("internal-"))
        {
            let entrypoints = self.plugins.iter().flat_map(|plugin| plugin.entrypoints());
            return helper_process(helper, &arguments[2..], entrypoints);
        }
        match self.registry() {
            Ok(registry) => cli::run(&registry, &arguments),
            Err(refusal) => cli::refuse(&refusal),
        }
    }
}

fn helper_process(
    name: &str,
    arguments: &[String],
    entrypoints: impl Iterator<Item = Entrypoint>,
) -> ExitCode {
    let own = [
        Entrypoint {
            name: "internal-task",
            run: internal_task,
        },
        Entrypoint {
            name: "internal-fetch",
            run: internal_fetch,
        },
    ];
    match own
        .into_iter()
        .chain(entrypoints)
        .find(|entrypoint| entrypoint.name == name)
    {
        Some(entrypoint) => (entrypoint.run)(arguments.to_vec()),
        None => cli::refuse(&Abort::new(format!(
            "there is no helper process `{name}` in this binary"
        ))),
    }
}
