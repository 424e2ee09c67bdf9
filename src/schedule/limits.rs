//! What each of the five fields takes, by number and by name.

use super::error::Field;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
/// Days of the week, from 0.
pub(super) const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What one field takes.
pub(super) struct Limits {
    /// The field.
    pub(super) field: Field,
    /// The lowest number.
    pub(super) least: u32,
    /// The highest number that may be written.
    most: u32,
    /// How many different values there are.
    pub(super) count: u32,
    names: &'static [&'static str],
}

impl Limits {
    /// What a field takes.
    pub(super) fn of(field: Field) -> Self {
        let (least, most, count, names): (_, _, _, &[&str]) = match field {
            Field::Minute => (0, 59, 60, &[]),
            Field::Hour => (0, 23, 24, &[]),
            Field::DayOfMonth => (1, 31, 31, &[]),
            Field::Month => (1, 12, 12, &MONTHS),
            Field::DayOfWeek => (0, 7, 7, &WEEKDAYS),
        };
        Self {
            field,
            least,
            most,
            count,
            names,
        }
    }

    /// The value of a number or name.
    pub(super) fn value(&self, text: &str) -> Option<u32> {
        let named = || {
            let index = self
                .names
                .iter()
                .position(|name| name.eq_ignore_ascii_case(text))?;
            u32::try_from(index).ok().map(|index| index + self.least)
        };
        number(text)
            .or_else(named)
            .filter(|value| (self.least..=self.most).contains(value))
    }

    /// A value as people write it.
    pub(super) fn written(&self, value: u32) -> String {
        let name = self.names.get(((value - self.least) % self.count) as usize);
        name.map_or_else(|| value.to_string(), |name| (*name).to_owned())
    }

    /// The last value under its own number.
    pub(super) fn highest(&self) -> u32 {
        self.least + self.count - 1
    }

    /// Why a text is no value.
    pub(super) fn refusal(&self, text: &str) -> String {
        let or_name = if self.names.is_empty() {
            ""
        } else {
            ", or a name"
        };
        let Self {
            field, least, most, ..
        } = self;
        format!("`{text}` is no {field}: it goes from {least} to {most}{or_name}")
    }

    /// The name that a longer word begins with: `monday`.
    pub(super) fn meant(&self, text: &str) -> Option<String> {
        let word = text.to_ascii_lowercase();
        let name = self.names.iter().find(|name| word.starts_with(**name))?;
        Some(format!("did you mean `{name}`?"))
    }
}

/// One or two digits.
pub(super) fn number(text: &str) -> Option<u32> {
    let digits = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}
