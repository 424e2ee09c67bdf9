//! Dates for headers and for the log.

use rustix::time::{ClockId, clock_gettime};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A moment in UTC.
struct Civil {
    year: u64,
    month: usize,
    day: u64,
    weekday: usize,
    second_of_day: u64,
}

/// A moment as HTTP writes it: `Thu, 01 Jan 1970 00:00:00 GMT`.
pub(crate) fn http(seconds: u64) -> String {
    let Civil {
        year,
        month,
        day,
        weekday,
        second_of_day,
    } = civil(seconds);
    format!(
        "{}, {day:02} {} {year} {} GMT",
        DAYS[weekday],
        MONTHS[month],
        clock(second_of_day)
    )
}

/// This moment as logs write it: `1970-01-01T00:00:00Z`.
pub(crate) fn now() -> String {
    let seconds = clock_gettime(ClockId::Realtime).tv_sec;
    let at = civil(u64::try_from(seconds).unwrap_or(0));
    format!(
        "{}-{:02}-{:02}T{}Z",
        at.year,
        at.month + 1,
        at.day,
        clock(at.second_of_day)
    )
}

fn clock(second_of_day: u64) -> String {
    let (minutes, second) = (second_of_day / 60, second_of_day % 60);
    format!("{:02}:{:02}:{second:02}", minutes / 60, minutes % 60)
}

/// Days are counted from 1 March of year 0 in eras of 400 years, so that leap days come last.
fn civil(seconds: u64) -> Civil {
    let days = seconds / 86_400;
    let from_march = days + 719_468;
    let (era, day_of_era) = (from_march / 146_097, from_march % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let january_on = u64::from(month_from_march >= 10);
    Civil {
        year: era * 400 + year_of_era + january_on,
        month: usize::try_from((month_from_march + 2) % 12).unwrap_or(0),
        day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
        weekday: usize::try_from(days % 7).unwrap_or(0),
        second_of_day: seconds % 86_400,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_across_leap_years() {
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(http(seconds), date);
        }
    }
}
