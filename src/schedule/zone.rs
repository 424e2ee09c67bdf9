//! Time zones by their names in the IANA database. It never asks the machine for its own.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use chrono::{DateTime, LocalResult, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};
use serde::{Deserialize, Serialize};

use super::error::Mistake;

/// A time zone; UTC unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Tz);

impl Zone {
    /// Finds a zone by its name.
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        name.parse().map(Self).map_err(|_| ZoneError::of(name))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// How many seconds its clocks are ahead of UTC at an instant.
    pub(super) fn offset(self, instant: i64) -> i64 {
        let utc = DateTime::from_timestamp(instant, 0).unwrap_or_default();
        seconds(&self.0.offset_from_utc_datetime(&utc.naive_utc()))
    }

    /// Whether its clocks have shown a time before, when they show it while they are ahead of UTC by these seconds.
    pub(super) fn shown_before(self, local: i64, offset: i64) -> bool {
        let local = DateTime::from_timestamp(local, 0).unwrap_or_default();
        match self.0.offset_from_local_datetime(&local.naive_utc()) {
            LocalResult::Ambiguous(first, second) => {
                seconds(&first) != offset && seconds(&second) == offset
            }
            _ => false,
        }
    }
}

fn seconds(offset: &impl Offset) -> i64 {
    offset.fix().local_minus_utc().into()
}

impl Default for Zone {
    fn default() -> Self {
        Self(Tz::UTC)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Self, ZoneError> {
        Self::parse(name)
    }
}

impl TryFrom<String> for Zone {
    type Error = ZoneError;

    fn try_from(name: String) -> Result<Self, ZoneError> {
        Self::parse(&name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}

/// A text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time zone")]
pub struct ZoneError {
    text: String,
    near: Option<&'static str>,
}

impl ZoneError {
    fn of(name: &str) -> Self {
        let text: String = name.chars().take(60).collect();
        let near = nearest(&text);
        Self { text, near }
    }

    /// What would be right.
    pub fn hint(&self) -> String {
        match self.near {
            Some(name) => format!("did you mean `{name}`?"),
            None => "use a name of the IANA database, such as `Europe/Berlin` or `UTC`".to_owned(),
        }
    }

    pub(super) fn mistake(&self, span: Range<usize>) -> Mistake {
        Mistake {
            field: None,
            span,
            message: self.to_string(),
            hint: Some(self.hint()),
        }
    }
}

/// The zone that somebody may have meant: the city alone, another case, or a slip.
fn nearest(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase().replace(' ', "_");
    let limit = (text.chars().count() / 4).min(3);
    let distance = |word: &str| {
        // Words of very different length need not be compared letter by letter.
        let alike = word.len().abs_diff(text.len()) <= limit;
        alike.then(|| strsim::damerau_levenshtein(&text, word))
    };
    let near = |zone: &Tz| {
        let name = zone.name().to_lowercase();
        let city = name.rsplit('/').next().and_then(distance);
        let best = distance(&name).into_iter().chain(city).min()?;
        (best <= limit).then_some((best, zone.name()))
    };
    TZ_VARIANTS
        .iter()
        .filter_map(near)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_by_its_name_and_by_nothing_else() {
        for good in [
            "UTC",
            "Europe/Berlin",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+3",
        ] {
            assert_eq!(Zone::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "Local",
            "+02:00",
            "UTC+2",
            "europe/berlin",
            " UTC",
            "Europe/Berlin\n",
        ] {
            assert!(Zone::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slip_and_a_city_alone_find_their_zone() {
        let near = |text| Zone::parse(text).unwrap_err().near;
        assert_eq!(near("europe/berlin"), Some("Europe/Berlin"));
        assert_eq!(near("Berlin"), Some("Europe/Berlin"));
        assert_eq!(near("Europe/Berln"), Some("Europe/Berlin"));
        assert_eq!(near("new york"), Some("America/New_York"));
        assert_eq!(near("Asia/Culcutta"), Some("Asia/Calcutta"));
        assert_eq!(near("here"), None);
        assert_eq!(near(&"x".repeat(100_000)), None);
    }

    #[test]
    fn the_second_half_of_an_hour_that_comes_twice_is_told_from_the_first() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let local = 1_792_895_400; // 2026-10-25 02:30 on the clocks
        assert!(!berlin.shown_before(local, 7200));
        assert!(berlin.shown_before(local, 3600));
        assert!(!berlin.shown_before(local + 3600, 3600));
    }
}
