//! Moments as dates in UTC, for people and for names of files. Pure; knows no time zone.

use hop3_plugin_api::Timestamp;

/// `2026-11-25 03:32:49Z`.
pub fn date(moment: Timestamp) -> String {
    let (days, rest) = (moment.0 / 86_400, moment.0 % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// The same as a part of a file's name: `20261125T033249Z`.
pub(super) fn file_date(moment: Timestamp) -> String {
    let compact: String = date(moment)
        .chars()
        .filter(|c| !matches!(c, '-' | ':'))
        .collect();
    compact.replace(' ', "T")
}

/// The date of a day since 1970-01-01, by the calendar's 400-year cycle of 146 097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day_of_year - (153 * month_index + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_dates_in_utc() {
        assert_eq!(date(Timestamp(0)), "1970-01-01 00:00:00Z");
        assert_eq!(date(Timestamp(951_868_799)), "2000-02-29 23:59:59Z");
        assert_eq!(date(Timestamp(1_795_359_600)), "2026-11-22 15:00:00Z");
        assert_eq!(file_date(Timestamp(1_795_359_600)), "20261122T150000Z");
    }
}
