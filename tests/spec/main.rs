//! Files as people write them: a folder in `tests/fixtures/spec` or `tests/fixtures/settings` is a case, its `expected.txt` what is told and
//! what is understood. `UPDATE=1 cargo test --test spec` rewrites the expectations.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cases;
mod corpus;
mod coverage;
mod damage;
mod plugins;
#[path = "../support/rows.rs"]
#[allow(
    dead_code,
    clippy::disallowed_methods,
    reason = "these tests use a part of it, and it is told how long to take by the environment"
)]
mod rows;
mod schemas;
mod settings;
mod threats;

use std::path::Path;

use hop3_agent::schema::Schemas;
use hop3_agent::spec::{AppFiles, LoadedApp, load_app};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn load(
    schemas: &Schemas,
    directory: &str,
    spec: Option<&[u8]>,
    procfile: Option<&[u8]>,
) -> LoadedApp {
    let [spec_path, procfile_path] =
        ["hop3.toml", "Procfile"].map(|name| format!("{directory}/{name}"));
    let files = AppFiles {
        directory,
        spec: spec.map(|bytes| (spec_path.as_str(), bytes)),
        procfile: procfile.map(|bytes| (procfile_path.as_str(), bytes)),
    };
    load_app(schemas, &files)
}

/// The folders of cases.
fn folders(of: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(root().join("tests/fixtures").join(of)).unwrap();
    let mut cases: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

/// Compares what came of each case with its `expected.txt`, or rewrites that.
#[expect(
    clippy::disallowed_methods,
    reason = "rewriting expectations is what UPDATE=1 asks for"
)]
fn compare(cases: &[std::path::PathBuf], outcome: impl Fn(&Path) -> String) {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for case in cases {
        let (file, outcome) = (case.join("expected.txt"), outcome(case));
        if update {
            std::fs::write(&file, &outcome).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != outcome {
            wrong.push(format!("{}:\n{outcome}", case.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "run with UPDATE=1 and look at the difference:\n{}",
        wrong.join("\n")
    );
}
