//! Which commits may follow upon which: the rules for rewritten history, as values. Pure.
//!
//! A commit that descends from the accepted one is always taken. Another one is taken when the operator follows rewritten history, has just
//! changed what is followed, or follows versions and this one is higher; and even then only if the two have a past in common, or say the
//! same. So a repository that was put in another's place is never mistaken for it.

use std::fmt;

use semver::Version;
use serde::{Deserialize, Serialize};

use super::History;
use super::reference::{Reference, Tip};

/// What is followed, and at which version, as it is kept beside the accepted commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Followed {
    reference: String,
    version: Option<Version>,
}

/// What may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// Only what descends from the accepted commit.
    Descendants,
    /// Whatever has a past in common with it.
    Relatives,
}

impl Followed {
    /// What is followed now.
    pub(super) fn now(reference: &Reference, tip: &Tip) -> Self {
        Self {
            reference: reference.described(),
            version: tip.version.clone(),
        }
    }

    /// What may be taken, given what was followed before.
    pub(super) fn leave(&self, before: Option<&Self>, history: History) -> Leave {
        let by_the_operator = before.is_some_and(|before| before.reference != self.reference);
        let by_version =
            before.is_some_and(|before| self.version.is_some() && self.version > before.version);
        if history == History::Follow || by_the_operator || by_version {
            Leave::Relatives
        } else {
            Leave::Descendants
        }
    }
}

impl fmt::Display for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(reference: &str, version: Option<&str>) -> Followed {
        Followed {
            reference: reference.into(),
            version: version.map(|text| text.parse().unwrap()),
        }
    }

    #[test]
    fn only_descendants_are_taken_unless_there_is_a_reason() {
        let main = followed("branch `main`", None);
        let leave =
            |now: &Followed, before: Option<&Followed>| now.leave(before, History::FastForwardOnly);
        assert_eq!(leave(&main, None), Leave::Descendants);
        assert_eq!(leave(&main, Some(&main)), Leave::Descendants);
        assert_eq!(main.leave(Some(&main), History::Follow), Leave::Relatives);
        assert_eq!(
            leave(&main, Some(&followed("branch `prod`", None))),
            Leave::Relatives
        );
    }

    #[test]
    fn a_higher_version_is_a_step_forward_and_a_lower_or_moved_one_is_not() {
        let at = |version: &str| followed("semver `^1`", Some(version));
        let leave =
            |now: &str, before: &str| at(now).leave(Some(&at(before)), History::FastForwardOnly);
        assert_eq!(leave("1.3.0", "1.2.9"), Leave::Relatives);
        assert_eq!(
            leave("1.2.9", "1.2.9"),
            Leave::Descendants,
            "the tag was moved"
        );
        assert_eq!(
            leave("1.2.8", "1.2.9"),
            Leave::Descendants,
            "the tag was removed"
        );
    }

    #[test]
    fn what_was_followed_survives_its_file() {
        let followed = followed("semver `^1`", Some("1.2.3"));
        assert_eq!(
            serde_json::from_str::<Followed>(&followed.to_string()).unwrap(),
            followed
        );
    }
}
