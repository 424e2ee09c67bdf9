//! From the schema's verdict to words: one diagnostic per bad value, with what would be right. It never judges on its own.

mod brackets;
mod part;
mod unknown;
mod value;
mod words;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use self::words::name_of;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::diagnostic::{Diagnostic, ENOUGH};
use super::suggest::visible;
use super::tree::{Tree, unescape};
use crate::schema::Document;

/// A file's kind, and where its keys would belong if not there.
pub(crate) struct Kinds<'a> {
    /// The schema that decides.
    pub(crate) own: &'a Document,
    /// Other files of the project, by the words that name them.
    pub(crate) others: [(&'static str, &'a Document); 2],
}

/// What the schema has against a file.
pub(crate) struct Checked {
    /// In the file's order.
    pub(crate) found: Vec<Diagnostic>,
    /// The parts that cannot be read for that, by pointer.
    pub(crate) faulty: BTreeSet<String>,
    /// How many mistakes more there are. If any, `faulty` is not complete.
    pub(crate) omitted: usize,
}

/// Everything that the schema has against a file.
pub(crate) fn check(tree: &Tree, kinds: &Kinds<'_>) -> Checked {
    let stricter = has_whole_float(&tree.value).then(|| strict(&tree.value));
    let instance = stricter.as_ref().unwrap_or(&tree.value);
    let mut found: BTreeMap<(usize, String, String), Diagnostic> = BTreeMap::new();
    let (mut faulty, mut omitted) = (BTreeSet::new(), 0);
    for error in kinds.own.validator().iter_errors(instance) {
        let explain = Explain { tree, kinds };
        let (told, more) = explain.all(&error, ENOUGH.saturating_sub(found.len()));
        omitted += more;
        faulty.insert(explain.part(&error));
        for diagnostic in told {
            if matches!(error.kind(), Kind::AdditionalProperties { .. }) {
                faulty.insert(diagnostic.key.clone());
            }
            let start = diagnostic.span.map_or(0, |span| span.0);
            let place = (start, diagnostic.key.clone(), needed(&error));
            found.entry(place).or_insert(diagnostic);
        }
    }
    Checked {
        found: found.into_values().collect(),
        faulty,
        omitted,
    }
}

/// The key that an error misses: an entry can lack several.
fn needed(error: &ValidationError<'_>) -> String {
    match error.kind() {
        Kind::Required { property } => property.as_str().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

/// Whether [`strict`] changes anything: hardly any file has such a number.
fn has_whole_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.is_f64() && number.as_f64().is_some_and(|float| float.fract() == 0.0)
        }
        Value::Array(items) => items.iter().any(has_whole_float),
        Value::Object(map) => map.values().any(has_whole_float),
        _ => false,
    }
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
        if is_index(step) && !out.is_empty() {
            out.extend(["[", step, "]"]);
            continue;
        }
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(&visible(&unescape(step)));
    }
    out
}

fn is_index(step: &str) -> bool {
    !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit())
}

/// What turns one error of the schema into diagnostics.
struct Explain<'a> {
    tree: &'a Tree,
    kinds: &'a Kinds<'a>,
}

impl Explain<'_> {
    /// What an error comes to, up to a number, and how much more.
    fn all(&self, error: &ValidationError<'_>, most: usize) -> (Vec<Diagnostic>, usize) {
        let at = error.instance_path().as_str();
        let one = |found: Option<Diagnostic>| (found.into_iter().collect(), 0);
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => self.strangers(error, unexpected, most),
            _ if most == 0 => (Vec::new(), 1),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                let errors = context.iter().flatten();
                let deepest = errors.max_by_key(|inner| inner.instance_path().as_str().len());
                deepest.map_or_else(
                    || one(Some(self.bad(error, at))),
                    |inner| self.all(inner, most),
                )
            }
            Kind::Required { property } => one(self.lacking(error, at, property)),
            _ => one(Some(self.bad(error, at))),
        }
    }

    /// How much a mistake takes away; nothing for unknown keys, each of which takes away itself.
    fn part(&self, error: &ValidationError<'_>) -> String {
        match error.kind() {
            Kind::AdditionalProperties { .. } => String::new(),
            _ => part::of(
                self.tree,
                &self.kinds.own.schema,
                error.instance_path().as_str(),
            ),
        }
    }

    /// The schema object in which the failed keyword stands.
    fn parent(&self, error: &ValidationError<'_>) -> &Value {
        let path = error.schema_path().as_str();
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let schema = &self.kinds.own.schema;
        schema.pointer(parent).unwrap_or(&Value::Null)
    }

    /// A table as it is written in the file: `[run]`, `[[jobs]]`, `env.TOKEN` for one in braces; "the file" for the whole.
    fn table(&self, at: &str) -> String {
        if at.is_empty() {
            return "the file".to_owned();
        }
        let start = self.tree.place(at).value.start;
        if self.tree.source.text[start..].starts_with('{') {
            return format!("`{}`", dotted(at));
        }
        let steps: Vec<&str> = at.split('/').skip(1).collect();
        let names: Vec<String> = steps
            .iter()
            .filter(|step| !is_index(step))
            .map(|step| unescape(step))
            .collect();
        let several = steps.last().is_some_and(|step| is_index(step));
        let name = visible(&names.join("."));
        if several {
            format!("`[[{name}]]`")
        } else {
            format!("`[{name}]`")
        }
    }
}

/// What a good value is, in words that the schema carries.
fn rule(schema: &Value) -> Option<&str> {
    schema.get("x-rule").and_then(Value::as_str)
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
}
