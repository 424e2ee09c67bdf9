//! Every key of every schema stands in a good case, and in a bad one in which it is at fault.

use std::collections::BTreeSet;
use std::path::Path;

use hop3_agent::spec::Diagnostic;
use serde_json::Value;

use super::plugins::schemas;
use super::settings::{Kind, remarks};
use super::{folders, load};

/// The keys of a schema as paths: `*` stands for any name, `[]` for any entry.
fn keys(schema: &Value) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    walk(schema, &[], &mut found);
    found
}

fn walk(schema: &Value, at: &[String], found: &mut BTreeSet<Vec<String>>) {
    let below = |step: &str| [at, &[step.to_owned()]].concat();
    let table = |name: &str| schema.get(name).and_then(Value::as_object);
    for (key, inner) in table("properties").into_iter().flatten() {
        found.insert(below(key));
        walk(inner, &below(key), found);
    }
    for (_, inner) in table("patternProperties").into_iter().flatten() {
        walk(inner, &below("*"), found);
    }
    if let Some(inner) = schema.get("additionalProperties") {
        walk(inner, &below("*"), found);
    }
    if let Some(inner) = schema.get("items") {
        walk(inner, &below("[]"), found);
    }
    for word in ["then", "else"] {
        if let Some(inner) = schema.get(word) {
            walk(inner, at, found);
        }
    }
    for inner in schema
        .get("allOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        walk(inner, at, found);
    }
}

/// Whether a pointer is a place of a key.
fn fits(key: &[String], pointer: &str) -> bool {
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    let index = |step: &str| step.bytes().all(|b| b.is_ascii_digit());
    let same = |(key, step): (&String, &&str)| match key.as_str() {
        "*" => true,
        "[]" => index(step),
        key => key == step.replace("~1", "/").replace("~0", "~"),
    };
    key.len() == steps.len() && key.iter().zip(&steps).all(same)
}

/// The pointers of everything in a file.
fn pointers(value: &toml::Value, at: &str, all: &mut BTreeSet<String>) {
    let mut below = |step: &str, inner: &toml::Value| {
        let pointer = format!("{at}/{}", step.replace('~', "~0").replace('/', "~1"));
        pointers(inner, &pointer, all);
        all.insert(pointer);
    };
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(key, inner)| below(key, inner)),
        toml::Value::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(index, inner)| below(&index.to_string(), inner));
        }
        _ => {}
    }
}

/// Keys that stand in good cases, and keys that are at fault in bad ones.
#[derive(Default)]
struct Seen {
    good: BTreeSet<String>,
    bad: BTreeSet<String>,
}

impl Seen {
    fn case(&mut self, file: &Path, good: bool, found: &[Diagnostic]) {
        let text = std::fs::read(file).unwrap();
        let table = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse::<toml::Table>().ok());
        if let Some(table) = table.filter(|_| good) {
            pointers(&toml::Value::Table(table), "", &mut self.good);
        }
        if !good {
            let errors = found.iter().filter(|d| d.is_error());
            self.bad.extend(errors.map(|d| d.key.clone()));
        }
    }

    fn assert_covers(&self, name: &str, schema: &Value) {
        let keys = keys(schema);
        let lacking = |seen: &BTreeSet<String>| -> Vec<String> {
            let lacking = keys
                .iter()
                .filter(|key| !seen.iter().any(|pointer| fits(key, pointer)));
            lacking.map(|key| key.join(".")).collect()
        };
        let (good, bad) = (lacking(&self.good), lacking(&self.bad));
        assert!(
            good.is_empty() && bad.is_empty(),
            "{name}: in no good case: {good:#?}\nat fault in no bad case: {bad:#?}"
        );
        assert!(!keys.is_empty());
    }
}

#[test]
fn every_key_of_a_spec_stands_in_a_good_and_a_bad_case() {
    let schemas = schemas();
    let mut seen = Seen::default();
    for case in folders("spec") {
        let file = case.join("hop3.toml");
        let Ok(bytes) = std::fs::read(&file) else {
            continue;
        };
        let procfile = std::fs::read(case.join("Procfile")).ok();
        let loaded = load(&schemas, "apps/demo", Some(&bytes), procfile.as_deref());
        seen.case(&file, loaded.spec.is_some(), &loaded.diagnostics);
    }
    seen.assert_covers("hop3.toml", &schemas.documents(Vec::new())["hop3"]);
}

#[test]
fn every_key_of_the_operators_files_stands_in_a_good_and_a_bad_case() {
    let schemas = schemas();
    for kind in [Kind::Agent, Kind::Host] {
        let mut seen = Seen::default();
        for case in folders("settings") {
            let file = case.join(kind.file());
            let Ok(text) = std::fs::read_to_string(&file) else {
                continue;
            };
            let found = remarks(kind, &text, &schemas);
            let good = !case
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("bad-");
            seen.case(&file, good, &found);
        }
        seen.assert_covers(kind.file(), &schemas.documents(Vec::new())[kind.schema()]);
    }
}
