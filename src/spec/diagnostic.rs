//! What is wrong with a file, where, and what would be right, as values; [`super::render`] shows them to people. It never decides what is
//! wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::Position;

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
    /// Another place that explains this one: where a name stands first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
    /// The key as JSON pointer: `/run/start`; empty for the file as a whole.
    pub key: String,
    /// Whether the marked bytes may be a credential, so that no excerpt of the file shows them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redact: bool,
}

/// A second place of a remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Related {
    /// Where.
    pub position: Position,
    /// The bytes of the file that the excerpt marks, start and end; to the end of the line when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(usize, usize)>,
    /// What stands beside the mark.
    pub label: String,
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
            related: None,
            key: String::new(),
            redact: false,
        }
    }

    /// Whether the file cannot be used because of this.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
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

    /// Sets the other place that explains this one.
    #[must_use]
    pub fn related(mut self, related: Related) -> Self {
        self.related = Some(related);
        self
    }

    /// Hides the marked bytes in every excerpt.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.redact = true;
        self
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

/// When this many are found, the rest is only counted.
pub(crate) const ENOUGH: usize = 2 * MOST;

/// Cuts an endless list, saying so; `omitted` are those that were only counted.
pub(crate) fn bounded(mut found: Vec<Diagnostic>, omitted: usize) -> Vec<Diagnostic> {
    let rest = found.len().saturating_sub(MOST) + omitted;
    if rest == 0 {
        return found;
    }
    found.sort_by_key(|diagnostic| diagnostic.severity);
    let at = found.get(MOST).or(found.last());
    let at = at.map(|diagnostic| diagnostic.position.clone());
    found.truncate(MOST);
    found.extend(at.map(|at| Diagnostic {
        severity: Severity::Note,
        ..Diagnostic::error_at(
            at,
            format!("{rest} more remarks on this file are not shown"),
        )
    }));
    found
}
