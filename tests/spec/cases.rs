//! Every folder of `tests/fixtures/spec`: what is told of its files, and what is understood.

use std::fmt::Write;
use std::path::Path;

use hop3_agent::schema::Schemas;
use hop3_agent::spec::{AppSpec, render};

use super::plugins::schemas;
use super::{compare, folders, load};

/// What was understood, as far as it differs from an empty spec.
fn summary(spec: &AppSpec, empty: &AppSpec) -> String {
    let mut out = String::new();
    macro_rules! show {
        ($($($field:ident).+),* $(,)?) => {$(
            if spec.$($field).+ != empty.$($field).+ {
                writeln!(out, "{} = {:?}", stringify!($($field).+), spec.$($field).+).unwrap();
            }
        )*};
    }
    show!(
        name,
        config.build,
        config.workers,
        config.static_paths,
        config.docker,
        config.plugin,
        config.writable,
        source,
        release_commands,
        env,
        hosts,
        health,
        addons,
        scale,
        deploy,
        proxy,
        limits,
    );
    claims(&mut out, spec);
    for unbuilt in &spec.unbuilt {
        let at = &unbuilt.at;
        writeln!(
            out,
            "not built yet: {} at {}:{}",
            unbuilt.what, at.line, at.column
        )
        .unwrap();
    }
    out
}

/// What other files of the repo, or the host, must have for it.
fn claims(out: &mut String, spec: &AppSpec) {
    for port in &spec.ports {
        let source = port
            .source
            .map_or("any".to_owned(), |source| source.to_string());
        let (number, protocol, at) = (port.number, port.protocol, &port.at);
        writeln!(
            out,
            "port {number} {protocol:?} from {source} at {}:{}",
            at.line, at.column
        )
        .unwrap();
    }
    for secret in &spec.secrets {
        let at = &secret.at;
        writeln!(
            out,
            "secret {} for {} at {}:{}",
            secret.name, secret.pointer, at.line, at.column
        )
        .unwrap();
    }
}

pub(crate) fn outcome(schemas: &Schemas, case: &Path) -> String {
    let read = |name: &str| std::fs::read(case.join(name)).ok();
    let loaded = load(
        schemas,
        "apps/demo",
        read("hop3.toml").as_deref(),
        read("Procfile").as_deref(),
    );
    let empty = load(schemas, "apps/demo", Some(b""), None).spec.unwrap();
    let verdict = loaded.spec.as_ref().map_or("invalid\n".to_owned(), |spec| {
        format!("valid\n{}", summary(spec, &empty))
    });
    let told = render(&loaded.diagnostics, &loaded.sources, false);
    format!("{told}{verdict}")
}

#[test]
fn every_case_is_told_as_expected() {
    let schemas = schemas();
    let cases = folders("spec");
    assert!(cases.len() >= 300, "only {} cases", cases.len());
    compare(&cases, |case| outcome(&schemas, case));
}

#[test]
fn bad_cases_are_refused_and_good_ones_taken() {
    let schemas = schemas();
    for case in folders("spec") {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let outcome = outcome(&schemas, &case);
        let valid = !outcome.ends_with("invalid\n");
        assert_eq!(valid, name.starts_with("good-"), "{name}:\n{outcome}");
    }
}

/// What a message is worth depends on what it says to do: an error without a hint must say that by itself.
#[test]
fn nearly_every_error_says_what_would_be_right() {
    let schemas = schemas();
    let (mut all, mut without) = (0, Vec::new());
    for case in folders("spec") {
        let read = |name: &str| std::fs::read(case.join(name)).ok();
        let (spec, procfile) = (read("hop3.toml"), read("Procfile"));
        let loaded = load(&schemas, "apps/demo", spec.as_deref(), procfile.as_deref());
        let errors = loaded.diagnostics.iter().filter(|d| d.is_error());
        for error in errors {
            all += 1;
            let says_it = error.hint.is_some() || error.label.is_some();
            if !says_it {
                without.push(format!("{}: {}", case.display(), error.message));
            }
        }
    }
    assert!(all > 500, "only {all} errors");
    assert!(
        without.len() * 100 <= all,
        "{} of {all}:\n{}",
        without.len(),
        without.join("\n")
    );
}
