//! Values that the schema refuses: what is wrong with one, and what would be right in its place.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::brackets::brackets;
use super::words::{NameRule, either, found, in_quotes, without_brackets, without_quotes};
use super::{Explain, dotted, rule};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::dialect;
use crate::spec::suggest::{bytes, closest, did_you_mean, one_of, period, shortened};
use crate::spec::tree::escape;
use crate::spec::written::{assignment, toml};

/// Keys whose value may be a credential even where none belongs.
const CREDENTIALS: [&str; 2] = ["/password", "/basic-auth"];

impl Explain<'_> {
    pub(super) fn bad(&self, error: &ValidationError<'_>, at: &str) -> Diagnostic {
        let parent = self.parent(error);
        let value = self.tree.value.pointer(at).unwrap_or(&Value::Null);
        match error.kind() {
            Kind::Type { kind } => self.wrong_type(at, (parent, kind), value),
            Kind::Enum { options } => self.wrong_word(at, options, value),
            Kind::Pattern { pattern } => self.wrong_text(at, (parent, pattern), value),
            Kind::Minimum { .. }
            | Kind::Maximum { .. }
            | Kind::ExclusiveMinimum { .. }
            | Kind::ExclusiveMaximum { .. } => self.out_of_range(at, parent, value),
            Kind::FalseSchema => self.meaningless(at, parent, value),
            _ => self.other(error, at),
        }
    }

    fn other(&self, error: &ValidationError<'_>, at: &str) -> Diagnostic {
        let name = format!("`{}`", dotted(at));
        let items = |limit: u64| {
            if limit == 1 {
                "1 item".to_owned()
            } else {
                format!("{limit} items")
            }
        };
        let count = self
            .tree
            .value
            .pointer(at)
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let message = match error.kind() {
            Kind::Constant { expected_value } => format!("{name} must be {expected_value}"),
            Kind::MinItems { limit } => format!("{name} needs at least {}", items(*limit)),
            Kind::MaxItems { limit } => {
                format!("{name} has {count} items, more than the {limit} that are allowed")
            }
            Kind::PropertyNames { error } => {
                let key = error.instance().as_str().unwrap_or_default();
                let message = format!("`{}` cannot be a key of {name}", shortened(key));
                return self
                    .tree
                    .key_error(&format!("{at}/{}", escape(key)), message);
            }
            _ => format!("{name}: {}", error.masked()),
        };
        let parent = self.parent(error);
        let example = parent.pointer("/examples/0");
        let example = example.map(|example| format!("write `{}`", toml(example)));
        let hint = rule(parent).map(|rule| format!("write {rule}")).or(example);
        self.tree.error(at, message).hint(hint)
    }

    /// A key that must be there. Where another key is a slip of it, that is told, and this is not.
    pub(super) fn lacking(
        &self,
        error: &ValidationError<'_>,
        at: &str,
        property: &Value,
    ) -> Option<Diagnostic> {
        let key = property.as_str().unwrap_or_default();
        let known = self
            .parent(error)
            .get("properties")
            .and_then(Value::as_object);
        let table = self.tree.value.pointer(at).and_then(Value::as_object);
        let mut strangers = table
            .into_iter()
            .flat_map(|table| table.keys())
            .filter(|key| known.is_some_and(|known| !known.contains_key(*key)));
        if strangers.any(|stranger| closest(stranger, [key]).is_some()) {
            return None;
        }
        let message = format!("{} lacks the key `{key}`", self.table(at));
        let example = known.and_then(|known| known.get(key)?.pointer("/examples/0"));
        let hint = example.map(|example| format!("add `{}`", assignment(key, example)));
        Some(self.tree.key_error(at, message).hint(hint))
    }

    fn wrong_type(
        &self,
        at: &str,
        (parent, kind): (&Value, &TypeKind),
        value: &Value,
    ) -> Diagnostic {
        let expected = expected_types(parent, kind);
        let words = either(&expected);
        let message = format!("`{}` must be {words}, not {}", dotted(at), found(value));
        let secret = CREDENTIALS.iter().any(|key| at.ends_with(key));
        let hint = brackets(at, parent, value)
            .or_else(|| one_of_words(parent))
            .or_else(|| without_quotes(&expected, value))
            .or_else(|| in_quotes(&expected, value).filter(|_| would_fit(parent, value)))
            .or_else(|| without_brackets(&expected, value).filter(|_| !secret))
            .or_else(|| name_hint(parent, value))
            .or_else(|| rule(parent).map(|rule| format!("write {rule}")));
        let label = match (expected.as_slice(), bounds(parent)) {
            ([_], Some((least, most))) => format!("expected {words} from {least} to {most}"),
            _ => format!("expected {words}"),
        };
        let found = self.tree.error(at, message).label(label).hint(hint);
        if secret && !value.is_object() {
            return found.redacted();
        }
        found
    }

    fn wrong_word(&self, at: &str, options: &Value, value: &Value) -> Diagnostic {
        let words = strings(options);
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

    fn wrong_text(&self, at: &str, (parent, pattern): (&Value, &str), value: &Value) -> Diagnostic {
        let text = value.as_str().unwrap_or_default();
        if let Some(rule) = NameRule::of_pattern(pattern) {
            return self
                .tree
                .error(at, rule.refusal(text))
                .hint(rule.hint(text));
        }
        let message = if text.trim().is_empty() {
            format!("`{}` is blank", dotted(at))
        } else {
            format!("`{}` cannot be `{}`", dotted(at), shortened(text))
        };
        let near = match parent.get("x-suggest").and_then(Value::as_str) {
            Some("period") => period(text),
            Some("bytes") => bytes(text),
            _ => None,
        };
        let rule = rule(parent).map_or_else(
            || format!("it must match `{pattern}`"),
            |rule| format!("write {rule}"),
        );
        let hint = near.map_or(rule, |near| format!("write `\"{near}\"`"));
        self.tree.error(at, message).hint(hint)
    }

    fn out_of_range(&self, at: &str, parent: &Value, value: &Value) -> Diagnostic {
        let name = dotted(at);
        if let Some(rule) = rule(parent) {
            let message = format!("`{name}` cannot be {value}");
            return self.tree.error(at, message).hint(format!("write {rule}"));
        }
        let message = format!("`{name}` must be {}, not {value}", range(parent));
        self.tree.error(at, message).label("out of range")
    }

    fn meaningless(&self, at: &str, parent: &Value, value: &Value) -> Diagnostic {
        let name = dotted(at);
        let Some(rule) = rule(parent) else {
            return self.tree.error(at, format!("`{name}` is not allowed here"));
        };
        let keys = value
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::keys);
        let hint = dialect::modern_form(at, keys).unwrap_or_else(|| format!("write {rule}"));
        self.tree
            .error(at, format!("`{name}` is a table of no known form"))
            .hint(hint)
    }
}

