//! The reference and its examples: every key has one, every example is valid, and editors find in the schemas what the pages say.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use hop3_agent::builtin;
use hop3_agent::config::{AgentConfig, HostConfig};
use hop3_agent::registry::Registry;
use hop3_agent::schema::samples::{SAMPLES, Sample};
use hop3_agent::schema::{Schemas, reference};
use hop3_agent::spec::{AppFiles, Diagnostic, Sources, load_app, render};
use serde_json::{Value, json};

fn schemas() -> Schemas {
    let registry = Registry::new(builtin()).unwrap();
    let names: Vec<&str> = registry.linked().iter().map(|linked| linked.name).collect();
    Schemas::compose_for(&names, &registry.sections())
}

fn errors(sample: &Sample, schemas: &Schemas) -> Vec<Diagnostic> {
    let found = match sample.schema {
        "agent" => AgentConfig::parse(sample.text, sample.file, schemas).err(),
        "host" => HostConfig::parse(sample.text, sample.file, schemas).err(),
        _ => {
            let files = AppFiles {
                directory: "apps/sample",
                spec: Some((sample.file, sample.text.as_bytes())),
                procfile: None,
            };
            Some(load_app(schemas, &files).diagnostics)
        }
    };
    let found = found.unwrap_or_default();
    found.into_iter().filter(Diagnostic::is_error).collect()
}

#[test]
fn every_sample_is_valid() {
    let schemas = schemas();
    for sample in SAMPLES {
        let found = errors(&sample, &schemas);
        let sources = Sources::from([(sample.file.to_owned(), sample.text.to_owned())]);
        assert!(found.is_empty(), "{}", render(&found, &sources, false));
    }
}

#[test]
fn every_key_has_an_example() {
    let mut lacking = reference::without_example(&schemas());
    lacking.retain(|_, keys| !keys.is_empty());
    assert!(
        lacking.is_empty(),
        "add examples to the files in docs/reference/examples, then run `cargo run --profile ci -- schema --write` and \
         `cargo run --profile ci -- reference --write`; these lack one: {lacking:#?}"
    );
}

#[test]
fn every_example_of_a_page_is_toml() {
    for (name, page) in reference::pages(&schemas()) {
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let examples: Vec<String> = rows.filter_map(example).collect();
        assert!(examples.len() > 5, "{name}: {} examples", examples.len());
        for example in examples {
            let parsed = example.parse::<toml::Table>();
            assert!(parsed.is_ok(), "{name}: `{example}`: {parsed:?}");
        }
    }
}

/// The cell of a row that holds the example, without its marks.
fn example(row: &str) -> Option<String> {
    let cells: Vec<&str> = row.split(" | ").collect();
    let cell = cells.get(3)?.trim();
    let text = cell.trim_matches('`').trim().replace("\\|", "|");
    (!text.is_empty()).then_some(text)
}

#[test]
fn schemas_say_what_editors_show() {
    let documents = schemas().documents(Vec::new());
    let hop3 = &documents["hop3"];
    assert_eq!(hop3["$id"], "urn:hop3-agent:schema:hop3");
    assert_eq!(
        hop3["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(hop3["title"], "hop3.toml");
    let deploy = &hop3["properties"]["deploy"]["properties"];
    assert_eq!(deploy["drain-timeout"]["default"], "30s");
    assert_eq!(deploy["drain-timeout"]["examples"], json!(["10s"]));
    assert_eq!(deploy["keep-releases"]["default"], 5);
    let journal =
        &hop3["properties"]["addons"]["items"]["allOf"][0]["then"]["properties"]["journal-mode"];
    let words = journal["enum"].as_array().unwrap();
    let described = journal["x-taplo"]["docs"]["enumValues"].as_array().unwrap();
    assert_eq!(words.len(), described.len());
}

fn undescribed(schema: &Value, at: &str, found: &mut Vec<String>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, property) in properties.into_iter().flatten() {
        let at = format!("{at}/{key}");
        let told = property.get("description").and_then(Value::as_str);
        if told.is_none_or(str::is_empty) {
            found.push(at.clone());
        }
        undescribed(property, &at, found);
        if let Some(items) = property.get("items") {
            undescribed(items, &at, found);
        }
    }
}

#[test]
fn every_key_of_every_file_is_described() {
    for (name, schema) in schemas().documents(Vec::new()) {
        let mut found = Vec::new();
        undescribed(&schema, "", &mut found);
        assert!(found.is_empty(), "{name}: {found:?}");
    }
}
