//! `[env]`: an open table whose values have several forms, told apart by their keys.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hop3_plugin_api::{EnvKey, Generator};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use super::Policy;
use super::names::SecretName;

/// The variables that the app's processes see.
#[derive(Debug, Default)]
pub(crate) struct Env {
    /// Variables with their forms.
    pub(crate) entries: BTreeMap<EnvKey, EnvEntry>,
    /// Texts with `${NAME}` references.
    pub(crate) computed: BTreeMap<EnvKey, String>,
    /// Keys that start with `_`, which are no variables.
    pub(crate) hidden: BTreeMap<String, Value>,
}

/// One variable as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum EnvEntry {
    /// A plain value.
    Text(String),
    Number(Number),
    Bool(bool),
    /// `{ generate = … }`.
    Generated(GeneratedForm),
    /// `{ from = …, key = … }`, `{ key = … }` or `{ external_ip = true }`.
    Reference(Reference),
    /// `{ secret = … }`.
    Secret(SecretName),
    /// `{ age = … }`.
    Age,
}

/// A secret that is made once on the host and kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct GeneratedForm {
    /// What it consists of.
    pub(crate) generate: Generator,
    /// Bytes for `hex`, `base64` and `urlsafe` (default 32), characters for `password` (default 24).
    #[serde(default)]
    pub(crate) length: Option<SecretLength>,
    /// Put before the generated part.
    #[serde(default)]
    pub(crate) prefix: Option<String>,
    /// Without effect here: no secret is ever shown.
    #[serde(default)]
    pub(crate) display: Option<bool>,
}

/// From 1 to 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub(crate) struct SecretLength(pub(crate) u16);

schema!(SecretLength, { "type": "integer", "minimum": 1, "maximum": 1024 });

impl TryFrom<u16> for SecretLength {
    type Error = &'static str;

    fn try_from(length: u16) -> Result<Self, Self::Error> {
        if (1..=1024).contains(&length) {
            Ok(Self(length))
        } else {
            Err("not from 1 to 1024")
        }
    }
}

/// A value that is known elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reference {
    /// An addon of this app.
    pub(crate) from: Option<String>,
    /// Another word for `from`.
    pub(crate) from_: Option<String>,
    /// The addon's variable, or without `from` a fact of the app: `domain` or `name`.
    pub(crate) key: Option<String>,
    /// The host's public address. Not built yet.
    pub(crate) external_ip: Option<bool>,
}

/// An encrypted secret of the config repo. Not built yet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretForm {
    /// Its file in `secrets/<host>/`, else in `secrets/`, without `.age`.
    pub(crate) secret: SecretName,
}

/// An encrypted secret in the spec itself. Not built yet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgeForm {
    /// The armored text, from `-----BEGIN AGE ENCRYPTED FILE-----` to its end line.
    #[serde(rename = "age")]
    _age: Armored,
}

text!(
    /// A text that is encrypted with age, in its armored form.
    Armored,
    "^\\s*-----BEGIN AGE ENCRYPTED FILE-----\\n[A-Za-z0-9+/=\\s]+\\n-----END AGE ENCRYPTED FILE-----\\s*$",
    "the whole output of `age --armor`, between `\"\"\"`",
    |text| {
        let body = text.trim().strip_prefix("-----BEGIN AGE ENCRYPTED FILE-----\n");
        let body = body.and_then(|text| text.strip_suffix("\n-----END AGE ENCRYPTED FILE-----"));
        let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c) || c.is_whitespace();
        body.is_some_and(|body| !body.is_empty() && body.chars().all(base64))
    }
);

impl<'de> Deserialize<'de> for Env {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut env = Self::default();
        for (name, value) in BTreeMap::<String, Value>::deserialize(deserializer)? {
            if name == "computed" {
                env.computed = typed(value)?;
            } else if name == "_policy" {
                typed::<Policy, D::Error>(value.clone())?;
                env.hidden.insert(name, value);
            } else if name.starts_with('_') {
                env.hidden.insert(name, value);
            } else {
                let key = EnvKey::parse(&name).map_err(D::Error::custom)?;
                env.entries.insert(key, entry(value)?);
            }
        }
        Ok(env)
    }
}

fn entry<E: Error>(value: Value) -> Result<EnvEntry, E> {
    let Value::Object(table) = &value else {
        return match value {
            Value::String(text) => Ok(EnvEntry::Text(text)),
            Value::Number(number) => Ok(EnvEntry::Number(number)),
            Value::Bool(yes) => Ok(EnvEntry::Bool(yes)),
            _ => Err(E::custom("no list can be a variable")),
        };
    };
    let has = |key: &str| table.contains_key(key);
    if has("generate") {
        typed(value).map(EnvEntry::Generated)
    } else if has("from") || has("from_") || has("key") || has("external_ip") {
        typed(value).map(EnvEntry::Reference)
    } else if has("secret") {
        typed::<SecretForm, E>(value).map(|form| EnvEntry::Secret(form.secret))
    } else if has("age") {
        typed::<AgeForm, E>(value).map(|_| EnvEntry::Age)
    } else {
        Err(E::custom("not a form of a variable"))
    }
}

fn typed<T: DeserializeOwned, E: Error>(value: Value) -> Result<T, E> {
    serde_json::from_value(value).map_err(E::custom)
}

impl JsonSchema for Env {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Env".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut computed = <BTreeMap<EnvKey, String>>::json_schema(generator);
        computed.insert(
            "description".to_owned(),
            "Texts with `${NAME}` references to other variables, filled last.".into(),
        );
        let mut policy = generator.subschema_for::<Policy>();
        policy.insert(
            "description".to_owned(),
            "Accepted; plain values always follow the commit.".into(),
        );
        json_schema!({
            "type": "object",
            "properties": { "computed": computed, "_policy": policy },
            "patternProperties": {
                "^_(?!policy$)": true,
                "^(?!_|computed$)[A-Za-z][A-Za-z0-9_]{0,127}$": entry_schema(generator)
            },
            "additionalProperties": false,
            "x-key-kind": "environment variable name"
        })
    }
}

/// A value's form is told by its keys, one after the other, so that a bad value breaks one rule and not one per form.
fn entry_schema(generator: &mut SchemaGenerator) -> Schema {
    let needs = |key: &str| json_schema!({ "required": [key] });
    let age = json_schema!({
        "if": needs("age"), "then": AgeForm::json_schema(generator), "else": false,
        "x-rule": "a plain value or one of `{ generate = … }`, `{ from = …, key = … }`, `{ key = … }`, `{ secret = … }`, `{ age = … }`"
    });
    let secret = json_schema!({ "if": needs("secret"), "then": SecretForm::json_schema(generator), "else": age });
    let referring = ["from", "from_", "key", "external_ip"].map(needs);
    let reference = json_schema!({
        "if": { "anyOf": referring },
        "then": Reference::json_schema(generator), "else": secret
    });
    let table = json_schema!({
        "if": needs("generate"), "then": GeneratedForm::json_schema(generator), "else": reference
    });
    json_schema!({
        "type": ["string", "number", "boolean", "object"],
        "if": { "type": "object" },
        "then": table
    })
}
