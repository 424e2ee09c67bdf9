//! Names that only specs have, each with its grammar, parsed where they are read. The pattern of a kind is its own: by it, a refusal finds the
//! words of the rule.

use hop3_plugin_api::NameError;
use serde::Deserialize;

/// A name or text with a grammar: refused where it is read, in words that say the rule.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $pattern:literal, $valid:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        schema!($type, { "type": "string", "pattern": $pattern });

        impl $type {
            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                if $valid(&text) {
                    return Ok(Self(text));
                }
                let text = text.chars().take(80).collect();
                Err(NameError { what: $what, text, rule: $rule })
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }
    };
}

named!(
    /// The name of an encrypted secret of the config repo: `secrets/<host>/<name>.age`, else `secrets/<name>.age`.
    SecretName,
    "secret name",
    "1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`, starting with a letter or digit, without `.age`",
    "^(?!.*\\.age$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    secret_name
);
named!(
    /// A job's name.
    JobName,
    "job name",
    "1 to 40 of a-z, 0-9 and `-`, starting with a letter",
    "^[a-z][0-9a-z-]{0,39}$",
    job_name
);
named!(
    /// A volume's name.
    VolumeName,
    "volume name",
    "1 to 64 of A-Z, a-z, 0-9, `_` and `-`, starting with a letter or digit",
    "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
    plain_name
);
named!(
    /// The name of a client's context.
    ContextName,
    "context name",
    "1 to 64 of A-Z, a-z, 0-9, `_` and `-`, starting with a letter or digit",
    "^[A-Za-z0-9][0-9A-Za-z_-]{0,63}$",
    plain_name
);
named!(
    /// The name of an HTTP header.
    HeaderName,
    "header name",
    "letters, digits and `-`, as in `X-Frame-Options`",
    "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
    header_name
);
named!(
    /// The path of a URL, from the app's root.
    UrlPath,
    "URL path",
    "a path that starts with `/`, of letters, digits and `-._~%+@,:/`, without `//` and `..`",
    "^(?!.*//)(?!.*/\\.\\.(?:/|$))/[A-Za-z0-9/._~%+@,:-]*$",
    url_path
);

named!(
    /// What is redirected.
    RedirectFrom,
    "redirect",
    "a path that starts with `/`, or a host name, to what it leads to",
    "^(/|[A-Za-z0-9*])[^\\s\"'`{};$\\\\]*$",
    redirect_from
);
named!(
    /// A status of an error, or all of a kind.
    ErrorStatus,
    "error status",
    "a status from `400` to `599`, or `4xx` or `5xx`",
    "^[45]([0-9]{2}|xx)$",
    error_status
);

/// Whether a text holds what means something to the configuration of a proxy.
pub(crate) fn hostile(text: &str) -> bool {
    text.contains(|c: char| c.is_whitespace() || "\"'`{};$\\".contains(c))
}

fn redirect_from(text: &str) -> bool {
    let begins = |c: char| c == '/' || c == '*' || c.is_ascii_alphanumeric();
    text.starts_with(begins) && !hostile(text)
}

fn error_status(text: &str) -> bool {
    let two_digits = |rest: &str| rest.len() == 2 && rest.bytes().all(|b| b.is_ascii_digit());
    let rest = text.strip_prefix(['4', '5']);
    rest.is_some_and(|rest| rest == "xx" || two_digits(rest))
}

fn secret_name(text: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(rest)
        && std::path::Path::new(text)
            .extension()
            .is_none_or(|extension| extension != "age")
}

fn job_name(text: &str) -> bool {
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=40).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(rest)
}

fn plain_name(text: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(rest)
}

fn header_name(text: &str) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(token)
}

fn url_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~%+@,:".contains(c);
    text.starts_with('/')
        && !text.contains("//")
        && !text.split('/').any(|part| part == "..")
        && text.chars().all(plain)
}
