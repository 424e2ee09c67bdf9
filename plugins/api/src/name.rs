//! Names, parsed once at the edge. A value of these types has passed its grammar; nothing downstream checks again.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}: {rule}")]
pub struct NameError {
    /// What kind of name was wanted.
    pub what: &'static str,
    /// The text that was refused.
    pub text: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $pattern:literal, $valid:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        // By hand: a derived schema would follow `try_from` and lose the pattern.
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }

        impl $type {
            /// Parses a name; the error says which rule it breaks.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                if $valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError { what: $what, text: text.chars().take(80).collect(), rule: $rule })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// An app's name: it becomes part of directories, users, databases and sockets.
    AppName,
    "app name",
    "1 to 40 of a-z, 0-9 and `-`, starting with a letter, not ending in `-`, and not a reserved word",
    "^(?!(?:root|default|postgres|mysql|redis|agent|hop3|con|nul|prn|aux|template)$)[a-z]([a-z0-9-]{0,38}[a-z0-9])?$",
    app_name
);
name!(
    /// A plugin's name, also the name of what it registers (a builder, a toolchain, …).
    PluginName,
    "plugin name",
    "1 to 40 of a-z, 0-9 and `-`, starting with a letter",
    "^[a-z][a-z0-9-]{0,39}$",
    plugin_name
);
name!(
    /// An addon instance's name within its app.
    AddonName,
    "addon name",
    "1 to 40 of a-z, 0-9, `-` and `_`, starting with a letter",
    "^[a-z][a-z0-9_-]{0,39}$",
    addon_name
);
name!(
    /// A worker's name: `web`, `worker`, `scheduler`, …
    WorkerName,
    "worker name",
    "1 to 40 of A-Z, a-z, 0-9, `-` and `_`, starting with a letter or digit",
    "^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$",
    worker_name
);
name!(
    /// The name of an environment variable.
    EnvKey,
    "environment variable name",
    "1 to 128 of A-Z, a-z, 0-9 and `_`, not starting with a digit",
    "^[A-Za-z_][A-Za-z0-9_]{0,127}$",
    env_key
);
name!(
    /// A host name of a site, normalised: lower case, no trailing dot; `*.` may lead; `_` alone catches all.
    HostName,
    "host name",
    "dot-separated labels of a-z, 0-9 and `-` (at most 63 each, 253 in all), `*.` may lead, `_` alone catches all",
    "^(_|(\\*\\.)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*)$",
    host_name
);

/// Words that mean something to the host, the file system or a database server. The pattern of [`AppName`] names them too.
const RESERVED: [&str; 12] = [
    "root", "default", "postgres", "mysql", "redis", "agent", "hop3", "con", "nul", "prn", "aux",
    "template",
];

fn app_name(text: &str) -> bool {
    made_of(text, 40, |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
    }) && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && !RESERVED.contains(&text)
}

fn plugin_name(text: &str) -> bool {
    made_of(text, 40, |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
    }) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

fn addon_name(text: &str) -> bool {
    made_of(text, 40, |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'
    }) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

fn worker_name(text: &str) -> bool {
    made_of(text, 40, |c| {
        c.is_ascii_alphanumeric() || c == '-' || c == '_'
    }) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn env_key(text: &str) -> bool {
    made_of(text, 128, |c| c.is_ascii_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn host_name(text: &str) -> bool {
    text == "_"
        || (text.len() <= 253
            && text
                .strip_prefix("*.")
                .unwrap_or(text)
                .split('.')
                .all(label))
}

fn label(text: &str) -> bool {
    made_of(text, 63, |c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
    }) && !text.starts_with('-')
        && !text.ends_with('-')
}

fn made_of(text: &str, most: usize, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.len() <= most && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t22_an_app_name_is_refused_unless_it_fits_every_derived_name() {
        for good in ["a", "web-1", "a2345678901234567890123456789012345678b0"] {
            assert!(AppName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "A",
            "a_b",
            "-a",
            "a-",
            "1a",
            "..",
            "con",
            "root",
            "postgres",
            "default",
            "a23456789012345678901234567890123456789b1",
            "é",
        ] {
            assert!(AppName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_name_is_ldh_with_an_optional_wildcard() {
        for good in [
            "_",
            "a.test",
            "*.a.test",
            "xn--bcher-kva.example",
            "localhost",
        ] {
            assert!(HostName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "", "A.test", "a..test", "a.test.", "-a.test", "a_b.test", "*", "a.*.test", "a test",
            "a\n.test",
        ] {
            assert!(HostName::parse(bad).is_err(), "{bad}");
        }
    }
}
