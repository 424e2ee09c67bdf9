//! What a schema says, in the words and marks of a page.

use serde_json::Value;

use crate::schema::house::default_of;
use crate::spec::check::name_of;

/// A text as code; backticks in it need more of them around it.
pub(super) fn code(text: &str) -> String {
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}

/// A heading: a table's name is code, anything else is words.
pub(super) fn heading(title: &str) -> String {
    if title.starts_with(['[', '<']) {
        code(title)
    } else {
        title.to_owned()
    }
}

/// The anchor that Markdown gives a heading.
pub(super) fn anchor(title: &str) -> String {
    let title = title.to_lowercase();
    let kept = title.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect()
}

/// The description of a schema.
pub(super) fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str);
    // Some plugins say of their section which one it is; the heading does.
    let text = text.filter(|text| !text.starts_with("`[plugin."));
    without_unbuilt(text.unwrap_or_default())
}

/// The description of a key, without what other cells say, and with what its words mean.
pub(super) fn meaning(schema: &Value) -> String {
    let text = without_default(&description(schema));
    let words = described_words(schema);
    let told = |(word, _): &(&str, &str)| text.contains(&format!("`{word}`"));
    if words.iter().all(told) {
        return text;
    }
    let words: Vec<String> = words
        .iter()
        .filter(|(_, meaning)| !meaning.is_empty())
        .map(|(word, meaning)| format!("`{word}`: {}", lower(meaning.trim_end_matches('.'))))
        .collect();
    format!("{text} {}.", words.join("; ")).trim().to_owned()
}

fn described_words(schema: &Value) -> Vec<(&str, &str)> {
    let list = |key: &str| {
        let items = schema.get(key).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str)
    };
    list("enum").zip(list("enumDescriptions")).collect()
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}

/// Whether the description says that it is not built.
pub(super) fn says_unbuilt(schema: &Value) -> bool {
    let text = schema.get("description").and_then(Value::as_str);
    text.is_some_and(|text| text.contains("Not built yet"))
}

fn without_unbuilt(text: &str) -> String {
    text.replace(" Not built yet.", "")
        .trim_end_matches("Not built yet.")
        .trim()
        .to_owned()
}

/// Without the sentence that names the default, for that has a cell of its own.
fn without_default(text: &str) -> String {
    let Some((before, after)) = text.split_once("Default ") else {
        return text.to_owned();
    };
    let whole = default_of(text).is_some_and(|word| after.trim_matches(['`', '.']) == word);
    if whole {
        before.trim().to_owned()
    } else {
        text.to_owned()
    }
}

/// What a key takes.
pub(super) fn kind(schema: &Value) -> String {
    let words = schema.get("enum").and_then(Value::as_array);
    if let Some(words) = words {
        let words: Vec<String> = words.iter().filter_map(Value::as_str).map(code).collect();
        return words.join(", ");
    }
    if let Some(rule) = schema.get("x-rule").and_then(Value::as_str) {
        return short_rule(rule);
    }
    let pattern = schema.get("pattern").and_then(Value::as_str);
    if let Some(what) = pattern.and_then(name_of) {
        return what.to_owned();
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(kind)) => vec![kind],
        _ => return "any value".to_owned(),
    };
    let kinds: Vec<String> = kinds.iter().map(|kind| one_kind(kind, schema)).collect();
    let words = match kinds.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => kinds.concat(),
    };
    words + &range(schema)
}

/// The rules of durations and sizes are told once for a whole page.
fn short_rule(rule: &str) -> String {
    let short = [
        ("whole seconds, or", "duration"),
        ("a number of bytes", "size"),
    ];
    let known = short.iter().find(|(start, _)| rule.starts_with(start));
    known.map_or_else(|| rule.to_owned(), |(_, word)| (*word).to_owned())
}

fn one_kind(kind: &str, schema: &Value) -> String {
    match kind {
        "integer" => "whole number".to_owned(),
        "object" => "table".to_owned(),
        "array" => match schema.get("items").map(self::kind) {
            Some(items) if items.contains(',') || items.starts_with("a ") => {
                format!("list: {items}")
            }
            Some(items) => format!("list of {items}s"),
            None => "list".to_owned(),
        },
        other => other.to_owned(),
    }
}

fn range(schema: &Value) -> String {
    let limit = |key: &str| schema.get(key).filter(|it| it.is_number());
    match (
        limit("minimum"),
        limit("maximum"),
        limit("exclusiveMinimum"),
    ) {
        (Some(least), Some(most), _) => format!(", {least} to {most}"),
        (Some(least), None, _) => format!(", at least {least}"),
        (None, Some(most), Some(above)) => format!(", above {above} and at most {most}"),
        (None, _, Some(above)) => format!(", above {above}"),
        (None, Some(most), None) => format!(", at most {most}"),
        (None, None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_type_reads_as_words() {
        assert_eq!(
            kind(&json!({ "type": "integer", "minimum": 1, "maximum": 9 })),
            "whole number, 1 to 9"
        );
        assert_eq!(
            kind(&json!({ "type": ["string", "array"], "items": { "type": "string" } })),
            "string or list of strings"
        );
        assert_eq!(kind(&json!({ "enum": ["a", "b"] })), "`a`, `b`");
        assert_eq!(kind(&json!({})), "any value");
    }

    #[test]
    fn the_default_is_told_in_its_own_cell() {
        let told = |text: &str| meaning(&json!({ "description": text }));
        assert_eq!(told("How long. Default `30s`."), "How long.");
        assert_eq!(
            told("Where. Default `x`; empty for none."),
            "Where. Default `x`; empty for none."
        );
        assert_eq!(told("Who. Not built yet."), "Who.");
    }
}
