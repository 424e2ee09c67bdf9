//! What a plugin finds of what it needs on a host, for `doctor` and for whoever reads a plan. Findings are for people: nothing is decided
//! by them.

use serde::{Deserialize, Serialize};

/// One thing that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What: a program, an engine.
    pub name: String,
    /// What became of it.
    pub state: FindingState,
    /// Its version and place, or what is wrong with it, in lower case without a period.
    pub says: String,
    /// How the host gets it, or what to do.
    pub hint: Option<String>,
}

/// Whether it can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingState {
    /// It is there.
    Fine,
    /// It is not there.
    Missing,
    /// It is there and does not work.
    Faulty,
}

impl Finding {
    /// It is there.
    pub fn fine(name: impl Into<String>, says: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: FindingState::Fine,
            says: says.into(),
            hint: None,
        }
    }

    /// It is not there; the hint says how a host gets it.
    pub fn missing(name: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: FindingState::Missing,
            says: "is not on this host".to_owned(),
            hint: Some(hint.into()),
        }
    }

    /// It is there and does not work.
    pub fn faulty(name: impl Into<String>, says: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: FindingState::Faulty,
            says: says.into(),
            hint: None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
