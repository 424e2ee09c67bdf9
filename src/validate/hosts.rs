//! `hosts/*.toml` against the apps of the repo: which app runs where, patterns that fit none, apps that run nowhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Findings, Validator};
use crate::config::HostConfig;
use crate::desired::walk::{Candidate, Content, Walk};
use crate::spec::Diagnostic;
use crate::spec::suggest::{did_you_mean, shortened};
use crate::spec::tree::Tree;

/// A host with a valid file.
pub(super) struct Host {
    pub(super) name: String,
    config: HostConfig,
    tree: Tree,
}

/// The hosts of a repo.
pub(super) struct Hosts {
    /// Those with a valid file; none in a repo that tells no hosts apart.
    pub(super) valid: Option<Vec<Host>>,
    /// Whether there are others, of which nobody knows what they run.
    pub(super) broken: bool,
}

/// Hosts that run the same apps.
pub(super) struct Group {
    /// Indices of the candidates that run there.
    pub(super) apps: BTreeSet<usize>,
    /// The hosts' names; empty in a repo that tells no hosts apart.
    pub(super) hosts: Vec<String>,
    /// Addons of these hosts themselves.
    pub(super) addons: BTreeSet<String>,
}

/// Reads a host file and says what there is to say of it alone.
pub(super) fn read(
    path: &str,
    content: Content,
    validator: &Validator<'_>,
    findings: &mut Findings,
) -> Option<(HostConfig, Tree)> {
    findings.files += 1;
    let read = content.map_err(|problem| vec![*problem]).and_then(|bytes| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        findings.sources.insert(path.to_owned(), text);
        let tree = Tree::read(path, &bytes)?;
        HostConfig::of(&tree, validator.schemas).map(|config| (config, tree))
    });
    match read {
        Ok((config, tree)) => {
            findings.diagnostics.extend(config.notes.iter().cloned());
            Some((config, tree))
        }
        Err(errors) => {
            findings.diagnostics.extend(errors);
            None
        }
    }
}

impl Hosts {
    /// Reads all host files of a repo.
    pub(super) fn read(
        walk: &Walk<'_>,
        validator: &Validator<'_>,
        findings: &mut Findings,
    ) -> Result<Self, String> {
        let Some(names) = walk.hosts()? else {
            return Ok(Self {
                valid: None,
                broken: false,
            });
        };
        let count = names.len();
        let mut valid = Vec::new();
        for name in names {
            let path = format!("hosts/{name}.toml");
            let Some(content) = walk.host_file(&name)? else {
                continue;
            };
            if let Some((config, tree)) = read(&path, content, validator, findings) {
                valid.push(Host { name, config, tree });
            }
        }
        Ok(Self {
            broken: valid.len() < count,
            valid: Some(valid),
        })
    }

    /// Whether messages have to tell which host they are about.
    pub(super) fn several(&self) -> bool {
        self.broken || self.valid.as_ref().is_some_and(|hosts| hosts.len() > 1)
    }

    /// The hosts by what they run. Without any valid file, everything is taken to run together.
    pub(super) fn groups(&self, candidates: &[Candidate]) -> Vec<Group> {
        let hosts = self.valid.as_deref().unwrap_or_default();
        if hosts.is_empty() {
            return vec![Group {
                apps: (0..candidates.len()).collect(),
                hosts: Vec::new(),
                addons: BTreeSet::new(),
            }];
        }
        let mut groups: BTreeMap<(BTreeSet<usize>, BTreeSet<String>), Vec<String>> =
            BTreeMap::new();
        for host in hosts {
            let key = (host.runs(candidates), host.addons());
            groups.entry(key).or_default().push(host.name.clone());
        }
        let group = |((apps, addons), hosts)| Group {
            apps,
            hosts,
            addons,
        };
        groups.into_iter().map(group).collect()
    }

    /// What is wrong with the patterns of all hosts.
    pub(super) fn patterns(&self, candidates: &[Candidate]) -> Vec<Diagnostic> {
        let hosts = self.valid.iter().flatten();
        hosts.flat_map(|host| host.patterns(candidates)).collect()
    }
}

impl Host {
    fn runs(&self, candidates: &[Candidate]) -> BTreeSet<usize> {
        let numbered = candidates.iter().enumerate();
        numbered
            .filter(|(_, candidate)| self.config.runs(&candidate.name))
            .map(|(index, _)| index)
            .collect()
    }

    /// The addons of the host itself, by name.
    fn addons(&self) -> BTreeSet<String> {
        let entries = self.tree.value.get("addons").and_then(Value::as_array);
        let name = |entry: &Value| {
            let name = entry.get("name").or_else(|| entry.get("type"))?;
            name.as_str().map(str::to_owned)
        };
        entries.into_iter().flatten().filter_map(name).collect()
    }

    /// A name that is no app's is a mistake: somebody expects an app to run here. A pattern without an app may wait for one.
    fn patterns(&self, candidates: &[Candidate]) -> Vec<Diagnostic> {
        let patterns = self.config.apps.iter().flatten().enumerate();
        let useless = patterns.filter(|(_, pattern)| {
            !candidates
                .iter()
                .any(|candidate| HostConfig::fits(pattern, &candidate.name))
        });
        let remark = |(index, pattern): (usize, &String)| {
            let pointer = format!("/apps/{index}");
            let shown = shortened(pattern);
            if pattern.contains(['*', '?']) {
                let message = format!("no app of `apps/` fits `{shown}`");
                return self.tree.value_note(&pointer, message);
            }
            let names = candidates.iter().map(|candidate| candidate.name.as_str());
            let hint = did_you_mean(pattern, names)
                .unwrap_or_else(|| "add the app, or take its name out".to_owned());
            self.tree
                .error(&pointer, format!("there is no app `apps/{shown}`"))
                .hint(hint)
        };
        useless.map(remark).collect()
    }
}

/// Hosts as messages name them: ``the hosts `a`, `b` and 7 others``.
pub(super) fn words(hosts: &[String]) -> String {
    const NAMED: usize = 3;
    let quoted: Vec<String> = hosts
        .iter()
        .take(NAMED)
        .map(|it| format!("`{it}`"))
        .collect();
    match (hosts.len(), quoted.as_slice()) {
        (0, _) => "this host".to_owned(),
        (1, [only]) => format!("the host {only}"),
        (count, named) if count > NAMED => {
            let others = match count - NAMED {
                1 => "1 other".to_owned(),
                others => format!("{others} others"),
            };
            format!("the hosts {} and {others}", named.join(", "))
        }
        (_, named) => {
            let (last, rest) = named.split_last().expect("there are at least two");
            format!("the hosts {} and {last}", rest.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_hosts_are_told_by_their_first_few() {
        let of = |count: usize| {
            let hosts: Vec<String> = ["a", "b", "c", "d", "e"][..count]
                .iter()
                .map(ToString::to_string)
                .collect();
            words(&hosts)
        };
        assert_eq!(of(1), "the host `a`");
        assert_eq!(of(2), "the hosts `a` and `b`");
        assert_eq!(of(3), "the hosts `a`, `b` and `c`");
        assert_eq!(of(4), "the hosts `a`, `b`, `c` and 1 other");
        assert_eq!(of(5), "the hosts `a`, `b`, `c` and 2 others");
    }
}
