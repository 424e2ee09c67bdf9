//! How a draft says what it finds: errors, notes, conflicts and what is not built, each with its place. It decides nothing.

use super::Draft;
use crate::spec::app::{Position, Unbuilt};
use crate::spec::diagnostic::{Diagnostic, ENOUGH, IntoHint, Related};
use crate::spec::tree::Tree;

impl Draft<'_> {
    /// Whether the schema refused this, or something within, so that nothing can be concluded from its absence.
    pub(super) fn in_doubt(&self, pointer: &str) -> bool {
        self.faulty.iter().any(|faulty| {
            faulty == pointer
                || faulty
                    .strip_prefix(pointer)
                    .is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// Tells an error. Beyond enough of them, more are only counted.
    pub(super) fn tell(&mut self, error: impl FnOnce(&Tree) -> Diagnostic) {
        if self.told < ENOUGH {
            self.found.push(error(self.tree));
            self.told += 1;
        } else {
            self.omitted += 1;
        }
    }

    /// Tells a note, unless there are enough of them.
    pub(super) fn remark(&mut self, note: impl FnOnce(&Tree) -> Diagnostic) {
        if self.remarked < ENOUGH {
            self.found.push(note(self.tree));
            self.remarked += 1;
        }
    }

    pub(super) fn error(&mut self, pointer: &str, message: impl Into<String>, hint: impl IntoHint) {
        self.tell(|tree| tree.error(pointer, message).hint(hint));
    }

    pub(super) fn key_error(
        &mut self,
        pointer: &str,
        message: impl Into<String>,
        hint: impl IntoHint,
    ) {
        self.tell(|tree| tree.key_error(pointer, message).hint(hint));
    }

    pub(super) fn note(&mut self, pointer: &str, message: impl Into<String>) {
        self.remark(|tree| tree.note(pointer, message));
    }

    /// An error at a value that is explained by another one.
    pub(super) fn conflict(
        &mut self,
        pointer: &str,
        (other, label): (&str, &str),
        words: (String, String),
    ) {
        self.tell(|tree| {
            let found = tree.error(pointer, words.0).hint(words.1);
            found.related(related(tree, other, label))
        });
    }

    pub(super) fn position(&self, pointer: &str) -> Position {
        self.tree
            .source
            .position(self.tree.place(pointer).key.start)
    }

    pub(super) fn unbuilt(&mut self, pointer: &str, what: impl Into<String>) {
        let at = self.position(pointer);
        self.unbuilt.push(Unbuilt {
            what: what.into(),
            at,
        });
    }
}

/// The key of another place, with what it has to do with this one.
pub(super) fn related(tree: &Tree, pointer: &str, label: &str) -> Related {
    tree.source.related(tree.place(pointer).key, label)
}
