//! T22: names that would collide, climb or mean something to the host.

use hop3_agent::spec::{Surroundings, repo_checks};

use super::{spec, text};
use crate::plugins::schemas;

#[test]
fn t22_no_hostile_name_becomes_an_app() {
    let schemas = schemas();
    let long = "a".repeat(64);
    for bad in [
        "A", "a_b", "..", "a/b", "con", "root", "postgres", "default", "-a", "a-", "é", "a\\u0000",
        "a b", "", "1a", "a\\n", "%n", "$(id)", "a.b", "template", &long,
    ] {
        let content = format!("[metadata]\nid = \"{bad}\"\n");
        let loaded = text(&schemas, "apps/ok", &content);
        assert!(loaded.spec.is_none(), "{bad}");
        let first = &loaded.diagnostics[0];
        let place = (
            first.position.line,
            first.position.column,
            first.key.as_str(),
        );
        assert_eq!(place, (2, 6, "/metadata/id"), "{bad}");
        let found = &loaded.diagnostics;
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert!(first.hint.is_some(), "{bad}");
    }
}

#[test]
fn t22_a_directory_s_name_passes_the_same_grammar() {
    let schemas = schemas();
    for bad in ["Bad_Name", "a b", "root", "..", "a-"] {
        let loaded = text(&schemas, &format!("apps/{bad}"), "");
        let first = &loaded.diagnostics[0];
        let begins = "the directory's name cannot be the app's name";
        assert!(
            first.message.starts_with(begins),
            "{bad}: {}",
            first.message
        );
        let named = text(
            &schemas,
            &format!("apps/{bad}"),
            "[metadata]\nid = \"fine\"\n",
        );
        assert!(named.spec.is_some(), "{bad}");
    }
}

#[test]
fn t22_names_that_fold_to_one_hold_each_other() {
    let schemas = schemas();
    let specs = [
        spec(&schemas, "apps/a-b", ""),
        spec(&schemas, "apps/a_b", "[metadata]\nid = \"a-b\"\n"),
        spec(&schemas, "apps/other", ""),
    ];
    let held = repo_checks(&specs, &Surroundings::default());
    assert_eq!(held.keys().collect::<Vec<_>>(), ["apps/a-b", "apps/a_b"]);
    assert!(held["apps/a_b"][0].message.contains("apps/a-b/hop3.toml"));
}
