//! `[[addons]]`, and the older `[[provider]]`.

use std::collections::{BTreeMap, BTreeSet};

use hop3_plugin_api::{AddonInstance, AddonName, PluginName};
use serde_json::{Map, Value};

use super::Draft;
use super::tell::related;
use crate::spec::linked::Part;
use crate::spec::sections::{AddonEntry, OnRemove};
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

/// Entries by their numbers; those that the schema refused are missing.
type Entries = Vec<Option<AddonEntry>>;

/// An addon with the pointer of its entry.
type Placed = (String, AddonInstance);

impl Draft<'_> {
    pub(super) fn addons(
        &mut self,
        addons: Option<Entries>,
        provider: Option<Entries>,
    ) -> Vec<AddonInstance> {
        let (section, entries) = match (addons, provider) {
            (Some(addons), None) => ("addons", addons),
            (None, Some(provider)) => {
                let message = "`[[provider]]` is the older name of `[[addons]]`";
                self.note("/provider", message);
                ("provider", provider)
            }
            (Some(_), Some(_)) => {
                let words = (
                    "`[[provider]]` and `[[addons]]` cannot both stand".to_owned(),
                    "write its entries as `[[addons]]` too".to_owned(),
                );
                self.conflict("/provider", ("/addons", "the addons stand here too"), words);
                return Vec::new();
            }
            (None, None) => return Vec::new(),
        };
        let numbered = entries.into_iter().enumerate();
        let instances: Vec<Placed> = numbered
            .filter_map(|(index, entry)| {
                let pointer = format!("/{section}/{index}");
                let instance = self.addon(&pointer, entry?)?;
                Some((pointer, instance))
            })
            .collect();
        self.refuse_twins(&instances);
        instances
            .into_iter()
            .map(|(_, instance)| instance)
            .collect()
    }

    fn addon(&mut self, pointer: &str, entry: AddonEntry) -> Option<AddonInstance> {
        self.unbuilt_keys(pointer, &entry);
        let (kind, name) = match (entry.kind, entry.name) {
            (Some(kind), Some(name)) => (kind, name),
            (Some(kind), None) => {
                let name = AddonName::parse(kind.as_str());
                (kind, name.expect("a plugin's name is an addon's name"))
            }
            (None, Some(name)) => (self.legacy_type(pointer, &name)?, name),
            (None, None) => {
                let hint = "add `type = \"postgres\"` or another type";
                self.key_error(pointer, "`[[addons]]` lacks the key `type`", hint);
                return None;
            }
        };
        let word = if self
            .tree
            .value
            .pointer(&format!("{pointer}/type"))
            .is_some()
        {
            "type"
        } else {
            "name"
        };
        self.linked_or_told(Part::Addon, &format!("{pointer}/{word}"), kind.as_str());
        let settings = self.settings(pointer, &kind, entry.settings);
        Some(AddonInstance {
            kind,
            name,
            settings,
        })
    }

    fn legacy_type(&mut self, pointer: &str, name: &AddonName) -> Option<PluginName> {
        let at = format!("{pointer}/name");
        let Ok(kind) = PluginName::parse(name.as_str()) else {
            let hint = "add `type = \"postgres\"` or another type";
            let message = format!("`[[provider]]` lacks the key `type`, and `{name}` is none");
            self.error(&at, message, hint);
            return None;
        };
        let message = format!("without `type` this is read as `type = \"{kind}\"`");
        self.note(&at, message);
        Some(kind)
    }

    fn unbuilt_keys(&mut self, pointer: &str, entry: &AddonEntry) {
        let given = [
            ("on-remove", entry.on_remove == Some(OnRemove::Delete)),
            ("backup", entry.backup.is_some()),
            ("share-from", entry.share_from.is_some()),
            ("fresh", entry.fresh == Some(true)),
            ("rotate", entry.rotate.is_some()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            self.unbuilt(&format!("{pointer}/{key}"), format!("[[addons]] {key}"));
        }
        let Some(backup) = &entry.backup else { return };
        if let Some(schedule) = &backup.schedule {
            self.schedule(&format!("{pointer}/backup/schedule"), &schedule.0);
        }
        for key in backup.older.keys() {
            let at = format!("{pointer}/backup/{}", escape(key));
            let message = "without effect here: a backup has a `schedule` and a `retention`";
            let hint = did_you_mean(key, ["schedule", "retention"]);
            self.remark(|tree| tree.note(&at, message).hint(hint));
        }
    }

    /// The type's own settings. A key that a linked type does not know is told and left out, so that its reader meets known keys only.
    fn settings(
        &mut self,
        pointer: &str,
        kind: &PluginName,
        settings: BTreeMap<String, Value>,
    ) -> Value {
        let schemas = self.schemas;
        let Some(schema) = schemas.addons.get(kind.as_str()) else {
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
            let (at, hint) = (
                format!("{pointer}/{}", escape(&key)),
                did_you_mean(&key, names),
            );
            self.remark(|tree| tree.note(&at, message).hint(hint));
        }
        Value::Object(kept)
    }

    fn refuse_twins(&mut self, instances: &[Placed]) {
        let mut first: BTreeMap<&AddonName, &str> = BTreeMap::new();
        for (pointer, instance) in instances {
            let Some(other) = first.get(&instance.name) else {
                first.insert(&instance.name, pointer);
                continue;
            };
            let message = format!("two addons have the name `{}`", instance.name);
            let hint = "give this one a `name` of its own";
            let other = (*other).to_owned();
            self.tell(|tree| {
                let found = tree.key_error(pointer, message).hint(hint);
                found.related(related(tree, &other, "the first one"))
            });
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
