//! What looks like a credential. It refuses nothing; others do, and hide it.

use std::ops::Range;

/// Beginnings of well-known credentials.
const BEGINNINGS: [&str; 10] = [
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "ghp_",
    "gho_",
    "github_pat_",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
];

/// More of them, which nobody writes into a spec and which may stand in any file all the same.
const OTHER_BEGINNINGS: [&str; 5] = ["ghs_", "ghu_", "glpat-", "AGE-SECRET-KEY-", "AGE-PLUGIN-"];

/// Whether a text is a credential by its beginning, or a URL with a password in it.
pub(crate) fn looks_like_one(text: &str) -> bool {
    BEGINNINGS.iter().any(|start| text.starts_with(start)) || url_with_password(text)
}

/// The same for a text with `${NAME}` references, which are filled on the host: a password that is one stands in no file.
pub(crate) fn template_holds_one(text: &str) -> bool {
    let filled = password(text).is_some_and(|password| password.starts_with("${"));
    looks_like_one(text) && !filled
}

fn url_with_password(text: &str) -> bool {
    password(text).is_some_and(|password| !password.is_empty())
}

/// The password of `scheme://user:password@…`.
fn password(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let plain = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    let authority = rest
        .split(|c: char| c == '/' || c.is_whitespace())
        .next()
        .unwrap_or_default();
    let (user, _) = authority.split_once('@')?;
    user.split_once(':')
        .map(|(_, password)| password)
        .filter(|_| plain)
}

/// Every place of a file that looks like a credential, whatever key it belongs to.
pub(crate) fn within(text: &str) -> Vec<Range<usize>> {
    let beginnings = BEGINNINGS.iter().chain(&OTHER_BEGINNINGS);
    let tokens = beginnings
        .flat_map(|start| text.match_indices(start))
        .filter_map(|(at, start)| token(text, at, start.len()));
    let urls = text
        .match_indices("://")
        .filter_map(|(at, _)| user_and_password(text, at + 3));
    tokens.chain(urls).chain(private_keys(text)).collect()
}

/// A text with every such place replaced; none when there is none.
pub(crate) fn without(text: &str) -> Option<String> {
    let mut found = within(text);
    found.sort_by_key(|range| range.start);
    let (mut out, mut end) = (String::new(), 0);
    for range in found {
        if range.start >= end {
            out.push_str(&text[end..range.start]);
            out.push_str("[redacted]");
        }
        end = end.max(range.end);
    }
    out.push_str(&text[end..]);
    (end > 0).then_some(out)
}

fn private_keys(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.match_indices("-----BEGIN ").filter_map(|(start, _)| {
        let rest = &text[start..];
        let title = rest.lines().next()?;
        let end = rest.find("-----END ").unwrap_or(rest.len());
        title.contains("PRIVATE KEY").then(|| start..start + end)
    })
}

/// A beginning counts when a word of some length starts with it.
fn token(text: &str, at: usize, beginning: usize) -> Option<Range<usize>> {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let inside = text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let length = text[at..].find(|c| !word(c)).unwrap_or(text.len() - at);
    (!inside && length >= beginning + 4).then(|| at..at + length)
}

fn user_and_password(text: &str, at: usize) -> Option<Range<usize>> {
    let ends = |c: char| c.is_whitespace() || "/'\"`".contains(c);
    let authority = text[at..].split(ends).next()?;
    let (user, _) = authority.split_once('@')?;
    let (_, password) = user.split_once(':')?;
    (!password.is_empty() && !password.starts_with("${")).then(|| at..at + user.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_known_by_its_beginning_or_its_place_in_a_url() {
        for bad in [
            "ghp_x",
            "AKIAIOSFODNN7EXAMPLE",
            "postgres://u:p@h/db",
            "redis://:p@h",
            "x+y://${U}:${P}@h",
        ] {
            assert!(looks_like_one(bad), "{bad}");
        }
        for good in [
            "postgresql://localhost/mydb",
            "http://a.test:80/@x",
            "a:b@c",
            "https://user@h/",
            "git@h:x",
        ] {
            assert!(!looks_like_one(good), "{good}");
        }
    }

    #[test]
    fn a_template_may_refer_to_a_password_and_not_hold_one() {
        assert!(!template_holds_one("postgres://${U}:${P}@h/db"));
        assert!(template_holds_one("postgres://${U}:hunter2@h/db"));
        assert!(template_holds_one("sk_live_x"));
    }

    #[test]
    fn credentials_are_found_anywhere_in_a_file() {
        let text = "a = \"ghp_canary\" # https://u:canary@h/\nb = \"not_ghp_canary ASIA\"";
        let found: Vec<&str> = within(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["ghp_canary", "u:canary"]);
    }

    #[test]
    fn t27_tokens_passwords_and_private_keys_are_replaced_wherever_they_stand() {
        for (text, shown) in [
            ("cannot be `ghp_0123456789`", Some("cannot be `[redacted]`")),
            ("x AKIAIOSFODNN7EXAMPLE y", Some("x [redacted] y")),
            (
                "redis://:x@h and ghs_0123",
                Some("redis://[redacted]@h and [redacted]"),
            ),
            (
                "a -----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
                Some("a [redacted]"),
            ),
            ("AGE-SECRET-KEY-1QQQQ", Some("[redacted]")),
            ("my_ghp_word at https://user@h/", None),
        ] {
            assert_eq!(without(text).as_deref(), shown, "{text}");
        }
    }
}
