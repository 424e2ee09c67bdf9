//! `[[addons]]`, and the older `[[provider]]`.

use std::collections::{BTreeMap, BTreeSet};

use hop3_plugin_api::{AddonInstance, AddonName, PluginName};
use serde_json::{Map, Value};

use super::Draft;
use crate::spec::sections::AddonEntry;
use crate::spec::suggest::did_you_mean;
use crate::spec::tree::escape;

/// Keys that every addon has.
const COMMON: [&str; 7] = [
    "type",
    "name",
    "on-remove",
    "backup",
    "share-from",
    "fresh",
    "rotate",
];

impl Draft<'_> {
    pub(super) fn addons(
        &mut self,
        addons: Option<Vec<AddonEntry>>,
        provider: Option<Vec<AddonEntry>>,
    ) -> Vec<AddonInstance> {
        let (section, entries) = match (addons, provider) {
            (Some(addons), None) => ("addons", addons),
            (None, Some(provider)) => {
                self.note(
                    "/provider",
                    "`[[provider]]` is the older name of `[[addons]]`",
                );
                ("provider", provider)
            }
            (Some(_), Some(_)) => {
                let hint = "move its entries to `[[addons]]`";
                self.error(
                    "/provider",
                    "`[[provider]]` and `[[addons]]` cannot both stand",
                    hint,
                );
                return Vec::new();
            }
            (None, None) => return Vec::new(),
        };
        let numbered = entries.into_iter().enumerate();
        let instances: Vec<AddonInstance> = numbered
            .filter_map(|(index, entry)| self.addon(&format!("/{section}/{index}"), entry))
            .collect();
        self.refuse_twins(section, &instances);
        instances
    }

    fn addon(&mut self, pointer: &str, entry: AddonEntry) -> Option<AddonInstance> {
        self.unbuilt_keys(pointer, &entry);
        let (kind, name) = match (entry.kind, entry.name) {
            (Some(kind), Some(name)) => (kind, name),
            (Some(kind), None) => {
                let name =
                    AddonName::parse(kind.as_str()).expect("a plugin's name is an addon's name");
                (kind, name)
            }
            (None, Some(name)) => (self.legacy_type(pointer, &name)?, name),
            (None, None) => {
                let hint = "write `type = \"postgres\"` or the like";
                self.found.push(
                    self.tree
                        .key_error(pointer, "the addon lacks the key `type`")
                        .hint(hint),
                );
                return None;
            }
        };
        let settings = self.settings(pointer, &kind, entry.settings);
        Some(AddonInstance {
            kind,
            name,
            settings,
        })
    }

    fn legacy_type(&mut self, pointer: &str, name: &AddonName) -> Option<PluginName> {
        let at = format!("{pointer}/name");
        match PluginName::parse(name.as_str()) {
            Ok(kind) => {
                self.note(
                    &at,
                    format!("without `type` this is read as `type = \"{kind}\"`"),
                );
                Some(kind)
            }
            Err(error) => {
                self.error(&at, error.to_string(), "add the key `type`");
                None
            }
        }
    }

    fn unbuilt_keys(&mut self, pointer: &str, entry: &AddonEntry) {
        let given = [
            (
                "on-remove",
                entry.on_remove == Some(crate::spec::sections::OnRemove::Delete),
            ),
            ("backup", entry.backup.is_some()),
            ("share-from", entry.share_from.is_some()),
            ("fresh", entry.fresh.is_some()),
            ("rotate", entry.rotate.is_some()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            self.unbuilt(&format!("{pointer}/{key}"), format!("[[addons]] {key}"));
        }
    }

    /// The type's own settings. A key that a linked type does not know is told and left out, so that its reader meets known keys only.
    fn settings(
        &mut self,
        pointer: &str,
        kind: &PluginName,
        settings: BTreeMap<String, Value>,
    ) -> Value {
        let Some(schema) = self.schemas.addons.get(kind.as_str()) else {
            return settings.into_iter().collect();
        };
        let known = schema.get("properties").and_then(Value::as_object);
        let mut kept = Map::new();
        for (key, value) in settings {
            if known.is_some_and(|known| known.contains_key(&key)) {
                kept.insert(key, value);
                continue;
            }
            let names = known
                .into_iter()
                .flat_map(Map::keys)
                .map(String::as_str)
                .chain(COMMON);
            let message = format!("`{kind}` has no setting `{key}`; it is ignored");
            let note = self
                .tree
                .note(&format!("{pointer}/{}", escape(&key)), message);
            self.found.push(note.hint(did_you_mean(&key, names)));
        }
        Value::Object(kept)
    }

    fn refuse_twins(&mut self, section: &str, instances: &[AddonInstance]) {
        let mut names = BTreeSet::new();
        for (index, instance) in instances.iter().enumerate() {
            if !names.insert(&instance.name) {
                let message = format!("two addons have the name `{}`", instance.name);
                let diagnostic = self.tree.key_error(&format!("/{section}/{index}"), message);
                self.found
                    .push(diagnostic.hint("give this one a `name` of its own"));
            }
        }
    }
}

/// The prefix of each addon's variables: none for the first of a type, the addon's name for the others.
pub(super) fn prefixes(addons: &[AddonInstance]) -> BTreeMap<AddonName, Option<String>> {
    let mut kinds = BTreeSet::new();
    let prefix = |addon: &AddonInstance| {
        let first = kinds.insert(addon.kind.clone());
        (!first).then(|| format!("{}_", addon.name.as_str().to_uppercase().replace('-', "_")))
    };
    let names = addons.iter().map(|addon| addon.name.clone());
    names.zip(addons.iter().map(prefix)).collect()
}
