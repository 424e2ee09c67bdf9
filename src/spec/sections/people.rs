//! `[admin]` and `[probe]`: users that the app makes of itself.

use schemars::JsonSchema;
use serde::Deserialize;

use super::common::Filled;
use super::env::GeneratedForm;

/// The app's first administrator. Not built yet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Admin {
    /// The user name. One of `username` and `email` must be there.
    pub(crate) username: Option<Filled>,
    /// `operator` for the address of whoever runs the host, or an address.
    pub(crate) email: Option<Email>,
    /// How the password is made.
    #[serde(rename = "password")]
    #[schemars(extend("examples" = [{ "generate": "password" }]))]
    pub(crate) _password: GeneratedForm,
    /// The command that makes the user; it finds `HOP3_ADMIN_USER`, `HOP3_ADMIN_EMAIL` and `HOP3_ADMIN_PASSWORD` in its environment.
    #[serde(rename = "create")]
    pub(crate) _create: Option<String>,
    /// The command that checks the user.
    #[serde(rename = "verify")]
    pub(crate) _verify: Option<String>,
    /// What is typed to log in.
    pub(crate) login: Option<Login>,
}

text!(
    /// `operator`, or a mail address.
    Email,
    "^(operator|[^@\\s]+@[^@\\s]+\\.[^@\\s]+)$",
    "`operator`, or an address such as `ops@shop.example`",
    |text| text == "operator" || address(text)
);

/// Something, one `@`, and a domain with a dot inside.
fn address(text: &str) -> bool {
    let plain =
        |part: &str| !part.is_empty() && !part.contains(|c: char| c == '@' || c.is_whitespace());
    let Some((user, domain)) = text.split_once('@') else {
        return false;
    };
    let dots = domain.match_indices('.');
    let mut halves = dots.map(|(at, _)| (&domain[..at], &domain[at + 1..]));
    plain(user)
        && plain(domain)
        && halves.any(|(left, right)| !left.is_empty() && !right.is_empty())
}

/// What is typed to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Login {
    Username,
    Email,
}

/// The user as whom the app is probed. Not built yet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Probe {
    /// The user name. Default `hop3probe`.
    #[serde(rename = "username")]
    _username: Option<Filled>,
    /// The address.
    #[serde(rename = "email")]
    _email: Option<Filled>,
    /// The command that makes the user; it finds `HOP3_PROBE_USER`, `HOP3_PROBE_EMAIL` and `HOP3_PROBE_PASSWORD` in its environment.
    #[serde(rename = "create")]
    #[schemars(extend("examples" = ["./manage.py create-probe"]))]
    _create: Filled,
    /// The command that checks the user.
    #[serde(rename = "verify")]
    _verify: Option<String>,
}
