//! The five fields as a value: text that is known to be good, with what it means. The `cron` crate says which values a field takes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::{Field, Mistake, ScheduleError};
use super::fields::Fields;
use super::grammar::{self, Expression};

/// Five cron fields: minute, hour, day of the month, month, day of the week.
///
/// Guarantees: it takes names (`jan`, `mon`), ranges, lists and steps, 7 is Sunday like 0, and there are dates on which it runs. As text its fields
/// are as they were written, with one blank in between.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron {
    text: String,
    fields: Fields,
}

impl Cron {
    /// Reads five fields with blanks in between; the error has every mistake.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let expression = grammar::read(text)?;
        let fields = matcher(&expression)
            .map(|schedule| Fields::of(&schedule, &expression))
            .map_err(|error| refusal(text, error.to_string()))?;
        if fields.never() {
            return Err(ScheduleError::of([no_such_day(&expression)]));
        }
        Ok(Self {
            text: expression.text(),
            fields,
        })
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }
}

/// The `cron` crate begins with seconds, and counts weekdays from Sunday as 1, so it is given their names.
fn matcher(expression: &Expression) -> Result<::cron::Schedule, ::cron::error::Error> {
    format!("0 {}", expression.translated()).parse()
}

fn refusal(text: &str, message: String) -> ScheduleError {
    ScheduleError::of([Mistake {
        field: None,
        span: 0..text.len(),
        message,
        hint: None,
    }])
}

fn no_such_day(expression: &Expression) -> Mistake {
    let [_, _, day, month, _] = &expression.words;
    Mistake {
        field: Some(Field::DayOfMonth),
        span: day.span.start..month.span.end,
        message: "this schedule never runs: no month that it names has such a day".to_owned(),
        hint: Some(
            "February has 29 days at most; April, June, September and November have 30".to_owned(),
        ),
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Cron {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Cron {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, ScheduleError> {
        Self::parse(&text)
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> Self {
        cron.text
    }
}
