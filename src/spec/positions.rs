//! Where the keys of an app stand: worked out when somebody asks, for of most apps nobody ever does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::app::Position;
use super::source::Source;
use super::tree::{Place, Places};

/// The places of a spec's keys by JSON pointer, and those of what a Procfile adds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions {
    spec: Option<Spec>,
    further: BTreeMap<String, Position>,
}

/// The spec as it was read; shared by all who know the app.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spec {
    source: Arc<Source>,
    places: Arc<Places>,
}

impl Positions {
    /// The positions of a spec.
    pub(crate) fn new(source: &Arc<Source>, places: &Arc<Places>) -> Self {
        Self {
            spec: Some(Spec {
                source: Arc::clone(source),
                places: Arc::clone(places),
            }),
            further: BTreeMap::new(),
        }
    }

    /// Adds a key that stands elsewhere, unless the spec has it.
    pub(crate) fn add(&mut self, pointer: String, at: Position) {
        if !self.has(&pointer) {
            self.further.insert(pointer, at);
        }
    }

    /// Where a key stands.
    pub fn get(&self, pointer: &str) -> Option<Position> {
        let of_spec = self.spec.as_ref().and_then(|spec| spec.get(pointer));
        of_spec.or_else(|| self.further.get(pointer).cloned())
    }

    /// Whether a key stands anywhere.
    pub fn has(&self, pointer: &str) -> bool {
        let of_spec = self.spec.as_ref();
        of_spec.is_some_and(|spec| spec.places.get(pointer).is_some())
            || self.further.contains_key(pointer)
    }

    /// Every key, as JSON pointer.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        let of_spec = self.spec.iter().flat_map(|spec| spec.places.iter());
        of_spec
            .map(|(pointer, _)| pointer)
            .chain(self.further.keys().map(String::as_str))
    }

    /// The innermost key that stands at a place.
    pub fn pointer(&self, at: &Position) -> Option<&str> {
        let standing = self
            .pointers()
            .filter(|pointer| self.get(pointer).as_ref() == Some(at));
        standing.max_by_key(|pointer| pointer.len())
    }
}

impl Spec {
    fn get(&self, pointer: &str) -> Option<Position> {
        let Place { key, .. } = self.places.get(pointer)?;
        Some(self.source.position(key.start))
    }
}
