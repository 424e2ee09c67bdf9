//! `secrets/` against the specs: secrets that are used and missing, files that nobody uses, and files that are not encrypted.
//! Of a file it looks at the first bytes only, and no message and no excerpt shows any of them.

use std::collections::{BTreeMap, BTreeSet};

use hop3_plugin_api::{SourceEntry, SourceKind, SourceTree};

use super::hosts::words;
use super::{Findings, recipients};
use crate::desired::walk::{content, refusal};
use crate::spec::suggest::{did_you_mean, shortened};
use crate::spec::{AppSpec, Diagnostic, Position, SecretUse};

/// How an encrypted file begins: as bytes, and as text.
const HEADERS: [&[u8]; 2] = [
    b"age-encryption.org/v1\n",
    b"-----BEGIN AGE ENCRYPTED FILE-----",
];

/// The file of those for whom secrets are encrypted.
const RECIPIENTS: &str = "recipients.txt";

/// Files of git and for people that may lie beside secrets.
const BESIDE: [&str; 4] = [".gitattributes", ".gitignore", ".gitkeep", "README.md"];

/// What lies in `secrets/`.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// The names of `secrets/<name>.age`.
    common: BTreeSet<String>,
    /// The names of `secrets/<host>/<name>.age`, by host.
    of_hosts: BTreeMap<String, BTreeSet<String>>,
}

impl Secrets {
    /// Looks at everything in `secrets/`.
    pub(super) fn read(
        tree: Option<&dyn SourceTree>,
        findings: &mut Findings,
    ) -> Result<Self, String> {
        let mut secrets = Self::default();
        let Some(tree) = tree else { return Ok(secrets) };
        for entry in tree.list("").map_err(|error| error.to_string())? {
            if entry.kind == SourceKind::Directory {
                let names = secrets_of_host(tree, &entry.name, findings)?;
                secrets.of_hosts.insert(entry.name, names);
            } else if entry.name == RECIPIENTS {
                look_at_recipients(tree, &entry, findings);
            } else {
                secrets.common.extend(secret(tree, "", &entry, findings));
            }
        }
        Ok(secrets)
    }

    fn is_there(&self, name: &str, host: Option<&str>) -> bool {
        let has = |names: &BTreeSet<String>| names.contains(name);
        match host {
            _ if has(&self.common) => true,
            Some(host) => self.of_hosts.get(host).is_some_and(has),
            None => self.of_hosts.values().any(has),
        }
    }

    /// What is missing for the secrets of one spec that runs on these hosts. In a repo that tells no hosts apart, any file will do.
    pub(super) fn missing(&self, spec: &AppSpec, hosts: &[&str]) -> Vec<Diagnostic> {
        let used = spec.secrets.iter();
        let lacking = used.filter_map(|used| {
            let name = used.name.as_str();
            let without: Vec<String> = match hosts {
                [] if self.is_there(name, None) => return None,
                hosts => hosts
                    .iter()
                    .filter(|host| !self.is_there(name, Some(host)))
                    .map(ToString::to_string)
                    .collect(),
            };
            (hosts.is_empty() || !without.is_empty()).then_some((used, without))
        });
        let told = |(used, without): (&SecretUse, Vec<String>)| {
            let all = without.len() == hosts.len();
            let (message, hint) = self.lack(used.name.as_str(), &without, all);
            Diagnostic::error_at(used.at.clone(), message)
                .key(&used.pointer)
                .hint(hint)
        };
        lacking.map(told).collect()
    }

    fn lack(&self, name: &str, without: &[String], all: bool) -> (String, String) {
        let shown = shortened(name);
        if !all {
            let first = without.first().map_or("", String::as_str);
            return (
                format!("the secret `{shown}` is missing for {}", words(without)),
                format!(
                    "encrypt it to `secrets/{first}/{shown}.age`, or for all hosts to `secrets/{shown}.age`"
                ),
            );
        }
        let known = self.common.iter().chain(self.of_hosts.values().flatten());
        let hint = did_you_mean(name, known.map(String::as_str))
            .unwrap_or_else(|| format!("encrypt it to `secrets/{shown}.age`"));
        (format!("there is no secret `{shown}`"), hint)
    }

