//! Ids: a change is identified by what it does to what, and by nothing else.
//!
//! Left out: revision, commit, line, reason, release numbers, agent version, other apps.

use hop3_plugin_api::{AppName, Digest};
use serde_json::{Value, json};

use super::{Action, Change, ReleaseRef, Step};

/// The id of a change: host, app, the release that it leads to, and its actions, in which an existing release stands by its key.
pub(super) fn change_id(host: &str, app: &AppName, key: &Digest, steps: &[Step]) -> Digest {
    let actions: Vec<Value> = steps.iter().map(|step| identity(&step.action)).collect();
    Digest::of(&json!([host, app, key, actions]))
}

/// The id of a plan.
pub(super) fn plan_id(changes: &[Change]) -> Digest {
    let mut ids: Vec<&Digest> = changes.iter().map(|change| &change.id).collect();
    ids.sort();
    Digest::of(&ids)
}

/// What an action does, with everything left out that may differ between two that do the same.
fn identity(action: &Action) -> Value {
    match action {
        // The build asks for them, and its key covers them.
        Action::EnsurePackages { packages } => json!(["ensure-packages", packages]),
        // The new release's key covers what the build makes; how it is made is the toolchain's business.
        Action::Build {
            builder, source, ..
        } => json!(["build", builder, source]),
        Action::ReuseArtifact { of } => json!(["reuse-artifact", release(of)]),
        Action::EnsureAddon { addon } => json!(["ensure-addon", addon]),
        Action::ReleaseCommand {
            release: of,
            commands,
            ..
        } => json!(["release-command", release(of), commands]),
        Action::Deploy {
            release: of,
            deployer,
            counts,
        } => json!(["deploy", release(of), deployer, counts]),
        Action::Gate { release: of, check } => json!(["gate", release(of), check]),
        Action::Switch {
            release: of,
            proxy,
            route,
        } => json!(["switch", release(of), proxy, route]),
        Action::Drain {
            release: of,
            seconds,
        } => json!(["drain", release(of), seconds]),
        Action::Scale {
            release: of,
            counts,
        } => json!(["scale", release(of), counts]),
        Action::Stop { release: of } => json!(["stop", release(of)]),
        Action::Unroute { proxy } => json!(["unroute", proxy]),
        Action::Tombstone => json!(["tombstone"]),
        Action::MakeRoom => json!(["make-room"]),
        Action::Retain { keep } => json!(["retain", keep]),
    }
}

fn release(of: &ReleaseRef) -> Value {
    match of {
        ReleaseRef::New => json!("new"),
        ReleaseRef::Existing { key, .. } => json!(key),
    }
}
