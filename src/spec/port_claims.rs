//! Ports of the host that several apps claim. A claim is exclusive, so that all claimants are held. Pure.

use super::app::{AppSpec, PortClaim, Position};
use super::diagnostic::Diagnostic;
use super::repo_checks::{Held, Surroundings, claimant, elsewhere, hold, shared};
use super::sections::Transport;

/// One app's claim.
type Claim<'a> = (&'a AppSpec, &'a PortClaim);

/// Holds every app that claims a port which another one claims too.
pub(super) fn check(specs: &[&AppSpec], surroundings: &Surroundings, held: &mut Held) {
    let claims = specs.iter().flat_map(|spec| {
        let claims = spec.ports.iter().map(move |claim| (*spec, claim));
        claims.map(|(spec, claim)| ((claim.number, is_udp(claim)), (spec, claim)))
    });
    for claimants in shared(claims).values() {
        for (spec, claim) in claimants {
            let others: Vec<&Claim<'_>> = claimants
                .iter()
                .filter(|(other, _)| other.directory != spec.directory)
                .collect();
            if !others.is_empty() {
                hold(held, spec, conflict(claim, &others, &surroundings.on()));
            }
        }
    }
}

fn is_udp(claim: &PortClaim) -> bool {
    claim.protocol == Transport::Udp
}

fn conflict(claim: &PortClaim, others: &[&Claim<'_>], on: &str) -> Diagnostic {
    let protocol = if is_udp(claim) { "UDP" } else { "TCP" };
    let places: Vec<Position> = others.iter().map(|(_, claim)| claim.at.clone()).collect();
    let names = others.iter().map(|(spec, claim)| claimant(spec, &claim.at));
    let names: Vec<String> = names.collect();
    let message = format!(
        "the {protocol} port {} is claimed by {} too{on}",
        claim.number,
        names.join(" and ")
    );
    let mut diagnostic = Diagnostic::error_at(claim.at.clone(), message)
        .key(&claim.pointer)
        .hint("a port of a host belongs to one app; give one of them another `number`");
    diagnostic.related = elsewhere(&places, "claimed here");
    diagnostic
}
