//! Values as TOML has them, on one line: for hints, and for the pages of reference. The inverse of reading, for people.

use serde_json::Value;

/// A key with its value.
pub(crate) fn assignment(key: &str, value: &Value) -> String {
    format!("{} = {}", bare(key), toml(value))
}

/// A value.
pub(crate) fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(table) => {
            let entries = table.iter().map(|(key, value)| assignment(key, value));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        // Escapes of JSON are escapes of TOML, too.
        Value::String(text) if text.contains('\n') => Value::from(text.as_str()).to_string(),
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        other => other.to_string(),
    }
}

fn bare(key: &str) -> String {
    let plain = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if plain {
        key.to_owned()
    } else {
        toml::Value::from(key).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_written_as_toml() {
        assert_eq!(toml(&json!("a\nb\"")), "\"a\\nb\\\"\"");
        assert_eq!(
            assignment("a b", &json!({ "x": ["y\"", 1.5, true] })),
            "\"a b\" = { x = ['y\"', 1.5, true] }"
        );
    }
}
