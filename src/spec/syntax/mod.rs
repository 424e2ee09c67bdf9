//! What the TOML parser has against a file, in words for somebody who does not know TOML: what stands there, and what to write instead.

mod plain;
mod twice;

use std::ops::Range;

use super::diagnostic::{Diagnostic, Related};
use super::source::Source;
use super::suggest::shortened;

/// The most syntax errors that are told of one file.
const ERROR_LIMIT: usize = 20;

/// One error of the parser.
struct Slip<'a> {
    source: &'a Source,
    span: Range<usize>,
    /// What the parser says, without what it expected.
    problem: &'a str,
    line: usize,
}

/// The first syntax errors in the file's order, one for each line, without those that only follow from another.
pub(super) fn diagnostics(source: &Source, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let nowhere = errors.iter().any(|error| error.span().is_none());
    let deepest = if nowhere { deepest_line(source) } else { 0..0 };
    let span = |error: &toml::de::Error| error.span().unwrap_or_else(|| deepest.clone());
    let starts = errors
        .iter()
        .enumerate()
        .map(|(index, error)| (span(error).start, index));
    let mut order: Vec<(usize, usize)> = starts.collect();
    order.sort_unstable();
    let mut told: Vec<Slip<'_>> = Vec::new();
    for (_, index) in order {
        let slip = Slip::new(source, span(&errors[index]), errors[index].message());
        let same = |last: &mut Slip<'_>| last.line == slip.line || slip.follows_from(last);
        if told.last_mut().is_some_and(same) {
            continue;
        }
        if told.len() == ERROR_LIMIT {
            break;
        }
        told.push(slip);
    }
    told.iter().map(Slip::explained).collect()
}

/// The parser names no place for a key with too many parts: it is the line with the most dots.
fn deepest_line(source: &Source) -> Range<usize> {
    let dots = |(_, line): &(usize, &str)| line.matches('.').count();
    let deepest = source.text.lines().enumerate().max_by_key(dots);
    deepest.map_or(0..0, |(index, _)| source.line(index + 1))
}

impl<'a> Slip<'a> {
    fn new(source: &'a Source, span: Range<usize>, message: &'a str) -> Self {
        let problem = message.lines().next().unwrap_or_default();
        let problem = problem.split(", expected").next().unwrap_or_default();
        Self {
            line: source.position(span.start).line as usize,
            source,
            span,
            problem,
        }
    }

    /// Whether this is the same mistake, seen once more: the rest of an open text or of an open list. The first then stands for it.
    fn follows_from(&self, first: &mut Slip<'_>) -> bool {
        let again = match first.problem {
            "invalid basic string" | "invalid literal string" => self.line == first.line + 1,
            "missing comma between array elements" | "missing comma between key-value pairs" => {
                first.opens_late() && self.problem.starts_with("missing comma")
            }
            "string values must be quoted" => {
                first.is_header() && self.problem.starts_with("missing comma")
            }
            _ => false,
        };
        if again && first.problem != self.problem {
            first.line = self.line;
        }
        again
    }

    /// Whether a line that should follow a list is read as a part of it.
    fn opens_late(&self) -> bool {
        self.before().trim().is_empty()
            && (self.rest().starts_with('[') || self.rest().contains('='))
    }

    /// Whether the line is that of a section, read as a list in a list.
    fn is_header(&self) -> bool {
        let name = self.text().trim().trim_start_matches('[');
        let name = name.trim_end_matches(']');
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let bracket = self.before().trim_start().starts_with('[');
        bracket
            && self.text().trim_end().ends_with(']')
            && !name.is_empty()
            && name.chars().all(plain)
    }

    fn row(&self) -> Range<usize> {
        let text = &self.source.text;
        let start = text[..self.span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[self.span.start..].find('\n');
        start..end.map_or(text.len(), |length| self.span.start + length)
    }

    fn text(&self) -> &'a str {
        self.source.text[self.row()].trim_end_matches('\r')
    }

