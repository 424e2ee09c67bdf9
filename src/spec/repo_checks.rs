//! What only the specs of one host together can show: names, host names and ports claimed twice, orders that go in a circle, data shared
//! from nobody. It holds only the apps it names, and each message names the others.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use hop3_plugin_api::{AppName, HostName};

use super::app::{AppSpec, Position};
use super::diagnostic::{Diagnostic, Related};
use super::{host_claims, order, port_claims, shares};

/// What is known beside the valid specs of one host at one revision.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The apps that hold a host name now; a holder keeps it.
    pub holders: BTreeMap<HostName, AppName>,
    /// Apps whose spec is invalid in this revision; they exist all the same.
    pub broken: BTreeSet<AppName>,
    /// Apps that the repo has, for whatever host.
    pub known: Arc<BTreeSet<AppName>>,
    /// What messages call the host: ``the host `web1` ``; `this host` when empty.
    pub host: String,
    /// Whether it is one of several, so that a conflict tells where it is one.
    pub several: bool,
    /// Addons of the host itself, by name.
    pub host_addons: BTreeSet<String>,
}

impl Surroundings {
    /// What messages call the host.
    pub(super) fn here(&self) -> &str {
        if self.host.is_empty() {
            "this host"
        } else {
            &self.host
        }
    }

    /// `, on …` at the end of a message, where it is one of several hosts.
    pub(super) fn on(&self) -> String {
        if self.several {
            format!(", on {}", self.here())
        } else {
            String::new()
        }
    }
}

/// Errors by the app's directory.
pub type Held = BTreeMap<String, Vec<Diagnostic>>;

/// Compares the specs of one host with each other.
pub fn repo_checks<S: Borrow<AppSpec>>(specs: &[S], surroundings: &Surroundings) -> Held {
    let specs: Vec<&AppSpec> = specs.iter().map(Borrow::borrow).collect();
    let specs = specs.as_slice();
    let mut held = Held::new();
    duplicate_names(specs, surroundings, &mut held);
    host_claims::check(specs, surroundings, &mut held);
    port_claims::check(specs, surroundings, &mut held);
    order::check(specs, surroundings, &mut held);
    shares::check(specs, surroundings, &mut held);
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

/// The one other place of a conflict; several are only named.
pub(super) fn elsewhere(places: &[Position], label: &str) -> Option<Related> {
    let [position] = places else { return None };
    Some(Related {
        position: position.clone(),
        span: None,
        label: label.to_owned(),
    })
}

/// An app as another one's message names it, with the place of its claim.
pub(super) fn claimant(spec: &AppSpec, at: &Position) -> String {
    format!("`{}` ({})", spec.name, place(at))
}

/// What several have, in order, with who has it.
pub(super) fn shared<K: Ord + Hash, V>(
    claims: impl IntoIterator<Item = (K, V)>,
) -> BTreeMap<K, Vec<V>> {
    let mut by_key: HashMap<K, Vec<V>> = HashMap::new();
    for (key, claim) in claims {
        by_key.entry(key).or_default().push(claim);
    }
    by_key
        .into_iter()
        .filter(|(_, claims)| claims.len() > 1)
        .collect()
}

fn duplicate_names(specs: &[&AppSpec], surroundings: &Surroundings, held: &mut Held) {
    for (name, claimants) in shared(specs.iter().map(|spec| (&spec.name, *spec))) {
        for spec in &claimants {
            let others = claimants
                .iter()
                .filter(|other| other.directory != spec.directory);
            let others: Vec<&&AppSpec> = others.collect();
            let places: Vec<Position> = others
                .iter()
                .map(|other| other.position("/metadata/id"))
                .collect();
            let others: Vec<&str> = others.iter().map(|other| other.file.as_str()).collect();
            let message = format!(
                "the app name `{name}` is taken by {} too{}",
                others.join(" and "),
                surroundings.on()
            );
            let mut diagnostic =
                Diagnostic::error_at(spec.position("/metadata/id"), message).key("/metadata/id");
            diagnostic.related = elsewhere(&places, "this app has the name, too");
            hold(
                held,
                spec,
                diagnostic.hint("give one of them another `[metadata] id`"),
            );
        }
    }
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
            ..Surroundings::default()
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
