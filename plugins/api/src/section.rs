//! Configuration sections of plugins: a type that knows its place, kept with the type erased.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Where a section stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// `[plugin.<name>]` of a spec.
    App,
    /// An entry of `[[addons]]` with `type = "<name>"`, without `type`, `name` and the keys that every addon has.
    Addon,
    /// `[plugin.<name>]` of agent.toml, and of `hosts/*.toml` for the keys that the operator lets be tuned.
    Host,
}

/// A plugin's settings.
///
/// Assumptions: `deny_unknown_fields`, kebab-case keys, a doc comment on every field, and a `#[schemars(rename = "<plugin>.<Type>")]` on
/// nested types, so that two plugins never share a definition's name.
pub trait Section: DeserializeOwned + Serialize + JsonSchema + Default {
    /// Where it stands.
    const SLOT: Slot;
    /// Its plugin's (or addon type's) name.
    const NAME: &'static str;
}

/// A section without its type.
#[derive(Clone, Copy)]
pub struct SectionDescriptor {
    /// Where it stands.
    pub slot: Slot,
    /// Its name.
    pub name: &'static str,
    /// Its JSON schema.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Reads a value into the type, for its error.
    pub check: fn(&Value) -> Result<(), String>,
    /// Its defaults as a value.
    pub default: fn() -> Value,
}

impl SectionDescriptor {
    /// Describes a section.
    pub fn of<S: Section>() -> Self {
        Self {
            slot: S::SLOT,
            name: S::NAME,
            schema: |generator| S::json_schema(generator),
            check: |value| S::deserialize(value).map(drop).map_err(|e| e.to_string()),
            default: || serde_json::to_value(S::default()).expect("a section's defaults serialise"),
        }
    }
}
