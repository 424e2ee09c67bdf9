//! Keys and sections that stand twice: where the first is.

use std::ops::Range;

use super::Slip;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::suggest::shortened;

impl Slip<'_> {
    pub(super) fn twice(&self) -> Diagnostic {
        let name = &self.source.text[self.span.clone()];
        let header = self.text().trim_start().starts_with('[');
        let what = if header { self.text().trim() } else { name };
        let diagnostic = self.told(
            format!("`{}` stands here a second time", shortened(what)),
            "remove one of the two, or merge them",
        );
        match self.first(header) {
            Some(span) => diagnostic.related(self.related(span, "it stands here first")),
            None => diagnostic,
        }
    }

    /// Where a key or section that stands twice stands first.
    fn first(&self, header: bool) -> Option<Range<usize>> {
        let before = &self.source.text[..self.row().start];
        let name = self.source.text[self.span.clone()].trim();
        let path = self.text().trim().trim_matches(['[', ']']);
        let mut at = 0;
        let mut found = None;
        for line in before.split_inclusive('\n') {
            let text = line.trim();
            let same = if header {
                opens(text, path)
            } else {
                key_of(text) == Some(name)
            };
            if !header && text.starts_with('[') {
                found = None;
            } else if same && (found.is_none() || !header) {
                let indent = line.len() - line.trim_start().len();
                found = found.or(Some(at + indent..at + indent + text.len()));
            }
            at += line.len();
        }
        found
    }
}

/// Whether a line makes a table of a path: by a header, by dots or in braces.
fn opens(line: &str, path: &str) -> bool {
    let header = line.starts_with('[') && line.trim_matches(['[', ']']) == path;
    let key = key_of(line);
    header || key.is_some_and(|key| key == path || key.starts_with(&format!("{path}.")))
}

fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    (!key.is_empty() && !key.starts_with(['#', '['])).then_some(key)
}
