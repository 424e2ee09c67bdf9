//! `hosts/<host>.toml`: which apps of the config repo a host runs, and by which plugins.

use std::collections::BTreeMap;

use hop3_plugin_api::PluginName;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Unbuilt, globs, read, strangers};
use crate::schema::Schemas;
use crate::spec::check::Kinds;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::tree::Tree;

const UNBUILT: [Unbuilt; 3] = [
    (
        "/wave-delay",
        "remove the key; every host applies a commit at once",
    ),
    ("/previews", "remove the section"),
    (
        "/addons",
        "declare the addon in the `hop3.toml` of the app that uses it",
    ),
];

/// One host of the config repo.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(title = "hosts/<host>.toml")]
pub(crate) struct HostFile {
    /// Directories of the apps that run here, with `*` and `?`. Default: all.
    apps: Option<Vec<String>>,
    /// Words about the host, for people.
    labels: Option<BTreeMap<String, String>>,
    /// The builder of apps that name none.
    builder: Option<PluginName>,
    /// The deployer of apps that name none.
    deployer: Option<PluginName>,
    /// The proxy.
    proxy: Option<PluginName>,
    /// Settings of plugins, by plugin.
    plugin: Option<BTreeMap<String, Value>>,
    /// How long this host waits after the others. Not built yet.
    #[serde(rename = "wave-delay")]
    _wave_delay: Option<Value>,
    /// Apps of branches. Not built yet.
    #[serde(rename = "previews")]
    _previews: Option<Value>,
    /// Data services of the host. Not built yet.
    #[serde(rename = "addons")]
    _addons: Option<Value>,
}

/// A host file with its defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostConfig {
    /// Patterns of app directory names; none means all apps.
    pub apps: Option<Vec<String>>,
    /// Words about the host.
    pub labels: BTreeMap<String, String>,
    /// The builder of apps that name none.
    pub builder: Option<PluginName>,
    /// The deployer of apps that name none.
    pub deployer: Option<PluginName>,
    /// The proxy.
    pub proxy: Option<PluginName>,
    /// Settings of plugins, by plugin.
    pub plugin: BTreeMap<String, Value>,
    /// Remarks that stop nothing.
    pub notes: Vec<Diagnostic>,
}

impl HostConfig {
    /// Reads a host file. `path` is what messages call it.
    pub fn parse(text: &str, path: &str, schemas: &Schemas) -> Result<Self, Vec<Diagnostic>> {
        Self::read(text.as_bytes(), path, schemas)
    }

    /// Reads the bytes of a host file.
    pub fn read(bytes: &[u8], path: &str, schemas: &Schemas) -> Result<Self, Vec<Diagnostic>> {
        Self::of(&Tree::read(path, bytes)?, schemas)
    }

    /// Reads a host file that is a tree already.
    pub(crate) fn of(tree: &Tree, schemas: &Schemas) -> Result<Self, Vec<Diagnostic>> {
        let others = [
            ("agent.toml on the host", &schemas.agent),
            ("the app's hop3.toml", &schemas.hop3),
        ];
        let file: HostFile = read(
            tree,
            &Kinds {
                own: &schemas.host,
                others,
            },
            &UNBUILT,
        )?;
        Ok(Self {
            apps: file.apps,
            labels: file.labels.unwrap_or_default(),
            builder: file.builder.filter(|name| name.as_str() != "auto"),
            deployer: file.deployer.filter(|name| name.as_str() != "auto"),
            proxy: file.proxy,
            plugin: file.plugin.unwrap_or_default(),
            notes: strangers(tree, &schemas.plugins),
        })
    }

    /// Whether the app of a directory (`shop` of `apps/shop`) runs on this host.
    pub fn runs(&self, directory: &str) -> bool {
        let patterns = self.apps.as_ref();
        patterns.is_none_or(|patterns| patterns.iter().any(|it| Self::fits(it, directory)))
    }

    /// Whether one pattern takes the app of a directory.
    pub fn fits(pattern: &str, directory: &str) -> bool {
        globs::fits(pattern, directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<HostConfig, Vec<(u32, String, Option<String>)>> {
        HostConfig::parse(text, "hosts/web1.toml", &Schemas::compose(&[])).map_err(|found| {
            found
                .into_iter()
                .map(|d| (d.position.line, d.message, d.hint))
                .collect()
        })
    }

    #[test]
    fn globs_choose_the_apps() {
        let host = parse("apps = [\"shop-*\", \"blog\"]\n[labels]\nzone = \"eu\"\n").unwrap();
        assert!(host.runs("shop-eu") && host.runs("blog") && !host.runs("wiki"));
        assert!(parse("").unwrap().runs("anything"));
        assert!(!parse("apps = []").unwrap().runs("anything"));
    }

    #[test]
    fn what_belongs_to_the_operator_is_refused_with_its_file() {
        let found = parse("data-dir = \"/x\"\n[policy]\nusers = \"none\"\n").unwrap_err();
        assert_eq!(
            found[0].2.as_deref(),
            Some("`data-dir` belongs in agent.toml on the host")
        );
        assert_eq!(
            found[1].2.as_deref(),
            Some("`policy` belongs in agent.toml on the host")
        );
    }

    #[test]
    fn a_plugin_that_is_not_linked_is_a_note() {
        let host = parse("[plugin.nginx]\nenabled = false\n").unwrap();
        assert_eq!(host.notes.len(), 1);
        assert!(host.notes[0].message.contains("`nginx` is not linked"));
    }
}
