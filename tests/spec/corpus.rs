//! Specs of others: each gets its verdict, and the keys at fault are told.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hop3_agent::schema::Schemas;
use hop3_agent::spec::render;

use super::plugins::schemas;
use super::{load, root};

/// One line of the corpus' index.
struct Row {
    file: PathBuf,
    valid: bool,
    /// Pointers of the keys at fault.
    keys: Vec<String>,
}

#[expect(clippy::print_stdout, reason = "a skipped check must say so")]
fn corpus() -> Option<Vec<Row>> {
    let folder = root().join("../shared/corpus");
    let Ok(index) = std::fs::read_to_string(folder.join("INDEX.tsv")) else {
        println!("skipped: the corpus of real specs is not beside this checkout");
        return None;
    };
    let rows = index.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let keys = fields[2]
            .split("; ")
            .filter_map(|one| one.strip_prefix("unknown:").or(one.strip_prefix("value:")));
        let keys = keys
            .map(|key| format!("/{}", key.replace('.', "/")))
            .collect();
        Row {
            file: folder.join(fields[0]),
            valid: fields[1] == "valid",
            keys,
        }
    });
    Some(rows.collect())
}

#[test]
fn every_real_spec_gets_its_verdict_with_the_keys_at_fault() {
    let schemas = schemas();
    let wrong: String = corpus()
        .into_iter()
        .flatten()
        .filter_map(|row| wrong_verdict(&schemas, &row))
        .collect();
    assert!(wrong.is_empty(), "{wrong}");
}

fn wrong_verdict(schemas: &Schemas, row: &Row) -> Option<String> {
    let bytes = std::fs::read(&row.file).unwrap();
    let is_spec = row
        .file
        .extension()
        .is_some_and(|extension| extension == "toml");
    let (spec, procfile) = if is_spec {
        (Some(&bytes[..]), None)
    } else {
        (None, Some(&bytes[..]))
    };
    let loaded = load(schemas, "apps/real", spec, procfile);
    let errors = loaded.diagnostics.iter().filter(|d| d.is_error());
    let told: BTreeSet<String> = errors
        .clone()
        .map(|d| {
            assert!(d.position.line > 0, "{}", row.file.display());
            d.key.clone()
        })
        .collect();
    let meant = |key: &str, told: &str| told == key || (added(key) && told.starts_with(key));
    let missed = row
        .keys
        .iter()
        .find(|key| !told.iter().any(|told| meant(key, told)));
    let stranger = told
        .iter()
        .find(|told| !row.keys.iter().any(|key| meant(key, told)));
    let right = loaded.spec.is_some() == row.valid
        && (row.valid || (missed.is_none() && stranger.is_none()));
    let text = render(&loaded.diagnostics, &loaded.sources, false);
    (!right).then(|| {
        format!(
            "{}: missed {missed:?}, stranger {stranger:?}\n{text}\n",
            row.file.display()
        )
    })
}

/// Sections that this project added to the format: there the keys inside are at fault instead of the section.
fn added(key: &str) -> bool {
    matches!(key, "/source" | "/proxy")
}
