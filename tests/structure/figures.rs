//! The figures in ARCHITECTURE.md hold: how long files and functions are. They are counted as people see them, from the lines of formatted source.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{section, text, tracked_files};

/// The longest that a file may be without a reason in ARCHITECTURE.md.
const FILE_LIMIT: usize = 400;

/// Apps that tests build are written as their authors would write them.
const OF_OTHERS: [&str; 2] = ["tests/apps", "tests/fixtures"];

/// Every Rust file of the project, with its text.
fn sources() -> Vec<(String, String)> {
    let files = tracked_files().into_iter();
    let own = files.filter(|file| !OF_OTHERS.iter().any(|folder| file.starts_with(folder)));
    let rust = own.filter(|file| file.extension().is_some_and(|ending| ending == "rs"));
    rust.map(|file| (file.display().to_string(), text(&file)))
        .collect()
}

/// Rows of the tables in the section `Figures`, cell by cell.
fn rows() -> Vec<Vec<String>> {
    let section = section("Figures");
    let rows = section.lines().filter(|line| line.starts_with("| "));
    rows.map(|row| {
        let cells = row.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    })
    .collect()
}

/// Files that ARCHITECTURE.md lets be longer, with the reason.
fn exceptions() -> BTreeMap<String, String> {
    let listed = rows().into_iter().filter_map(|row| match row.as_slice() {
        [file, reason] if file.ends_with(".rs`") => {
            Some((file.trim_matches('`').to_owned(), reason.clone()))
        }
        _ => None,
    });
    listed.collect()
}

#[test]
fn files_are_short_or_have_a_reason_in_the_architecture() {
    let exceptions = exceptions();
    let mut long = BTreeMap::new();
    for (file, source) in sources() {
        let lines = source.lines().count();
        if lines > FILE_LIMIT {
            long.insert(file, lines);
        }
    }
    for (file, lines) in &long {
        assert!(
            exceptions.contains_key(file),
            "`{file}` has {lines} lines: split it where it holds two rooms, or say in ARCHITECTURE.md why it is longer than {FILE_LIMIT}"
        );
    }
    for (file, reason) in exceptions {
        assert!(
            long.contains_key(&file),
            "`{file}` is short now and needs no exception"
        );
        assert!(!reason.is_empty(), "`{file}` needs a reason");
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for (file, source) in sources() {
        let first = source.lines().next().unwrap_or_default();
        assert!(first.starts_with("//!"), "`{file}` begins with `{first}`");
    }
}

/// How long the functions of a tree are, tests left out.
struct Lengths(Vec<(usize, String)>);

impl Lengths {
    fn of(tree: &str) -> Self {
        let mut all = Vec::new();
        for (file, source) in sources() {
            let path = Path::new(&file);
            let tests = path.components().any(|part| part.as_os_str() == "tests");
            if path.starts_with(tree) && !tests {
                let own = source.split("\n#[cfg(test)]\nmod ").next();
                collect(&file, own.unwrap_or_default(), &mut all);
            }
        }
        all.sort();
        assert!(all.len() > 1000, "{tree}: {}", all.len());
        Self(all)
    }

    /// The length that a part of all functions keeps to.
    fn at(&self, hundredths: usize) -> usize {
        self.0[self.0.len() * hundredths / 100].0
    }
}

/// Every function of a source: in formatted code it ends with a brace as far to the right as its first word.
fn collect(file: &str, source: &str, all: &mut Vec<(usize, String)>) {
    let lines: Vec<&str> = source.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let last = format!("{}}}", &line[..indent]);
        let body = &lines[start..];
        let without_body = body
            .iter()
            .take_while(|line| !line.ends_with('{'))
            .any(|line| line.ends_with(';'));
        let end = body.iter().position(|line| *line == last);
        let length = match end {
            _ if without_body => continue,
            _ if line.ends_with('}') => 1,
            end => end.unwrap_or_else(|| panic!("`{name}` in `{file}` does not end")) + 1,
        };
        all.push((length, format!("{file}: {name}")));
    }
}

/// The name of a function that begins on a line.
fn function(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let known = |word: &&str| {
        matches!(*word, "pub" | "const" | "async" | "default" | "unsafe")
            || word.starts_with("pub(")
    };
    let first = words.find(|word| !known(word) && *word != "super)" && *word != "crate)")?;
    let name = words.next().filter(|_| first == "fn")?;
    name.split(['(', '<']).next()
}

/// What the table says of a figure, for `src` and `plugins`.
fn written(figure: &str) -> [usize; 2] {
    let rows = rows();
    let row = rows.iter().find(|row| row[0] == figure);
    let row = row.unwrap_or_else(|| panic!("there is no figure `{figure}` in ARCHITECTURE.md"));
    [1, 2].map(|column| row[column].parse().expect("a figure is a number"))
}

#[test]
fn functions_are_as_short_as_the_architecture_says() {
    for (column, tree) in ["src", "plugins"].into_iter().enumerate() {
        let lengths = Lengths::of(tree);
        for (figure, hundredths) in [("half of the functions", 50), ("90 of 100", 90)] {
            let (found, most) = (lengths.at(hundredths), written(figure)[column]);
            assert!(found <= most, "{tree}: {figure}: {found} lines, not {most}");
        }
        let (longest, name) = lengths.0.last().expect("there are functions");
        let most = written("all of them")[column];
        assert!(*longest <= most, "{name} has {longest} lines, not {most}");
    }
}
