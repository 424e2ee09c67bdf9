//! The text of one file: whether it is one at all, and where its lines begin.

use std::ops::Range;

use super::app::Position;
use super::diagnostic::{Diagnostic, Related, Severity};

/// The largest file that is read.
const SIZE_LIMIT: usize = 256 * 1024;
/// Bytes between two places up to which characters are counted, so that a column costs the same on an endless line.
const STRIDE: usize = 1024;

/// The text of one file, and where its lines begin.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Its path from the repo's root.
    pub(crate) file: String,
    /// Its text.
    pub(crate) text: String,
    lines: Vec<usize>,
    /// How many characters begin before each multiple of [`STRIDE`].
    counted: Vec<usize>,
}

impl Source {
    /// Indexes a text.
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0)
            .chain(ends.map(|(at, _)| at + 1))
            .collect();
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            lines,
            counted: counted(text.as_bytes()),
        }
    }

    /// The line and column of a byte.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.lines.partition_point(|start| *start <= offset);
        let column =
            self.characters_before(offset) - self.characters_before(self.lines[line - 1]) + 1;
        Position {
            file: self.file.clone(),
            line: small(line),
            column: small(column),
        }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let mark = offset / STRIDE;
        self.counted[mark] + characters(&self.text.as_bytes()[mark * STRIDE..offset])
    }

    /// How many lines it has.
    pub(crate) fn lines(&self) -> usize {
        self.lines.len()
    }

    /// The bytes of a line without its end, counted from 1.
    pub(crate) fn line(&self, line: usize) -> Range<usize> {
        let start = self.lines[line - 1];
        let end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |length| start + length);
        start..end
    }

    /// An error at a place.
    pub(crate) fn error(&self, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Error, span, message.into())
    }

    /// A note at a place.
    pub(crate) fn note(&self, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Severity::Note, span, message.into())
    }

    /// Another place of a remark.
    pub(crate) fn related(&self, span: Range<usize>, label: &str) -> Related {
        Related {
            position: self.position(span.start),
            span: Some((span.start, span.end)),
            label: label.to_owned(),
        }
    }

    fn diagnostic(&self, severity: Severity, span: Range<usize>, message: String) -> Diagnostic {
        let diagnostic = Diagnostic::error_at(self.position(span.start), message);
        Diagnostic {
            severity,
            span: Some((span.start, span.end)),
            ..diagnostic
        }
    }
}

fn counted(text: &[u8]) -> Vec<usize> {
    let mut sum = 0;
    let sums = text.chunks(STRIDE).map(|chunk| {
        sum += characters(chunk);
        sum
    });
    std::iter::once(0).chain(sums).collect()
}

/// How many characters begin in these bytes: all but continuations begin one.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The text of a file, if it is one: of bounded size, in UTF-8, without a byte order mark.
pub(crate) fn text_of(file: &str, bytes: &[u8]) -> Result<Source, Vec<Diagnostic>> {
    let refuse = |text: &str, at: Range<usize>, message: String, hint: &str| {
        Err(vec![Source::new(file, text).error(at, message).hint(hint)])
    };
    if bytes.len() > SIZE_LIMIT {
        let message = format!(
            "the file has {} bytes, more than the {SIZE_LIMIT} that are read",
            bytes.len()
        );
        return refuse(
            "",
            0..0,
            message,
            "keep data out of the spec, for example in a file beside it",
        );
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with('\u{feff}') => refuse(
            text,
            0..'\u{feff}'.len_utf8(),
            "the file starts with a byte order mark".to_owned(),
            "save it as UTF-8 without a byte order mark",
        ),
        Ok(text) => Ok(Source::new(file, text)),
        Err(error) => {
            let text = String::from_utf8_lossy(bytes);
            let at = error.valid_up_to();
            refuse(
                &text,
                at..at + '\u{fffd}'.len_utf8(),
                format!("the file is not valid UTF-8: the byte 0x{:02x}", bytes[at]),
                "save it as UTF-8",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_on_a_line_of_any_length() {
        let text = format!("\n{}x", "é".repeat(5000));
        let source = Source::new("hop3.toml", &text);
        for characters in [0, 1, 511, 512, 1023, 1024, 5000] {
            let position = source.position(1 + 2 * characters);
            let column = u32::try_from(characters).unwrap() + 1;
            assert_eq!((position.line, position.column), (2, column));
        }
        assert_eq!(source.position(text.len()).column, 5002);
        assert_eq!(Source::new("f", "").position(0).column, 1);
        assert_eq!(
            Source::new("f", &"x".repeat(STRIDE))
                .position(STRIDE)
                .column,
            1025
        );
    }
}
