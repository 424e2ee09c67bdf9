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

/// How well-known tokens begin, and how many more characters make one.
const TOKENS: [(&str, usize); 15] = [
    ("sk_live_", 4),
    ("sk_test_", 4),
    ("rk_live_", 4),
    ("ghp_", 4),
    ("gho_", 4),
    ("ghs_", 4),
    ("ghu_", 4),
    ("github_pat_", 4),
    ("glpat-", 4),
    ("xoxb-", 4),
    ("xoxp-", 4),
    ("AKIA", 12),
    ("ASIA", 12),
    ("AGE-SECRET-KEY-", 4),
    ("AGE-PLUGIN-", 4),
];

/// The bytes that may be credentials, in no order.
pub(crate) fn within(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = TOKENS
        .iter()
        .flat_map(|(start, more)| tokens(text, start, *more))
        .collect();
    found.extend(passwords_of_urls(text));
    found.extend(private_keys(text));
    found
}

/// A text with what looks like a credential replaced.
pub(crate) fn without_credentials(text: &str) -> Option<String> {
    let mut found = within(text);
    if found.is_empty() {
        return None;
    }
    found.sort_by_key(|range| range.start);
    let mut out = String::new();
    let mut end = 0;
    for range in found.into_iter().filter(|range| range.end > 0) {
        if range.start >= end {
            out.push_str(&text[end..range.start]);
            out.push_str("[redacted]");
        }
        end = end.max(range.end);
    }
    out.push_str(&text[end..]);
    Some(out)
}

fn tokens<'a>(
    text: &'a str,
    beginning: &'a str,
    more: usize,
) -> impl Iterator<Item = Range<usize>> + 'a {
    let token = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.match_indices(beginning).filter_map(move |(start, _)| {
        let inside = text[..start].chars().next_back().is_some_and(token);
        let rest = &text[start..];
        let length = rest.find(|c| !token(c)).unwrap_or(rest.len());
        (!inside && length >= beginning.len() + more).then(|| start..start + length)
    })
}

/// Passwords of URLs: `scheme://user:password@…`.
fn passwords_of_urls(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.match_indices("://").filter_map(|(at, _)| {
        let start = at + "://".len();
        let rest = &text[start..];
        let ends = |c: char| c == '/' || c == '"' || c == '\'' || c.is_whitespace();
        let authority = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let (user, _) = authority.rsplit_once('@')?;
        let (name, password) = user.split_once(':')?;
        let from = start + name.len() + 1;
        let filled = password.starts_with("${");
        (!password.is_empty() && !filled).then(|| from..from + password.len())
    })
}

fn private_keys(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.match_indices("-----BEGIN ").filter_map(|(start, _)| {
        let rest = &text[start..];
        let title = rest.lines().next()?;
        let end = rest.find("-----END ").unwrap_or(rest.len());
        title.contains("PRIVATE KEY").then(|| start..start + end)
    })
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
        assert_eq!(found, ["ghp_canary", "canary"]);
    }

    #[test]
    fn t27_tokens_passwords_and_private_keys_are_replaced_wherever_they_stand() {
        for (text, shown) in [
            ("cannot be `ghp_0123456789`", "cannot be `[redacted]`"),
            ("x AKIAIOSFODNN7EXAMPLE y", "x [redacted] y"),
            (
                "postgres://u:p@ss@h/db and redis://:x@h",
                "postgres://u:[redacted]@h/db and redis://:[redacted]@h",
            ),
            (
                "a -----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
                "a [redacted]",
            ),
            ("AGE-SECRET-KEY-1QQQQ", "[redacted]"),
        ] {
            assert_eq!(without_credentials(text).as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn plain_words_stay() {
        for text in [
            "ASIAN-PACIFIC market",
            "http://a.test:80/@x",
            "my_ghp_word",
            "ghp_",
            "-----BEGIN CERTIFICATE-----",
            "https://user@h/",
        ] {
            assert_eq!(without_credentials(text), None, "{text}");
        }
    }
}
