//! A [`Target`] that no longer changes. It is shared instead of copied, since the app's wish, its release and a change under way mostly hold the same
//! one; and its keys, which every plan compares, are worked out once. Never changes what it holds.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use hop3_plugin_api::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Target;

/// A target that no longer changes: cheap to clone, and its keys cost nothing the second time.
#[derive(Clone)]
pub struct FixedTarget(Arc<Fixed>);

struct Fixed {
    target: Target,
    build_key: OnceLock<Digest>,
    key: OnceLock<Digest>,
    trial: OnceLock<Digest>,
}

impl FixedTarget {
    /// As [`Target::build_key`].
    pub fn build_key(&self) -> &Digest {
        let fixed = &self.0;
        fixed.build_key.get_or_init(|| fixed.target.build_key())
    }

    /// As [`Target::key`].
    pub fn key(&self) -> &Digest {
        let fixed = &self.0;
        let key = || Target::key_of(self.build_key(), &fixed.target.run_key());
        fixed.key.get_or_init(key)
    }

    /// As [`Target::trial`].
    pub fn trial(&self) -> &Digest {
        let fixed = &self.0;
        let trial = || fixed.target.trial_of(self.key());
        fixed.trial.get_or_init(trial)
    }

    /// Another target, which differs in what `change` changes.
    #[must_use]
    pub fn but(&self, change: impl FnOnce(&mut Target)) -> Self {
        let mut target = self.0.target.clone();
        change(&mut target);
        target.into()
    }

    /// Holds the other one from now on if it says the same, so that only one of them takes memory.
    pub fn share(&mut self, other: &Self) {
        if !Arc::ptr_eq(&self.0, &other.0) && self.key() == other.key() && self == other {
            *self = other.clone();
        }
    }
}

impl From<Target> for FixedTarget {
    fn from(target: Target) -> Self {
        Self(Arc::new(Fixed {
            target,
            build_key: OnceLock::new(),
            key: OnceLock::new(),
            trial: OnceLock::new(),
        }))
    }
}

impl Deref for FixedTarget {
    type Target = Target;

    fn deref(&self) -> &Target {
        &self.0.target
    }
}

impl PartialEq for FixedTarget {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.target == other.0.target
    }
}

impl fmt::Debug for FixedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.target.fmt(f)
    }
}

impl Serialize for FixedTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.target.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FixedTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Target::deserialize(deserializer).map(Self::from)
    }
}
