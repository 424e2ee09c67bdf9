//! From a schema to the sections and rows of a page. Whatever a schema can say about a table is found here: keys, names that are free, forms that
//! are told by a key, lists of tables, what depends on a type.

use std::collections::BTreeSet;

use serde_json::Value;

use super::words::{self, meaning};
use crate::schema::samples::example;
use crate::spec::tree::escape;
use crate::spec::written::{assignment, toml};

/// One table of keys.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) depth: usize,
    pub(super) description: String,
    pub(super) unbuilt: bool,
    pub(super) rows: Vec<Row>,
}

/// One key.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) pointer: String,
    pub(super) kind: String,
    pub(super) default: Option<String>,
    pub(super) example: Option<String>,
    pub(super) meaning: String,
    /// Whether its table needs it.
    pub(super) required: bool,
    pub(super) unbuilt: bool,
}

/// All sections of a schema, each before what stands in it.
pub(super) fn outline(
    schema: &Value,
    samples: &[Value],
    unbuilt: &BTreeSet<String>,
) -> Vec<Section> {
    let mut outline = Outline {
        samples,
        unbuilt,
        bodies: bodies(schema),
        sections: Vec::new(),
    };
    outline.root(schema);
    outline.sections
}

/// A place in the file: its names as they are written, its pointer in the samples, and how deep it is.
#[derive(Debug, Clone)]
struct Place {
    path: String,
    pointer: String,
    list: bool,
    depth: usize,
    /// Whether nothing in it is built.
    unbuilt: bool,
}

impl Place {
    fn title(&self) -> String {
        if self.list {
            format!("[[{}]]", self.path)
        } else {
            format!("[{}]", self.path)
        }
    }

    fn below(&self, key: &str, list: bool) -> Self {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        let items = if list { "/*" } else { "" };
        Self {
            path,
            pointer: format!("{}/{}{items}", self.pointer, escape(key)),
            list,
            depth: self.depth + 1,
            unbuilt: self.unbuilt,
        }
    }
}

struct Outline<'a> {
    samples: &'a [Value],
    unbuilt: &'a BTreeSet<String>,
    /// The main sections with keys of their own, by their title.
    bodies: Vec<(String, Value)>,
    sections: Vec<Section>,
}

/// What the main sections are made of, so that what is the same elsewhere is told once.
fn bodies(schema: &Value) -> Vec<(String, Value)> {
    let main = properties(schema);
    let keyed = main.filter_map(|(key, section)| {
        let list = is_list_of_tables(section);
        let title = if list {
            format!("[[{key}]]")
        } else {
            format!("[{key}]")
        };
        let body = body(section, list);
        body.get("properties").is_some().then_some((title, body))
    });
    keyed.collect()
}

/// A section without what is said of its place alone.
fn body(section: &Value, list: bool) -> Value {
    let mut body = section
        .get("items")
        .filter(|_| list)
        .unwrap_or(section)
        .clone();
    if let Some(body) = body.as_object_mut() {
        body.retain(|key, _| !["description", "title", "deprecated"].contains(&key.as_str()));
    }
    body
}

