//! The JSON schemas of everything that people write and programs read, composed from the core's types and the sections of linked plugins.
//! The same schemas that editors get decide at run time. It never reads a file.
//!
//! What people read of them comes from doc comments: titles, descriptions, words and defaults (`house`); examples come from whole files that
//! are valid ([`samples`]); [`mod@reference`] makes pages of both.

mod house;
pub mod reference;
pub mod samples;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hop3_plugin_api::{SectionDescriptor, Slot};
use jsonschema::Validator;
use schemars::generate::SchemaSettings;
use schemars::transform::Transform as _;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use self::house::{Answer, House};
use crate::config::{AgentFile, HostFile};
use crate::spec::{HopFile, Linked};

/// A schema, compiled when something is to be checked with it.
pub(crate) struct Document {
    /// The schema, without references.
    pub(crate) schema: Value,
    compiled: Mutex<Option<Arc<Validator>>>,
}

impl Document {
    fn new(schema: Value) -> Self {
        Self {
            schema,
            compiled: Mutex::default(),
        }
    }

    /// The schema, compiled at the first call and kept until [`Schemas::rest`].
    pub(crate) fn validator(&self) -> Arc<Validator> {
        let compile = || {
            let compiled = jsonschema::validator_for(&self.schema);
            Arc::new(compiled.expect("composed schemas are valid"))
        };
        Arc::clone(self.compiled().get_or_insert_with(compile))
    }

    fn compiled(&self) -> MutexGuard<'_, Option<Arc<Validator>>> {
        let compiled = self.compiled.lock();
        compiled.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The composed schemas of one binary.
pub struct Schemas {
    pub(crate) hop3: Document,
    pub(crate) agent: Document,
    pub(crate) host: Document,
    /// The names of plugins that are linked.
    pub(crate) plugins: Vec<String>,
    /// The types of addons whose settings are known.
    pub(crate) addons: BTreeMap<String, Value>,
    /// The names of what is linked, for remarks on names that are not.
    pub(crate) linked: Linked,
}

impl Schemas {
    /// Composes the schemas of the core and of the plugins that have sections.
    pub fn compose(sections: &[SectionDescriptor]) -> Self {
        Self::compose_for(&[], sections)
    }

    /// Composes the schemas, knowing the names of linked plugins that have no section of their own too.
    pub fn compose_for(plugins: &[&str], sections: &[SectionDescriptor]) -> Self {
        let mut names: Vec<String> = plugins.iter().map(|name| (*name).to_owned()).collect();
        names.extend(
            sections
                .iter()
                .filter(|s| s.slot != Slot::Addon)
                .map(|s| s.name.to_owned()),
        );
        names.sort();
        names.dedup();
        let addons = of_slot(sections, Slot::Addon);
        let mut hop3 = root::<HopFile>();
        insert_plugins(&mut hop3, &names, of_slot(sections, Slot::App));
        insert_addons(&mut hop3, &addons);
        let host_plugins = of_slot(sections, Slot::Host);
        let [agent, host] = [root::<AgentFile>(), root::<HostFile>()].map(|mut schema| {
            insert_plugins(&mut schema, &names, host_plugins.clone());
            Document::new(schema)
        });
        Self {
            hop3: Document::new(hop3),
            agent,
            host,
            plugins: names,
            addons,
            linked: Linked::default(),
        }
    }

    /// The same, knowing the names of builders, toolchains and the like that are linked.
    #[must_use]
    pub fn knowing(self, linked: Linked) -> Self {
        Self { linked, ..self }
    }

    /// Gives the memory of compiled schemas back, until something is to be checked again.
    pub fn rest(&self) {
        for document in [&self.hop3, &self.agent, &self.host] {
            *document.compiled() = None;
        }
    }

    /// Every schema by the name under which `schema/` keeps it: those of the files with their examples, and the given ones of what programs read.
    pub fn documents(&self, extra: Vec<(&'static str, Value)>) -> BTreeMap<&'static str, Value> {
        let mut documents: BTreeMap<_, _> = extra.into_iter().collect();
        let files = [
            ("hop3", &self.hop3),
            ("agent", &self.agent),
            ("host", &self.host),
        ];
        documents.extend(files.map(|(name, document)| {
            let mut schema = document.schema.clone();
            samples::illustrate(&mut schema, name);
            (name, schema)
        }));
        for (name, schema) in &mut documents {
            schema["$id"] = json!(format!("urn:hop3-agent:schema:{name}"));
        }
        documents
    }
}

/// The schema of a type in the house's form: no references, no null, one enumeration instead of a branch per word.
pub fn root<T: JsonSchema>() -> Value {
    generator().into_root_schema_for::<T>().to_value()
}

/// The schema of what programs read: like [`root`], but JSON knows null where TOML does not.
pub fn answer<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(Answer)
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(House)
        .into_generator()
}

fn of_slot(sections: &[SectionDescriptor], slot: Slot) -> BTreeMap<String, Value> {
    let schema = |section: &SectionDescriptor| {
        let mut schema = (section.schema)(&mut generator());
        House.transform(&mut schema);
        schema.to_value()
    };
    let wanted = sections.iter().filter(|section| section.slot == slot);
    wanted
        .map(|section| (section.name.to_owned(), schema(section)))
        .collect()
}

/// Puts the plugins' sections below `plugin`; one of a plugin that is not linked stays open.
fn insert_plugins(root: &mut Value, names: &[String], mut sections: BTreeMap<String, Value>) {
    let enabled = json!({ "type": "boolean", "description": "Whether the plugin may be chosen.", "default": true });
    let closed = || json!({ "type": "object", "additionalProperties": false });
    let mut properties = Map::new();
    for name in names {
        let mut section = sections.remove(name).unwrap_or_else(closed);
        if section.get("properties").is_none() {
            section["properties"] = json!({});
        }
        section["properties"]["enabled"] = enabled.clone();
        if section.get("description").is_none() {
            section["description"] = json!(format!("Settings of the plugin `{name}`."));
        }
        properties.insert(name.clone(), section);
    }
    let plugin = &mut root["properties"]["plugin"];
    plugin["properties"] = Value::Object(properties);
    plugin["additionalProperties"] =
        json!({ "type": "object", "properties": { "enabled": enabled } });
}

/// Adds to an addon's entry what its type asks for. Entries stay open: an unknown key is a note.
fn insert_addons(root: &mut Value, addons: &BTreeMap<String, Value>) {
    let rule = |(name, schema): (&String, &Value)| {
        let by_type = json!({ "properties": { "type": { "const": name } }, "required": ["type"] });
        let by_name = json!({
            "not": { "required": ["type"] }, "properties": { "name": { "const": name } }, "required": ["name"]
        });
        let mut settings = schema.clone();
        if let Some(settings) = settings.as_object_mut() {
            settings.remove("additionalProperties");
        }
        json!({ "if": { "anyOf": [by_type, by_name] }, "then": settings })
    };
    let rules: Vec<Value> = addons.iter().map(rule).collect();
    for section in ["addons", "provider"] {
        if !rules.is_empty() {
            root["properties"][section]["items"]["allOf"] = Value::Array(rules.clone());
        }
    }
}
