//! Slips whose words need no more than a hint: brackets, commas, numbers, escapes.

use super::Slip;
use crate::spec::diagnostic::Diagnostic;

/// What is wrong, and what to write.
type Words = (String, String);

impl Slip<'_> {
    pub(super) fn plain(&self) -> Diagnostic {
        let words = self
            .brackets()
            .or_else(|| self.separators())
            .or_else(|| self.values());
        match words {
            Some((message, hint)) => self.told(message, hint),
            None => self.source.error(self.span.clone(), self.problem),
        }
    }

    /// Brackets that are missing, or too many to follow.
    fn brackets(&self) -> Option<Words> {
        let header = self.text().trim().trim_matches(['[', ']']);
        let lacking = "the line of the section lacks a `]`";
        Some(match self.problem {
            "unclosed table" => words(lacking, format!("write `[{header}]`")),
            "unclosed array table" => words(lacking, format!("write `[[{header}]]`")),
            "unclosed array" => words("unclosed array: the list has no `]`", "close it with `]`"),
            "unclosed inline table" => words("the table has no `}`", "close it with `}`"),
            "recursion limit" => words("a key has more parts than are read", "write fewer dots"),
            "cannot recurse further; max recursion depth met" => words(
                "lists and tables are nested deeper than is read",
                "close those that are open",
            ),
            _ => return None,
        })
    }

    /// What stands between values, or lacks there.
    fn separators(&self) -> Option<Words> {
        Some(match self.problem {
            "missing comma between array elements" => words(
                "two items of a list without a comma between them",
                "write `[\"a\", \"b\"]`",
            ),
            "missing comma between key-value pairs" => words(
                "two keys of a table without a comma between them",
                "write `{ a = 1, b = 2 }`",
            ),
            "unexpected key or value" => {
                words("something stands after the value", self.after_value())
            }
            "extra `=`" => words("two `=` in a row", "write one"),
            "invalid key-value pair" if self.rest().starts_with('{') => words(
                "this looks like JSON, and the file is TOML",
                "write `[run]` and `start = \"…\"`, each on its line",
            ),
            _ => return None,
        })
    }

    /// Values that are nearly right.
    fn values(&self) -> Option<Words> {
        match self.problem {
            "missing escaped value" => Some(self.bad_escape()),
            "unexpected leading zero" => Some(self.leading_zero()),
            "invalid fraction" => Some(words(
                "a number ends with its point",
                "write a digit after it, as in `1.0`",
            )),
            _ => None,
        }
    }

    fn after_value(&self) -> &'static str {
        if self.before().contains('\'') && self.rest().contains('\'') {
            "a text with `'` in it goes in double quotes"
        } else {
            "put each key on a line of its own"
        }
    }

    fn bad_escape(&self) -> Words {
        let after = self.rest().trim_start_matches('\\');
        let next = after.chars().next().unwrap_or(' ');
        let hint = format!(
            "write `\\\\{next}` for a backslash, or put the text in single quotes, in which it stands for itself"
        );
        words(format!("`\\{next}` is no escape sequence"), hint)
    }

    fn leading_zero(&self) -> Words {
        let digits = self.rest().split(|c: char| !c.is_ascii_digit()).next();
        let digits = digits.unwrap_or_default();
        let number = digits.trim_start_matches('0');
        words(
            "a number cannot start with `0`",
            format!("write `{number}`, or `\"{digits}\"` if it is a text"),
        )
    }
}

fn words(message: impl Into<String>, hint: impl Into<String>) -> Words {
    (message.into(), hint.into())
}