impl Outline<'_> {
    fn root(&mut self, schema: &Value) {
        let place = Place {
            path: String::new(),
            pointer: String::new(),
            list: false,
            depth: 0,
            unbuilt: false,
        };
        let mut rows = self.rows(schema, &place);
        rows.retain(|row| !is_object(&schema["properties"][&row.key]));
        if !rows.is_empty() {
            self.sections.push(Section {
                title: "Keys outside of sections".to_owned(),
                depth: 0,
                description: String::new(),
                unbuilt: false,
                rows,
            });
        }
        for (key, section) in properties(schema) {
            let list = is_list_of_tables(section);
            if is_object(section) || list {
                let below = place.below(key, list);
                self.section(section, &Place { depth: 0, ..below });
            }
        }
    }

    /// A table or a list of tables, with everything in it.
    fn section(&mut self, schema: &Value, place: &Place) {
        let place = &Place {
            unbuilt: place.unbuilt
                || words::says_unbuilt(schema)
                || self.is_unbuilt(place.pointer.trim_end_matches("/*")),
            ..place.clone()
        };
        let mut description = words::description(schema);
        if let Some(twin) = self.twin(schema, place) {
            description = format!("{description} The keys are those of `{twin}`.");
            self.sections.push(Section {
                title: place.title(),
                depth: place.depth,
                description,
                unbuilt: place.unbuilt,
                rows: Vec::new(),
            });
            return;
        }
        let schema = schema.get("items").filter(|_| place.list).unwrap_or(schema);
        let rows = self.rows(schema, place);
        if place.path.starts_with("plugin.") && rows.is_empty() {
            return;
        }
        self.sections.push(Section {
            title: place.title(),
            depth: place.depth,
            description,
            unbuilt: place.unbuilt,
            rows,
        });
        self.forms(schema, place);
        self.kinds(schema, place);
        for (key, inner) in properties(schema) {
            let list = is_list_of_tables(inner);
            if is_table(inner) || list {
                self.section(inner, &place.below(key, list));
            }
        }
        if let Some(inner) = free(schema).filter(|inner| is_table(inner)) {
            self.section(inner, &place.below("<name>", false));
        }
    }

    /// The title of an earlier main section, or of any one for a table within another, that has the same keys.
    fn twin(&self, schema: &Value, place: &Place) -> Option<String> {
        let own = body(schema, place.list);
        let title = place.title();
        let earlier = self.bodies.iter().take_while(|(main, _)| *main != title);
        let mut same = earlier.filter(|(_, body)| *body == own);
        same.next().map(|(title, _)| title.clone())
    }

    /// The keys of a table that are no tables themselves.
    fn rows(&self, schema: &Value, place: &Place) -> Vec<Row> {
        // Every plugin has it; it is told once.
        let told = place.path.starts_with("plugin.") && place.path != "plugin.<name>";
        let plain = properties(schema)
            .filter(|(_, inner)| !is_table(inner) && !is_list_of_tables(inner))
            .filter(|(key, _)| !(told && *key == "enabled"));
        let mut rows: Vec<Row> = plain
            .map(|(key, inner)| Row {
                required: requires(schema, key),
                ..self.row(key, inner, place)
            })
            .collect();
        let anything = Value::Bool(true);
        let open = rows.is_empty() && !is_table(schema) && is_object(schema);
        let inner = free(schema).or(open.then_some(&anything));
        if let Some(inner) = inner.filter(|inner| !is_table(inner)) {
            rows.push(self.free_row(schema, inner, place));
        }
        rows
    }

    fn row(&self, key: &str, schema: &Value, place: &Place) -> Row {
        let pointer = format!("{}/{}", place.pointer, escape(key));
        let value = example(self.samples, &pointer);
        Row {
            key: key.to_owned(),
            kind: words::kind(schema),
            default: schema.get("default").map(toml),
            example: value.map(|value| assignment(key, &value)),
            meaning: meaning(schema),
            required: false,
            unbuilt: place.unbuilt || self.is_unbuilt(&pointer) || words::says_unbuilt(schema),
            pointer,
        }
    }

    /// The row of keys whose names are free.
    fn free_row(&self, table: &Value, schema: &Value, place: &Place) -> Row {
        let found = example(self.samples, &place.pointer);
        let known = table.get("properties").and_then(Value::as_object);
        let first = found.as_ref().and_then(Value::as_object).and_then(|found| {
            let mut own = found.iter().filter(|(key, value)| {
                !key.starts_with('_')
                    && known.is_none_or(|known| !known.contains_key(*key))
                    && !value.is_object()
            });
            own.next().or_else(|| found.iter().next())
        });
        Row {
            key: "<name>".to_owned(),
            pointer: format!("{}/<name>", place.pointer),
            kind: words::kind(schema),
            default: None,
            example: first.map(|(key, value)| assignment(key, value)),
            meaning: meaning(schema),
            required: false,
            unbuilt: place.unbuilt || self.is_unbuilt(&place.pointer),
        }
    }

    /// The forms of a value that are told by the keys of its table: `{ generate = … }`.
    fn forms(&mut self, schema: &Value, place: &Place) {
        let Some(mut form) = free(schema).and_then(|inner| inner.get("then")).cloned() else {
            return;
        };
        while let (Some(condition), Some(then)) = (form.get("if"), form.get("then")) {
            let below = Place {
                path: format!("{} = {{ {} }}", "<name>", telling(condition)),
                ..place.below("<name>", false)
            };
            let rows: Vec<Row> = properties(then)
                .map(|(key, inner)| self.row(key, inner, &place.below("<name>", false)))
                .collect();
            let told_by = condition.pointer("/required/0").and_then(Value::as_str);
            let mut deciding = rows.iter().filter(|row| Some(row.key.as_str()) == told_by);
            let unbuilt = place.unbuilt || deciding.any(|row| row.unbuilt);
            self.sections.push(Section {
                title: below.path.clone(),
                depth: place.depth + 1,
                description: words::description(then),
                unbuilt,
                rows,
            });
            form = form.get("else").cloned().unwrap_or_default();
        }
    }

    /// What an entry of a list takes besides, told by its `type`.
    fn kinds(&mut self, schema: &Value, place: &Place) {
        let rules = schema.get("allOf").and_then(Value::as_array);
        for rule in rules.into_iter().flatten() {
            let kind = rule
                .pointer("/if/anyOf/0/properties/type/const")
                .and_then(Value::as_str);
            let (Some(kind), Some(settings)) = (kind, rule.get("then")) else {
                continue;
            };
            let rows = self.rows(settings, place);
            self.sections.push(Section {
                title: format!("{} type = \"{kind}\"", place.title()),
                depth: place.depth + 1,
                description: words::description(settings),
                unbuilt: false,
                rows,
            });
        }
    }

    /// Whether a key, or the table that it stands in, is not built.
    fn is_unbuilt(&self, pointer: &str) -> bool {
        self.unbuilt.iter().any(|unbuilt| {
            pointer
                .strip_prefix(unbuilt.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

fn requires(schema: &Value, key: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|keys| keys.iter().any(|it| it == key))
}

/// The schema of keys whose names are free.
fn free(schema: &Value) -> Option<&Value> {
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    let described = |inner: &&Value| inner.is_object();
    let by_pattern = patterns.and_then(|patterns| patterns.values().find(described));
    by_pattern.or_else(|| schema.get("additionalProperties").filter(described))
}

fn is_object(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "object")
}

/// A table with keys of its own, and nothing else.
fn is_table(schema: &Value) -> bool {
    let only = schema
        .get("type")
        .is_some_and(|kind| kind == "object" || *kind == serde_json::json!(["array", "object"]));
    only && (schema.get("properties").is_some() || free(schema).is_some())
}

fn is_list_of_tables(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "array")
        && schema.get("items").is_some_and(is_table)
}

/// The keys by which a form is told.
fn telling(condition: &Value) -> String {
    let required = |schema: &Value| {
        let key = schema.pointer("/required/0")?.as_str()?;
        Some(format!("{key} = …"))
    };
    let several = condition.get("anyOf").and_then(Value::as_array);
    let first = several.and_then(|all| all.first()).and_then(required);
    required(condition).or(first).unwrap_or_default()
}
