//! The walks through the code in ARCHITECTURE.md lead where they say.

use crate::{root, section, text};

/// The most stops of a walk: whoever follows it has them in mind at the end.
const STOPS: usize = 15;

/// A walk: its title, and the file and function of each stop.
struct Walk {
    title: String,
    stops: Vec<(String, String)>,
}

fn walks() -> Vec<Walk> {
    let section = section("Two walks through the code");
    let walks = section.split("\n### ").skip(1);
    walks.map(walk).collect()
}

fn walk(text: &str) -> Walk {
    let title = text.lines().next().unwrap_or_default().to_owned();
    let numbered = text
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let stops = numbered.map(|line| {
        let stop = stop(line);
        stop.unwrap_or_else(|| panic!("no file and function in the stop `{line}`"))
    });
    Walk {
        stops: stops.collect(),
        title,
    }
}

/// `3. src/spec/tree.rs: read. …`, with file and function in backticks.
fn stop(line: &str) -> Option<(String, String)> {
    let mut words = line.split('`');
    let file = words.nth(1)?;
    let function = words.nth(1)?;
    Some((file.to_owned(), function.to_owned()))
}

/// Whether a source defines a function; `Type::function` wants the type to be named in it, too.
fn defines(source: &str, function: &str) -> bool {
    let (owner, name) = function.rsplit_once("::").unwrap_or(("", function));
    let starts = [format!("fn {name}("), format!("fn {name}<")];
    source.contains(owner) && starts.iter().any(|start| source.contains(start.as_str()))
}

#[test]
fn every_stop_of_a_walk_is_a_function_of_its_file() {
    for walk in walks() {
        for (file, function) in walk.stops {
            assert!(
                root().join(&file).is_file(),
                "`{}` leads to `{file}`, which is not there",
                walk.title
            );
            assert!(
                defines(&text(&file), &function),
                "`{}` leads to `{function}` in `{file}`, which has no such function",
                walk.title
            );
        }
    }
}

#[test]
fn two_walks_are_written_down_and_short() {
    let walks = walks();
    assert_eq!(walks.len(), 2);
    for walk in walks {
        let stops = walk.stops.len();
        assert!((5..=STOPS).contains(&stops), "`{}`: {stops}", walk.title);
    }
}
