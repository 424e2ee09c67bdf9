//! `[deploy]` and `[proxy]`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hop3_plugin_api::AppName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::common::{ByteSize, Filled, Period, up_to};
use super::env::{AgeForm, GeneratedForm, SecretForm};
use super::names::{ErrorStatus, HeaderName, RedirectFrom, UrlPath, hostile};

/// How a release replaces another.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Deploy {
    /// `auto` (default: chosen by the artifact's kind), or a deployer's name.
    pub(crate) deployer: Option<String>,
    /// Whether plain HTTP is served too instead of redirected to HTTPS. Default false.
    pub(crate) allow_http: Option<bool>,
    /// Apps that must be healthy first.
    pub(crate) after: Option<Vec<AppName>>,
    /// `blue-green` (default): the new release starts beside the old one. `recreate`: the old one stops first.
    pub(crate) strategy: Option<RolloutStrategy>,
    /// Whether workers without requests may run in both releases at once. Default false.
    pub(crate) overlap: Option<bool>,
    /// How long requests in flight may take after the switch. Default `30s`.
    pub(crate) drain_timeout: Option<Period>,
    /// Releases that are kept, the current one included. Default 5.
    #[schemars(range(min = 1, max = 100))]
    #[serde(deserialize_with = "up_to::<100, _>")]
    pub(crate) keep_releases: Option<u16>,
    /// Directories of the release that the app may write.
    pub(crate) writable: Option<Vec<String>>,
    /// What happens when a running app differs from the spec. Default `heal`.
    pub(crate) drift: Option<Drift>,
    /// Whether changes wait for a person: `auto`, `manual`, or a delay after which they go on. Stricter than the host asks, never looser. Not built yet.
    #[serde(rename = "approve")]
    pub(crate) _approve: Option<Approval>,
    /// What happens to a release command that was interrupted. Default `retry`.
    pub(crate) on_interrupt: Option<InterruptPolicy>,
    /// Whether an automatic return may go back across a release command. Default false.
    pub(crate) return_after_release_command: Option<bool>,
}

text!(
    /// Whether changes wait for a person.
    Approval,
    "^(auto|manual|[1-9][0-9]{0,7}[smhd])$",
    "`\"auto\"`, `\"manual\"`, or a delay such as `\"2h\"`",
    |text| matches!(text, "auto" | "manual") || Period::of_text(text).is_some()
);

/// How a release takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RolloutStrategy {
    BlueGreen,
    Recreate,
}

/// What happens on drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Drift {
    Heal,
    Report,
}

/// What happens to an interrupted command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InterruptPolicy {
    Retry,
    Hold,
}

/// How the proxy treats the app's requests.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Proxy {
    /// The largest request body, such as `64M`.
    pub(crate) body_size: Option<ByteSize>,
    /// How long an answer may take to begin.
    pub(crate) timeout: Option<Period>,
    /// Whether unknown paths below a static root get `index.html`.
    pub(crate) spa: Option<bool>,
    /// Headers that are added to every answer.
    pub(crate) headers: Option<BTreeMap<HeaderName, String>>,
    /// Strict transport security: whether browsers may never again come without TLS, or with which options. Not built yet.
    #[serde(rename = "hsts")]
    pub(crate) _hsts: Option<Hsts>,
    /// Redirects: a path or host name to a path or address. Not built yet.
    #[serde(rename = "redirect")]
    pub(crate) _redirect: Option<BTreeMap<RedirectFrom, RedirectTo>>,
    /// User and password for every request. Not built yet.
    #[serde(rename = "basic-auth")]
    pub(crate) _basic_auth: Option<BasicAuth>,
    /// Pages for errors: a status, such as `404` or `5xx`, to a file of the source. Not built yet.
    pub(crate) error_pages: Option<BTreeMap<ErrorStatus, String>>,
    /// Whether a maintenance page answers, or the file of the source that does. Not built yet.
    #[serde(rename = "maintenance")]
    pub(crate) _maintenance: Option<Maintenance>,
    /// The path below which the app answers. Not built yet.
    #[serde(rename = "path-prefix")]
    pub(crate) _path_prefix: Option<UrlPath>,
    /// What the proxy caches. Not built yet.
    #[serde(rename = "cache")]
    pub(crate) _cache: Option<Cache>,
}

/// Strict transport security.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Hsts {
    Switch(#[expect(dead_code, reason = "not built yet")] bool),
    Options(#[expect(dead_code, reason = "not built yet")] HstsOptions),
}

/// Options of strict transport security.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct HstsOptions {
    /// How long browsers remember. Default `365d`.
    #[serde(rename = "max-age")]
    _max_age: Option<Period>,
    /// Whether subdomains are meant too. Default false.
    #[serde(rename = "include-subdomains")]
    _include_subdomains: Option<bool>,
    /// Whether browsers may ship the name in their lists. Default false.
    #[serde(rename = "preload")]
    _preload: Option<bool>,
}

impl JsonSchema for Hsts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Hsts".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = HstsOptions::json_schema(generator);
        schema.insert("type".to_owned(), serde_json::json!(["boolean", "object"]));
        schema
    }
}

text!(
    /// Where a redirect leads.
    RedirectTo,
    "^(/|https?://)[^\\s\"'`{};$\\\\]*$",
    "a path that starts with `/`, or an address that starts with `https://`",
    |text| ["/", "http://", "https://"].iter().any(|start| text.starts_with(start)) && !hostile(text)
);

/// User and password for every request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct BasicAuth {
    /// The user name.
    #[serde(rename = "username")]
    #[schemars(extend("examples" = ["staff"]))]
    _username: Filled,
    /// Where the password comes from, in one of the forms that secrets have in `[env]`.
    #[serde(rename = "password")]
    #[schemars(extend("examples" = [{ "secret": "staff-password" }]))]
    _password: Credential,
}

/// A secret that is not in the spec.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Credential {
    Generated(#[expect(dead_code, reason = "not built yet")] GeneratedForm),
    Secret(#[expect(dead_code, reason = "not built yet")] SecretForm),
    Age(#[expect(dead_code, reason = "not built yet")] AgeForm),
}

impl JsonSchema for Credential {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Credential".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let needs = |key: &str| json_schema!({ "required": [key] });
        let age = json_schema!({
            "if": needs("age"), "then": AgeForm::json_schema(generator), "else": false,
            "x-rule": "`{ secret = \"…\" }` or `{ generate = \"password\" }`"
        });
        let secret = json_schema!({ "if": needs("secret"), "then": SecretForm::json_schema(generator), "else": age });
        json_schema!({
            "type": "object",
            "if": needs("generate"), "then": GeneratedForm::json_schema(generator), "else": secret
        })
    }
}

/// Whether a maintenance page answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Maintenance {
    Switch(#[expect(dead_code, reason = "not built yet")] bool),
    Page(#[expect(dead_code, reason = "not built yet")] Filled),
}

schema!(Maintenance, { "type": ["boolean", "string"], "pattern": "\\S", "x-rule": "`true`, or the file that is shown" });

/// What the proxy caches.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Cache {
    /// Paths below which answers are cached. Default: all.
    #[serde(rename = "paths")]
    _paths: Option<Vec<UrlPath>>,
    /// How long an answer that says nothing of it is kept. Default `1m`.
    #[serde(rename = "time")]
    _time: Option<Period>,
}
