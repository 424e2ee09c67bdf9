//! Brings generated schemas into the house's form: no null, one enumeration instead of a branch per word, and what doc comments say in words
//! as keywords, for editors.
//!
//! A doc comment that says ``Default `30s`.`` gives the keyword `default`, and so does `` `heal` (default)``. The documents of variants become
//! the documents of words.

use schemars::Schema;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::{Map, Value, json};

/// Brings the schema of a file into the house's form.
#[derive(Clone)]
pub(super) struct House;

impl Transform for House {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(object) = schema.as_object_mut() {
            drop_null(object);
            merge_words(object);
            drop_empty_default(object);
            take_default(object);
        }
    }
}

/// Brings the schema of an answer into the house's form: JSON knows null where TOML does not.
#[derive(Clone)]
pub(super) struct Answer;

impl Transform for Answer {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(object) = schema.as_object_mut() {
            merge_words(object);
            drop_empty_default(object);
        }
    }
}

fn drop_null(schema: &mut Map<String, Value>) {
    let null = json!({ "type": "null" });
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.retain(|branch| *branch != null);
        if let [Value::Object(only)] = branches.as_mut_slice() {
            let only = std::mem::take(only);
            schema.remove("anyOf");
            for (key, value) in only {
                schema.entry(key).or_insert(value);
            }
        }
    }
}

/// Words with a description each come as one branch per word, which would give one error per branch. The descriptions are kept as editors want
/// them: one keyword each for those that read JSON's and for those that read TOML.
fn merge_words(schema: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = schema.get("oneOf") else {
        return;
    };
    let words: Option<Vec<Vec<Word>>> = branches.iter().map(words_of).collect();
    let Some(words) = words.map(|words| words.concat()) else {
        return;
    };
    schema.remove("oneOf");
    schema.insert("type".to_owned(), json!("string"));
    if words.iter().any(|(_, description)| description.is_some()) {
        let descriptions: Vec<&str> = words
            .iter()
            .map(|(_, description)| description.as_deref().unwrap_or_default())
            .collect();
        schema.insert("enumDescriptions".to_owned(), json!(descriptions));
        let docs = json!({ "docs": { "enumValues": descriptions } });
        schema.insert("x-taplo".to_owned(), docs);
    }
    let words: Vec<Value> = words.into_iter().map(|(word, _)| word).collect();
    schema.insert("enum".to_owned(), Value::Array(words));
}

/// A word and what it means.
type Word = (Value, Option<String>);

fn words_of(branch: &Value) -> Option<Vec<Word>> {
    let description = branch.get("description").and_then(Value::as_str);
    let documented = |word: &Value| (word.clone(), description.map(str::to_owned));
    let word = branch.get("const").filter(|word| word.is_string());
    let words = branch.get("enum").and_then(Value::as_array);
    let words = words.filter(|words| words.iter().all(Value::is_string));
    word.map(|word| vec![documented(word)])
        .or_else(|| words.map(|words| words.iter().map(documented).collect()))
}

fn drop_empty_default(schema: &mut Map<String, Value>) {
    let empty = |value: &Value| value.is_null() || *value == json!([]) || *value == json!({});
    if schema.get("default").is_some_and(empty) {
        schema.remove("default");
    }
}

/// Makes a keyword of the default that the description names.
fn take_default(schema: &mut Map<String, Value>) {
    let description = schema.get("description").and_then(Value::as_str);
    let Some(word) = description.and_then(default_of) else {
        return;
    };
    let takes = |kind: &str| match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|it| it == kind),
        one => one.is_some_and(|it| it == kind),
    };
    let number = || {
        serde_json::from_str::<Value>(&word)
            .ok()
            .filter(Value::is_number)
    };
    let value = match word.as_str() {
        "true" | "false" if takes("boolean") => Some(json!(word == "true")),
        _ if takes("integer") || takes("number") => number(),
        _ => None,
    };
    let text = || takes("string").then(|| json!(word));
    if let Some(value) = value.or_else(text) {
        schema.entry("default").or_insert(value);
    }
}

/// The default in a description: ``Default `30s`.``, `Default 5.`, `` `heal` (default``. None where it takes more words.
pub(super) fn default_of(description: &str) -> Option<String> {
    if let Some((before, _)) = description.split_once("` (default") {
        return before.rsplit('`').next().map(str::to_owned);
    }
    let (_, after) = description.split_once("Default ")?;
    if let Some(quoted) = after.strip_prefix('`') {
        let (word, rest) = quoted.split_once('`')?;
        return rest.starts_with(['.', ';']).then(|| word.to_owned());
    }
    let end = after.find([';', ' ', ',']).unwrap_or(after.len());
    let word = after[..end].trim_end_matches('.');
    let plain = word == "true" || word == "false" || word.parse::<f64>().is_ok();
    plain.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_read_where_the_description_names_one_word() {
        for (description, word) in [
            ("How long. Default `30s`.", Some("30s")),
            ("How many. Default 5.", Some("5")),
            ("Default false; true is not built yet.", Some("false")),
            ("The share. Default 1.5.", Some("1.5")),
            (
                "`blue-green` (default): beside the old one. `recreate`: after it.",
                Some("blue-green"),
            ),
            (
                "`auto` (default: a Dockerfile → `docker`), or a name.",
                Some("auto"),
            ),
            ("Default: all.", None),
            ("Default: `per-app` for root, else `none`.", None),
            ("Default `a` or `b`.", None),
            ("Nothing of the kind.", None),
        ] {
            assert_eq!(default_of(description).as_deref(), word, "{description}");
        }
    }

    #[test]
    fn a_default_has_the_type_of_its_key() {
        let told = |kind: Value, description: &str| {
            let mut schema = json!({ "type": kind, "description": description });
            take_default(schema.as_object_mut().unwrap());
            schema.get("default").cloned()
        };
        assert_eq!(told(json!("integer"), "Default 5."), Some(json!(5)));
        assert_eq!(
            told(json!(["integer", "string"]), "Default `30s`."),
            Some(json!("30s"))
        );
        assert_eq!(told(json!("boolean"), "Default true."), Some(json!(true)));
        assert_eq!(told(json!("array"), "Default `x`."), None);
    }

    #[test]
    fn words_keep_what_their_variants_say() {
        let mut schema = json!({ "oneOf": [
            { "const": "a", "type": "string", "description": "The first." },
            { "enum": ["b", "c"], "type": "string" }
        ] });
        merge_words(schema.as_object_mut().unwrap());
        assert_eq!(schema["enum"], json!(["a", "b", "c"]));
        assert_eq!(schema["enumDescriptions"], json!(["The first.", "", ""]));
        assert_eq!(schema["x-taplo"]["docs"]["enumValues"][0], "The first.");
    }
}