    fn before(&self) -> &'a str {
        &self.source.text[self.row().start..self.span.start]
    }

    fn rest(&self) -> &'a str {
        self.source.text[self.span.start..self.row().end].trim_end()
    }

    fn told(&self, message: impl Into<String>, hint: impl Into<String>) -> Diagnostic {
        self.source
            .error(self.span.clone(), message)
            .hint(hint.into())
    }

    fn explained(&self) -> Diagnostic {
        if let Some(marker) = ["<<<<<<<", "=======", ">>>>>>>"]
            .iter()
            .find(|m| self.text().starts_with(**m))
        {
            let start = self.row().start;
            let message = format!("`{marker}` is left over from a git merge");
            let found = self.source.error(start..start + marker.len(), message);
            return found.hint("decide between the two versions and remove the marks");
        }
        match self.problem {
            "string values must be quoted" if self.is_header() => self.left_open(),
            "string values must be quoted" => self.unquoted(),
            "invalid boolean" | "invalid float" => self.bare_word(),
            "invalid unquoted key" => self.bad_key(),
            "key with no value" => self.no_value(),
            "duplicate key" => self.twice(),
            "invalid basic string" | "invalid literal string" => self.open_text(),
            "missing comma between array elements" | "missing comma between key-value pairs"
                if self.opens_late() =>
            {
                self.left_open()
            }
            _ => self.plain(),
        }
    }

    /// The key before the value, where it is all that is before it.
    fn key(&self) -> Option<&'a str> {
        let key = self.before().trim().strip_suffix('=')?.trim();
        (!key.is_empty() && !key.contains(['=', '{', '['])).then_some(key)
    }

    fn unquoted(&self) -> Diagnostic {
        let value = self.source.text[self.span.clone()].trim();
        let key = self.key();
        if value.is_empty() {
            let key = key.unwrap_or("the key");
            return self.told(
                format!("`{key}` has no value"),
                format!("write `{key} = \"…\"`"),
            );
        }
        if matches!(
            value.to_lowercase().as_str(),
            "yes" | "no" | "on" | "off" | "none" | "nil" | "null"
        ) {
            return self.bare_word();
        }
        let bare = value.trim_matches(['“', '”', '„', '‘', '’', '«', '»']);
        let message = if bare == value {
            "a text needs quotes"
        } else {
            "these are not the quotes of TOML"
        };
        self.told(message, in_quotes(key, bare))
    }

    fn bare_word(&self) -> Diagnostic {
        let word = self.source.text[self.span.clone()].trim();
        let meant = match word.to_lowercase().as_str() {
            "true" | "yes" | "on" => "true",
            "false" | "no" | "off" => "false",
            "null" | "none" | "nil" => {
                return self.told(
                    "TOML has no null",
                    "remove the key, or write an empty text: `\"\"`",
                );
            }
            _ => return self.told("a text needs quotes", in_quotes(self.key(), word)),
        };
        self.told(
            format!("`{word}` is not a value"),
            format!("write `{meant}`, or `\"{word}\"` if it is a text"),
        )
    }

    fn bad_key(&self) -> Diagnostic {
        if self.rest().starts_with(':') {
            return self.colon();
        }
        if self.rest().starts_with("//") {
            return self.told("this is not a comment", "a comment starts with `#`");
        }
        let key = self.text().split('=').next().unwrap_or_default().trim();
        let hint = format!("put it in quotes: `\"{}\"`", shortened(key));
        self.told("a key with such characters needs quotes", hint)
    }

    fn no_value(&self) -> Diagnostic {
        let text = self.text().trim();
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.contains(':') {
            return self.colon();
        }
        let key = key.trim();
        if key.contains(char::is_whitespace) && !value.is_empty() {
            let message = format!("the key `{}` has a blank in it", shortened(key));
            return self.told(message, "a key is one word; one with blanks needs quotes");
        }
        let key = shortened(key);
        self.told(
            format!("`{key}` has no value"),
            format!("write `{key} = \"…\"`"),
        )
    }

    /// `key: value`, as other formats have it.
    fn colon(&self) -> Diagnostic {
        let text = self.text().trim();
        let (key, value) = text.split_once(':').unwrap_or((text, ""));
        let (key, value) = (key.trim(), value.trim());
        let message = "a key and its value are separated by `=`, not by `:`";
        let hint = match value {
            "" => format!("a section is written `[{key}]`"),
            _ if value.starts_with(['"', '\'', '[', '{']) || value.parse::<f64>().is_ok() => {
                format!("write `{key} = {}`", shortened(value))
            }
            _ => in_quotes(Some(key), value),
        };
        self.told(message, hint)
    }

    fn open_text(&self) -> Diagnostic {
        let row = self.row();
        let quote = if self.problem.contains("literal") {
            '\''
        } else {
            '"'
        };
        let start = self
            .before()
            .find(quote)
            .map_or(self.span.start, |at| row.start + at);
        let hint = format!(
            "close it with `{quote}` on the same line; a text of several lines stands between `\"\"\"`"
        );
        let diagnostic = self.source.error(
            start..row.start + self.text().len(),
            "the text has no closing quote",
        );
        diagnostic.hint(hint)
    }

    /// Something in brackets that begins on an earlier line and does not end.
    fn left_open(&self) -> Diagnostic {
        let text = &self.source.text[..self.row().start];
        let mut openings = text.rmatch_indices(['[', '{']);
        let opened =
            openings.find(|(at, _)| text[..*at].trim_end_matches([' ', '\t']).ends_with('='));
        let Some((at, open)) = opened else {
            return self.told(self.problem, "close what is open before this line");
        };
        let (what, close) = if open == "[" {
            ("list", "]")
        } else {
            ("table", "}")
        };
        let message = format!("the {what} before this line has no `{close}`");
        let diagnostic = self.told(message, format!("close it with `{close}`"));
        diagnostic.related(self.related(at..at + 1, "it begins here"))
    }

    fn related(&self, span: Range<usize>, label: &str) -> Related {
        self.source.related(span, label)
    }
}

/// A hint that puts a value in quotes.
fn in_quotes(key: Option<&str>, value: &str) -> String {
    let quoted = toml::Value::from(shortened(value)).to_string();
    match key {
        Some(key) => format!("write `{key} = {quoted}`"),
        None => format!("put it in quotes: `{quoted}`"),
    }
}
