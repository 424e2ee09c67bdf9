//! What is wrong with a file, where, and what would be right: as values for programs and, through [`render`], as excerpts for people.
//! It never decides what is wrong.

use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::Position;
use super::credential::{credentials, without_credentials};
use super::source::Source;

/// The longest line of which an excerpt is shown.
const EXCERPT_LIMIT: usize = 1000;

/// How bad it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used; a person may want to know.
    Note,
}

/// One remark on one place of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: lower case, without a final period.
    pub message: String,
    /// Where.
    pub position: Position,
    /// The bytes of the file that the excerpt marks, start and end; to the end of the line when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(usize, usize)>,
    /// What stands beside the mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The key as JSON pointer: `/run/start`; of a file of lines its line, `/3`; empty for the file as a whole.
    pub key: String,
    /// Whether the marked bytes may be a credential, so that no excerpt of the file shows them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redact: bool,
}

impl Diagnostic {
    /// An error at a place of a spec whose text is not at hand.
    pub fn error_at(position: Position, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            position,
            span: None,
            label: None,
            hint: None,
            key: String::new(),
            redact: false,
        }
    }

    /// A note at a place of a spec whose text is not at hand.
    pub fn note_at(position: Position, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Note,
            ..Self::error_at(position, message)
        }
    }

    /// Whether the file cannot be used because of this.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Whether it is about a file as a whole, and not about a place in it.
    pub fn concerns_all(&self) -> bool {
        self.span.is_none() && self.key.is_empty()
    }

    /// Sets the key that it is about.
    #[must_use]
    pub fn key(mut self, pointer: &str) -> Self {
        pointer.clone_into(&mut self.key);
        self
    }

    /// Sets what stands beside the mark.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets what would be right.
    #[must_use]
    pub fn hint(mut self, hint: impl IntoHint) -> Self {
        self.hint = hint.into_hint().or(self.hint);
        self
    }

    /// Hides the marked bytes in every excerpt.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.redact = true;
        self
    }
}

/// Remarks at the end of their way.
impl Diagnostic {
    /// Marks what stands at the position, if nothing is marked, and replaces what looks like a credential in all words.
    pub fn settle(&mut self, text: Option<&str>) {
        if let Some(text) = text.filter(|_| self.span.is_none() && !self.concerns_all()) {
            self.span = Some(standing_at(&self.position, text));
        }
        let words = [
            Some(&mut self.message),
            self.label.as_mut(),
            self.hint.as_mut(),
        ];
        for words in words.into_iter().flatten() {
            if let Some(harmless) = without_credentials(words) {
                *words = harmless;
            }
        }
    }

    /// The line and column behind the marked bytes.
    pub fn end(&self, text: &str) -> Option<(u32, u32)> {
        let (start, end) = self.span?;
        let marked = text.get(start..end)?;
        let count = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let lines = marked.bytes().filter(|b| *b == b'\n').count();
        let line = self
            .position
            .line
            .saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        let column = match marked.rsplit_once('\n') {
            Some((_, last)) => count(last).saturating_add(1),
            None => self.position.column.saturating_add(count(marked)),
        };
        Some((line, column))
    }
}

/// A hint, or none.
pub trait IntoHint {
    /// The hint as text.
    fn into_hint(self) -> Option<String>;
}

impl IntoHint for Option<String> {
    fn into_hint(self) -> Option<String> {
        self
    }
}

impl IntoHint for String {
    fn into_hint(self) -> Option<String> {
        Some(self)
    }
}

impl IntoHint for &str {
    fn into_hint(self) -> Option<String> {
        Some(self.to_owned())
    }
}

/// The most diagnostics of one file; a file with more mistakes is not helped by a longer list.
const MOST: usize = 100;

/// Cuts an endless list, saying so.
pub(crate) fn bounded(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if found.len() > MOST {
        let rest = found.len() - MOST;
        let at = found[MOST].position.clone();
        found.sort_by_key(|diagnostic| diagnostic.severity);
        found.truncate(MOST);
        let last = Diagnostic::error_at(at, format!("{rest} more mistakes are not shown"));
        found.push(Diagnostic {
            severity: Severity::Note,
            ..last
        });
    }
    found
}

/// The texts of files by path, for excerpts.
pub type Sources = BTreeMap<String, String>;

