//! The last step before a remark is shown: what it marks, where that ends, and nothing that looks like a credential in any of its words.

use super::app::Position;
use super::credentials;
use super::diagnostic::{Diagnostic, Related};
use super::render::{Sources, whole_line};

impl Diagnostic {
    /// Marks what stands at its places, where nothing is marked, and replaces what looks like a credential in all words.
    pub fn settle(&mut self, sources: &Sources) {
        let text = sources.get(&self.position.file);
        if let Some(text) = text.filter(|_| self.span.is_none() && !self.concerns_all()) {
            self.span = Some(standing_at(&self.position, text));
        }
        if let Some(related) = &mut self.related {
            related.settle(sources);
        }
        let words = [
            Some(&mut self.message),
            self.label.as_mut(),
            self.hint.as_mut(),
        ];
        for words in words.into_iter().flatten() {
            if let Some(harmless) = credentials::without(words) {
                *words = harmless;
            }
        }
    }

    /// The line and column behind the marked bytes.
    pub fn end(&self, sources: &Sources) -> Option<(u32, u32)> {
        end(&self.position, self.span, sources)
    }
}

impl Related {
    fn settle(&mut self, sources: &Sources) {
        if let (None, Some(text)) = (self.span, sources.get(&self.position.file)) {
            self.span = Some(standing_at(&self.position, text));
        }
    }

    /// The line and column behind the marked bytes.
    pub fn end(&self, sources: &Sources) -> Option<(u32, u32)> {
        end(&self.position, self.span, sources)
    }
}

fn end(from: &Position, span: Option<(usize, usize)>, sources: &Sources) -> Option<(u32, u32)> {
    let (start, end) = span?;
    let marked = sources.get(&from.file)?.get(start..end)?;
    let count = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let lines = marked.bytes().filter(|b| *b == b'\n').count();
    let lines = u32::try_from(lines).unwrap_or(u32::MAX);
    let column = match marked.rsplit_once('\n') {
        Some((_, last)) => count(last).saturating_add(1),
        None => from.column.saturating_add(count(marked)),
    };
    Some((from.line.saturating_add(lines), column))
}

/// The value, or the key with its short value, that begins at a position, in bytes.
fn standing_at(position: &Position, text: &str) -> (usize, usize) {
    let (start, end) = whole_line(position, text);
    let rest = &text[start..end];
    let key = length(rest);
    let after = rest[key..].trim_start();
    let value = after.strip_prefix('=').map_or("", str::trim_start);
    let long = ["[", "{", "\"\"\"", "'''"];
    if value.is_empty() || long.iter().any(|start| value.starts_with(start)) {
        (start, start + key)
    } else {
        (start, end - value.len() + length(value))
    }
}

/// How long the text or word is with which a line begins.
fn length(line: &str) -> usize {
    let quote = line.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        let ends = |c: char| c.is_whitespace() || "=,]}#:".contains(c);
        return line.find(ends).unwrap_or(line.len());
    };
    let mut escaped = false;
    let closing = line.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == quote && !escaped;
        escaped = *c == '\\' && quote == '"' && !escaped;
        closes
    });
    closing.map_or(line.len(), |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(line: &str, column: u32) -> &str {
        let position = Position {
            column,
            ..Position::start("hop3.toml")
        };
        let (start, end) = standing_at(&position, line);
        &line[start..end]
    }

    #[test]
    fn a_value_is_marked_as_a_whole_and_a_key_with_its_short_value() {
        assert_eq!(marked("after = [\"a\", \"b\\\"]\", 'c']", 15), "\"b\\\"]\"");
        assert_eq!(marked("number = 5432 # why", 1), "number = 5432");
        assert_eq!(marked("A = { secret = \"x\" }", 7), "secret = \"x\"");
        assert_eq!(marked("list = [1]", 1), "list");
        assert_eq!(marked("[deploy]", 2), "deploy");
        assert_eq!(marked("web: exec x", 1), "web");
        assert_eq!(marked("é = 1", 1), "é = 1");
        assert_eq!(marked("", 1), "");
    }

    #[test]
    fn the_end_counts_lines_and_characters() {
        let sources = Sources::from([("f".to_owned(), "é = \"\"\"\na\"\"\"".to_owned())]);
        let mut found = Diagnostic::error_at(Position::start("f"), "x");
        assert_eq!(found.end(&sources), None);
        found.span = Some((0, 2));
        assert_eq!(found.end(&sources), Some((1, 2)));
        found.span = Some((0, sources["f"].len()));
        assert_eq!(found.end(&sources), Some((2, 5)));
    }

    #[test]
    fn t27_words_lose_what_looks_like_a_credential() {
        let mut found = Diagnostic::error_at(Position::start("f"), "`ghp_canary0` is no plugin")
            .hint("did you mean `https://u:canary@h`?");
        found.settle(&Sources::new());
        assert_eq!(found.message, "`[redacted]` is no plugin");
        assert_eq!(
            found.hint.as_deref(),
            Some("did you mean `https://[redacted]@h`?")
        );
    }
}
