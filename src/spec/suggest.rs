//! What somebody may have meant. It only ever proposes.

use super::credentials;

/// The candidate that is spelled most like the word, if one is close enough to be a slip.
pub(crate) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = fold(word);
    let length = word.chars().count();
    let limit = if length < 2 {
        0
    } else {
        (length / 3).clamp(1, 3)
    };
    candidates
        .into_iter()
        .filter(|candidate| length != 2 || slip_of_two(&folded, candidate))
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&folded, &fold(candidate)),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Of two letters, one that is another makes another word; one too few, too many or in the wrong place is a slip.
fn slip_of_two(word: &str, candidate: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    candidate.chars().count() != 2 || sorted(word) == sorted(&fold(candidate))
}

/// ``did you mean `start`?``, if something is close.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    closest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// `` `a`, `b` or `c` ``.
pub(crate) fn one_of<T: AsRef<str>>(words: &[T]) -> String {
    listed(words, "or")
}

/// `` `a`, `b` and `c` ``.
pub(crate) fn all_of<T: AsRef<str>>(words: &[T]) -> String {
    listed(words, "and")
}

fn listed<T: AsRef<str>>(words: &[T], before_last: &str) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("`{}`", word.as_ref()))
        .collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => {
            format!("{} {before_last} {last}", rest.join(", "))
        }
        Some((last, _)) => last.clone(),
        None => "nothing".to_owned(),
    }
}

/// A text short enough for a message, and never one that looks like a credential.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    if credentials::looks_like_one(text) || !credentials::within(text).is_empty() {
        return "…".to_owned();
    }
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", visible(&text[..end])),
        None => visible(text),
    }
}

/// A text without characters that steer a terminal or turn the direction of writing: they stand as their escapes.
pub(crate) fn visible(text: &str) -> String {
    let steers = |c: char| {
        let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        c.is_control() || turns
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// A text as a name of a kind: the characters that such a name cannot have become those that it can.
pub(crate) fn slug(text: &str, what: &str) -> Option<String> {
    let text = text.trim();
    match what {
        "app name" | "plugin name" | "addon name" | "job name" => {
            let slug = joined(&text.to_lowercase(), '-');
            Some(
                slug.trim_start_matches(|c: char| !c.is_ascii_lowercase())
                    .to_owned(),
            )
        }
        "worker name" | "volume name" | "context name" | "header name" => Some(joined(text, '-')),
        "environment variable name" => Some(joined(text, '_')),
        "secret name" => {
            let file = text.rsplit('/').next().unwrap_or(text);
            Some(joined(file.trim_end_matches(".age"), '-'))
        }
        "URL path" => Some(format!(
            "/{}",
            text.trim_start_matches('/').replace(' ', "%20")
        )),
        _ => None,
    }
    .filter(|slug| !slug.is_empty())
}

/// Letters and digits stay, each run of others becomes one sign, none at the ends.
fn joined(text: &str, sign: char) -> String {
    let mut out = String::new();
    for c in text.chars().take(200) {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with(sign) {
            out.push(sign);
        }
    }
    out.truncate(40);
    out.trim_end_matches(sign).to_owned()
}

/// A span of time in the house's form, from how people write one: `1 minute`, `1h30m`, `90 sec`.
pub(crate) fn period(text: &str) -> Option<String> {
    let mut seconds: u64 = 0;
    for (number, unit) in amounts(text)? {
        let unit = match unit.as_str() {
            "" | "s" | "sec" | "secs" | "second" | "seconds" => 1,
            "m" | "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 86400,
            "w" | "week" | "weeks" => 7 * 86400,
            "y" | "yr" | "year" | "years" => 365 * 86400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
    }
    let units = [(86400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')];
    let (size, unit) = units
        .into_iter()
        .find(|(size, _)| seconds.is_multiple_of(*size))?;
    (seconds > 0).then(|| format!("{}{unit}", seconds / size))
}

/// A number of bytes in the house's form, from how people write one: `512MB`, `64 MiB`, `1T`.
pub(crate) fn bytes(text: &str) -> Option<String> {
    let amounts = amounts(text)?;
    let [(number, unit)] = amounts.as_slice() else {
        return None;
    };
    match unit.as_str() {
        "b" | "byte" | "bytes" => Some(number.to_string()),
        "kb" | "kib" => Some(format!("{number}K")),
        "mb" | "mib" => Some(format!("{number}M")),
        "gb" | "gib" => Some(format!("{number}G")),
        "t" | "tb" | "tib" => Some(format!("{}G", number.checked_mul(1024)?)),
        _ => None,
    }
}

/// Numbers with the words after them, in lower case.
fn amounts(text: &str) -> Option<Vec<(u64, String)>> {
    const MOST: usize = 40;
    let mut rest = text.trim();
    let mut amounts = Vec::new();
    while !rest.is_empty() && text.len() <= MOST {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let number = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let word = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        amounts.push((number, rest[..word].to_lowercase()));
        rest = rest[word..].trim_start();
    }
    (!amounts.is_empty()).then_some(amounts)
}

fn fold(word: &str) -> String {
    let word: String = word.chars().take(60).collect();
    word.to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let keys = ["start", "start-timeout", "workers", "before-run"];
        assert_eq!(closest("workrs", keys), Some("workers"));
        assert_eq!(closest("before_run", keys), Some("before-run"));
        assert_eq!(closest("Start", keys), Some("start"));
        assert_eq!(closest("memory", keys), None);
        assert_eq!(closest("B", ["A"]), None);
        assert_eq!(closest("P3", ["P0", "P1"]), None);
        assert_eq!(closest("bd", ["db"]), Some("db"));
        assert_eq!(closest("ur", ["url"]), Some("url"));
    }

    #[test]
    fn a_span_of_time_and_a_size_are_understood_as_people_write_them() {
        for (text, meant) in [
            ("1 minute", "1m"),
            ("1h30m", "90m"),
            ("90 sec", "90s"),
            ("2 weeks", "14d"),
            ("30", "30s"),
        ] {
            assert_eq!(period(text).as_deref(), Some(meant), "{text}");
        }
        for text in [
            "",
            "soon",
            "0s",
            "1.5h",
            "5 fortnights",
            "99999999999999999999s",
        ] {
            assert_eq!(period(text), None, "{text}");
        }
        assert_eq!(bytes("512MB").as_deref(), Some("512M"));
        assert_eq!(bytes("2 TiB").as_deref(), Some("2048G"));
        assert_eq!(bytes("1.5G"), None);
    }

    #[test]
    fn a_text_becomes_a_name_of_its_kind() {
        assert_eq!(slug("My Shop!", "app name").as_deref(), Some("my-shop"));
        assert_eq!(
            slug("with-dash", "environment variable name").as_deref(),
            Some("with_dash")
        );
        assert_eq!(
            slug("secrets/web1/db.age", "secret name").as_deref(),
            Some("db")
        );
        assert_eq!(slug("assets", "URL path").as_deref(), Some("/assets"));
        assert_eq!(slug("…", "app name"), None);
    }

    #[test]
    fn t20_no_message_steers_a_terminal() {
        assert_eq!(
            shortened("a\u{1b}]0;x\n\u{202e}é"),
            "a\\u{1b}]0;x\\n\\u{202e}é"
        );
    }

    #[test]
    fn t27_no_message_repeats_a_credential() {
        assert_eq!(shortened("ghp_canary1canary"), "…");
        assert_eq!(shortened("see https://u:canary@h/"), "…");
    }

    #[test]
    fn a_list_reads_as_a_sentence() {
        assert_eq!(one_of(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(one_of(&["a"]), "`a`");
    }
}
