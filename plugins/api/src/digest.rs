//! One content digest for everything that is compared: plans, layers, artifacts, sites.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A SHA-256 in lower-case hex.
///
/// Guarantees: equal values give equal digests on every host and in every version of this crate that does not say otherwise.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Digest(String);

impl Digest {
    /// The digest of raw bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(hex(&sha2::Sha256::digest(bytes)))
    }

    /// The digest of a value's canonical JSON (objects sorted by key).
    ///
    /// Assumptions: the value serialises to JSON; types of this crate and of a plan always do.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        let tree = serde_json::to_value(value).expect("values that are digested serialise to JSON");
        Self::of_bytes(tree.to_string().as_bytes())
    }

    /// Takes a digest that was written by [`fmt::Display`], for instance a git object id that serves as one.
    pub fn from_hex(text: &str) -> Option<Self> {
        let whole = text.len() >= 40
            && text.len() <= 64
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        whole.then(|| Self(text.to_owned()))
    }

    /// The whole digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve characters, for people and for directory names within one app.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            use fmt::Write as _;
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_digests_whatever_their_field_order() {
        assert_eq!(
            Digest::of(&serde_json::json!({"a": 1, "b": 2})),
            Digest::of(&serde_json::json!({"b": 2, "a": 1}))
        );
        assert_eq!(
            Digest::of_bytes(b"").as_str(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
