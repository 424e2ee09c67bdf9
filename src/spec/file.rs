//! From an app's files to [`AppSpec`]: syntax, schema, types, and then what no schema can tell. Every mistake of both files is found in one
//! go; a section with a mistake is left out of further checks, so that no mistake is told twice.

use std::collections::BTreeSet;

use hop3_plugin_api::AppName;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::app::AppSpec;
use super::check::{Checked, Kinds, check};
use super::convert::Draft;
use super::diagnostic::{Diagnostic, bounded};
use super::procfile::Procfile;
use super::render::Sources;
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
#[derive(Debug)]
pub struct LoadedApp {
    /// The spec; none exactly when there is an error.
    pub spec: Option<AppSpec>,
    /// Errors and notes, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts, for [`super::render`].
    pub sources: Sources,
}

/// What was found in one file, and how much more there is.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) found: Vec<Diagnostic>,
    pub(super) omitted: usize,
}

/// Reads the files of one app.
pub fn load_app(schemas: &Schemas, files: &AppFiles<'_>) -> LoadedApp {
    let (procfile, mut of_procfile) = files.procfile.map_or_else(
        || Procfile::read("Procfile", b""),
        |(path, bytes)| Procfile::read(path, bytes),
    );
    let (spec, Findings { mut found, omitted }) = read_spec(schemas, files, &procfile);
    found.sort_by_key(|d| {
        let of_procfile = d.position.file == procfile.source.file;
        (of_procfile, d.position.line, d.position.column)
    });
    of_procfile.found.splice(0..0, found);
    let found = of_procfile.found;
    let omitted = omitted + of_procfile.omitted;
    let good = omitted == 0 && !found.iter().any(Diagnostic::is_error);
    LoadedApp {
        spec: spec.filter(|_| good),
        diagnostics: bounded(found, omitted),
        sources: sources(files),
    }
}

/// The spec, and everything that is wrong with its own file.
fn read_spec(
    schemas: &Schemas,
    files: &AppFiles<'_>,
    procfile: &Procfile,
) -> (Option<AppSpec>, Findings) {
    let (tree, mut checked) = match check_spec(schemas, files) {
        Ok(sound) => sound,
        Err(findings) => return (None, findings),
    };
    if checked.omitted > 0 {
        let Checked { found, omitted, .. } = checked;
        return (None, Findings { found, omitted });
    }
    let sections: HopFile = typed(&tree, &mut checked);
    let draft = Draft::new(files.directory, schemas, &tree, &checked.faulty);
    let (spec, more, omitted) = draft.finish(sections, procfile);
    add_unless_told(&mut checked.found, more);
    let found = checked.found;
    (spec, Findings { found, omitted })
}

fn check_spec(schemas: &Schemas, files: &AppFiles<'_>) -> Result<(Tree, Checked), Findings> {
    let (file, bytes) = files
        .spec
        .or(files.procfile.map(|(path, _)| (path, &b""[..])))
        .unwrap_or((files.directory, b""));
    let tree = Tree::read(file, bytes).map_err(|found| Findings { found, omitted: 0 })?;
    let kinds = Kinds {
        own: &schemas.hop3,
        others: [
            ("agent.toml", &schemas.agent),
            ("hosts/<host>.toml", &schemas.host),
        ],
    };
    let mut checked = check(&tree, &kinds);
    if files.spec.is_none() && files.procfile.is_none() {
        let message = "the app has neither a `hop3.toml` nor a Procfile";
        let hint = "add one; an empty `hop3.toml` is a valid spec";
        checked.found.push(tree.error("", message).hint(hint));
    }
    Ok((tree, checked))
}

/// One bad value is told once, by whoever finds it first.
fn add_unless_told(found: &mut Vec<Diagnostic>, more: Vec<Diagnostic>) {
    let place = |d: &Diagnostic| (d.key.clone(), d.span);
    let mut told: BTreeSet<_> = found.iter().filter(|d| d.is_error()).map(place).collect();
    for diagnostic in more {
        if !diagnostic.is_error() || told.insert(place(&diagnostic)) {
            found.push(diagnostic);
        }
    }
}

/// The types of everything in which the schema found nothing.
pub(crate) fn typed<T: DeserializeOwned + Default>(tree: &Tree, checked: &mut Checked) -> T {
    let mut sound = tree.value.clone();
    for pointer in &checked.faulty {
        remove(&mut sound, pointer);
    }
    serde_json::from_value(sound).unwrap_or_else(|error| {
        let message = format!("the file could not be read: {error}");
        checked.found.push(tree.error("", message));
        T::default()
    })
}

