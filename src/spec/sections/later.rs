//! Sections that validate and are not carried out: those that are not built yet, and those without effect on a host.

use std::num::{NonZeroU16, NonZeroU64};

use hop3_plugin_api::PluginName;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::common::{Filled, Period};
use super::env::{Env, GeneratedForm};
use super::run::Domains;

/// Declares a section whose values are only validated.
macro_rules! validated {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub(crate) struct $name {
            $($(#[$field_meta])* pub(crate) $field: Option<$type>,)*
        }
    };
}

validated! {
    /// A command at fixed times. Not built yet.
    Job {
        /// Its name.
        name: PluginName,
        /// Five cron fields.
        schedule: Filled,
        /// The command.
        command: Filled,
        /// The time zone of the schedule.
        timezone: String,
        /// What happens when it is due while it runs.
        concurrency: Concurrency,
        /// The longest that it may run.
        timeout: Period,
        /// Whether it rests.
        suspend: bool,
        /// Whether a missed one runs once later.
        catch_up: bool,
    }
}

/// What happens when a job is due while it runs.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Concurrency {
    Allow,
    Forbid,
    Replace,
}

validated! {
    /// A port of the host that the app claims for itself. Not built yet.
    Port {
        /// Its number.
        number: NonZeroU16,
        /// Its protocol. Default `tcp`.
        protocol: Transport,
        /// A name, for people.
        name: String,
        /// Who may reach it: `any`, or an IPv4 network.
        source: String,
    }
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

validated! {
    /// A directory that outlives releases. Not built yet.
    Volume {
        /// Its name.
        name: String,
        /// Where the app finds it.
        target: String,
        /// What it is. Default `persist`.
        #[serde(rename = "type")]
        kind: VolumeKind,
        /// Its size.
        size: String,
        /// Its permission bits, octal.
        mode: String,
        /// Whether a backup takes it along.
        backup: VolumeBackup,
    }
}

/// What a volume is.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum VolumeKind {
    Persist,
    Tmpfs,
    Bind,
}

validated! {
    /// Whether a backup takes a volume along.
    VolumeBackup {
        /// Default true.
        include: bool,
    }
}

validated! {
    /// Files that a backup takes along. Not built yet.
    Backup {
        /// Paths below the release.
        paths: Vec<String>,
        /// Patterns of files that are left out.
        exclude: Vec<String>,
        /// Whether backups are made by themselves.
        enabled: bool,
        /// When.
        schedule: String,
        /// How long they are kept.
        retention: Value,
    }
}

validated! {
    /// The app's first administrator. Not built yet.
    Admin {
        /// The user name.
        username: Filled,
        /// `operator`, or an address.
        email: Filled,
        /// How the password is made.
        password: GeneratedForm,
        /// The command that makes the user.
        create: String,
        /// The command that checks the user.
        verify: String,
        /// What is typed to log in.
        login: Login,
    }
}

/// What is typed to log in.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Login {
    Username,
    Email,
}

validated! {
    /// The user as whom the app is probed. Not built yet.
    Probe {
        /// The user name. Default `hop3probe`.
        username: Filled,
        /// The address.
        email: Filled,
        /// The command that makes the user.
        create: Filled,
        /// The command that checks the user.
        verify: String,
    }
}

/// The web application firewall. Not built yet.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Waf {
    /// Whether it is on. Default false.
    pub(crate) enabled: Option<bool>,
    /// What it does with an attack. Default `block`.
    #[serde(rename = "mode")]
    pub(crate) _mode: Option<WafMode>,
    /// The set of rules.
    #[serde(rename = "ruleset")]
    pub(crate) _ruleset: Option<String>,
    /// How suspicious it is, from 1 to 4.
    #[serde(rename = "paranoia", deserialize_with = "paranoia")]
    #[schemars(range(min = 1, max = 4))]
    pub(crate) _paranoia: Option<u8>,
    /// Paths that are let through.
    #[serde(rename = "allow")]
    pub(crate) _allow: Option<Vec<Filled>>,
    /// Paths for some visitors only.
    #[serde(rename = "gate")]
    pub(crate) _gate: Option<Vec<WafGate>>,
    /// Rules that are relaxed.
    #[serde(rename = "tuning")]
    pub(crate) _tuning: Option<Vec<WafTuning>>,
    /// When a visitor is banned.
    #[serde(rename = "bans")]
    pub(crate) _bans: Option<WafBans>,
}

