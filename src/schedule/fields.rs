//! Which minutes of a calendar the five fields name, as sets of bits taken from the `cron` crate. It knows no time zone: its minutes are what a
//! clock shows, counted from 1970.

use std::time::Duration;

use chrono::{Datelike, NaiveDate};
use cron::{Schedule, TimeUnitSpec};

use super::grammar::Expression;

const MINUTES_OF_A_DAY: i64 = 24 * 60;
/// Days from 2000-01-01 on, in which each date has fallen on each weekday.
const SAMPLE: i64 = 10_957;
const SAMPLE_DAYS: i64 = 28 * 366;

/// The five fields; bit n stands for the value n, and day of the week 0 is Sunday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether one of both days is enough.
    either: bool,
    /// Whether it runs in every hour, so that no hour is one of its own.
    every_hour: bool,
}

impl Fields {
    /// What the crate understood; which fields are open, it does not tell.
    pub(super) fn of(schedule: &Schedule, expression: &Expression) -> Self {
        let [_, hour, day, _, weekday] = &expression.words;
        let hours = bits(schedule.hours());
        Self {
            minutes: bits(schedule.minutes()),
            hours,
            days: bits(schedule.days_of_month()),
            months: bits(schedule.months()),
            // Its Sunday is 1.
            weekdays: bits(schedule.days_of_week()) >> 1,
            either: !day.is_open() && !weekday.is_open(),
            every_hour: hour.is_open() || hours.count_ones() == 24,
        }
    }

    pub(super) fn every_hour(&self) -> bool {
        self.every_hour
    }

    /// The first minute that they name, from one on and before another.
    pub(super) fn next(&self, from: i64, before: i64) -> Option<i64> {
        let mut day = from.div_euclid(MINUTES_OF_A_DAY);
        let mut time = from.rem_euclid(MINUTES_OF_A_DAY);
        while day * MINUTES_OF_A_DAY + time < before {
            let date = date(day)?;
            if let Some(time) = self.time_from(time).filter(|_| self.names(date)) {
                return Some(day * MINUTES_OF_A_DAY + time).filter(|minute| *minute < before);
            }
            day = self.day_after(date)?;
            time = 0;
        }
        None
    }

    /// Whether there is no date at all on which they name a minute.
    pub(super) fn never(&self) -> bool {
        let start = SAMPLE * MINUTES_OF_A_DAY;
        self.next(start, start + SAMPLE_DAYS * MINUTES_OF_A_DAY)
            .is_none()
    }

    /// The shortest time from one minute that they name to the next.
    pub(super) fn shortest_gap(&self) -> Duration {
        let times: Vec<i64> = (0..MINUTES_OF_A_DAY)
            .filter(|time| self.time_from(*time) == Some(*time))
            .collect();
        let within = times.windows(2).map(|pair| pair[1] - pair[0]).min();
        let overnight = self.fewest_days() * MINUTES_OF_A_DAY + times[0] - times[times.len() - 1];
        let minutes = within.map_or(overnight, |within| within.min(overnight));
        Duration::from_mins(minutes.unsigned_abs())
    }

    /// The fewest days from one that they name to the next.
    fn fewest_days(&self) -> i64 {
        let named = |day: &i64| date(*day).is_some_and(|date| self.names(date));
        let (mut fewest, mut last) = (SAMPLE_DAYS, None);
        for day in (SAMPLE..SAMPLE + SAMPLE_DAYS).filter(named) {
            fewest = last.map_or(fewest, |last| fewest.min(day - last));
            if fewest == 1 {
                break;
            }
            last = Some(day);
        }
        fewest
    }

    fn names(&self, date: NaiveDate) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().num_days_from_sunday());
        has(self.months, date.month())
            && if self.either {
                day || weekday
            } else {
                day && weekday
            }
    }

    /// The first time of a day that they name, from one on.
    fn time_from(&self, time: i64) -> Option<i64> {
        let (hour, minute) = (time / 60, time % 60);
        let within =
            first_from(self.minutes, minute).filter(|_| first_from(self.hours, hour) == Some(hour));
        within.map(|minute| hour * 60 + minute).or_else(|| {
            let hour = first_from(self.hours, hour + 1)?;
            Some(hour * 60 + first_from(self.minutes, 0)?)
        })
    }

    /// The day after a date; the first of the next month that they name where the rest of its own is in vain.
    fn day_after(&self, date: NaiveDate) -> Option<i64> {
        let mut next = date.succ_opt()?;
        while !has(self.months, next.month()) {
            next = next
                .with_day(1)?
                .checked_add_months(chrono::Months::new(1))?;
        }
        Some(next.to_epoch_days().into())
    }
}

fn bits(values: &impl TimeUnitSpec) -> u64 {
    values.iter().fold(0, |bits, value| bits | 1 << value)
}

fn has(bits: u64, value: u32) -> bool {
    bits >> value & 1 == 1
}

fn first_from(bits: u64, value: i64) -> Option<i64> {
    let rest = bits.checked_shr(u32::try_from(value).ok()?)?;
    (rest != 0).then(|| value + i64::from(rest.trailing_zeros()))
}

fn date(day: i64) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(i32::try_from(day).ok()?)
}
