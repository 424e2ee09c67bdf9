//! Whether a schedule is one, whether it ever comes, and what was meant if not. It reads no clock.

use super::cron;

/// The longest that each month gets, from January.
const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// What is wrong with a schedule, and what would be right.
pub(crate) fn problem(schedule: &str) -> Option<(String, String)> {
    if let Some(problem) = cron::problem(schedule) {
        return Some((problem, schedule_hint(schedule)));
    }
    let (day, month) = day_that_never_comes(schedule)?;
    let message = format!(
        "it never runs: {} has no day {day}",
        MONTHS[month as usize - 1]
    );
    Some((
        message,
        "write a day that each of its months has, such as `1` or `28`".to_owned(),
    ))
}

/// The same for a line with a schedule and a command.
pub(crate) fn line_problem(line: &str) -> Option<(String, String)> {
    let hint = "write `minute hour day month weekday command`".to_owned();
    let Some((schedule, command)) = cron::split(line) else {
        return Some(("a cron line has five fields and a command".to_owned(), hint));
    };
    let sixth = command.split_whitespace().next().unwrap_or_default();
    if sixth.starts_with('*') && problem(&schedule).is_none() {
        let message = format!("a schedule has five fields, and `{sixth}` would be the command");
        return Some((message, hint));
    }
    let (problem, _) = problem(&schedule)?;
    Some((problem, hint))
}

fn schedule_hint(schedule: &str) -> String {
    let known = match schedule.trim().trim_start_matches('@') {
        "hourly" => "0 * * * *",
        "daily" | "nightly" | "midnight" => "0 0 * * *",
        "weekly" => "0 0 * * 0",
        "monthly" => "0 0 1 * *",
        "yearly" | "annually" => "0 0 1 1 *",
        other => return five_of_six(other),
    };
    format!("write `\"{known}\"`")
}

/// Six fields are five with seconds before them.
fn five_of_six(schedule: &str) -> String {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if let [_, rest @ ..] = fields.as_slice()
        && rest.len() == 5
        && cron::problem(&rest.join(" ")).is_none()
    {
        return format!("a schedule has no seconds: write `\"{}\"`", rest.join(" "));
    }
    "write `minute hour day month weekday`, as in `\"30 2 * * mon-fri\"` for 2:30 on workdays"
        .to_owned()
}

/// The first of a valid schedule's days that no month of its has, where days alone decide.
fn day_that_never_comes(schedule: &str) -> Option<(u32, u32)> {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    let [_, _, days, months, "*"] = fields.as_slice() else {
        return None;
    };
    let days: Vec<u32> = days.split(',').map(least).collect::<Option<_>>()?;
    let months: Vec<Vec<u32>> = months.split(',').map(each_month).collect::<Option<_>>()?;
    let longest = months
        .concat()
        .into_iter()
        .max_by_key(|month| DAYS[*month as usize - 1])?;
    let earliest = days.into_iter().min()?;
    (earliest > DAYS[longest as usize - 1]).then_some((earliest, longest))
}

/// The least number of an item without a star: `30`, `30-31`, `30-31/2`.
fn least(item: &str) -> Option<u32> {
    let range = item.split('/').next()?;
    range.split('-').next()?.parse().ok()
}

fn month(text: &str) -> Option<u32> {
    let word = text.to_lowercase();
    let named = MONTHS
        .iter()
        .position(|month| month.to_lowercase().starts_with(&word) && word.len() == 3);
    named
        .and_then(|index| u32::try_from(index + 1).ok())
        .or_else(|| text.parse().ok())
}

/// The months of an item: `2`, `feb`, `apr-jun`.
fn each_month(item: &str) -> Option<Vec<u32>> {
    let (range, step) = item.split_once('/').unwrap_or((item, "1"));
    let (from, to) = range.split_once('-').unwrap_or((range, range));
    let (from, to) = match range {
        "*" => (1, 12),
        _ => (month(from)?, month(to)?),
    };
    let step = step.parse().ok().filter(|step| *step > 0)?;
    let valid = (1..=12).contains(&from) && (1..=12).contains(&to);
    valid.then(|| (from..=to).step_by(step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t41_a_day_that_no_month_has_never_comes() {
        for (schedule, never) in [
            ("0 0 30 2 *", Some((30, 2))),
            ("0 0 30,31 feb *", Some((30, 2))),
            ("0 0 31 4,6,sep *", Some((31, 9))),
            ("0 0 29 2 *", None),
            ("0 0 30 2-3 *", None),
            ("0 0 30 2 mon", None),
            ("0 0 1-31 2 *", None),
            ("0 0 */2 2 *", None),
            ("0 0 31 * *", None),
        ] {
            assert_eq!(day_that_never_comes(schedule), never, "{schedule}");
        }
    }

    #[test]
    fn a_sixth_field_is_not_taken_for_a_command() {
        assert!(
            line_problem("* * * * * * ./x")
                .unwrap()
                .0
                .contains("`*` would be the command")
        );
        assert_eq!(line_problem("* * * * * ./x *"), None);
        assert!(line_problem("* * * * *").is_some());
    }
}
