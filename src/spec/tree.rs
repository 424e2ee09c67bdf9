//! From bytes to a tree that knows where everything stands. It judges syntax and size, never meaning.
//!
//! Guarantees: one walk gives both the values and their places; hostile input ends in an error with a line, in time that grows with the
//! file's size only.

use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::source::{Source, text_of};
use super::syntax;

/// The deepest nesting of tables and arrays.
const DEPTH_LIMIT: usize = 32;
/// The most keys and array items of one file.
const NODE_LIMIT: usize = 10_000;
/// The most mistakes of this kind that are told of one file.
const ERROR_LIMIT: usize = 20;

/// Where one value stands, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its key; for an array's item the item itself.
    pub(crate) key: Range<usize>,
    /// Its value.
    pub(crate) value: Range<usize>,
}

/// A TOML file as values and places, both by JSON pointer.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The file.
    pub(crate) source: Arc<Source>,
    /// Its content; always an object.
    pub(crate) value: Value,
    /// Where everything stands.
    pub(crate) places: Arc<Places>,
}

/// Where every value of a file stands, by JSON pointer, in the order of pointers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Places(Vec<(String, Place)>);

impl Places {
    fn new(mut places: Vec<(String, Place)>) -> Self {
        places.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Self(places)
    }

    /// Where one value stands.
    pub(crate) fn get(&self, pointer: &str) -> Option<&Place> {
        let found = self
            .0
            .binary_search_by(|(known, _)| known.as_str().cmp(pointer));
        found.ok().map(|index| &self.0[index].1)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.0
            .iter()
            .map(|(pointer, place)| (pointer.as_str(), place))
    }
}

impl Tree {
    /// Reads a file. Syntax errors come all at once, and then nothing else is said of the file.
    pub(crate) fn read(file: &str, bytes: &[u8]) -> Result<Self, Vec<Diagnostic>> {
        let source = Arc::new(text_of(file, bytes)?);
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        if !errors.is_empty() {
            return Err(syntax::diagnostics(&source, &errors));
        }
        let mut walk = Walk {
            places: Vec::new(),
            nodes: 0,
            problems: Vec::new(),
        };
        let value = walk.table(table.get_ref(), "", 0);
        let Walk {
            places, problems, ..
        } = walk;
        if problems.is_empty() {
            return Ok(Self {
                source,
                value,
                places: Arc::new(Places::new(places)),
            });
        }
        Err(problems
            .into_iter()
            .map(|(span, message, hint)| source.error(span, message).hint(hint))
            .collect())
    }

    /// Where a pointer stands: itself, else the nearest value around it, else the file's first byte.
    pub(crate) fn place(&self, pointer: &str) -> Place {
        let mut at = pointer;
        loop {
            if let Some(place) = self.places.get(at) {
                return place.clone();
            }
            match at.rsplit_once('/') {
                Some((parent, _)) if !parent.is_empty() => at = parent,
                _ => {
                    return Place {
                        key: 0..0,
                        value: 0..0,
                    };
                }
            }
        }
    }

    /// Every pointer with its place, in pointer order.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.places.iter()
    }

    /// An error that marks a value.
    pub(crate) fn error(&self, pointer: &str, message: impl Into<String>) -> Diagnostic {
        self.source
            .error(self.place(pointer).value, message)
            .key(pointer)
    }

    /// An error that marks a key.
    pub(crate) fn key_error(&self, pointer: &str, message: impl Into<String>) -> Diagnostic {
        self.source
            .error(self.place(pointer).key, message)
            .key(pointer)
    }

    /// A note that marks a value.
    pub(crate) fn value_note(&self, pointer: &str, message: impl Into<String>) -> Diagnostic {
        self.source
            .note(self.place(pointer).value, message)
            .key(pointer)
    }

    /// A note that marks a key.
    pub(crate) fn note(&self, pointer: &str, message: impl Into<String>) -> Diagnostic {
        self.source
            .note(self.place(pointer).key, message)
            .key(pointer)
    }
}

/// One step of a JSON pointer, escaped.
pub(crate) fn escape(key: &str) -> String {
    if key.contains(['~', '/']) {
        key.replace('~', "~0").replace('/', "~1")
    } else {
        key.to_owned()
    }
}

/// The pointer of a key in a table.
fn below(table: &str, key: &str) -> String {
    let mut pointer = String::with_capacity(table.len() + 1 + key.len());
    pointer.push_str(table);
    pointer.push('/');
    if key.contains(['~', '/']) {
        pointer.push_str(&escape(key));
    } else {
        pointer.push_str(key);
    }
    pointer
}

/// One step of a JSON pointer, as the key was written.
pub(crate) fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

type Problem = (Range<usize>, String, Option<String>);

struct Walk {
    places: Vec<(String, Place)>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl Walk {
    fn table(&mut self, table: &DeTable<'_>, at: &str, depth: usize) -> Value {
        let mut map = Map::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let pointer = below(at, name);
            let place = Place {
                key: key.span(),
                value: value.span(),
            };
            if let Some(value) = self.node(value.get_ref(), place, pointer, depth) {
                map.insert(name.to_owned(), value);
            }
        }
        Value::Object(map)
    }

