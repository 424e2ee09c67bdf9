//! What differs between two targets of one app, field by field, in the words of the spec. Pure; never decides what to do about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use hop3_plugin_api::{EnvTemplate, EnvValue};

use crate::plan::FieldChange;
use crate::release::Target;

/// Every difference that a person would recognise, by field. `from` and `to` show plain values only.
pub fn fields(from: &Target, to: &Target) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    changes.extend(differs("source", from.source.short(), to.source.short()));
    changes.extend(differs(
        "builder",
        from.choice.builder.as_str(),
        to.choice.builder.as_str(),
    ));
    changes.extend(optional(
        "toolchain",
        from.choice.toolchain.as_ref().map(ToString::to_string),
        to.choice.toolchain.as_ref().map(ToString::to_string),
    ));
    changes.extend(differs(
        "deployer",
        from.choice.deployer.as_str(),
        to.choice.deployer.as_str(),
    ));
    changes.extend(hidden("build", &from.config.build, &to.config.build));
    changes.extend(hidden("docker", &from.config.docker, &to.config.docker));
    changes.extend(hidden("plugin", &from.config.plugin, &to.config.plugin));
    changes.extend(hidden(
        "deploy.writable",
        &from.config.writable,
        &to.config.writable,
    ));
    changes.extend(map(
        "workers",
        &from.config.workers,
        &to.config.workers,
        Clone::clone,
    ));
    changes.extend(env(&from.env, &to.env));
    changes.extend(hidden(
        "run.before-run",
        &from.release_commands,
        &to.release_commands,
    ));
    changes.extend(hidden("limits", &from.limits, &to.limits));
    changes.extend(hidden("addons", &from.addons, &to.addons));
    changes.extend(map("scale", &from.counts, &to.counts, ToString::to_string));
    changes.extend(hidden("route", &from.route, &to.route));
    changes
}

fn env(from: &EnvTemplate, to: &EnvTemplate) -> Vec<FieldChange> {
    let mut changes = map("env", &from.values, &to.values, shown);
    changes.extend(hidden("env of addons", &from.addons, &to.addons));
    changes
}

/// A value of the environment as a plan may show it.
fn shown(value: &EnvValue) -> String {
    match value {
        EnvValue::Literal { value } => value.chars().take(80).collect(),
        EnvValue::Secret(secret) => format!("secret {}", secret.name),
        EnvValue::Generated { .. } => "generated".to_owned(),
        EnvValue::Addon { addon, key } => format!("{key} of {addon}"),
        EnvValue::Computed { template } => template.chars().take(80).collect(),
    }
}

fn differs(field: &str, from: &str, to: &str) -> Option<FieldChange> {
    optional(field, Some(from.to_owned()), Some(to.to_owned()))
}

fn optional(field: &str, from: Option<String>, to: Option<String>) -> Option<FieldChange> {
    (from != to).then(|| FieldChange {
        field: field.to_owned(),
        from,
        to,
    })
}

/// A difference whose values are too long to show.
fn hidden<T: PartialEq + Debug>(field: &str, from: &T, to: &T) -> Option<FieldChange> {
    (from != to).then(|| FieldChange {
        field: field.to_owned(),
        from: None,
        to: None,
    })
}

fn map<K: Ord + ToString, V: PartialEq>(
    field: &str,
    from: &BTreeMap<K, V>,
    to: &BTreeMap<K, V>,
    show: impl Fn(&V) -> String,
) -> Vec<FieldChange> {
    let keys: BTreeSet<&K> = from.keys().chain(to.keys()).collect();
    keys.into_iter()
        .filter(|key| from.get(key) != to.get(key))
        .map(|key| FieldChange {
            field: format!("{field}.{}", key.to_string()),
            from: from.get(key).map(&show),
            to: to.get(key).map(&show),
        })
        .collect()
}
