//! Ports of the host that several apps claim. A claim is exclusive, so that all claimants are held. Pure.

use super::app::{AppSpec, PortClaim};
use super::diagnostic::Diagnostic;
use super::repo_checks::{Held, Surroundings, claimant, hold, shared};
use super::sections::Transport;

/// Holds every app that claims a port which another one claims too.
pub(super) fn check(specs: &[&AppSpec], surroundings: &Surroundings, held: &mut Held) {
    let claims = specs.iter().flat_map(|spec| {
        let claims = spec.ports.iter();
        claims.map(move |claim| ((claim.number, claim.protocol), (*spec, claim)))
    });
    for claimants in shared(claims).values() {
        for (spec, claim) in claimants {
            let others = claimants
                .iter()
                .filter(|(other, _)| other.directory != spec.directory);
            let others: Vec<String> = others
                .map(|(other, claim)| claimant(other, &claim.at))
                .collect();
            if !others.is_empty() {
                let on = surroundings.on();
                hold(held, spec, conflict(claim, &(others.join(" and "), on)));
            }
        }
    }
}

fn conflict(claim: &PortClaim, (others, on): &(String, String)) -> Diagnostic {
    let protocol = match claim.protocol {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    };
    let message = format!(
        "the {protocol} port {} is claimed by {others} too{on}",
        claim.number
    );
    Diagnostic::error_at(claim.at.clone(), message)
        .key(&claim.pointer)
        .hint("a port of a host belongs to one app; give one of them another `number`")
}
