//! The environment of an app: as a template in plans and releases, as secrets at the moment a process starts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AddonName, Digest, EnvKey, Secret};

/// A resolved environment. It exists only while a step executes.
pub type EnvMap = BTreeMap<EnvKey, Secret>;

/// The environment that a release will have, with references where plaintext would stand.
///
/// Guarantees: holds no credential; two templates are equal exactly when a restart between them would change nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvTemplate {
    /// Variables by name.
    #[serde(default)]
    pub values: BTreeMap<EnvKey, EnvValue>,
    /// Addons whose connection variables are all injected, with the prefix that further addons of a type get.
    #[serde(default)]
    pub addons: BTreeMap<AddonName, Option<String>>,
}

/// Where one variable's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum EnvValue {
    /// A plain text of the spec.
    Literal {
        /// The text.
        value: String,
    },
    /// An encrypted secret of the config repo.
    Secret(SecretRef),
    /// A secret that is made once on the host and kept.
    Generated {
        /// What it consists of.
        generator: Generator,
        /// Bytes for `hex`, `base64` and `urlsafe`, characters for `password`, unused for `uuid`.
        length: u16,
        /// Put before the generated part.
        prefix: String,
    },
    /// One variable of an addon of this app.
    Addon {
        /// The addon.
        addon: AddonName,
        /// Its variable.
        key: EnvKey,
    },
    /// A text with `${NAME}` references to other variables, filled last.
    Computed {
        /// The text.
        template: String,
    },
}

/// A secret without its value: what a plan may know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SecretRef {
    /// Its name in `secrets/`, or the variable's own name for an inline one.
    pub name: String,
    /// Digest of the ciphertext, the same everywhere.
    pub ciphertext: Digest,
    /// Keyed digest of the plaintext, known only on a host that can decrypt it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Digest>,
}

/// What a generated secret consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Generator {
    /// Lower-case hexadecimal.
    Hex,
    /// Base64 with padding.
    Base64,
    /// Base64 for URLs, without padding.
    Urlsafe,
    /// Letters and digits.
    Password,
    /// A random UUID.
    Uuid,
}
