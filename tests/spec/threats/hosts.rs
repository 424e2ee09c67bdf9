//! T24: host names of others, in every spelling.

use std::collections::{BTreeMap, BTreeSet};

use hop3_agent::schema::Schemas;
use hop3_agent::spec::{AppSpec, Surroundings, repo_checks};
use hop3_plugin_api::{AppName, HostName};

use super::{spec, text};
use crate::plugins::schemas;

fn claim(schemas: &Schemas, directory: &str, host: &str) -> AppSpec {
    spec(
        schemas,
        directory,
        &format!("[domains]\nlist = [\"{host}\"]\n"),
    )
}

/// Spellings of `bank.test` that a program or a person could take for it.
const MASKS: [&str; 6] = [
    "bank.test",
    "BANK.test",
    "bank.test.",
    "Bank.Test.",
    "ｂａｎｋ.test",
    "bank。test",
];

#[test]
fn t24_no_spelling_of_a_host_name_takes_it_from_its_holder() {
    let schemas = schemas();
    let victim = claim(&schemas, "apps/zzz", "bank.test");
    let holders = BTreeMap::from([(
        HostName::parse("bank.test").unwrap(),
        AppName::parse("zzz").unwrap(),
    )]);
    let surroundings = Surroundings {
        holders,
        broken: BTreeSet::new(),
        ..Surroundings::default()
    };
    for mask in MASKS {
        let specs = [claim(&schemas, "apps/aaa", mask), victim.clone()];
        let held = repo_checks(&specs, &surroundings);
        assert_eq!(held.keys().collect::<Vec<_>>(), ["apps/aaa"], "{mask}");
        assert!(held["apps/aaa"][0].message.contains("`zzz`"), "{mask}");
    }
}

#[test]
fn t24_an_international_name_is_one_name_however_it_is_written() {
    let schemas = schemas();
    let specs = [
        claim(&schemas, "apps/aaa", "Bücher.example"),
        claim(&schemas, "apps/bbb", "XN--bcher-kva.example."),
        claim(&schemas, "apps/ccc", "bucher.example"),
    ];
    assert_eq!(specs[0].hosts, specs[1].hosts);
    let held = repo_checks(&specs, &Surroundings::default());
    assert_eq!(held.keys().collect::<Vec<_>>(), ["apps/aaa", "apps/bbb"]);
}

#[test]
fn t24_a_newcomer_s_wildcard_or_catch_all_never_holds_the_victim() {
    let schemas = schemas();
    let holder = (
        HostName::parse("bank.test").unwrap(),
        AppName::parse("zzz").unwrap(),
    );
    let surroundings = Surroundings {
        holders: BTreeMap::from([holder]),
        broken: BTreeSet::new(),
        ..Surroundings::default()
    };
    for wildcard in ["*.test", "*.bank.test", "_"] {
        let specs = [
            claim(&schemas, "apps/aaa", wildcard),
            claim(&schemas, "apps/zzz", "bank.test"),
        ];
        let held = repo_checks(&specs, &surroundings);
        assert!(!held.contains_key("apps/zzz"), "{wildcard}: {held:?}");
    }
}

#[test]
fn t24_a_host_name_that_only_looks_like_one_is_refused() {
    let schemas = schemas();
    for bad in [
        "bank.test\\n",
        "bank.test; return 200",
        "bank.test\\u0000",
        "xn--zz--zz.test",
        "bank_.test",
        "bank.test:443",
        "https://bank.test",
        "bank..test",
        "-bank.test",
        "*.*.test",
        "ba nk.test",
    ] {
        let loaded = text(
            &schemas,
            "apps/aaa",
            &format!("[domains]\nlist = [\"{bad}\"]\n"),
        );
        assert!(loaded.spec.is_none(), "{bad}");
        let found = &loaded.diagnostics;
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert_eq!(
            (found[0].position.line, found[0].position.column),
            (2, 9),
            "{bad}"
        );
    }
}
