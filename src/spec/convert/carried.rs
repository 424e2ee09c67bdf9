//! What carries the app: `[deploy]`, `[docker]`, `[limits]` and the settings of plugins.

use std::collections::BTreeMap;

use hop3_plugin_api::Limits;
use serde_json::{Map, Value};

use super::Draft;
use crate::spec::app::{DeploySettings, OnInterrupt, SourceSpec, Strategy};
use crate::spec::linked::Part;
use crate::spec::sections::{
    Deploy, Docker, Drift, InterruptPolicy, LimitsSection, RolloutStrategy,
};
use crate::spec::suggest::{did_you_mean, one_of, shortened};
use crate::spec::tree::escape;

impl Draft<'_> {
    pub(super) fn deploy(&mut self, section: Option<&Deploy>) -> DeploySettings {
        let Some(section) = section else {
            return DeploySettings::default();
        };
        let defaults = DeploySettings::default();
        DeploySettings {
            deployer: self.choice(
                Part::Deployer,
                "/deploy/deployer",
                section.deployer.as_deref(),
            ),
            after: section.after.clone().unwrap_or_default(),
            strategy: match section.strategy {
                Some(RolloutStrategy::Recreate) => Strategy::Recreate,
                Some(RolloutStrategy::BlueGreen) | None => Strategy::BlueGreen,
            },
            overlap: section.overlap.unwrap_or(defaults.overlap),
            drain_timeout: section
                .drain_timeout
                .map_or(defaults.drain_timeout, |period| period.0),
            keep_releases: section.keep_releases.unwrap_or(defaults.keep_releases),
            on_interrupt: match section.on_interrupt {
                Some(InterruptPolicy::Hold) => OnInterrupt::Hold,
                Some(InterruptPolicy::Retry) | None => OnInterrupt::Retry,
            },
            heal: section.drift != Some(Drift::Report),
            return_after_release_command: section.return_after_release_command.unwrap_or_default(),
        }
    }

    pub(super) fn plugins(&mut self) -> BTreeMap<String, Value> {
        let tables = self.tree.value.get("plugin").and_then(Value::as_object);
        let plugins: BTreeMap<String, Value> = tables
            .into_iter()
            .flatten()
            .map(|(name, table)| (name.clone(), table.clone()))
            .collect();
        let schemas = self.schemas;
        let linked = &schemas.plugins;
        for name in plugins.keys().filter(|name| !linked.contains(name)) {
            let message = format!(
                "the plugin `{name}` is not linked into this binary; its settings are not checked"
            );
            let hint = did_you_mean(name, linked.iter().map(String::as_str));
            let pointer = format!("/plugin/{}", escape(name));
            self.remark(|tree| tree.note(&pointer, message).hint(hint));
        }
        plugins
    }

    pub(super) fn docker(&mut self, section: Option<&Docker>) {
        const RUNTIMES: [&str; 2] = ["docker", "docker-compose"];
        let runtime = section.and_then(|docker| docker.runtime.as_deref());
        if let Some(runtime) = runtime.filter(|runtime| !RUNTIMES.contains(runtime)) {
            let message = format!(
                "without effect here: there is no runtime `{}`",
                shortened(runtime)
            );
            let hint = did_you_mean(runtime, RUNTIMES);
            let hint = hint.unwrap_or_else(|| format!("it is {}", one_of(&RUNTIMES)));
            self.remark(|tree| tree.value_note("/docker/runtime", message).hint(hint));
        }
    }

    pub(super) fn limits(&mut self, section: Option<&LimitsSection>) -> Limits {
        let memory = section.and_then(|limits| limits.memory);
        if memory.is_some_and(|memory| memory.0 == 0) {
            let hint = "write what the app needs, such as `\"512M\"`";
            self.error("/limits/memory", "no program runs in no memory", hint);
        }
        let processes = section.and_then(|limits| limits.processes);
        Limits {
            memory: memory.map(|memory| memory.0),
            processes: processes.map(std::num::NonZeroU64::get),
            ..Limits::default()
        }
    }
}

/// `[docker]` as the builder reads it: a pinned image is one of its settings.
pub(super) fn with_image(docker: Option<Value>, source: Option<&SourceSpec>) -> Option<Value> {
    let Some(SourceSpec::Image(image)) = source else {
        return docker;
    };
    let mut docker = docker.unwrap_or_else(|| Value::Object(Map::new()));
    docker
        .as_object_mut()?
        .insert("image".to_owned(), Value::from(image.as_str()));
    Some(docker)
}
