//! Diagnostics as people read them: a sentence, the excerpt with the places marked, the hint. It never shows what may be a credential.

use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::app::Position;
use super::credentials;
use super::diagnostic::{Diagnostic, Related, Severity};
use super::source::Source;

/// The longest line of which an excerpt is shown.
const EXCERPT_LIMIT: usize = 1000;

/// The texts of files by path, for excerpts.
pub type Sources = BTreeMap<String, String>;

/// Diagnostics as people read them: a sentence, the excerpt with the place marked, the hint.
///
/// Guarantees: bytes that a diagnostic declares a possible credential appear in no excerpt, nor does anything else that looks like one.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let masked = mask(diagnostics, sources);
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&renderer.render(&[group(diagnostic, &masked)]));
        out.push_str("\n\n");
    }
    out
}

/// The texts of the files that are told of, with stars for what must not be shown. Lengths stay.
fn mask(diagnostics: &[Diagnostic], sources: &Sources) -> Sources {
    let related = diagnostics.iter().filter_map(|d| d.related.as_ref());
    let told = diagnostics.iter().map(|d| &d.position.file);
    let told = told.chain(related.map(|related| &related.position.file));
    let mut masked: Sources = told
        .filter_map(|file| Some((file.clone(), sources.get(file)?.clone())))
        .collect();
    for text in masked.values_mut() {
        for range in credentials::within(text) {
            hide(text, range);
        }
    }
    for diagnostic in diagnostics.iter().filter(|d| d.redact) {
        let text = masked.get_mut(&diagnostic.position.file);
        if let (Some(text), Some((start, end))) = (text, diagnostic.span) {
            hide(text, start..end);
        }
    }
    masked
}

fn hide(text: &mut String, range: Range<usize>) {
    let hidden = text[range.clone()].bytes();
    let stars: String = hidden
        .map(|b| if b == b'\n' { '\n' } else { '*' })
        .collect();
    text.replace_range(range, &stars);
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Note => Level::NOTE,
    };
    let group = Group::with_title(level.primary_title(diagnostic.message.as_str()));
    let primary = Mark::of(diagnostic, sources);
    let second = diagnostic.related.as_ref();
    let second = second.and_then(|related| Mark::second(related, sources));
    let group = match (primary, second) {
        (Some(primary), Some(second)) if primary.file == second.file => {
            group.element(snippet(&[primary, second]))
        }
        (Some(primary), Some(second)) => group
            .element(snippet(&[primary]))
            .element(snippet(&[second])),
        (Some(primary), None) => group.element(snippet(&[primary])),
        (None, _) => group.element(origin(&diagnostic.position)),
    };
    match &diagnostic.hint {
        Some(hint) => group.element(Level::HELP.with_name("hint").message(hint.as_str())),
        None => group,
    }
}

fn origin(position: &Position) -> Origin<'_> {
    Origin::path(position.file.as_str())
        .line(position.line as usize)
        .char_column(position.column as usize)
}

/// A marked place of a text that can be shown.
struct Mark<'a> {
    file: &'a str,
    text: &'a str,
    line: usize,
    span: Range<usize>,
    label: Option<&'a str>,
    kind: AnnotationKind,
}

impl<'a> Mark<'a> {
    fn of(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Option<Self> {
        let text = sources.get(&diagnostic.position.file)?;
        let span = marked(&diagnostic.position, diagnostic.span, text)?;
        Some(Self {
            file: &diagnostic.position.file,
            text,
            line: diagnostic.position.line as usize,
            span,
            label: diagnostic.label.as_deref(),
            kind: AnnotationKind::Primary,
        })
    }

    fn second(related: &'a Related, sources: &'a Sources) -> Option<Self> {
        let text = sources.get(&related.position.file)?;
        Some(Self {
            file: &related.position.file,
            text,
            line: related.position.line as usize,
            span: marked(&related.position, related.span, text)?,
            label: Some(&related.label),
            kind: AnnotationKind::Context,
        })
    }

    /// The bytes of its line.
    fn row(&self) -> Range<usize> {
        row(self.text, self.span.start)
    }
}

/// The marked bytes of the first marked line; none for a file without text or with an endless line.
fn marked(position: &Position, span: Option<(usize, usize)>, text: &str) -> Option<Range<usize>> {
    let (start, end) = span.unwrap_or_else(|| whole_line(position, text));
    let start = text.floor_char_boundary(start.min(text.len()));
    let row = row(text, start);
    let shown = !text.is_empty() && row.len() <= EXCERPT_LIMIT;
    shown.then(|| start..text.floor_char_boundary(end.clamp(start, row.end)))
}

/// The line around a byte.
fn row(text: &str, at: usize) -> Range<usize> {
    let from = text[..at].rfind('\n').map_or(0, |before| before + 1);
    let to = text[at..].find('\n').map_or(text.len(), |after| at + after);
    from..to
}

/// The lines from the first mark to the last, those in between folded.
fn snippet<'a>(marks: &[Mark<'a>]) -> Snippet<'a, Annotation<'a>> {
    let rows = || marks.iter().map(Mark::row);
    let from = rows().map(|row| row.start).min().unwrap_or_default();
    let to = rows().map(|row| row.end).max().unwrap_or_default();
    let line = marks.iter().map(|mark| mark.line).min().unwrap_or(1);
    let first = &marks[0];
    let annotations = marks.iter().map(|mark| {
        let span = mark.span.start - from..mark.span.end - from;
        mark.kind.span(span).label(mark.label)
    });
    Snippet::source(&first.text[from..to])
        .line_start(line)
        .path(first.file)
        .fold(true)
        .annotations(annotations)
}

/// From a position to the end of its line, in bytes.
fn whole_line(position: &Position, text: &str) -> (usize, usize) {
    let source = Source::new(&position.file, text);
    let line = source.line((position.line as usize).clamp(1, source.lines()));
    let before: usize = text[line.clone()]
        .chars()
        .take(position.column as usize - 1)
        .map(char::len_utf8)
        .sum();
    (line.start + before, line.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::source::Source;

    fn sources(source: &Source) -> Sources {
        Sources::from([(source.file.clone(), source.text.clone())])
    }

    #[test]
    fn an_excerpt_marks_the_place_and_tells_what_would_be_right() {
        let source = Source::new("apps/shop/hop3.toml", "[run]\nstrat = \"é\"\n");
        let found = source
            .error(6..11, "unknown key `strat` in `[run]`")
            .label("not a key")
            .hint("did you mean `start`?");
        let text = render(&[found], &sources(&source), false);
        insta::assert_snapshot!(text, @r#"
        error: unknown key `strat` in `[run]`
         --> apps/shop/hop3.toml:2:1
          |
        2 | strat = "é"
          | ^^^^^ not a key
          |
          = hint: did you mean `start`?
        "#);
    }

    #[test]
    fn t27_a_possible_credential_is_in_no_excerpt() {
        let source = Source::new("hop3.toml", "[env]\nA = \"sk_live_canary\"\n");
        let hidden = source.error(10..26, "looks like a credential").redacted();
        let beside = source.note(6..7, "beside it");
        let text = render(&[beside, hidden], &sources(&source), false);
        assert!(!text.contains("canary"), "{text}");
    }

    #[test]
    fn an_endless_line_is_named_but_not_shown() {
        let source = Source::new("hop3.toml", &format!("a = \"{}\"", "x".repeat(5000)));
        let text = render(&[source.error(4..20, "too long")], &sources(&source), false);
        assert!(text.contains("hop3.toml:1:5") && text.len() < 200, "{text}");
    }
}
