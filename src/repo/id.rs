//! Names of git objects, each kind its own type.

use std::fmt;
use std::str::FromStr;

use gix::ObjectId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a commit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub(super) ObjectId);

/// The name of a file's content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub(super) ObjectId);

/// A text that names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a full object name of 40 hex digits")]
pub struct IdError(String);

fn parse(text: &str) -> Result<ObjectId, IdError> {
    ObjectId::from_hex(text.as_bytes())
        .ok()
        .filter(|id| id.to_hex() == text)
        .ok_or_else(|| IdError(text.chars().take(80).collect()))
}

macro_rules! named {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.to_hex_with_len(12))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

named!(CommitId);
named!(BlobId);

impl CommitId {
    /// The first twelve digits, for people.
    pub fn short(&self) -> String {
        self.0.to_hex_with_len(12).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "95d09f2b10159347eece71399a7e2e907ea3df4f";

    #[test]
    fn a_commit_id_survives_text_and_json() {
        let id: CommitId = HEX.parse().unwrap();
        assert_eq!(id.to_string(), HEX);
        assert_eq!(id.short(), &HEX[..12]);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<CommitId>(&json).unwrap(), id);
    }

    #[test]
    fn a_branch_name_or_a_short_or_loud_id_is_no_commit_id() {
        for text in ["main", &HEX[..39], "", &HEX.to_uppercase(), "--upload-pack"] {
            assert!(text.parse::<CommitId>().is_err(), "{text}");
        }
    }
}
