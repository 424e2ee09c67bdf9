//! What only all specs together can show: names and host names claimed twice, and orders that go in a circle. It holds only the apps it
//! names, and each message names the others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hop3_plugin_api::{AppName, HostName};

use super::app::{AppSpec, Position};
use super::diagnostic::Diagnostic;
use super::host_claims;
use super::suggest::did_you_mean;

/// What is known beside the valid specs of a revision.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The apps that hold a host name now; a holder keeps it.
    pub holders: BTreeMap<HostName, AppName>,
    /// Apps whose spec is invalid in this revision; they exist all the same.
    pub broken: BTreeSet<AppName>,
}

/// Errors by the app's directory.
pub type Held = BTreeMap<String, Vec<Diagnostic>>;

/// Compares the specs of one revision with each other.
pub fn repo_checks(specs: &[AppSpec], surroundings: &Surroundings) -> Held {
    let mut held = Held::new();
    duplicate_names(specs, &mut held);
    host_claims::check(specs, surroundings, &mut held);
    unknown_predecessors(specs, surroundings, &mut held);
    circles(specs, &mut held);
    held
}

pub(super) fn hold(held: &mut Held, spec: &AppSpec, diagnostic: Diagnostic) {
    held.entry(spec.directory.clone())
        .or_default()
        .push(diagnostic);
}

pub(super) fn place(position: &Position) -> String {
    format!("{}:{}", position.file, position.line)
}

fn duplicate_names(specs: &[AppSpec], held: &mut Held) {
    let mut by_name: BTreeMap<&AppName, Vec<&AppSpec>> = BTreeMap::new();
    for spec in specs {
        by_name.entry(&spec.name).or_default().push(spec);
    }
    for (name, claimants) in by_name
        .into_iter()
        .filter(|(_, claimants)| claimants.len() > 1)
    {
        for spec in &claimants {
            let others = claimants
                .iter()
                .filter(|other| other.directory != spec.directory);
            let others: Vec<String> = others.map(|other| other.file.clone()).collect();
            let message = format!(
                "the app name `{name}` is taken by {} too",
                others.join(" and ")
            );
            let diagnostic =
                Diagnostic::error_at(spec.position("/metadata/id"), message).key("/metadata/id");
            hold(
                held,
                spec,
                diagnostic.hint("give one of them another `[metadata] id`"),
            );
        }
    }
}

fn unknown_predecessors(specs: &[AppSpec], surroundings: &Surroundings, held: &mut Held) {
    let known: BTreeSet<&AppName> = specs
        .iter()
        .map(|spec| &spec.name)
        .chain(&surroundings.broken)
        .collect();
    for spec in specs {
        for (index, name) in spec
            .deploy
            .after
            .iter()
            .enumerate()
            .filter(|(_, name)| !known.contains(name))
        {
            let pointer = format!("/deploy/after/{index}");
            let message = format!("there is no app `{name}` to wait for");
            let hint = did_you_mean(name.as_str(), known.iter().map(|name| name.as_str()));
            hold(
                held,
                spec,
                Diagnostic::error_at(spec.position(&pointer), message)
                    .key(&pointer)
                    .hint(hint),
            );
        }
    }
}

fn circles(specs: &[AppSpec], held: &mut Held) {
    let by_name: BTreeMap<&AppName, &AppSpec> =
        specs.iter().map(|spec| (&spec.name, spec)).collect();
    for spec in specs.iter().filter(|spec| !spec.deploy.after.is_empty()) {
        let Some(circle) = circle(spec, &by_name) else {
            continue;
        };
        let pointer = step_pointer(spec, &circle);
        let names: Vec<&str> = circle.iter().map(AppName::as_str).collect();
        let message = match names.as_slice() {
            [own, _] => format!("the app `{own}` waits for itself"),
            _ => format!(
                "these apps wait for each other in a circle: {}",
                names.join(" → ")
            ),
        };
        let diagnostic = Diagnostic::error_at(spec.position(&pointer), message).key(&pointer);
        hold(
            held,
            spec,
            diagnostic.hint("remove one `after` of the circle"),
        );
    }
}

fn step_pointer(spec: &AppSpec, circle: &[AppName]) -> String {
    let index = spec
        .deploy
        .after
        .iter()
        .position(|name| Some(name) == circle.get(1))
        .unwrap_or(0);
    format!("/deploy/after/{index}")
}

/// The shortest way from an app through `after` back to itself, both ends named.
fn circle(start: &AppSpec, by_name: &BTreeMap<&AppName, &AppSpec>) -> Option<Vec<AppName>> {
    let mut came_from: BTreeMap<&AppName, &AppName> = BTreeMap::new();
    let mut queue = VecDeque::from([&start.name]);
    while let Some(name) = queue.pop_front() {
        let after = by_name
            .get(name)
            .map_or(&[][..], |spec| spec.deploy.after.as_slice());
        for next in after {
            if *next == start.name {
                return Some(way(&start.name, name, &came_from));
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, name);
                queue.push_back(next);
            }
        }
    }
    None
}

