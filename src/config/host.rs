//! `hosts/<host>.toml`: which apps of the config repo a host runs, and by which plugins.

use std::collections::BTreeMap;

use hop3_plugin_api::PluginName;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::later::Previews;
use super::{Found, Unbuilt, globs, plugin_tables, read, strangers};
use crate::schema::Schemas;
use crate::spec::check::Kinds;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::linked::Part;
use crate::spec::sections::{AddonEntry, List, Period, PluginTable};
use crate::spec::suggest::shortened;
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
    #[serde(rename = "plugin")]
    _plugin: Option<BTreeMap<String, PluginTable>>,
    /// How long this host waits after the others, such as `10m`. Not built yet.
    #[serde(rename = "wave-delay")]
    _wave_delay: Option<Period>,
    /// Apps of branches. Not built yet.
    #[serde(rename = "previews")]
    _previews: Option<Previews>,
    /// Data services of the host, which apps can share. Not built yet.
    #[serde(rename = "addons")]
    _addons: Option<List<AddonEntry>>,
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
        let tree = Tree::read(path, text.as_bytes())?;
        let others = [
            ("agent.toml on the host", &schemas.agent),
            ("the app's hop3.toml", &schemas.hop3),
        ];
        let kinds = Kinds {
            own: &schemas.host,
            others,
        };
        let (file, mut found) = read::<HostFile>(&tree, &kinds, &UNBUILT);
        not_directories(&tree, file.apps.as_deref(), &mut found);
        found.or_mistakes()?;
        let mut notes = strangers(&tree, &schemas.plugins);
        notes.extend(not_linked(&tree, &file, schemas));
        Ok(Self {
            apps: file.apps,
            labels: file.labels.unwrap_or_default(),
            builder: file.builder.filter(|name| name.as_str() != "auto"),
            deployer: file.deployer.filter(|name| name.as_str() != "auto"),
            proxy: file.proxy,
            plugin: plugin_tables(&tree),
            notes,
        })
    }

    /// Whether the app of a directory (`shop` of `apps/shop`) runs on this host.
    pub fn runs(&self, directory: &str) -> bool {
        let patterns = self.apps.as_ref();
        patterns.is_none_or(|patterns| {
            patterns
                .iter()
                .any(|pattern| globs::fits(pattern, directory))
        })
    }
}

/// Apps are named by the directories that they lie in.
fn not_directories(tree: &Tree, apps: Option<&[String]>, found: &mut Found) {
    for (index, pattern) in apps.into_iter().flatten().enumerate() {
        if let Some((_, name)) = pattern.trim_end_matches('/').rsplit_once('/') {
            let message = format!(
                "`{}` fits no app, for an app's name has no `/`",
                shortened(pattern)
            );
            let hint = format!(
                "write `\"{}\"`, the directory below `apps`",
                shortened(name)
            );
            found.push(tree.error(&format!("/apps/{index}"), message).hint(hint));
        }
    }
}

/// Notes on plugins that apps of this host would be refused for.
fn not_linked(tree: &Tree, file: &HostFile, schemas: &Schemas) -> Vec<Diagnostic> {
    let linked = &schemas.linked;
    let named = [
        ("/builder", Part::Builder, &file.builder),
        ("/deployer", Part::Deployer, &file.deployer),
        ("/proxy", Part::Proxy, &file.proxy),
    ];
    let mut notes = Vec::new();
    for (pointer, part, name) in named {
        let Some(name) = name.as_ref().map(PluginName::as_str) else {
            continue;
        };
        if name != "auto" && !linked.has(part, name) {
            let message = format!(
                "this binary brings no {} `{name}`, so it can deploy no app with it",
                part.word()
            );
            notes.push(
                tree.value_note(pointer, message)
                    .hint(linked.instead(part, name)),
            );
        }
    }
    notes
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
