//! From the schema's verdict to words: one diagnostic per bad value, with what would be right. It never judges on its own.

use std::collections::BTreeMap;

use hop3_plugin_api::{AddonName, AppName, EnvKey, HostName, NameError, PluginName, WorkerName};
use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use super::diagnostic::Diagnostic;
use super::dialect;
use super::suggest::{did_you_mean, one_of, shortened};
use super::tree::{Tree, escape, unescape};
use crate::schema::Document;

/// A file's kind, and where its keys would belong if not there.
pub(crate) struct Kinds<'a> {
    /// The schema that decides.
    pub(crate) own: &'a Document,
    /// Other files of the project, by the words that name them.
    pub(crate) others: [(&'static str, &'a Document); 2],
}

/// Everything that the schema has against a file, in the file's order.
pub(crate) fn check(tree: &Tree, kinds: &Kinds<'_>) -> Vec<Diagnostic> {
    let instance = strict(&tree.value);
    let mut found: BTreeMap<(usize, String), Diagnostic> = BTreeMap::new();
    for error in kinds.own.validator().iter_errors(&instance) {
        for diagnostic in (Explain { tree, kinds }).all(&error) {
            found
                .entry((
                    diagnostic.span.map_or(0, |span| span.0),
                    diagnostic.key.clone(),
                ))
                .or_insert(diagnostic);
        }
    }
    found.into_values().collect()
}

/// A JSON schema takes `30.0` for an integer; TOML does not. Moved by the last bit, a float stays in every range and is no integer.
pub(crate) fn strict(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let float = number
                .as_f64()
                .filter(|float| float.fract() == 0.0)
                .map(f64::next_down);
            float.map_or_else(|| value.clone(), Value::from)
        }
        Value::Array(items) => items.iter().map(strict).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), strict(value)))
            .collect(),
        _ => value.clone(),
    }
}

/// A pointer as people write it: `addons[0].type`.
pub(crate) fn dotted(pointer: &str) -> String {
    let mut out = String::new();
    for step in pointer.split('/').skip(1) {
        if step.bytes().all(|b| b.is_ascii_digit()) && !out.is_empty() {
            out.extend(["[", step, "]"]);
            continue;
        }
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(&unescape(step));
    }
    out
}

struct Explain<'a> {
    tree: &'a Tree,
    kinds: &'a Kinds<'a>,
}

