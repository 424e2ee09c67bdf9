//! What somebody may have meant by a schedule that has not five fields. It never makes one of it.

use super::error::Mistake;
use super::grammar::{read, whole, words};

/// What a schedule looks like.
pub(crate) const FORM: &str =
    "write `minute hour day month weekday`, as in `30 2 * * mon-fri` for 2:30 on workdays";

/// Short names that other programs have for schedules, and what they stand for.
const NICKNAMES: [(&str, &str); 8] = [
    ("yearly", "0 0 1 1 *"),
    ("annually", "0 0 1 1 *"),
    ("monthly", "0 0 1 * *"),
    ("weekly", "0 0 * * 0"),
    ("daily", "0 0 * * *"),
    ("midnight", "0 0 * * *"),
    ("nightly", "0 0 * * *"),
    ("hourly", "0 * * * *"),
];

/// Six fields are five with seconds before them.
fn without_seconds(text: &str) -> Option<&str> {
    let (_, rest) = text.trim_start().split_once([' ', '\t'])?;
    let rest = rest.trim();
    read(rest).is_ok().then_some(rest)
}

/// A text that has not five fields, with the five that may be meant.
pub(super) fn miscounted(text: &str) -> Mistake {
    let words = words(text);
    let name = text.trim().trim_start_matches('@');
    let nickname = NICKNAMES
        .iter()
        .find(|(nickname, _)| name.eq_ignore_ascii_case(nickname));
    let hint = match (words.len(), nickname) {
        (_, Some((_, meaning))) => format!("write `{meaning}`"),
        (6, _) if without_seconds(text).is_some() => {
            let rest = without_seconds(text).unwrap_or_default();
            format!("a schedule has no seconds: write `{rest}`")
        }
        (6 | 7, _) => "leave out seconds and years: a schedule begins with the minute".to_owned(),
        _ => FORM.to_owned(),
    };
    whole(
        text,
        format!("a schedule has five fields, not {}", words.len()),
        Some(hint),
    )
}
