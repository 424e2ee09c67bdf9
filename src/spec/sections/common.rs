//! Value types that several sections share, with schemas that give one error for one bad value.

use std::collections::BTreeMap;
use std::time::Duration;

use hop3_plugin_api::WorkerName;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Gives a type a schema of its own: `x-rule` says in words what a good value is.
macro_rules! schema {
    ($type:ty, $schema:tt) => {
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

/// A command, or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Command {
    One(String),
    Many(Vec<String>),
}

schema!(Command, { "type": ["string", "array"], "items": { "type": "string" } });

impl Command {
    /// The commands in order, without blank ones.
    pub(crate) fn lines(&self) -> Vec<String> {
        let all = match self {
            Self::One(line) => std::slice::from_ref(line),
            Self::Many(lines) => lines,
        };
        all.iter()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// The commands as one, each run only after the former succeeded.
    pub(crate) fn joined(&self) -> Option<String> {
        let lines = self.lines();
        (!lines.is_empty()).then(|| lines.join(" && "))
    }
}

/// A span of time: whole seconds, or a number with `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PeriodForm")]
pub(crate) struct Period(pub(crate) Duration);

schema!(Period, {
    "type": ["integer", "string"],
    "minimum": 1,
    "maximum": 31_536_000,
    "pattern": "^[1-9][0-9]{0,7}[smhd]$",
    "x-suggest": "period",
    "x-rule": "whole seconds, or a number with `s`, `m`, `h` or `d` in quotes, such as `\"90s\"` or `\"5m\"`"
});

#[derive(Deserialize)]
#[serde(untagged)]
enum PeriodForm {
    Seconds(u64),
    Text(String),
}

impl Period {
    /// The span of time that a text says.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        text_seconds(text).map(|seconds| Self(Duration::from_secs(seconds)))
    }
}

impl TryFrom<PeriodForm> for Period {
    type Error = &'static str;

    fn try_from(form: PeriodForm) -> Result<Self, Self::Error> {
        let seconds = match &form {
            PeriodForm::Seconds(seconds) => Some(*seconds).filter(|s| (1..=31_536_000).contains(s)),
            PeriodForm::Text(text) => text_seconds(text),
        };
        seconds
            .map(|seconds| Self(Duration::from_secs(seconds)))
            .ok_or("not a span of time")
    }
}

fn text_seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return None,
    };
    let plain =
        !number.starts_with('0') && number.len() <= 8 && number.bytes().all(|b| b.is_ascii_digit());
    number
        .parse::<u64>()
        .ok()
        .filter(|_| plain)
        .map(|number| number * unit)
}

/// Seconds, whole or not.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Seconds(pub(crate) Duration);

schema!(Seconds, { "type": "number", "exclusiveMinimum": 0, "maximum": 31_536_000 });

impl TryFrom<f64> for Seconds {
    type Error = &'static str;

    fn try_from(seconds: f64) -> Result<Self, Self::Error> {
        if seconds > 0.0 && seconds <= 31_536_000.0 {
            Ok(Self(Duration::from_secs_f64(seconds)))
        } else {
            Err("not a number of seconds")
        }
    }
}

/// A number of bytes as text: `64M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ByteText(pub(crate) u64);

schema!(ByteText, {
    "type": "string",
    "pattern": "^[0-9]{1,12}[KMGkmg]?$",
    "x-suggest": "bytes",
    "x-rule": "a number of bytes in quotes, with `K`, `M` or `G`, such as `\"512M\"`"
});

impl TryFrom<String> for ByteText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &text[digits.len()..] {
            "" => 1,
            "K" | "k" => 1 << 10,
            "M" | "m" => 1 << 20,
            "G" | "g" => 1 << 30,
            _ => return Err("not a number of bytes"),
        };
        let plain = (1..=12).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse::<u64>().ok().filter(|_| plain);
        number
            .map(|number| Self(number.saturating_mul(unit)))
            .ok_or("not a number of bytes")
    }
}

/// A number of bytes: a number, or a text such as `64M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum ByteSize {
    Number(u64),
    Text(ByteText),
}

schema!(ByteSize, {
    "type": ["integer", "string"],
    "minimum": 0,
    "pattern": "^[0-9]{1,12}[KMGkmg]?$",
    "x-suggest": "bytes",
    "x-rule": "a number of bytes, or one with `K`, `M` or `G` in quotes, such as `\"64M\"`"
});

impl ByteSize {
    /// The number.
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Self::Number(bytes) | Self::Text(ByteText(bytes)) => bytes,
        }
    }
}

/// A status code, or an inclusive range of them: `204`, `"200-299"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "StatusForm")]
pub(crate) struct StatusRange(pub(crate) (u16, u16));

