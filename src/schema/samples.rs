//! Whole files that are valid and hold every key: the examples of schemas and of the reference come from them, so no example is wrong.

use serde_json::Value;

use crate::spec::tree::{Tree, unescape};

/// A sample file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The schema that it follows: `hop3`, `agent` or `host`.
    pub schema: &'static str,
    /// Its file in `docs/reference/examples`.
    pub file: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! sample {
    ($schema:literal, $file:literal) => {
        Sample {
            schema: $schema,
            file: $file,
            text: include_str!(concat!("../../docs/reference/examples/", $file)),
        }
    };
}

/// All of them. What cannot stand beside something else has a file of its own.
pub const SAMPLES: [Sample; 9] = [
    sample!("hop3", "hop3.toml"),
    sample!("hop3", "hop3-archive.toml"),
    sample!("hop3", "hop3-image.toml"),
    sample!("hop3", "hop3-older.toml"),
    sample!("agent", "agent.toml"),
    sample!("agent", "agent-ssh.toml"),
    sample!("agent", "agent-tag.toml"),
    sample!("agent", "agent-commit.toml"),
    sample!("host", "hosts/web1.toml"),
];

/// The samples of a schema, as values.
pub fn samples(schema: &str) -> Vec<Value> {
    let of_schema = SAMPLES.iter().filter(|sample| sample.schema == schema);
    let value = |sample: &Sample| {
        let tree = Tree::read(sample.file, sample.text.as_bytes());
        tree.expect("samples are TOML, as a test asserts").value
    };
    of_schema.map(value).collect()
}

/// Puts the values of the samples into a schema as examples, key by key.
pub(super) fn illustrate(schema: &mut Value, name: &str) {
    for sample in samples(name) {
        show(schema, &sample);
    }
}

fn show(schema: &mut Value, value: &Value) {
    match value {
        Value::Object(table) if schema.get("properties").is_some() => {
            for (key, value) in table {
                if let Some(schema) = schema["properties"].get_mut(key) {
                    show(schema, value);
                }
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for item in items {
                if let Some(schema) = schema.get_mut("items") {
                    show(schema, item);
                }
            }
        }
        _ => add_example(schema, value),
    }
}

/// Words and flags need no example: an editor lists what they may be.
fn add_example(schema: &mut Value, value: &Value) {
    let flag = schema.get("type").is_some_and(|kind| kind == "boolean");
    let Some(schema) = schema
        .as_object_mut()
        .filter(|schema| !flag && !schema.contains_key("enum"))
    else {
        return;
    };
    let examples = schema
        .entry("examples")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Some(examples) = examples.as_array_mut().filter(|it| !it.contains(value)) {
        examples.push(value.clone());
    }
}

/// The first value that a sample has for a key, by pointer; `*` stands for any item of a list, `<name>` for any key.
pub fn example(samples: &[Value], pointer: &str) -> Option<Value> {
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    samples
        .iter()
        .find_map(|sample| at(sample, &steps))
        .cloned()
}

fn at<'v>(value: &'v Value, steps: &[&str]) -> Option<&'v Value> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(value);
    };
    match value {
        Value::Array(items) if *step == "*" => items.iter().find_map(|item| at(item, rest)),
        Value::Object(table) if *step == "<name>" => {
            table.values().find_map(|value| at(value, rest))
        }
        Value::Object(table) => at(table.get(&unescape(step))?, rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_example_is_the_first_value_of_its_key() {
        let samples = [
            json!({ "jobs": [{ "name": "a" }, { "every": "5m" }] }),
            json!({ "jobs": [{ "name": "b" }] }),
        ];
        assert_eq!(example(&samples, "/jobs/*/name"), Some(json!("a")));
        assert_eq!(example(&samples, "/jobs/*/every"), Some(json!("5m")));
        assert_eq!(example(&samples, "/jobs/*/never"), None);
    }

    #[test]
    fn values_of_samples_become_examples_of_their_keys() {
        let mut schema = json!({ "properties": {
            "run": { "properties": { "start": { "type": "string" }, "fast": { "type": "boolean" } } },
            "scale": { "type": "object", "additionalProperties": { "type": "integer" } }
        } });
        show(
            &mut schema,
            &json!({ "run": { "start": "x", "fast": true }, "scale": { "web": 2 } }),
        );
        let run = &schema["properties"]["run"]["properties"];
        assert_eq!(run["start"]["examples"], json!(["x"]));
        assert_eq!(run["fast"].get("examples"), None);
        assert_eq!(
            schema["properties"]["scale"]["examples"],
            json!([{ "web": 2 }])
        );
    }
}