    fn node(
        &mut self,
        value: &DeValue<'_>,
        place: Place,
        pointer: String,
        depth: usize,
    ) -> Option<Value> {
        self.nodes += 1;
        if self.nodes == NODE_LIMIT + 1 {
            self.problem(
                &place,
                format!("the file has more than {NODE_LIMIT} keys and items"),
                Some("keep data out of the spec, for example in a file beside it".to_owned()),
            );
        }
        if self.nodes > NODE_LIMIT {
            return None;
        }
        if depth >= DEPTH_LIMIT {
            self.problem(
                &place,
                format!("tables and arrays are nested deeper than {DEPTH_LIMIT}"),
                Some("no key needs so many levels".to_owned()),
            );
            return None;
        }
        let json = self.value(value, &place, &pointer, depth);
        self.places.push((pointer, place));
        json
    }

    fn value(
        &mut self,
        value: &DeValue<'_>,
        place: &Place,
        pointer: &str,
        depth: usize,
    ) -> Option<Value> {
        Some(match value {
            DeValue::String(text) => Value::String(text.clone().into_owned()),
            DeValue::Boolean(yes) => Value::Bool(*yes),
            DeValue::Table(table) => self.table(table, pointer, depth + 1),
            DeValue::Array(items) => {
                let items = items.iter().enumerate().filter_map(|(index, item)| {
                    let place = Place {
                        key: item.span(),
                        value: item.span(),
                    };
                    self.node(
                        item.get_ref(),
                        place,
                        format!("{pointer}/{index}"),
                        depth + 1,
                    )
                });
                Value::Array(items.collect())
            }
            DeValue::Integer(_) | DeValue::Float(_) => {
                let number = number(value);
                if number.is_none() {
                    self.problem(
                        place,
                        "this number is too large or not finite".to_owned(),
                        Some("put it in quotes if a text is meant".to_owned()),
                    );
                }
                Value::Number(number?)
            }
            DeValue::Datetime(_) => {
                let hint = "put it in quotes if a text is meant".to_owned();
                self.problem(
                    place,
                    "no key takes a date or a time".to_owned(),
                    Some(hint),
                );
                return None;
            }
        })
    }

    fn problem(&mut self, place: &Place, message: String, hint: Option<String>) {
        if self.problems.len() < ERROR_LIMIT {
            self.problems.push((place.value.clone(), message, hint));
        }
    }
}

fn number(value: &DeValue<'_>) -> Option<Number> {
    match value {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .map(Number::from),
        DeValue::Float(float) => float.as_str().parse().ok().and_then(Number::from_f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(bytes: &[u8]) -> Vec<(u32, u32, String)> {
        Tree::read("hop3.toml", bytes)
            .expect_err("hostile input is refused")
            .into_iter()
            .map(|d| (d.position.line, d.position.column, d.message))
            .collect()
    }

    #[test]
    fn every_value_knows_its_place() {
        let tree = Tree::read(
            "hop3.toml",
            "\"é\" = 1\n[run]\nworkers.\"a/b\" = [\"x\", 'y']\n".as_bytes(),
        )
        .unwrap();
        assert_eq!(tree.value["run"]["workers"]["a/b"][1], "y");
        let item = tree.place("/run/workers/a~1b/1").value;
        assert_eq!(&tree.source.text[item], "'y'");
        let place = tree.place("/é");
        assert_eq!(
            tree.source.position(place.value.start).column,
            7,
            "columns count characters"
        );
    }

    #[test]
    fn t39_size_encoding_and_marks_are_refused_with_their_line() {
        let big = format!("a = \"{}\"", "x".repeat(300 * 1024));
        assert!(errors(big.as_bytes())[0].2.contains("more than the 262144"));
        assert_eq!(
            errors(b"\xef\xbb\xbfa = 1")[0],
            (1, 1, "the file starts with a byte order mark".into())
        );
        assert_eq!(
            errors(b"a = 1\nb = \"\xff\"\n")[0],
            (2, 6, "the file is not valid UTF-8: the byte 0xff".into())
        );
    }

    #[test]
    fn t39_bombs_end_early_with_a_line() {
        let started = std::time::Instant::now();
        let brackets = format!("\na = {}", "[".repeat(100_000));
        assert_eq!(errors(brackets.as_bytes())[0].0, 2);
        let dotted = format!("\n\n{}b = 1", "a.".repeat(10_000));
        assert_eq!(errors(dotted.as_bytes())[0].0, 3);
        let header = format!("[{}b]\nc = 1", "a.".repeat(40));
        assert!(
            errors(header.as_bytes())[0]
                .2
                .contains("nested deeper than 32")
        );
        let keys = (0..30_000).fold(String::new(), |text, i| text + &format!("k{i}=1\n"));
        let found = errors(keys.as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].2, "the file has more than 10000 keys and items");
        assert!(
            started.elapsed().as_secs() < 5,
            "took {:?}",
            started.elapsed()
        );
    }

    #[test]
    fn several_syntax_errors_come_at_once() {
        let found = errors(b"a = \nb = 1\nb = 2\nc = [1, 2\n");
        assert!(found.len() >= 2, "{found:?}");
        assert_eq!(found[0].0, 1);
    }

    #[test]
    fn dates_and_endless_numbers_are_refused_where_they_stand() {
        let found = errors(b"a = 1979-05-27\nb = nan\nc = 99999999999999999999\n");
        assert_eq!(
            found.iter().map(|f| (f.0, f.1)).collect::<Vec<_>>(),
            [(1, 5), (2, 5), (3, 5)]
        );
    }
}
