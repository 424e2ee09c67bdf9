//! What an app claims of its host: `[[ports]]`, `[[volumes]]`, `[backup]`, and `[port]`, which claims nothing.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::{ByteText, CronText, Filled, Period};
use super::names::VolumeName;

/// A port of the host that the app claims for itself. Not built yet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Port {
    /// Its number, but none of 22, 80 and 443.
    #[schemars(extend("examples" = [5432]))]
    pub(crate) number: NonZeroU16,
    /// Its protocol. Default `tcp`.
    pub(crate) protocol: Option<Transport>,
    /// A name, for people.
    pub(crate) name: Option<String>,
    /// Who may reach it: `any` (default), or an IPv4 network such as `10.0.0.0/24`.
    pub(crate) source: Option<String>,
}

/// A transport protocol.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// A directory that outlives releases. Not built yet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Volume {
    /// Its name, unlike those of the app's other volumes.
    #[schemars(extend("examples" = ["uploads"]))]
    pub(crate) name: VolumeName,
    /// Where the app finds it, below its source: `public/uploads`.
    #[schemars(extend("examples" = ["public/uploads"]))]
    pub(crate) target: String,
    /// What it is. Default `persist`: kept on the host.
    #[serde(rename = "type")]
    pub(crate) kind: Option<VolumeKind>,
    /// The size of a `tmpfs`, such as `64M`.
    pub(crate) size: Option<ByteText>,
    /// Its permission bits, octal, such as `0750`.
    #[serde(rename = "mode")]
    _mode: Option<Mode>,
    /// Whether a backup takes it along.
    #[serde(rename = "backup")]
    #[schemars(extend("examples" = [{ "include": false }]))]
    _backup: Option<VolumeBackup>,
}

text!(
    /// Permission bits as octal digits.
    Mode,
    "^[0-7]{3,4}$",
    "octal digits in quotes, such as `\"0750\"`",
    |text| (3..=4).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'7'))
);

/// What a volume is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum VolumeKind {
    Persist,
    Tmpfs,
    Bind,
}

/// Whether a backup takes a volume along.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct VolumeBackup {
    /// Default true.
    #[serde(rename = "include")]
    _include: Option<bool>,
}

/// Files that a backup takes along. Not built yet.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Backup {
    /// Paths below the app's directory.
    pub(crate) paths: Option<Vec<String>>,
    /// Patterns of files that are left out: a whole path, a name, or one part of a path.
    #[serde(rename = "exclude")]
    pub(crate) _exclude: Option<Vec<Filled>>,
    /// Whether backups are made by themselves.
    #[serde(rename = "enabled")]
    pub(crate) _enabled: Option<bool>,
    /// When: five cron fields.
    pub(crate) schedule: Option<CronText>,
    /// How many are kept, or for how long.
    #[serde(rename = "retention")]
    pub(crate) _retention: Option<Retention>,
}

/// When backups of an addon are made, and how long they are kept. Other keys are of older versions and have no effect.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct AddonBackup {
    /// When: five cron fields.
    pub(crate) schedule: Option<CronText>,
    /// How many are kept, or for how long.
    #[serde(rename = "retention")]
    _retention: Option<Retention>,
    #[serde(flatten)]
    pub(crate) older: BTreeMap<String, Value>,
}

/// What is kept of backups: so many, or those of so long.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(crate) enum Retention {
    Count(Kept),
    Age(AgeText),
}

schema!(Retention, {
    "type": ["integer", "string"],
    "minimum": 1,
    "maximum": 1000,
    "pattern": "^[1-9][0-9]{0,7}[smhd]$",
    "x-suggest": "period",
    "x-rule": "how many are kept, such as `7`, or for how long, such as `\"30d\"`"
});

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u16")]
pub(crate) struct Kept;

impl TryFrom<u16> for Kept {
    type Error = &'static str;

    fn try_from(count: u16) -> Result<Self, Self::Error> {
        if (1..=1000).contains(&count) {
            Ok(Self)
        } else {
            Err("not from 1 to 1000")
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct AgeText;

impl TryFrom<String> for AgeText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Period::of_text(&text)
            .map(|_| Self)
            .ok_or("not a span of time")
    }
}

/// A port as other tools show it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum LegacyPort {
    Number(#[expect(dead_code, reason = "without effect here")] i64),
    Table(#[expect(dead_code, reason = "without effect here")] LegacyPortTable),
}

/// A port as other tools show it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct LegacyPortTable {
    /// Its number.
    #[serde(rename = "container")]
    _container: Option<i64>,
    /// Whether it is public.
    #[serde(rename = "public")]
    _public: Option<bool>,
    /// Whether it speaks TLS.
    #[serde(rename = "https")]
    _https: Option<bool>,
}

impl JsonSchema for LegacyPort {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LegacyPort".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = LegacyPortTable::json_schema(generator);
        schema.insert("type".to_owned(), serde_json::json!(["integer", "object"]));
        schema
    }
}
