//! Whole config repos as people keep them: a folder in `tests/fixtures/validate` is a case. `expected.txt` is what people are told,
//! `expected.json` what programs are. `UPDATE=1 cargo test --test validate` rewrites both.
//!
//! The same repos are committed and read as the agent reads them, so that `validate` on a work tree and the agent on a commit agree.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and works with files and programs of its own"
)]

#[path = "../support/git_repo.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod git_repo;

mod agent;
mod command;
mod told;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use hop3_agent::builtin;
use hop3_agent::desired::ConfigTree;
use hop3_agent::registry::Registry;
use hop3_agent::schema::Schemas;
use hop3_agent::spec::Linked;
use hop3_agent::validate::{Findings, Validator};

const AGENT: &str = env!("CARGO_BIN_EXE_hop3-agent");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

struct Build {
    registry: Registry,
    schemas: Schemas,
}

/// What a binary brings differs from build to build; cases are told of one that always brings the same.
fn linked_names() -> Linked {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Linked {
        builders: owned(&["docker", "local"]),
        toolchains: owned(&["generic", "python", "static"]),
        deployers: owned(&["docker-compose", "native", "static"]),
        proxies: owned(&["builtin"]),
        addons: owned(&["sqlite"]),
    }
}

fn build() -> &'static Build {
    static LINKED: OnceLock<Build> = OnceLock::new();
    LINKED.get_or_init(|| {
        let registry = Registry::new(builtin()).unwrap();
        let names: Vec<&str> = registry.linked().iter().map(|linked| linked.name).collect();
        let schemas = Schemas::compose_for(&names, &registry.sections()).knowing(linked_names());
        Build { registry, schemas }
    })
}

fn validated(repo: &dyn ConfigTree) -> Findings {
    let schemas = &build().schemas;
    Validator { schemas }.config_repo(repo).settled()
}

fn cases() -> Vec<(String, PathBuf)> {
    let folder = root().join("tests/fixtures/validate");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut cases: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    cases.sort();
    assert!(cases.len() >= 25, "{} cases", cases.len());
    cases
}
