//! Sections of the operator's files that validate and are not built yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::spec::sections::{AbsolutePath, Approval, Filled, up_to};

/// What waits for approval.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct GateSection {
    /// The least that changes wait for: `auto` (default), `manual`, or a delay such as `2h`. A spec may ask for more, never for less.
    #[serde(rename = "floor")]
    _floor: Option<Approval>,
}

/// How secrets are decrypted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct SecretsSection {
    /// A file that holds the host's private key.
    #[serde(rename = "identity")]
    _identity: Option<AbsolutePath>,
}

/// What happens when a running app differs from its spec.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DriftMode {
    Heal,
    Report,
}

/// Apps of branches.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Previews {
    /// Directories of the apps that have previews, with `*` and `?`.
    #[serde(rename = "apps")]
    _apps: Option<Vec<String>>,
    /// The domain below which each preview gets a name.
    #[serde(rename = "domain")]
    _domain: Option<Filled>,
    /// The most previews at a time.
    #[schemars(range(min = 1, max = 100))]
    #[serde(rename = "most", deserialize_with = "up_to::<100, _>")]
    _most: Option<u16>,
}

/// Who is told, by the names of what tells.
pub(super) type Notify = BTreeMap<String, Value>;
