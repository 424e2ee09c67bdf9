//! What `validate --json` says: a document for programs, with its schema in `schema/validate.json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Findings;
use crate::spec::{Diagnostic, Related, Severity, Sources};

/// Everything that was found in all files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "hop3-agent validate --json")]
pub struct Report {
    /// The version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub format: u32,
    /// How many files were looked at.
    pub files: usize,
    /// How many errors there are.
    pub errors: usize,
    /// How many notes there are.
    pub notes: usize,
    /// Errors first, then notes, each in the order of files and lines.
    pub diagnostics: Vec<Remark>,
}

/// One remark on one place of one file. Lines and columns count from 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Remark {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: String,
    /// The line where it begins.
    pub line: u32,
    /// The column where it begins.
    pub column: u32,
    /// The line where it ends; absent when the place is a file as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
    /// The column behind its last character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    /// The key as JSON pointer: `/run/start`; of a file of lines its line, `/3`; empty for a file as a whole.
    pub key: String,
    /// What is wrong: lower case, without a final period.
    pub message: String,
    /// What would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What stands beside the mark in an excerpt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Another place that explains this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Place>,
}

/// Another place of the same file, or of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line where it begins.
    pub line: u32,
    /// The column where it begins.
    pub column: u32,
    /// The line where it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
    /// The column behind its last character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    /// What stands beside it in an excerpt.
    pub label: String,
}

impl Report {
    /// The document of settled findings.
    pub fn new(findings: &Findings) -> Self {
        let (errors, notes) = findings.counts();
        let remarks = findings.diagnostics.iter();
        Self {
            format: 1,
            files: findings.files,
            errors,
            notes,
            diagnostics: remarks
                .map(|found| Remark::new(found, &findings.sources))
                .collect(),
        }
    }
}

impl Remark {
    fn new(found: &Diagnostic, sources: &Sources) -> Self {
        let end = found.end(sources);
        Self {
            severity: found.severity,
            file: found.position.file.clone(),
            line: found.position.line,
            column: found.position.column,
            end_line: end.map(|(line, _)| line),
            end_column: end.map(|(_, column)| column),
            key: found.key.clone(),
            message: found.message.clone(),
            hint: found.hint.clone(),
            label: found.label.clone(),
            related: found.related.as_ref().map(|it| Place::new(it, sources)),
        }
    }
}

impl Place {
    fn new(related: &Related, sources: &Sources) -> Self {
        let end = related.end(sources);
        Self {
            file: related.position.file.clone(),
            line: related.position.line,
            column: related.position.column,
            end_line: end.map(|(line, _)| line),
            end_column: end.map(|(_, column)| column),
            label: related.label.clone(),
        }
    }
}