/// The types that a schema takes, in its order.
fn expected_types(parent: &Value, kind: &TypeKind) -> Vec<String> {
    let listed = parent.get("type").and_then(Value::as_array);
    if let Some(listed) = listed {
        return listed
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
    }
    match kind {
        TypeKind::Single(one) => vec![one.to_string()],
        TypeKind::Multiple(set) => set.iter().map(|one| one.to_string()).collect(),
    }
}

/// Whether a number or a truth would be right as a text.
fn would_fit(schema: &Value, value: &Value) -> bool {
    let pattern = schema.get("pattern").and_then(Value::as_str);
    let needs_unit = schema.get("x-suggest").is_some();
    !needs_unit
        && pattern.is_none_or(|pattern| {
            let compiled = fancy_regex::Regex::new(pattern);
            compiled.is_ok_and(|regex| regex.is_match(&value.to_string()).unwrap_or(false))
        })
}

/// A number where a name belongs: the name that is near.
fn name_hint(schema: &Value, value: &Value) -> Option<String> {
    let rule = NameRule::of_pattern(schema.get("pattern")?.as_str()?)?;
    let plain = value.is_number() || value.is_boolean();
    plain.then(|| rule.hint(&value.to_string()))
}

fn one_of_words(schema: &Value) -> Option<String> {
    let words = strings(schema.get("enum")?);
    (!words.is_empty()).then(|| format!("it is {}", one_of(&words)))
}

fn strings(options: &Value) -> Vec<&str> {
    let all = options.as_array().into_iter().flatten();
    all.filter_map(Value::as_str).collect()
}

/// The least and the most, where a schema says both.
fn bounds(schema: &Value) -> Option<(&Value, &Value)> {
    Some((schema.get("minimum")?, schema.get("maximum")?))
}

/// The numbers that a schema takes: "from 1 to 100".
fn range(schema: &Value) -> String {
    let bound = |name: &str| schema.get(name).filter(|bound| bound.is_number());
    match (
        bound("minimum"),
        bound("maximum"),
        bound("exclusiveMinimum"),
    ) {
        (Some(least), Some(most), _) => format!("from {least} to {most}"),
        (Some(least), None, _) => format!("at least {least}"),
        (None, Some(most), Some(below)) => format!("above {below} and at most {most}"),
        (None, Some(most), None) => format!("at most {most}"),
        (None, None, Some(below)) => format!("above {below}"),
        (None, None, None) => "another number".to_owned(),
    }
}
