//! Every folder of `tests/fixtures/settings`: an `agent.toml` or a `host.toml`. Those named `unbuilt-…` are right and refused all the same.

use std::path::Path;

use hop3_agent::config::{AgentConfig, HostConfig};
use hop3_agent::schema::Schemas;
use hop3_agent::spec::{Diagnostic, Sources, render};

use super::plugins::schemas;
use super::{compare, folders};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Agent,
    Host,
}

impl Kind {
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Agent => "agent.toml",
            Self::Host => "host.toml",
        }
    }

    pub(crate) fn schema(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Host => "host",
        }
    }

    fn of(case: &Path) -> Self {
        if case.join("agent.toml").is_file() {
            Self::Agent
        } else {
            Self::Host
        }
    }

    /// What messages call it.
    fn name(self) -> &'static str {
        match self {
            Self::Agent => "/etc/hop3-agent/agent.toml",
            Self::Host => "hosts/web1.toml",
        }
    }
}

/// What is told of a file, and what was understood.
fn read(kind: Kind, text: &str, schemas: &Schemas) -> (Vec<Diagnostic>, Option<String>) {
    match kind {
        Kind::Agent => match AgentConfig::parse(text, kind.name(), schemas) {
            Ok(config) => {
                let repo = config.repo.as_ref().map(|repo| {
                    format!(
                        "{} {}:{} every {:?}",
                        repo.url, repo.branch, repo.path, repo.poll
                    )
                });
                let understood = AgentConfig {
                    notes: Vec::new(),
                    repo: None,
                    ..config.clone()
                };
                (config.notes, Some(format!("{understood:#?}\n{repo:?}")))
            }
            Err(found) => (found, None),
        },
        Kind::Host => match HostConfig::parse(text, kind.name(), schemas) {
            Ok(config) => {
                let notes = config.notes.clone();
                let understood = HostConfig {
                    notes: Vec::new(),
                    ..config
                };
                (notes, Some(format!("{understood:#?}")))
            }
            Err(found) => (found, None),
        },
    }
}

pub(crate) fn remarks(kind: Kind, text: &str, schemas: &Schemas) -> Vec<Diagnostic> {
    read(kind, text, schemas).0
}

fn outcome(schemas: &Schemas, case: &Path) -> String {
    let kind = Kind::of(case);
    let text = std::fs::read_to_string(case.join(kind.file())).unwrap();
    let (found, understood) = read(kind, &text, schemas);
    let sources = Sources::from([(kind.name().to_owned(), text)]);
    let told = render(&found, &sources, false);
    let verdict = understood.map_or("invalid\n".to_owned(), |config| {
        format!("valid\n{config}\n")
    });
    format!("{told}{verdict}")
}

#[test]
fn every_case_of_settings_is_told_as_expected() {
    let schemas = schemas();
    let cases = folders("settings");
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    compare(&cases, |case| outcome(&schemas, case));
}

#[test]
fn bad_settings_are_refused_and_good_ones_taken() {
    let schemas = schemas();
    for case in folders("settings") {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let kind = Kind::of(&case);
        let text = std::fs::read_to_string(case.join(kind.file())).unwrap();
        let (found, understood) = read(kind, &text, &schemas);
        assert_eq!(
            understood.is_some(),
            name.starts_with("good-"),
            "{name}: {found:?}"
        );
        if name.starts_with("unbuilt-") {
            let others = found.iter().find(|d| !d.message.ends_with("not built yet"));
            assert!(others.is_none(), "{name}: {others:?}");
        }
    }
}

#[test]
fn settings_of_operators_are_read_with_the_same_care() {
    let schemas = schemas();
    let found =
        AgentConfig::parse("lisen = \"\"\n[repo]\nur = 1\n", "agent.toml", &schemas).unwrap_err();
    let hints: Vec<_> = found.iter().filter_map(|d| d.hint.as_deref()).collect();
    assert_eq!(hints, ["did you mean `listen`?", "did you mean `url`?"]);
    assert!(HostConfig::parse("apps = \"*\"", "hosts/a.toml", &schemas).is_err());
}
