//! Host names that several apps claim: a holder keeps its name, and without one all claimants are held. Pure.

use hop3_plugin_api::HostName;

use super::app::{AppSpec, Position};
use super::diagnostic::Diagnostic;
use super::repo_checks::{Held, Surroundings, claimant, elsewhere, hold, shared};

/// One claim of a host name.
struct Claim<'a> {
    spec: &'a AppSpec,
    index: usize,
}

impl Claim<'_> {
    fn pointer(&self) -> String {
        host_pointer(self.spec, self.index)
    }

    fn place(&self) -> Position {
        self.spec.position(&self.pointer())
    }
}

/// Holds every app that claims a host name which is not its own to claim.
pub(super) fn check(specs: &[&AppSpec], surroundings: &Surroundings, held: &mut Held) {
    duplicates(specs, surroundings, held);
    names_of_broken_holders(specs, surroundings, held);
}

fn duplicates(specs: &[&AppSpec], surroundings: &Surroundings, held: &mut Held) {
    let claims = specs.iter().flat_map(|spec| {
        let hosts = spec.hosts.iter().enumerate();
        hosts.map(move |(index, host)| (host, Claim { spec, index }))
    });
    for (host, claimants) in &shared(claims) {
        let holder = surroundings.holders.get(*host);
        let holder = claimants
            .iter()
            .find(|claim| Some(&claim.spec.name) == holder);
        for claim in claimants {
            if let Some(mut diagnostic) = host_conflict(host, claim, claimants, holder) {
                diagnostic.message.push_str(&surroundings.on());
                hold(held, claim.spec, diagnostic);
            }
        }
    }
}

/// A holder whose spec is invalid in this revision stays at its last good release, and that release holds the name.
fn names_of_broken_holders(specs: &[&AppSpec], surroundings: &Surroundings, held: &mut Held) {
    for spec in specs {
        for (index, host) in spec.hosts.iter().enumerate() {
            let holder = surroundings.holders.get(host);
            let Some(holder) = holder.filter(|it| surroundings.broken.contains(*it)) else {
                continue;
            };
            let pointer = host_pointer(spec, index);
            let message = format!(
                "{} is held by `{holder}` already, whose own spec is not valid now",
                host_words(host)
            );
            let hint = format!("mend `{holder}` first");
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

fn host_words(host: &HostName) -> String {
    if host.as_str() == "_" {
        "the catch-all `_`".to_owned()
    } else {
        format!("the host name `{host}`")
    }
}

fn host_conflict(
    host: &HostName,
    claim: &Claim<'_>,
    all: &[Claim<'_>],
    holder: Option<&Claim<'_>>,
) -> Option<Diagnostic> {
    let same = |other: &Claim<'_>| other.spec.directory == claim.spec.directory;
    if holder.is_some_and(same) {
        return None;
    }
    let rivals: Vec<&Claim<'_>> = match holder {
        Some(holder) => vec![holder],
        None => all.iter().filter(|other| !same(other)).collect(),
    };
    if rivals.is_empty() {
        return None;
    }
    let places: Vec<Position> = rivals.iter().map(|rival| rival.place()).collect();
    let (names, what) = (named(&rivals), host_words(host));
    let message = match holder {
        Some(_) => format!("{what} is held by {names} already"),
        None => format!("{what} is claimed by {names} too"),
    };
    let mut diagnostic = Diagnostic::error_at(claim.place(), message).key(&claim.pointer());
    diagnostic.related = elsewhere(&places, "claimed here");
    Some(diagnostic.hint("a host name belongs to one app; remove it from all others"))
}

fn named(claims: &[&Claim<'_>]) -> String {
    let names = claims.iter().map(|it| claimant(it.spec, &it.place()));
    names.collect::<Vec<_>>().join(" and ")
}

fn host_pointer(spec: &AppSpec, index: usize) -> String {
    let candidates = [
        format!("/domains/list/{index}"),
        format!("/domains/hosts/{index}"),
        "/env/HOST_NAME".to_owned(),
    ];
    let known = candidates
        .iter()
        .find(|pointer| spec.positions.has(pointer));
    known.cloned().unwrap_or_else(|| "/domains".to_owned())
}