/// Takes a part out. An entry of a list leaves its place, for the others keep their numbers.
fn remove(value: &mut Value, pointer: &str) {
    let Some((around, key)) = pointer.rsplit_once('/') else {
        return;
    };
    match value.pointer_mut(around) {
        Some(Value::Object(table)) => drop(table.remove(&unescape(key))),
        Some(Value::Array(_)) => {
            if let Some(entry) = value.pointer_mut(pointer) {
                *entry = Value::Null;
            }
        }
        _ => {}
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
    use crate::config::{AgentFile, HostFile};
    use crate::schema::Document;

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

    /// A kind of file: its schema, and what its type says of a value.
    type Reader = fn(&Value) -> Result<(), serde_json::Error>;

    fn reads<T: DeserializeOwned>(value: &Value) -> Result<(), serde_json::Error> {
        serde_json::from_value::<T>(value.clone()).map(drop)
    }

    /// Every case of every kind of file, with its schema and its type.
    fn cases(schemas: &Schemas) -> Vec<(&Document, Reader, Vec<(String, Tree)>)> {
        vec![
            (
                &schemas.hop3,
                reads::<HopFile> as Reader,
                files_named("spec", "hop3.toml"),
            ),
            (
                &schemas.agent,
                reads::<AgentFile>,
                files_named("settings", "agent.toml"),
            ),
            (
                &schemas.host,
                reads::<HostFile>,
                files_named("settings", "host.toml"),
            ),
        ]
    }

    fn files_named(folder: &str, file: &str) -> Vec<(String, Tree)> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let cases = std::fs::read_dir(root.join("tests/fixtures").join(folder)).unwrap();
        let paths = cases.map(|entry| entry.unwrap().path().join(file));
        let texts =
            paths.filter_map(|path| Some((path.display().to_string(), std::fs::read(path).ok()?)));
        let trees: Vec<_> = texts
            .filter_map(|(name, bytes)| Some((name, Tree::read(file, &bytes).ok()?)))
            .collect();
        assert!(trees.len() > 5, "{} files named {file}", trees.len());
        trees
    }

    fn agree((document, reader): (&Document, Reader), tree: &Tree, what: &str) {
        let instance = strict(&tree.value);
        let validator = document.validator();
        let errors = validator.iter_errors(&instance);
        let schema: Vec<String> = errors.map(|e| e.to_string()).collect();
        let types = reader(&tree.value);
        assert_eq!(
            schema.is_empty(),
            types.is_ok(),
            "{what}: {schema:?} {types:?}"
        );
    }

    #[test]
    fn schema_and_types_agree_on_every_case() {
        let schemas = Schemas::compose(&[]);
        for (document, reader, files) in cases(&schemas) {
            for (name, tree) in files {
                agree((document, reader), &tree, &name);
            }
        }
    }

    /// A derived struct also takes a list of its values; the schema does not, and it decides.
    fn takes_a_list_too(pointer: &str, original: &Value) -> bool {
        original.is_object() || pointer.starts_with("/port/") || pointer == "/proxy/hsts"
    }

    #[test]
    fn schema_and_types_agree_when_any_value_is_another() {
        let schemas = Schemas::compose(&[]);
        let others = serde_json::json!([
            true, 0, 1, -1, 70000, 2.5, 3.0, "", "x", "5m", "A B", "/x", "a/../b", "_", [], ["x"], [1], [{}], {},
            {"x": "y"}, "con", "0750", "x.age", "64M", "a@b.c", "host/x", "404", "5xx", "\n", "x\ny",
        ]);
        for (document, reader, files) in cases(&schemas) {
            for (name, mut tree) in files {
                if name.contains("/bad-") {
                    continue;
                }
                let pointers: Vec<String> = tree
                    .places()
                    .map(|(pointer, _)| pointer.to_owned())
                    .collect();
                for pointer in pointers {
                    let original = tree.value.pointer(&pointer).cloned().unwrap();
                    let excepted = takes_a_list_too(&pointer, &original);
                    let others = others.as_array().unwrap();
                    for other in others
                        .iter()
                        .filter(|other| !(excepted && other.is_array()))
                    {
                        *tree.value.pointer_mut(&pointer).unwrap() = other.clone();
                        agree(
                            (document, reader),
                            &tree,
                            &format!("{name} with {pointer} = {other}"),
                        );
                    }
                    *tree.value.pointer_mut(&pointer).unwrap() = original;
                }
            }
        }
    }

    #[test]
    fn names_of_any_kind_agree_with_their_schema() {
        let schemas = Schemas::compose(&[]);
        let names = [
            "a", "A", "a-b", "a_b", "1", "", " ", "a b", "é", "a.b", "_", "-", "/x", "//", "/..",
            "404", "4xx", "a\n",
        ];
        for name in names {
            let key = toml::Value::from(name).to_string();
            let key = if key.contains("\"\"\"") {
                format!("{name:?}")
            } else {
                key
            };
            for text in [
                format!("[env]\n{key} = \"x\""),
                format!("[env.computed]\n{key} = \"x\""),
                format!("[build.env]\n{key} = \"x\""),
                format!("[run.workers]\n{key} = \"x\""),
                format!("[scale]\n{key} = 1"),
                format!("[static]\n{key} = \"x\""),
                format!("[run.static]\n{key} = \"x\""),
                format!("[proxy.headers]\n{key} = \"x\""),
                format!("[proxy.redirect]\n{key} = \"/x\""),
                format!("[proxy.error-pages]\n{key} = \"x\""),
                format!("[contexts.{key}]\nserver = \"x\""),
            ] {
                let tree = Tree::read("hop3.toml", text.as_bytes()).unwrap();
                agree((&schemas.hop3, reads::<HopFile>), &tree, &text);
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