schema!(StatusRange, {
    "type": ["integer", "string"],
    "minimum": 100,
    "maximum": 599,
    "pattern": "^[1-5][0-9][0-9]-[1-5][0-9][0-9]$",
    "x-rule": "a status code from 100 to 599, or a range such as `\"200-299\"`"
});

#[derive(Deserialize)]
#[serde(untagged)]
enum StatusForm {
    One(u16),
    Range(String),
}

impl TryFrom<StatusForm> for StatusRange {
    type Error = &'static str;

    fn try_from(form: StatusForm) -> Result<Self, Self::Error> {
        let code = |text: &str| {
            text.parse::<u16>()
                .ok()
                .filter(|code| text.len() == 3 && (100..600).contains(code))
        };
        let range = match &form {
            StatusForm::One(status) => {
                Some((*status, *status)).filter(|_| (100..600).contains(status))
            }
            StatusForm::Range(text) => text
                .split_once('-')
                .and_then(|(from, to)| Some((code(from)?, code(to)?))),
        };
        range.map(Self).ok_or("not a status code or range")
    }
}

/// Something for each of several workers.
pub(crate) type WorkerMap<T> = BTreeMap<WorkerName, T>;

/// A whole number of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub(crate) struct Instances(pub(crate) u16);

schema!(Instances, { "type": "integer", "minimum": 0, "maximum": 1000 });

impl TryFrom<u16> for Instances {
    type Error = &'static str;

    fn try_from(count: u16) -> Result<Self, Self::Error> {
        if count <= 1000 {
            Ok(Self(count))
        } else {
            Err("more than 1000")
        }
    }
}

/// A string whose grammar a pattern says.
macro_rules! text {
    ($(#[$doc:meta])* $type:ident, $pattern:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub(crate) struct $type(pub(crate) String);

        schema!($type, { "type": "string", "pattern": $pattern, "x-rule": $rule });

        impl TryFrom<String> for $type {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err($rule) }
            }
        }
    };
}

text!(
    /// A text that says something.
    Filled,
    "\\S",
    "a text that is not blank",
    |text| !text.trim().is_empty()
);

text!(
    /// When something happens. Whether it is a schedule is found out later, in more words than a pattern has.
    CronText,
    "[^\\s]",
    "minute, hour, day, month and weekday, as in `\"30 2 * * *\"`",
    |text| !text.trim().is_empty()
);

text!(
    /// The name of a package of the host's distribution.
    Package,
    "^[A-Za-z0-9][A-Za-z0-9+._:~-]{0,127}$",
    "a package's name, such as `libpq-dev`",
    |text| text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+._:~-".contains(c))
);

text!(
    /// A tool's version, or a range of them.
    Version,
    "^[A-Za-z0-9<>=~^*][A-Za-z0-9.*+_<>=~^|, -]{0,63}$",
    "a version, such as `22.13.1`",
    |text| text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || "<>=~^*".contains(c))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".*+_<>=~^|, -".contains(c))
);

text!(
    /// A path on the host.
    AbsolutePath,
    "^/[^\\x00]*$",
    "a path that starts with `/`",
    |text| text.starts_with('/') && !text.contains('\0')
);

/// Reads a count from 1 to a most.
pub(crate) fn up_to<'de, const MOST: u16, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u16>, D::Error> {
    let count = u16::deserialize(deserializer)?;
    if (1..=MOST).contains(&count) {
        Ok(Some(count))
    } else {
        Err(D::Error::custom(format!("not from 1 to {MOST}")))
    }
}

/// Reads a number above 0.
pub(crate) fn positive<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number > 0.0 {
        Ok(Some(number))
    } else {
        Err(D::Error::custom("not above 0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(value: serde_json::Value) -> Option<u64> {
        serde_json::from_value::<Period>(value)
            .ok()
            .map(|p| p.0.as_secs())
    }

    #[test]
    fn a_span_of_time_is_whole_seconds_or_a_number_with_a_unit() {
        assert_eq!(period(90.into()), Some(90));
        assert_eq!(period("5m".into()), Some(300));
        assert_eq!(period("2d".into()), Some(172_800));
        for bad in ["", "0s", "05m", "5", "m", "1.5h", "5 m", "é"] {
            assert_eq!(period(bad.into()), None, "{bad}");
        }
        assert_eq!(period(0.into()), None);
    }

    #[test]
    fn several_commands_become_one_that_stops_at_the_first_failure() {
        let command = Command::Many(vec!["a".into(), " ".into(), "b".into()]);
        assert_eq!(command.joined().as_deref(), Some("a && b"));
        assert_eq!(Command::One("  ".into()).joined(), None);
    }

    #[test]
    fn bytes_count_in_powers_of_1024() {
        assert_eq!(ByteText::try_from("2k".to_owned()), Ok(ByteText(2048)));
        assert!(ByteText::try_from("2T".to_owned()).is_err());
    }
}
