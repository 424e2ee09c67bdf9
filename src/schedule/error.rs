//! What is wrong with a schedule, and where in it. It knows no file: whoever read the schedule from one adds that.

use std::fmt;
use std::ops::Range;

/// One of the five fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12, or a name.
    Month,
    /// 0 to 7, or a name; both 0 and 7 are Sunday.
    DayOfWeek,
}

impl Field {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 5] = [
        Self::Minute,
        Self::Hour,
        Self::DayOfMonth,
        Self::Month,
        Self::DayOfWeek,
    ];
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of the month",
            Self::Month => "month",
            Self::DayOfWeek => "day of the week",
        })
    }
}

/// One mistake of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The field that it is in; none when it is about the schedule as a whole.
    pub field: Option<Field>,
    /// The bytes of the text that are wrong.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What would be right, where that can be told.
    pub hint: Option<String>,
}

/// Why a text is no schedule: at least one mistake, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleError(Vec<Mistake>);

impl ScheduleError {
    /// The error of some mistakes, of which there must be at least one.
    pub(super) fn of(mistakes: impl IntoIterator<Item = Mistake>) -> Self {
        Self(mistakes.into_iter().collect())
    }

    /// Its mistakes.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.0
    }
}

impl IntoIterator for ScheduleError {
    type Item = Mistake;
    type IntoIter = std::vec::IntoIter<Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages: Vec<&str> = self
            .0
            .iter()
            .map(|mistake| mistake.message.as_str())
            .collect();
        f.write_str(&messages.join("; "))
    }
}

impl std::error::Error for ScheduleError {}
