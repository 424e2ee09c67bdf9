//! From an app's files to [`AppSpec`]: syntax, schema, types, and then what no schema can tell. Every mistake of both files is found in one
//! go; a section with a mistake is left out of further checks, so that no mistake is told twice.

use std::collections::BTreeSet;

use hop3_plugin_api::AppName;
use serde_json::Value;

use super::app::AppSpec;
use super::check::{Kinds, check};
use super::convert::Draft;
use super::diagnostic::{Diagnostic, Sources, bounded};
use super::procfile::Procfile;
use super::sections::HopFile;
use super::tree::{Tree, unescape};
use crate::schema::Schemas;

/// The files of one app.
#[derive(Debug, Clone, Copy)]
pub struct AppFiles<'a> {
    /// The app's directory from the repo's root.
    pub directory: &'a str,
    /// Its `hop3.toml`, as path and content.
    pub spec: Option<(&'a str, &'a [u8])>,
    /// Its Procfile, as path and content.
    pub procfile: Option<(&'a str, &'a [u8])>,
}

/// What the files of an app came to.
#[derive(Debug, Default)]
pub struct LoadedApp {
    /// The spec; none exactly when there is an error.
    pub spec: Option<AppSpec>,
    /// Errors and notes, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts, for [`super::render`].
    pub sources: Sources,
}

/// Reads the files of one app.
pub fn load_app(schemas: &Schemas, files: &AppFiles<'_>) -> LoadedApp {
    let (procfile, mut diagnostics) = files.procfile.map_or_else(
        || Procfile::read("Procfile", b""),
        |(path, bytes)| Procfile::read(path, bytes),
    );
    let (spec, found) = match read_spec(schemas, files) {
        Ok(Read {
            tree,
            sections,
            faulty,
            mut found,
        }) => {
            let draft = Draft::new(files.directory, schemas, &tree, &faulty);
            let (spec, more) = draft.finish(sections, &procfile);
            found.extend(more);
            (spec, found)
        }
        Err(found) => (None, found),
    };
    diagnostics.splice(0..0, found);
    diagnostics.sort_by_key(|d| {
        (
            d.position.file == procfile.source.file,
            d.position.line,
            d.position.column,
        )
    });
    let good = !diagnostics.iter().any(Diagnostic::is_error);
    LoadedApp {
        spec: spec.filter(|_| good),
        diagnostics: bounded(diagnostics),
        sources: sources(files),
    }
}

struct Read {
    tree: Tree,
    sections: HopFile,
    /// What the schema refused, by pointer; it is missing in the sections.
    faulty: BTreeSet<String>,
    found: Vec<Diagnostic>,
}

fn read_spec(schemas: &Schemas, files: &AppFiles<'_>) -> Result<Read, Vec<Diagnostic>> {
    let (file, bytes) = files
        .spec
        .or(files.procfile.map(|(path, _)| (path, &b""[..])))
        .unwrap_or((files.directory, b""));
    let tree = Tree::read(file, bytes)?;
    let kinds = Kinds {
        own: &schemas.hop3,
        others: [
            ("agent.toml", &schemas.agent),
            ("hosts/<host>.toml", &schemas.host),
        ],
    };
    let mut found = check(&tree, &kinds);
    if files.spec.is_none() && files.procfile.is_none() {
        found.push(tree.error("", "the app has neither a `hop3.toml` nor a Procfile"));
    }
    let (sections, faulty) = typed(&tree, &mut found);
    Ok(Read {
        tree,
        sections,
        faulty,
        found,
    })
}

/// The types of everything in which the schema found nothing, and the pointers of what was left out for that.
fn typed(tree: &Tree, found: &mut Vec<Diagnostic>) -> (HopFile, BTreeSet<String>) {
    let mut sound = tree.value.clone();
    let faulty: BTreeSet<String> = found
        .iter()
        .filter(|d| d.is_error())
        .map(|d| faulty_part(tree, &d.key))
        .collect();
    for pointer in &faulty {
        if let Some((table, key)) = pointer.rsplit_once('/') {
            let table = sound.pointer_mut(table).and_then(Value::as_object_mut);
            table.and_then(|table| table.remove(&unescape(key)));
        }
    }
    let sections = serde_json::from_value(sound).unwrap_or_else(|error| {
        found.push(tree.error("", format!("the file could not be read: {error}")));
        HopFile::default()
    });
    (sections, faulty)
}

/// How much a mistake takes away: a key of its section, or the whole section where that is a list, for the others keep their numbers.
fn faulty_part(tree: &Tree, pointer: &str) -> String {
    let mut steps = pointer.split('/').skip(1);
    let section = format!("/{}", steps.next().unwrap_or_default());
    let table = tree.value.pointer(&section).is_some_and(Value::is_object);
    match steps.next() {
        Some(key) if table => format!("{section}/{key}"),
        _ => section,
    }
}