fn paranoia<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let level = u8::deserialize(deserializer)?;
    if (1..=4).contains(&level) {
        Ok(Some(level))
    } else {
        Err(serde::de::Error::custom("not from 1 to 4"))
    }
}

/// What the firewall does with an attack.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WafMode {
    Block,
    Detect,
}

validated! {
    /// Paths for some visitors only.
    WafGate {
        /// The paths.
        paths: Vec<Filled>,
        /// The network that a visitor must come from.
        require: Filled,
    }
}

validated! {
    /// Rules that are relaxed.
    WafTuning {
        /// The paths; all when absent.
        paths: Vec<Filled>,
        /// Rules that are switched off.
        disable_rule_ids: Vec<u64>,
        /// Another spelling of `disable-rule-ids`.
        #[serde(rename = "disable_rule_ids")]
        disable_rule_ids_twin: Vec<u64>,
        /// Whether bodies are not looked at.
        skip_body_inspection: bool,
        /// Another spelling of `skip-body-inspection`.
        #[serde(rename = "skip_body_inspection")]
        skip_body_inspection_twin: bool,
        /// Why.
        reason: String,
    }
}

validated! {
    /// When a visitor is banned.
    WafBans {
        /// Default false.
        enabled: bool,
        /// Attacks. Default 5.
        threshold: NonZeroU64,
        /// Within. Default `10m`.
        window: Period,
        /// For. Default `1h`.
        duration: Period,
    }
}

/// A port as other tools show it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum LegacyPort {
    Number(#[expect(dead_code, reason = "without effect here")] i64),
    Table(#[expect(dead_code, reason = "without effect here")] LegacyPortTable),
}

validated! {
    /// A port as other tools show it.
    LegacyPortTable {
        /// Its number.
        container: i64,
        /// Whether it is public.
        public: bool,
        /// Whether it speaks TLS.
        https: bool,
    }
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

/// What a test harness checks.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct TestSection {
    /// How urgent.
    priority: Option<Priority>,
    /// How slow.
    tier: Option<Tier>,
    /// Where.
    targets: Option<Vec<Target>>,
    /// Who wrote it.
    author: Option<String>,
    /// What it covers.
    covers: Option<Vec<String>>,
    /// Whether it must fail.
    expects_failure: Option<bool>,
    /// Another spelling of `expects-failure`.
    #[serde(rename = "expects_failure")]
    expects_failure_twin: Option<bool>,
    /// What is asked of the running app.
    validations: Option<Vec<Validation>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum Priority {
    P0,
    P1,
    P2,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tier {
    Fast,
    Medium,
    Slow,
    VerySlow,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    Docker,
    Remote,
}

validated! {
    /// What is asked of the running app.
    Validation {
        /// How. Default `http`.
        #[serde(rename = "type")]
        kind: String,
        /// The path. Default `/`.
        path: String,
        /// The status that is right. Default 200.
        status: u16,
        /// The statuses that are right.
        status_in: Vec<u16>,
        /// Another spelling of `status-in`.
        #[serde(rename = "status_in")]
        status_in_twin: Vec<u16>,
        /// A text that the answer must contain.
        contains: String,
    }
}

validated! {
    /// A client's context.
    Context {
        /// The server.
        server: Filled,
        /// The app's name there.
        app: Filled,
        /// The host names there.
        domains: Domains,
        /// The variables there.
        env: Env,
    }
}