impl Explain<'_> {
    fn all(&self, error: &ValidationError<'_>) -> Vec<Diagnostic> {
        let at = error.instance_path().as_str();
        match error.kind() {
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => unexpected
                .iter()
                .map(|key| self.unknown(error, at, key))
                .collect(),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                let errors = context.iter().flatten();
                let deepest = errors.max_by_key(|inner| inner.instance_path().as_str().len());
                deepest.map_or_else(|| vec![self.bad(error, at)], |inner| self.all(inner))
            }
            _ => vec![self.bad(error, at)],
        }
    }

    /// The schema object in which the failed keyword stands.
    fn parent(&self, error: &ValidationError<'_>) -> &Value {
        let path = error.schema_path().as_str();
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.kinds
            .own
            .schema
            .pointer(parent)
            .unwrap_or(&Value::Null)
    }

    fn unknown(&self, error: &ValidationError<'_>, at: &str, key: &str) -> Diagnostic {
        let parent = self.parent(error);
        let pointer = format!("{at}/{}", escape(key));
        let shown = shortened(key);
        if let Some((what, rule)) = key_rule(parent) {
            return self
                .tree
                .key_error(&pointer, format!("`{shown}` is not a valid {what}"))
                .hint(rule);
        }
        let place = dotted(at);
        let table = self
            .tree
            .value
            .pointer(&pointer)
            .is_some_and(|v| v.is_object() || is_tables(v));
        let message = match (at.is_empty(), table) {
            (true, true) => format!("unknown section `[{shown}]`"),
            (true, false) => format!("unknown key `{shown}`"),
            _ => format!("unknown key `{shown}` in `[{place}]`"),
        };
        let diagnostic = self.tree.key_error(&pointer, message).label("not known");
        diagnostic.hint(self.unknown_hint(parent, at, key))
    }

    fn unknown_hint(&self, parent: &Value, at: &str, key: &str) -> Option<String> {
        let known = parent.get("properties").and_then(Value::as_object);
        let names: Vec<&str> = known
            .into_iter()
            .flat_map(|map| map.keys().map(String::as_str))
            .collect();
        let twin = key.replace('_', "-").to_lowercase();
        if names.contains(&twin.as_str()) {
            return Some(format!("keys are written in kebab-case: `{twin}`"));
        }
        let elsewhere = || {
            let (file, _) = self
                .kinds
                .others
                .iter()
                .find(|(_, document)| knows(&document.schema, at, key))?;
            Some(format!(
                "`{}` belongs in {file}",
                dotted(&format!("{at}/{}", escape(key)))
            ))
        };
        dialect::modern(at, key)
            .or_else(elsewhere)
            .or_else(|| did_you_mean(key, names.iter().copied()))
            .or_else(|| listing(at, &names))
    }

    fn bad(&self, error: &ValidationError<'_>, at: &str) -> Diagnostic {
        let parent = self.parent(error);
        let name = if at.is_empty() {
            "the file".to_owned()
        } else {
            format!("`{}`", dotted(at))
        };
        let value = self.tree.value.pointer(at).unwrap_or(&Value::Null);
        let mark = |message: String| self.tree.error(at, message);
        match error.kind() {
            Kind::Type { kind } => self.wrong_type(at, kind, value),
            Kind::Enum { options } => self.wrong_word(at, options, value),
            Kind::Constant { expected_value } => mark(format!("{name} must be {expected_value}")),
            Kind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                let section = if at.is_empty() {
                    "the file".to_owned()
                } else {
                    format!("`[{}]`", dotted(at))
                };
                self.tree
                    .key_error(at, format!("{section} lacks the key `{key}`"))
            }
            Kind::Pattern { pattern } => self.wrong_text(at, parent, pattern, value),
            Kind::Minimum { limit } => {
                mark(format!("{name} must be at least {limit}")).hint(rule(parent))
            }
            Kind::Maximum { limit } => {
                mark(format!("{name} must be at most {limit}")).hint(rule(parent))
            }
            Kind::ExclusiveMinimum { limit } => mark(format!("{name} must be above {limit}")),
            Kind::MinItems { limit } => mark(format!("{name} needs at least {limit} items")),
            Kind::FalseSchema => match rule(parent) {
                Some(rule) => mark(format!("{name} is a table that means nothing here"))
                    .hint(format!("write {rule}")),
                None => mark(format!("{name} is not allowed here")),
            },
            Kind::PropertyNames { error } => {
                let key = error.instance().as_str().unwrap_or_default();
                let pointer = format!("{at}/{}", escape(key));
                self.tree.key_error(
                    &pointer,
                    format!("`{}` cannot be a key of {name}", shortened(key)),
                )
            }
            _ => mark(format!("{name}: {}", error.masked())).hint(rule(parent)),
        }
    }

    fn wrong_type(&self, at: &str, kind: &TypeKind, value: &Value) -> Diagnostic {
        let expected: Vec<String> = match kind {
            TypeKind::Single(one) => vec![one.to_string()],
            TypeKind::Multiple(set) => set.iter().map(|one| one.to_string()).collect(),
        };
        let words = either(&expected);
        let message = format!("`{}` must be {words}, not {}", dotted(at), found(value));
        self.tree
            .error(at, message)
            .label(format!("expected {words}"))
            .hint(type_hint(&expected, value))
    }

    fn wrong_word(&self, at: &str, options: &Value, value: &Value) -> Diagnostic {
        let words: Vec<&str> = options
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let Some(text) = value.as_str() else {
            let message = format!("`{}` must be a string, not {}", dotted(at), found(value));
            return self
                .tree
                .error(at, message)
                .hint(format!("it is {}", one_of(&words)));
        };
        let message = format!("`{}` cannot be `{}`", dotted(at), shortened(text));
        let hint = did_you_mean(text, words.iter().copied())
            .unwrap_or_else(|| format!("it is {}", one_of(&words)));
        self.tree.error(at, message).hint(hint)
    }

    fn wrong_text(&self, at: &str, parent: &Value, pattern: &str, value: &Value) -> Diagnostic {
        let text = shortened(value.as_str().unwrap_or_default());
        if let Some((what, rule)) = name_rule(pattern) {
            return self
                .tree
                .error(at, format!("`{text}` is not a valid {what}"))
                .hint(rule);
        }
        let message = format!("`{}` cannot be `{text}`", dotted(at));
        let hint = rule(parent).map_or_else(
            || format!("it must match `{pattern}`"),
            |rule| format!("it is {rule}"),
        );
        self.tree.error(at, message).hint(hint)
    }
}