/// Diagnostics as people read them: a sentence, the excerpt with the place marked, the hint.
///
/// Guarantees: bytes that a diagnostic declares a possible credential appear in no excerpt.
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
        let text = masked.get(&diagnostic.position.file).map(String::as_str);
        let path = harmless(&diagnostic.position.file);
        out.push_str(&renderer.render(&[group(diagnostic, &path, text)]));
        out.push_str("\n\n");
    }
    out
}

/// The texts that excerpts come from, with what may be a credential covered.
fn mask(diagnostics: &[Diagnostic], sources: &Sources) -> Sources {
    let mut masked = Sources::new();
    for diagnostic in diagnostics {
        let file = &diagnostic.position.file;
        let Some(text) = sources.get(file) else {
            continue;
        };
        let text = masked.entry(file.clone()).or_insert_with(|| covered(text));
        if let Some((start, end)) = diagnostic.span.filter(|_| diagnostic.redact) {
            cover(text, start..end);
        }
    }
    masked
}

fn covered(text: &str) -> String {
    let mut covered = text.to_owned();
    for range in credentials(text) {
        cover(&mut covered, range);
    }
    covered
}

/// Puts stars over bytes; lines and places stay.
fn cover(text: &mut String, range: Range<usize>) {
    let star = |b| if b == b'\n' { '\n' } else { '*' };
    let stars: String = text[range.clone()].bytes().map(star).collect();
    text.replace_range(range, &stars);
}

/// A path without characters that a terminal would act on. Words and excerpts are cleaned by the renderer.
fn harmless(path: &str) -> String {
    let acts =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    path.replace(acts, "\u{fffd}")
}

fn group<'a>(diagnostic: &'a Diagnostic, path: &'a str, text: Option<&'a str>) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(diagnostic.message.as_str());
    let group = match text.and_then(|text| Excerpt::of(diagnostic, text)) {
        Some(excerpt) => title.element(excerpt.snippet(diagnostic, path)),
        None => title.element(origin(diagnostic, path)),
    };
    match &diagnostic.hint {
        Some(hint) => group.element(Level::HELP.with_name("hint").message(hint.as_str())),
        None => group,
    }
}

/// A place without its text. A file as a whole has no line.
fn origin<'a>(diagnostic: &Diagnostic, path: &'a str) -> Origin<'a> {
    let position = &diagnostic.position;
    if diagnostic.concerns_all() {
        return Origin::path(path);
    }
    Origin::path(path)
        .line(position.line as usize)
        .char_column(position.column as usize)
}

/// The lines around a mark.
struct Excerpt<'a> {
    text: &'a str,
    mark: Range<usize>,
}

impl<'a> Excerpt<'a> {
    /// The first marked line; none for a file without text or with an endless line, and for a remark on a file as a whole.
    fn of(diagnostic: &Diagnostic, text: &'a str) -> Option<Self> {
        if diagnostic.concerns_all() {
            return None;
        }
        let marked = diagnostic.span;
        let (start, end) = marked.unwrap_or_else(|| whole_line(&diagnostic.position, text));
        let start = start.min(text.len());
        let from = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let to = text[start..].find('\n').map_or(text.len(), |at| start + at);
        if text.is_empty() || to - from > EXCERPT_LIMIT {
            return None;
        }
        Some(Self {
            text: &text[from..to],
            mark: start - from..end.clamp(start, to) - from,
        })
    }

    fn snippet(
        self,
        diagnostic: &'a Diagnostic,
        path: &'a str,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let mark = AnnotationKind::Primary
            .span(self.mark)
            .label(diagnostic.label.as_deref());
        Snippet::source(self.text)
            .line_start(diagnostic.position.line as usize)
            .path(path)
            .annotation(mark)
    }
}

/// The value, or the key with its short value, that begins at a position, in bytes.
fn standing_at(position: &Position, text: &str) -> (usize, usize) {
    let (start, end) = whole_line(position, text);
    let rest = &text[start..end];
    let key = value_length(rest);
    let after = rest[key..].trim_start();
    let Some(value) = after.strip_prefix('=').map(str::trim_start) else {
        return (start, start + key);
    };
    let short =
        !value.starts_with(['[', '{']) && !value.starts_with("\"\"\"") && !value.starts_with("'''");
    if short && !value.is_empty() {
        (start, end - value.len() + value_length(value))
    } else {
        (start, start + key)
    }
}

/// How long the text or word is with which a line begins.
fn value_length(line: &str) -> usize {
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
