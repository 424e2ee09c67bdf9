//! Sections that others read: `[test]` a test harness, `[contexts]` a client. They validate and have no effect on a host.

use schemars::JsonSchema;
use serde::Deserialize;

use super::List;
use super::common::Filled;
use super::env::Env;
use super::run::Domains;

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
    validations: Option<List<Validation>>,
}

/// How urgent a test is.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum Priority {
    P0,
    P1,
    P2,
}

/// How slow a test is.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tier {
    Fast,
    Medium,
    Slow,
    VerySlow,
}

/// Where a test runs.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    Docker,
    Remote,
}

/// What is asked of the running app.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Validation {
    /// How. Default `http`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// The path. Default `/`.
    path: Option<String>,
    /// The status that is right. Default 200.
    status: Option<u16>,
    /// The statuses that are right.
    status_in: Option<Vec<u16>>,
    /// Another spelling of `status-in`.
    #[serde(rename = "status_in")]
    status_in_twin: Option<Vec<u16>>,
    /// A text that the answer must contain.
    contains: Option<String>,
}

/// A client's context.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Context {
    /// The server, without credentials.
    #[schemars(extend("examples" = ["https://hop3.example"]))]
    pub(crate) server: Filled,
    /// The app's name there.
    #[serde(rename = "app")]
    pub(crate) _app: Option<Filled>,
    /// The host names there.
    pub(crate) domains: Option<Domains>,
    /// The variables there.
    pub(crate) env: Option<Env>,
}
