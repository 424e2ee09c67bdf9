//! How much of a file a mistake takes away, so that the rest can still be read and checked.

use serde_json::Value;

use super::is_index;
use crate::spec::tree::{Tree, unescape};

/// Lists of texts that are read item by item.
const ITEM_BY_ITEM: [&str; 3] = ["/domains/list", "/domains/hosts", "/waf/allow"];

/// The part around a bad value: an entry of a list of tables, a name of a table of free names, else a key of the section. The whole
/// section, where that is something else or needs the key.
pub(super) fn of(tree: &Tree, schema: &Value, pointer: &str) -> String {
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    let (mut at, mut part) = (String::new(), String::new());
    let mut node = Some(schema);
    for (depth, step) in steps.iter().enumerate() {
        let around = tree.value.pointer(&at);
        let next = node.and_then(|node| below(node, step));
        let apart = match around {
            Some(Value::Array(items)) => {
                ITEM_BY_ITEM.contains(&at.as_str()) || items.iter().all(Value::is_object)
            }
            _ => {
                depth == 0
                    || next.is_some_and(|(_, free)| free)
                    || depth == 1 && !node.is_some_and(|node| needs(node, step))
            }
        };
        at = format!("{at}/{step}");
        if apart {
            part.clone_from(&at);
        }
        node = next.map(|(inner, _)| inner);
    }
    part
}

/// The schema of one step, and whether the step is a free name.
fn below<'a>(schema: &'a Value, step: &str) -> Option<(&'a Value, bool)> {
    if is_index(step)
        && let Some(items) = schema.get("items")
    {
        return Some((items, false));
    }
    let name = unescape(step);
    if let Some(inner) = schema.get("properties").and_then(|keys| keys.get(&name)) {
        return Some((inner, false));
    }
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    let pattern = patterns.and_then(|patterns| patterns.values().find(|inner| inner.is_object()));
    let open = schema
        .get("additionalProperties")
        .filter(|inner| inner.is_object());
    pattern.or(open).map(|inner| (inner, true))
}

fn needs(schema: &Value, step: &str) -> bool {
    let keys = schema.get("required").and_then(Value::as_array);
    keys.is_some_and(|keys| keys.iter().any(|key| key == step))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bad_value_takes_away_no_more_than_it_must() {
        let text = "[s]\na = 1\nneeded = 1\n[s.map]\nx = 1\n[[l]]\na = 1\n[[l.inner]]\nb = 1\n";
        let tree = Tree::read("f", text.as_bytes()).unwrap();
        let entry = json!({ "properties": { "a": {}, "inner": { "items": { "properties": { "b": {} } } } } });
        let section = json!({
            "required": ["needed"],
            "properties": { "a": {}, "needed": {}, "map": { "patternProperties": { "^.$": {} } } }
        });
        let schema = json!({ "properties": { "s": section, "l": { "items": entry } } });
        for (pointer, part) in [
            ("/s/a", "/s/a"),
            ("/s/needed", "/s"),
            ("/s/map/x/deep", "/s/map/x"),
            ("/l/0/a", "/l/0"),
            ("/l/0/inner/0/b", "/l/0/inner/0"),
            ("/s", "/s"),
            ("", ""),
        ] {
            assert_eq!(of(&tree, &schema, pointer), part, "{pointer}");
        }
    }
}
