//! Reads agent.toml for a command.

use crate::compose::Settings;
use crate::config::AgentConfig;
use crate::registry::Registry;
use crate::schema::Schemas;
use crate::spec::{Linked, Sources, render};

use super::Global;
use super::output::{CliError, colored};

/// The schemas of what is linked.
pub(super) fn schemas(registry: &Registry) -> Schemas {
    let names: Vec<&str> = registry.linked().iter().map(|linked| linked.name).collect();
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    Schemas::compose_for(&names, &registry.sections()).knowing(Linked {
        builders: owned(registry.builders.names().collect()),
        toolchains: owned(registry.toolchains.names().collect()),
        deployers: owned(registry.deployers.names().collect()),
        proxies: owned(registry.proxies.names().collect()),
        addons: owned(registry.addons.names().collect()),
    })
}

/// The settings that a command's options lead to.
pub(super) fn load(global: &Global, registry: &Registry) -> Result<Settings, CliError> {
    let path = global.config.display().to_string();
    let text = std::fs::read_to_string(&global.config).map_err(|error| {
        CliError::new(format!("could not read `{path}`: {error}"))
            .hint("name another file with `--config`, or write one with `hop3-agent init`")
    })?;
    let schemas = schemas(registry);
    let mut config = AgentConfig::parse(&text, &path, &schemas).map_err(|errors| {
        let sources = Sources::from([(path.clone(), text.clone())]);
        CliError::new(format!(
            "`{path}` is not valid\n{}",
            render(&errors, &sources, colored(global.color))
        ))
    })?;
    if let Some(data_dir) = &global.data_dir {
        config.data_dir.clone_from(data_dir);
    }
    Ok(Settings::new(config, schemas, registry))
}