    /// Notes on files that no spec uses, and on directories of hosts that are not there. `hosts` are all hosts of the repo, if it tells them apart.
    pub(super) fn unused(&self, specs: &[&AppSpec], hosts: Option<&[&str]>) -> Vec<Diagnostic> {
        let used: BTreeSet<&str> = specs
            .iter()
            .flat_map(|spec| spec.secrets.iter().map(|used| used.name.as_str()))
            .collect();
        let mut notes = Vec::new();
        let all = std::iter::once(("", &self.common));
        let of_hosts = self.of_hosts.iter();
        for (host, names) in all.chain(of_hosts.map(|(host, names)| (host.as_str(), names))) {
            if let Some(stranger) = stranger(host, hosts) {
                notes.push(stranger);
                continue;
            }
            let unused = names.iter().filter(|name| !used.contains(name.as_str()));
            notes.extend(unused.map(|name| {
                Diagnostic::note_at(
                    Position::start(&path(host, name)),
                    "no app uses this secret",
                )
                .hint("use it with `{ secret = … }` in `[env]`, or remove the file")
            }));
        }
        notes
    }
}

fn path(host: &str, name: &str) -> String {
    match host {
        "" => format!("secrets/{name}.age"),
        host => format!("secrets/{host}/{name}.age"),
    }
}

/// A note on a directory that no host reads.
fn stranger(directory: &str, hosts: Option<&[&str]>) -> Option<Diagnostic> {
    let hosts = hosts.filter(|hosts| !directory.is_empty() && !hosts.contains(&directory))?;
    let at = Position::start(&format!("secrets/{directory}"));
    let message = format!("there is no host `{directory}`, so nobody reads these secrets");
    Some(Diagnostic::note_at(at, message).hint(did_you_mean(directory, hosts.iter().copied())))
}

fn secrets_of_host(
    tree: &dyn SourceTree,
    host: &str,
    findings: &mut Findings,
) -> Result<BTreeSet<String>, String> {
    let entries = tree.list(host).map_err(|error| error.to_string())?;
    let prefix = format!("{host}/");
    let names = entries
        .iter()
        .filter_map(|entry| secret(tree, &prefix, entry, findings));
    Ok(names.collect())
}

/// Looks at one file; its name as a secret, if it is one.
fn secret(
    tree: &dyn SourceTree,
    prefix: &str,
    entry: &SourceEntry,
    findings: &mut Findings,
) -> Option<String> {
    let path = format!("secrets/{prefix}{}", entry.name);
    if BESIDE.contains(&entry.name.as_str()) && matches!(entry.kind, SourceKind::File { .. }) {
        return None;
    }
    findings.files += 1;
    let found = match content(
        tree,
        &format!("{prefix}{}", entry.name),
        &(path.clone(), entry.kind),
    ) {
        Ok(bytes) => plaintext(&path, &bytes),
        Err(problem) => Some(*problem),
    };
    let name = entry.name.strip_suffix(".age").map(str::to_owned);
    if found.is_none() && name.is_none() {
        let note = Diagnostic::note_at(Position::start(&path), "this file is not read");
        findings
            .diagnostics
            .push(note.hint("a secret's file is named `<secret>.age`"));
    }
    findings.diagnostics.extend(found);
    name
}

/// An error when a file is not encrypted.
pub(super) fn plaintext(path: &str, bytes: &[u8]) -> Option<Diagnostic> {
    if HEADERS.iter().any(|header| bytes.starts_with(header)) {
        return None;
    }
    let message = "this file is not encrypted with age: it may be a secret that everybody who can read the config repo can read";
    let hint = "encrypt it; if it held a secret, replace that where it was issued, for git keeps what was committed";
    Some(Diagnostic::error_at(Position::start(path), message).hint(hint))
}

fn look_at_recipients(tree: &dyn SourceTree, entry: &SourceEntry, findings: &mut Findings) {
    let path = format!("secrets/{RECIPIENTS}");
    findings.files += 1;
    match content(tree, RECIPIENTS, &(path.clone(), entry.kind)) {
        Ok(bytes) => findings
            .diagnostics
            .extend(recipients::check(&path, &bytes)),
        Err(_) => findings.diagnostics.push(refusal(&path, entry.kind)),
    }
}
