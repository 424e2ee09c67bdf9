//! Keys and sections that the schema does not know: what may have been meant, and where it belongs.

use jsonschema::ValidationError;
use serde_json::{Map, Value};

use super::Explain;
use super::words::NameRule;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::dialect;
use crate::spec::suggest::{did_you_mean, one_of, shortened};
use crate::spec::tree::{escape, unescape};

/// Sections that can hold a key are told up to this many; more say nothing.
const MOST_SECTIONS: usize = 3;

impl Explain<'_> {
    /// The first of a table's unknown keys, in the file's order, and how many more.
    pub(super) fn strangers(
        &self,
        error: &ValidationError<'_>,
        keys: &[String],
        most: usize,
    ) -> (Vec<Diagnostic>, usize) {
        let at = error.instance_path().as_str();
        let start = |key: &&String| self.tree.place(&format!("{at}/{}", escape(key))).key.start;
        let mut keys: Vec<&String> = keys.iter().collect();
        keys.sort_by_cached_key(start);
        let told = keys
            .iter()
            .take(most)
            .map(|key| self.unknown(error, at, key));
        (told.collect(), keys.len().saturating_sub(most))
    }

    fn unknown(&self, error: &ValidationError<'_>, at: &str, key: &str) -> Diagnostic {
        let parent = self.parent(error);
        let pointer = format!("{at}/{}", escape(key));
        if let Some(rule) = key_rule(parent) {
            return self
                .tree
                .key_error(&pointer, rule.refusal(key))
                .hint(rule.hint(key));
        }
        let shown = shortened(key);
        let value = self.tree.value.pointer(&pointer);
        let table = value.is_some_and(|value| value.is_object() || is_tables(value));
        let message = match (at.is_empty(), table) {
            (true, true) => format!("unknown section `[{shown}]`"),
            (true, false) => format!("unknown key `{shown}`"),
            _ => format!("unknown key `{shown}` in {}", self.table(at)),
        };
        let label = if at.is_empty() && table {
            "no such section"
        } else {
            "no such key"
        };
        let diagnostic = self.tree.key_error(&pointer, message).label(label);
        diagnostic.hint(self.unknown_hint(parent, at, key))
    }

    fn unknown_hint(&self, parent: &Value, at: &str, key: &str) -> Option<String> {
        let names = properties(parent);
        let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        spelling(&names, key)
            .or_else(|| versioned(&names, key))
            .or_else(|| self.older(at, key))
            .or_else(|| self.other_file(at, key))
            .or_else(|| self.other_section(at, key))
            .or_else(|| did_you_mean(key, names.iter().copied()))
            .or_else(|| listing(at, &names))
    }

    /// What an older version of the spec calls it; other files have no older versions.
    fn older(&self, at: &str, key: &str) -> Option<String> {
        let is_spec = self.kinds.own.schema["title"] == "hop3.toml";
        dialect::modern(at, key).filter(|_| is_spec)
    }

    fn other_file(&self, at: &str, key: &str) -> Option<String> {
        let mut others = self.kinds.others.iter();
        let (file, _) = others.find(|(_, document)| knows(&document.schema, at, key))?;
        let key = super::dotted(&format!("{at}/{}", escape(key)));
        Some(format!("`{key}` belongs in {file}"))
    }

    /// The sections of the same file that have such a key, if they are few.
    fn other_section(&self, at: &str, key: &str) -> Option<String> {
        let schema = &self.kinds.own.schema;
        let own = schema
            .pointer(&format!("/properties/{}", escape(key)))
            .is_some();
        let value = self.tree.value.pointer(&format!("{at}/{}", escape(key)));
        if own && value.is_some_and(|value| value.is_object() || is_tables(value)) {
            return Some(format!("`[{key}]` is a section of its own"));
        }
        let sections = properties(schema).filter(|(_, section)| holds(section, key));
        let sections: Vec<String> = sections
            .map(|(name, section)| header(name, section))
            .collect();
        let few = (1..=MOST_SECTIONS).contains(&sections.len());
        few.then(|| format!("`{key}` belongs in {}", one_of(&sections)))
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let known = schema.get("properties").and_then(Value::as_object);
    known.into_iter().flat_map(Map::iter)
}

fn holds(section: &Value, key: &str) -> bool {
    let table = section.get("items").unwrap_or(section);
    table
        .get("properties")
        .is_some_and(|keys| keys.get(key).is_some())
}

fn header(name: &str, section: &Value) -> String {
    if section.get("items").is_some() {
        format!("[[{name}]]")
    } else {
        format!("[{name}]")
    }
}

/// The key that is meant when only its spelling is not the house's.
fn spelling(names: &[&str], key: &str) -> Option<String> {
    let twin = key.replace('_', "-").to_lowercase();
    let rule = if key.contains('_') {
        "kebab-case"
    } else {
        "lower case"
    };
    (twin != key && names.contains(&twin.as_str()))
        .then(|| format!("keys are written in {rule}: `{twin}`"))
}

/// `python = …` where `python-version` is meant.
fn versioned(names: &[&str], key: &str) -> Option<String> {
    let version = format!("{key}-version");
    names
        .contains(&version.as_str())
        .then(|| format!("use `{version}`"))
}

fn is_tables(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_object))
}

/// Whether a schema knows a key at a place.
fn knows(schema: &Value, at: &str, key: &str) -> bool {
    let mut schema = schema;
    for step in at.split('/').skip(1) {
        match schema.get("properties").and_then(|p| p.get(unescape(step))) {
            Some(inner) => schema = inner,
            None => return false,
        }
    }
    schema
        .get("properties")
        .is_some_and(|p| p.get(key).is_some())
}

fn listing(at: &str, names: &[&str]) -> Option<String> {
    let what = if at.is_empty() { "section" } else { "key" };
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => None,
        [only] => Some(format!("the only {what} is {only}")),
        _ => Some(format!("the {what}s are {}", quoted.join(", "))),
    }
}

/// What a table's own keys must look like, where they are names.
fn key_rule(schema: &Value) -> Option<NameRule> {
    if let Some(what) = schema.get("x-key-kind").and_then(Value::as_str) {
        return NameRule::of_kind(what);
    }
    let patterns = schema.get("patternProperties").and_then(Value::as_object)?;
    patterns
        .keys()
        .find_map(|pattern| NameRule::of_pattern(pattern))
}