fn way(start: &AppName, last: &AppName, came_from: &BTreeMap<&AppName, &AppName>) -> Vec<AppName> {
    let mut way = vec![start.clone()];
    let mut at = last;
    while at != start {
        way.push(at.clone());
        at = came_from[at];
    }
    way.push(start.clone());
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schemas;
    use crate::spec::{AppFiles, load_app};

    fn spec(directory: &str, text: &str) -> AppSpec {
        let file = format!("{directory}/hop3.toml");
        let files = AppFiles {
            directory,
            spec: Some((&file, text.as_bytes())),
            procfile: None,
        };
        let loaded = load_app(&Schemas::compose(&[]), &files);
        loaded
            .spec
            .unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
    }

    fn told(specs: &[AppSpec], surroundings: &Surroundings) -> Vec<(String, u32, String)> {
        let held = repo_checks(specs, surroundings);
        let lines = held.into_iter().flat_map(|(directory, found)| {
            found
                .into_iter()
                .map(move |d| (directory.clone(), d.position.line, d.message))
        });
        lines.collect()
    }

    #[test]
    fn two_apps_of_one_name_hold_each_other_and_nobody_else() {
        let specs = [
            spec("apps/a", "\n[metadata]\nid = \"shop\"\n"),
            spec("apps/shop", ""),
            spec("apps/blog", ""),
        ];
        let found = told(&specs, &Surroundings::default());
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0],
            (
                "apps/a".into(),
                3,
                "the app name `shop` is taken by apps/shop/hop3.toml too".into()
            )
        );
    }

    #[test]
    fn a_host_name_without_holder_holds_both_claimants() {
        let specs = [
            spec(
                "apps/a",
                "[domains]\nlist = [\"x.test\",\n  \"Shop.Test.\"]\n",
            ),
            spec("apps/b", "[env]\nHOST_NAME = \"b.test shop.test\"\n"),
            spec("apps/c", "[domains]\nlist = [\"*.test\"]\n"),
        ];
        let found = told(&specs, &Surroundings::default());
        assert_eq!(
            found,
            [
                (
                    "apps/a".into(),
                    3,
                    "the host name `shop.test` is claimed by `b` (apps/b/hop3.toml:2) too".into()
                ),
                (
                    "apps/b".into(),
                    2,
                    "the host name `shop.test` is claimed by `a` (apps/a/hop3.toml:3) too".into()
                ),
            ]
        );
    }

    #[test]
    fn a_holder_keeps_its_host_name() {
        let specs = [
            spec("apps/a", "[domains]\nlist = [\"_\"]\n"),
            spec("apps/b", "[domains]\nlist = [\"_\"]\n"),
        ];
        let holders =
            BTreeMap::from([(HostName::parse("_").unwrap(), AppName::parse("b").unwrap())]);
        let found = told(
            &specs,
            &Surroundings {
                holders,
                ..Surroundings::default()
            },
        );
        assert_eq!(
            found,
            [(
                "apps/a".into(),
                2,
                "the catch-all `_` is held by `b` (apps/b/hop3.toml:2) already".into()
            )]
        );
    }

    #[test]
    fn a_holder_whose_spec_broke_keeps_its_host_name() {
        let specs = [spec("apps/b", "[domains]\nlist = [\"shop.test\"]\n")];
        let (host, app) = (HostName::parse("shop.test"), AppName::parse("shop"));
        let surroundings = Surroundings {
            holders: BTreeMap::from([(host.unwrap(), app.clone().unwrap())]),
            broken: BTreeSet::from([app.unwrap()]),
        };
        let found = told(&specs, &surroundings);
        let message =
            "the host name `shop.test` is held by `shop` already, whose own spec is not valid now";
        assert_eq!(found, [("apps/b".into(), 2, message.into())]);
    }

    #[test]
    fn a_circle_is_named_as_a_whole_and_holds_only_its_apps() {
        let after = |name: &str| format!("[deploy]\nafter = [\"{name}\"]\n");
        let specs = [
            spec("apps/a", &after("b")),
            spec("apps/b", &after("c")),
            spec("apps/c", &after("a")),
            spec("apps/d", &after("a")),
            spec("apps/e", &after("e")),
        ];
        let found = told(&specs, &Surroundings::default());
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(
            found[0].2,
            "these apps wait for each other in a circle: a → b → c → a"
        );
        assert_eq!(found[3].2, "the app `e` waits for itself");
    }

    #[test]
    fn waiting_for_a_stranger_is_an_error_and_for_a_broken_app_is_not() {
        let specs = [
            spec("apps/a", "[deploy]\nafter = [\"blog\", \"shpo\"]\n"),
            spec("apps/shop", ""),
        ];
        let broken = BTreeSet::from([AppName::parse("blog").unwrap()]);
        let held = repo_checks(
            &specs,
            &Surroundings {
                broken,
                ..Surroundings::default()
            },
        );
        let found = &held["apps/a"];
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].hint.as_deref(), Some("did you mean `shop`?"));
    }
}
