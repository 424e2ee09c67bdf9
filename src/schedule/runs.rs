//! The runs of a schedule in the order of time: minutes that clocks show, made into instants. What happens when clocks are changed is decided here
//! and nowhere else.

use std::mem;

use hop3_plugin_api::Timestamp;

use super::Schedule;
use super::zone::Zone;

/// No zone changes its clocks twice within less.
const WEEK: i64 = 7 * 24 * 60 * 60;
/// The end of the year 9999, and of the calendar.
const END: u64 = 253_402_300_799;

/// Walks from one instant to another.
pub(super) struct Runs<'a> {
    schedule: &'a Schedule,
    /// The last instant that counts.
    until: i64,
    stretch: Stretch,
    /// The first minute on the clocks that was not looked at yet.
    minute: i64,
    /// Whether that minute stands for what was missed in a gap before this stretch.
    belated: bool,
}

impl<'a> Runs<'a> {
    /// The runs from one instant up to and including another.
    pub(super) fn within(schedule: &'a Schedule, from: u64, until: u64) -> Self {
        let [from, until] = [from, until].map(|instant| instant.min(END).cast_signed());
        let mut runs = Self {
            schedule,
            until,
            stretch: Stretch::from(schedule.zone, from),
            minute: 0,
            belated: false,
        };
        runs.enter(runs.stretch);
        runs
    }

    fn enter(&mut self, stretch: Stretch) {
        let first = minute_from(stretch.start + stretch.offset);
        let missed = minute_from(stretch.start + stretch.offset_before);
        let fields = self.schedule.cron.fields();
        // Without a gap there is no minute from the one to the other.
        self.belated = !fields.every_hour() && fields.next(missed, first).is_some();
        self.minute = first;
        self.stretch = stretch;
    }

    fn next_of_stretch(&mut self) -> Option<i64> {
        let Stretch { end, offset, .. } = self.stretch;
        if mem::take(&mut self.belated) {
            // Whether or not it is one of the schedule's own, it is one run.
            self.minute += 1;
            return Some((self.minute - 1) * 60 - offset);
        }
        let fields = self.schedule.cron.fields();
        let before = minute_from(end.min(self.until + 1) + offset);
        while let Some(minute) = fields.next(self.minute, before) {
            self.minute = minute + 1;
            let local = minute * 60;
            if fields.every_hour() || !self.schedule.zone.shown_before(local, offset) {
                return Some(local - offset);
            }
        }
        None
    }
}

impl Iterator for Runs<'_> {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        loop {
            if let Some(run) = self.next_of_stretch() {
                let run = u64::try_from(run).ok().filter(|_| run <= self.until);
                return run.map(Timestamp);
            }
            if self.stretch.end > self.until {
                return None;
            }
            self.enter(Stretch::from(self.schedule.zone, self.stretch.end));
        }
    }
}

/// A stretch of time in which nobody changes the clocks of a zone.
#[derive(Clone, Copy)]
struct Stretch {
    /// Its first instant.
    start: i64,
    /// The first instant after it.
    end: i64,
    /// How far the clocks are ahead of UTC in it.
    offset: i64,
    /// How far they were just before.
    offset_before: i64,
}

impl Stretch {
    /// The one from an instant up to the next change, but no longer than a week.
    fn from(zone: Zone, start: i64) -> Self {
        let offset = zone.offset(start);
        Self {
            start,
            end: change(zone, start, start + WEEK),
            offset,
            offset_before: zone.offset(start - 1),
        }
    }
}

/// The first instant with another offset than the start; the end if there is none.
fn change(zone: Zone, start: i64, end: i64) -> i64 {
    let offset = zone.offset(start);
    if zone.offset(end) == offset {
        return end;
    }
    let (mut same, mut other) = (start, end);
    while other - same > 1 {
        let middle = same + (other - same) / 2;
        if zone.offset(middle) == offset {
            same = middle;
        } else {
            other = middle;
        }
    }
    other
}

/// The first minute that begins with a second or after it.
fn minute_from(second: i64) -> i64 {
    (second + 59).div_euclid(60)
}
