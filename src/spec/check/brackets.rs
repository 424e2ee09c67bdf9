//! How a table is written, for somebody who wrote brackets that are too few or too many, or something else in its place.

use serde_json::Value;

use super::is_index;
use crate::spec::suggest::{shortened, visible};
use crate::spec::tree::unescape;
use crate::spec::written::toml;

/// What to write where a table, or a list of tables, belongs.
pub(super) fn brackets(at: &str, schema: &Value, value: &Value) -> Option<String> {
    let steps: Vec<&str> = at.split('/').skip(1).collect();
    let name = name(&steps);
    let inner = steps.iter().any(|step| is_index(step));
    if schema.get("items").is_some_and(is_table) && !inner {
        let how = if value.is_object() {
            "in two brackets"
        } else {
            "and its keys below it"
        };
        return Some(format!("write `[[{name}]]`, {how}, once for each entry"));
    }
    if !is_table(schema) {
        return None;
    }
    if let Some(example) = schema.pointer("/examples/0") {
        return Some(format!("write `{}`", toml(example)));
    }
    if steps.last().is_some_and(|step| is_index(step)) {
        return Some(format!(
            "write `[[{name}]]` and its keys below it, once for each entry"
        ));
    }
    (!inner).then(|| table(&name, schema, value))
}

/// What to write for a table that stands once, made of what stands there.
fn table(name: &str, schema: &Value, value: &Value) -> String {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    if !items.is_empty() && items.iter().all(Value::is_object) {
        return format!("write `[{name}]`, in one bracket: it stands once");
    }
    let first = items.first().and_then(Value::as_str).unwrap_or_default();
    let keys = if schema.pointer("/properties/list").is_some() && !items.is_empty() {
        format!("`list = [\"{}\"]`", shortened(first))
    } else if let Some((key, text)) = first.split_once('=') {
        format!("`{} = \"{}\"`", visible(key), shortened(text))
    } else {
        "its keys".to_owned()
    };
    format!("write {keys} below a line `[{name}]`")
}

/// The name between the brackets: that of the entries, for an entry of a list.
fn name(steps: &[&str]) -> String {
    let names = steps.iter().filter(|step| !is_index(step));
    let names: Vec<String> = names.map(|step| unescape(step)).collect();
    visible(&names.join("."))
}

fn is_table(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "object")
}
