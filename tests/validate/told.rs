//! What people and programs are told of each case.

use std::fmt::Write as _;
use std::path::Path;

use hop3_agent::desired::DirectoryRepo;
use hop3_agent::spec::render;
use hop3_agent::validate::Report;
use serde_json::Value;

use super::{cases, root, validated};

fn expect(file: &Path, told: &str) -> Result<(), String> {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, told).unwrap();
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    if expected == told {
        return Ok(());
    }
    Err(format!("{}:\n{told}", file.display()))
}

#[test]
fn every_case_is_told_as_expected() {
    let mut wrong = String::new();
    for (name, case) in cases() {
        let findings = validated(&DirectoryRepo::new(&case.join("repo")));
        let (errors, notes) = findings.counts();
        let right = match name.split('-').next().unwrap() {
            "bad" => errors > 0,
            "note" => errors == 0 && notes > 0,
            _ => errors == 0,
        };
        if !right {
            writeln!(wrong, "{name}: {errors} errors, {notes} notes").unwrap();
        }
        let text = render(&findings.diagnostics, &findings.sources, false);
        let summary = format!(
            "files: {}, errors: {errors}, notes: {notes}\n",
            findings.files
        );
        let report = serde_json::to_string_pretty(&Report::new(&findings)).unwrap() + "\n";
        for (file, told) in [("expected.txt", text + &summary), ("expected.json", report)] {
            if let Err(difference) = expect(&case.join(file), &told) {
                writeln!(wrong, "{difference}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_report_follows_its_schema() {
    let schema = std::fs::read_to_string(root().join("schema/validate.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (name, case) in cases() {
        let findings = validated(&DirectoryRepo::new(&case.join("repo")));
        let report = serde_json::to_value(Report::new(&findings)).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&report)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        assert_eq!(
            report["diagnostics"].as_array().unwrap().len(),
            findings.diagnostics.len()
        );
    }
}

#[test]
fn t27_no_case_shows_what_is_secret_in_it() {
    for (name, case) in cases() {
        let findings = validated(&DirectoryRepo::new(&case.join("repo")));
        let shown = render(&findings.diagnostics, &findings.sources, false)
            + &serde_json::to_string(&Report::new(&findings)).unwrap();
        assert!(!shown.to_lowercase().contains("canary"), "{name}:\n{shown}");
    }
}
