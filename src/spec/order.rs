//! `[deploy] after`: apps that wait for others. Whom an app waits for must run beside it, and nobody may wait for itself. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hop3_plugin_api::AppName;

use super::app::{AppSpec, Position};
use super::diagnostic::Diagnostic;
use super::repo_checks::{Held, Surroundings, hold};
use super::suggest::did_you_mean;

/// Holds every app that waits for what will never be there.
pub(super) fn check(specs: &[&AppSpec], surroundings: &Surroundings, held: &mut Held) {
    unknown_predecessors(specs, surroundings, held);
    circles(specs, held);
}

fn unknown_predecessors(specs: &[&AppSpec], surroundings: &Surroundings, held: &mut Held) {
    if specs.iter().all(|spec| spec.deploy.after.is_empty()) {
        return;
    }
    let here: BTreeSet<&AppName> = specs
        .iter()
        .map(|spec| &spec.name)
        .chain(&surroundings.broken)
        .collect();
    for spec in specs {
        let after = spec.deploy.after.iter().enumerate();
        for (index, name) in after.filter(|(_, name)| !here.contains(name)) {
            let pointer = format!("/deploy/after/{index}");
            let diagnostic = absent(name, &here, surroundings, spec.position(&pointer));
            hold(held, spec, diagnostic.key(&pointer));
        }
    }
}

fn absent(
    name: &AppName,
    here: &BTreeSet<&AppName>,
    surroundings: &Surroundings,
    at: Position,
) -> Diagnostic {
    if surroundings.known.contains(name) {
        let place = surroundings.here();
        let message =
            format!("the app `{name}` does not run on {place}, so waiting for it would never end");
        let hint = format!("let {place} run `{name}` too, or take it out of `after`");
        return Diagnostic::error_at(at, message).hint(hint);
    }
    let known = here.iter().copied().chain(surroundings.known.iter());
    Diagnostic::error_at(at, format!("there is no app `{name}` to wait for"))
        .hint(did_you_mean(name.as_str(), known.map(AppName::as_str)))
}

fn circles(specs: &[&AppSpec], held: &mut Held) {
    if specs.iter().all(|spec| spec.deploy.after.is_empty()) {
        return;
    }
    let by_name: BTreeMap<&AppName, &AppSpec> =
        specs.iter().map(|spec| (&spec.name, *spec)).collect();
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
