//! Which changes of a plan may be carried out now. Pure; holds back, never adds.
//!
//! Holds here: apps that wait for others (`after`), and mass removals.

use std::collections::BTreeSet;

use hop3_plugin_api::AppName;

use crate::plan::{Action, Change, Held, HoldKind, Parts, Plan};

/// What the gate takes into account beside the plan.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// How many apps are deployed here.
    pub deployed: usize,
    /// How many of them the config repo no longer speaks of, those under way included.
    pub removed: usize,
    /// Apps that run their current release.
    pub healthy: BTreeSet<AppName>,
}

/// The plan with everything held back that may not be done yet.
pub fn gate(plan: Plan, facts: &Facts) -> Plan {
    let Plan {
        host,
        revision,
        changes,
        held,
        unchanged,
        errors,
        notes,
        ..
    } = plan;
    let replaced = changes
        .iter()
        .filter(|change| replaces(change))
        .map(|change| change.app.clone())
        .collect();
    let mut parts = Parts {
        held,
        unchanged,
        errors,
        notes,
        ..Parts::default()
    };
    for change in changes {
        let hold = if is_removal(&change) {
            mass_removal(&change, facts)
        } else {
            waiting(&change, &replaced, facts)
        };
        match hold {
            Some(hold) => parts.held.push(hold),
            None => parts.changes.push(change),
        }
    }
    Plan::assemble(&host, revision, parts)
}

/// A new release waits for the apps that it names. Mending and routing what runs already does not.
fn waiting(change: &Change, replaced: &BTreeSet<AppName>, facts: &Facts) -> Option<Held> {
    let ready = |other: &AppName| !replaced.contains(other) && facts.healthy.contains(other);
    let waits_for = change
        .after
        .iter()
        .find(|other| replaces(change) && !ready(other))?;
    let message = format!("it waits for `{waits_for}`, which is not healthy yet");
    Some(hold(change, HoldKind::Waiting, message, None))
}

/// A lost directory must not take the host down: more than one app and more than a fifth of all at once is held.
fn mass_removal(change: &Change, facts: &Facts) -> Option<Held> {
    let (removed, deployed) = (facts.removed, facts.deployed);
    let allowed = (deployed / 5).max(1);
    if removed <= allowed {
        return None;
    }
    let message = format!(
        "{removed} of {deployed} apps would be removed at once; at most {allowed} are without a person's word"
    );
    let hint = "if that is meant, bring some back and remove them a few at a time".to_owned();
    Some(hold(change, HoldKind::Policy, message, Some(hint)))
}

fn hold(change: &Change, hold: HoldKind, message: String, hint: Option<String>) -> Held {
    Held {
        app: change.app.clone(),
        hold,
        message,
        hints: hint.into_iter().collect(),
        at: None,
    }
}

/// Whether another release takes over.
fn replaces(change: &Change) -> bool {
    let new = |action: &Action| {
        matches!(
            action,
            Action::Build { .. } | Action::ReuseArtifact { .. } | Action::Deploy { .. }
        )
    };
    change.steps.iter().any(|step| new(&step.action))
}

fn is_removal(change: &Change) -> bool {
    change
        .steps
        .iter()
        .any(|step| step.action == Action::Tombstone)
}
