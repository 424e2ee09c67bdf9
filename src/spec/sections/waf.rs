//! `[waf]`.

use std::num::NonZeroU64;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::List;
use super::common::{Filled, Period, up_to};

/// The web application firewall. Not built yet.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Waf {
    /// Whether it is on. Default false.
    pub(crate) enabled: Option<bool>,
    /// What it does with an attack. Default `block`.
    #[serde(rename = "mode")]
    pub(crate) _mode: Option<WafMode>,
    /// The set of rules. Default `owasp-crs`.
    #[serde(rename = "ruleset")]
    pub(crate) _ruleset: Option<Filled>,
    /// How suspicious it is, from 1 (default) to 4.
    #[serde(rename = "paranoia", deserialize_with = "up_to::<4, _>")]
    #[schemars(range(min = 1, max = 4))]
    pub(crate) _paranoia: Option<u16>,
    /// Paths that are let through, as regular expressions that fit a whole path.
    #[schemars(length(min = 1), extend("examples" = [["/healthz"]]))]
    #[serde(deserialize_with = "some")]
    pub(crate) allow: Option<List<Filled>>,
    /// Paths for some visitors only.
    pub(crate) gate: Option<List<WafGate>>,
    /// Rules that are relaxed.
    pub(crate) tuning: Option<List<WafTuning>>,
    /// When a visitor is banned.
    #[serde(rename = "bans")]
    pub(crate) _bans: Option<WafBans>,
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<List<Filled>>, D::Error> {
    filled(deserializer).map(Some)
}

/// Reads a list that is not empty.
fn filled<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let items = Vec::deserialize(deserializer)?;
    if items.is_empty() {
        Err(serde::de::Error::custom("an empty list"))
    } else {
        Ok(items)
    }
}

/// What the firewall does with an attack.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WafMode {
    Block,
    Detect,
}

/// Paths for some visitors only.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct WafGate {
    /// The paths, as regular expressions that fit a whole path.
    #[schemars(length(min = 1), extend("examples" = [["/admin/.*"]]))]
    #[serde(deserialize_with = "filled")]
    pub(crate) paths: Vec<Filled>,
    /// The name of the network that a visitor must come from.
    #[schemars(extend("examples" = ["office"]))]
    pub(crate) require: Filled,
}

/// Rules that are relaxed. At least one of the two reliefs must be there.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct WafTuning {
    /// The paths, as regular expressions that fit a whole path; all when absent.
    pub(crate) paths: Option<Vec<Filled>>,
    /// Rules that are switched off.
    pub(crate) disable_rule_ids: Option<Vec<u64>>,
    /// Another spelling of `disable-rule-ids`.
    #[serde(rename = "disable_rule_ids")]
    pub(crate) disable_rule_ids_twin: Option<Vec<u64>>,
    /// Whether bodies are not looked at.
    pub(crate) skip_body_inspection: Option<bool>,
    /// Another spelling of `skip-body-inspection`.
    #[serde(rename = "skip_body_inspection")]
    pub(crate) skip_body_inspection_twin: Option<bool>,
    /// Why.
    #[serde(rename = "reason")]
    _reason: Option<String>,
}

impl WafTuning {
    /// Whether it relaxes anything.
    pub(crate) fn relieves(&self) -> bool {
        let rules = [&self.disable_rule_ids, &self.disable_rule_ids_twin];
        let bodies = [self.skip_body_inspection, self.skip_body_inspection_twin];
        rules.into_iter().flatten().any(|ids| !ids.is_empty()) || bodies.contains(&Some(true))
    }
}

/// When a visitor is banned.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct WafBans {
    /// Default false.
    #[serde(rename = "enabled")]
    _enabled: Option<bool>,
    /// Attacks. Default 5.
    #[serde(rename = "threshold")]
    _threshold: Option<NonZeroU64>,
    /// Within. Default `10m`.
    #[serde(rename = "window")]
    _window: Option<Period>,
    /// For. Default `1h`.
    #[serde(rename = "duration")]
    _duration: Option<Period>,
}