fn is_tables(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_object))
}

fn rule(schema: &Value) -> Option<String> {
    schema
        .get("x-rule")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

/// Whether a schema knows a key at a place.
fn knows(schema: &Value, at: &str, key: &str) -> bool {
    let mut schema = schema;
    for step in at.split('/').skip(1) {
        match schema.get("properties").and_then(|p| p.get(step)) {
            Some(inner) => schema = inner,
            None => return false,
        }
    }
    schema
        .get("properties")
        .is_some_and(|p| p.get(key).is_some())
}

fn listing(at: &str, names: &[&str]) -> Option<String> {
    let what = if at.is_empty() { "sections" } else { "keys" };
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| format!("the {what} are {}", quoted.join(", ")))
}

/// What a table's own keys must look like, where they are names.
fn key_rule(schema: &Value) -> Option<(&'static str, String)> {
    if let Some(rule) = schema.get("x-key-rule").and_then(Value::as_str) {
        return Some(("environment variable name", format!("use {rule}")));
    }
    let patterns = schema.get("patternProperties").and_then(Value::as_object)?;
    patterns.keys().find_map(|pattern| name_rule(pattern))
}

/// The rule of a kind of name, found by the pattern that stands for it in schemas.
pub(crate) fn name_rule(pattern: &str) -> Option<(&'static str, String)> {
    let error = refusal::<AppName>(pattern)
        .or_else(|| refusal::<PluginName>(pattern))
        .or_else(|| refusal::<AddonName>(pattern))
        .or_else(|| refusal::<WorkerName>(pattern))
        .or_else(|| refusal::<EnvKey>(pattern))
        .or_else(|| refusal::<HostName>(pattern))?;
    Some((error.what, format!("use {}", error.rule)))
}

fn refusal<T: JsonSchema + std::str::FromStr<Err = NameError>>(pattern: &str) -> Option<NameError> {
    let schema = T::json_schema(&mut SchemaGenerator::default());
    let same = schema.get("pattern").and_then(Value::as_str) == Some(pattern);
    same.then(|| "".parse::<T>().err()).flatten()
}

fn either(types: &[String]) -> String {
    let mut words: Vec<&str> = types.iter().map(|one| article(one)).collect();
    words.sort_unstable();
    words.dedup();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

fn article(kind: &str) -> &'static str {
    match kind {
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "a boolean",
        "array" => "a list",
        "object" => "a table",
        _ => "a string",
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Bool(yes) => format!("`{yes}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        Value::Null => "nothing".to_owned(),
    }
}

fn type_hint(expected: &[String], value: &Value) -> Option<String> {
    let wants = |kind: &str| expected.iter().any(|one| one == kind);
    let text = value.as_str();
    if let Some(whole) = value
        .as_f64()
        .filter(|float| wants("integer") && value.is_f64() && float.fract() == 0.0)
    {
        return Some(format!("write `{whole:.0}`"));
    }
    if wants("boolean") {
        let meant = match text?.to_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => "true",
            "false" | "no" | "off" | "0" => "false",
            _ => return None,
        };
        return Some(format!("write `{meant}` without quotes"));
    }
    if (wants("integer") || wants("number")) && text.is_some_and(|text| text.parse::<f64>().is_ok())
    {
        return Some(format!("write `{}` without quotes", shortened(text?)));
    }
    if wants("array") && text.is_some() && !wants("string") {
        return Some("put it in brackets: `[\"…\"]`".to_owned());
    }
    (wants("string") && (value.is_number() || value.is_boolean()))
        .then(|| format!("put it in quotes: `\"{value}\"`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_reads_as_a_path() {
        assert_eq!(dotted("/addons/0/type"), "addons[0].type");
        assert_eq!(dotted("/static/~1assets"), "static./assets");
        assert_eq!(dotted(""), "");
    }

    #[test]
    fn every_kind_of_name_has_its_rule_in_words() {
        let schema = WorkerName::json_schema(&mut SchemaGenerator::default());
        let pattern = schema.get("pattern").and_then(Value::as_str).unwrap();
        assert_eq!(name_rule(pattern).unwrap().0, "worker name");
        assert!(name_rule("^x$").is_none());
    }
}