fn sources(files: &AppFiles<'_>) -> Sources {
    let both = files.spec.into_iter().chain(files.procfile);
    both.map(|(path, bytes)| (path.to_owned(), String::from_utf8_lossy(bytes).into_owned()))
        .collect()
}

/// The best guess at an app's name, for a spec that cannot be used: a broken spec must hold the right app.
pub fn app_name_of(files: &AppFiles<'_>) -> Option<AppName> {
    let declared = files
        .spec
        .and_then(|(_, bytes)| declared_name(&String::from_utf8_lossy(bytes)));
    declared.or_else(|| AppName::parse(directory_name(files.directory)).ok())
}

fn declared_name(text: &str) -> Option<AppName> {
    let (table, _) = toml::de::DeTable::parse_recoverable(text);
    let id = table
        .get_ref()
        .get("metadata")?
        .get_ref()
        .as_table()?
        .get("id")?
        .get_ref()
        .as_str()?;
    AppName::parse(id).ok()
}

/// The last part of a directory's path.
pub(crate) fn directory_name(directory: &str) -> &str {
    let directory = directory.trim_end_matches('/');
    directory.rsplit('/').next().unwrap_or(directory)
}

#[cfg(test)]
mod tests {
    use super::super::check::strict;
    use super::*;

    fn files(text: &str) -> AppFiles<'_> {
        AppFiles {
            directory: "apps/shop",
            spec: Some(("apps/shop/hop3.toml", text.as_bytes())),
            procfile: None,
        }
    }

    #[test]
    fn a_broken_spec_still_tells_its_name() {
        let name = |text| app_name_of(&files(text)).map(|name| name.to_string());
        assert_eq!(
            name("[metadata]\nid = \"store\"\n[run\n").as_deref(),
            Some("store")
        );
        assert_eq!(
            name("[metadata]\nid = \"Bad Name\"\n").as_deref(),
            Some("shop")
        );
        assert_eq!(name("= = =").as_deref(), Some("shop"));
    }

    fn agree(schemas: &Schemas, tree: &Tree, what: &str) {
        let schema: Vec<String> = schemas
            .hop3
            .validator()
            .iter_errors(&strict(&tree.value))
            .map(|e| e.to_string())
            .collect();
        let types = serde_json::from_value::<HopFile>(tree.value.clone());
        assert_eq!(
            schema.is_empty(),
            types.is_ok(),
            "{what}: {schema:?} {types:?}"
        );
    }

    fn specs() -> Vec<(String, Tree)> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/spec");
        let cases = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().join("hop3.toml"));
        let texts =
            cases.filter_map(|path| Some((path.display().to_string(), std::fs::read(path).ok()?)));
        texts
            .filter_map(|(name, bytes)| Some((name, Tree::read("hop3.toml", &bytes).ok()?)))
            .collect()
    }

    #[test]
    fn schema_and_types_agree_on_every_case() {
        let schemas = Schemas::compose(&[]);
        for (name, tree) in specs() {
            agree(&schemas, &tree, &name);
        }
    }

    #[test]
    fn schema_and_types_agree_when_any_value_is_another() {
        let schemas = Schemas::compose(&[]);
        let others = serde_json::json!([true, 0, 1, -1, 70000, 2.5, 3.0, "", "x", "5m", "A B", [], ["x"], [1], {}, {"x": "y"}, "con"]);
        for (name, mut tree) in specs()
            .into_iter()
            .filter(|(name, _)| name.contains("good-"))
        {
            let pointers: Vec<String> = tree
                .places()
                .map(|(pointer, _)| pointer.to_owned())
                .collect();
            for pointer in pointers {
                let original = tree.value.pointer(&pointer).cloned().unwrap();
                // A derived struct also takes a list of its values; the schema does not, and it decides.
                let table = original.is_object() || pointer.starts_with("/port/");
                let list_for_table = |other: &&Value| table && other.is_array();
                for other in others
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|other| !list_for_table(other))
                {
                    *tree.value.pointer_mut(&pointer).unwrap() = other.clone();
                    agree(&schemas, &tree, &format!("{name} with {pointer} = {other}"));
                }
                *tree.value.pointer_mut(&pointer).unwrap() = original;
            }
        }
    }

    #[test]
    fn an_empty_spec_is_an_app_with_defaults() {
        let loaded = load_app(&Schemas::compose(&[]), &files(""));
        let spec = loaded.spec.expect("no section is mandatory");
        assert_eq!(
            (spec.name.as_str(), spec.health.start_timeout.as_secs()),
            ("shop", 60)
        );
    }
}
