//! go.mod and go.work, as far as a plan must understand them. Pure.

use hop3_plugin_api::{PlanContext, Result};

use crate::place::join;
use crate::source;

/// A module of the source.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Its directory; empty for the root.
    pub(super) directory: String,
    /// Its path, by which others require it.
    path: String,
    /// The last part of its path: what its binary is called.
    pub(super) name: String,
    /// The version of Go that it needs at least, and where it says so.
    pub(super) version: Option<(String, String)>,
    /// The modules that it depends on; of those that are not in the source, once all are known.
    required: Vec<String>,
    has_sum: bool,
    /// Modules for which a directory of the source stands in.
    replaced: Vec<(String, String)>,
}

impl Module {
    /// A file of it.
    pub(super) fn file(&self, name: &str) -> String {
        join(&self.directory, name)
    }

    /// Whether it depends on modules that are not in the source.
    pub(super) fn fetches(&self) -> bool {
        !self.required.is_empty()
    }

    /// Whether nothing says what these modules must be.
    pub(super) fn is_unlocked(&self) -> bool {
        self.fetches() && !self.has_sum
    }

    /// Directories of the source that stand in for modules.
    pub(super) fn beside(&self) -> impl Iterator<Item = &str> {
        self.replaced
            .iter()
            .map(|(_, directory)| directory.as_str())
    }
}

/// The modules of a source: those that go.work uses, else the root's.
pub(super) fn modules(cx: &PlanContext<'_>) -> Result<Vec<Module>> {
    let workspace = cx.source.has("go.work");
    let directories = if workspace {
        used(cx)?
    } else {
        vec![String::new()]
    };
    let mut modules = Vec::new();
    for directory in directories {
        let path = join(&directory, "go.mod");
        if let Some(text) = source::text(cx, &path)? {
            modules.push(module(cx, directory, &text));
        }
    }
    let paths: Vec<String> = modules.iter().map(|module| module.path.clone()).collect();
    for module in &mut modules {
        let replaced: Vec<&String> = module.replaced.iter().map(|(path, _)| path).collect();
        module
            .required
            .retain(|path| !paths.contains(path) && !replaced.contains(&path));
        // In a workspace sums may lie beside go.work.
        module.has_sum |= workspace && cx.source.has("go.work.sum");
    }
    Ok(modules)
}

/// The directories that go.work uses.
pub(super) fn used(cx: &PlanContext<'_>) -> Result<Vec<String>> {
    let text = source::text(cx, "go.work")?.unwrap_or_default();
    let used = directives(&text)
        .into_iter()
        .filter(|line| line.verb == "use");
    Ok(used
        .filter_map(|line| source::normalised(line.words.first()?.trim_matches('"')))
        .collect())
}

fn module(cx: &PlanContext<'_>, directory: String, text: &str) -> Module {
    let mut module = Module {
        has_sum: cx.source.has(&join(&directory, "go.sum")),
        directory,
        ..Module::default()
    };
    let file = module.file("go.mod");
    for line in directives(text) {
        let first = line
            .words
            .first()
            .copied()
            .unwrap_or_default()
            .trim_matches('"');
        match line.verb {
            "module" => {
                first.clone_into(&mut module.path);
                module.name = last_name(first);
            }
            "go" | "toolchain" => {
                module.needs(first.trim_start_matches("go"), (&file, line.number));
            }
            "require" => module.required.push(first.to_owned()),
            "replace" => module
                .replaced
                .extend(replacement(&module.directory, &line.words)),
            _ => {}
        }
    }
    module
}

impl Module {
    fn needs(&mut self, version: &str, (path, line): (&str, usize)) {
        let higher = self
            .version
            .as_ref()
            .is_none_or(|(known, _)| numbers(known) < numbers(version));
        if higher && !numbers(version).is_empty() {
            self.version = Some((version.to_owned(), format!("{path}:{line}")));
        }
    }
}

/// `old => ../new`.
fn replacement(directory: &str, words: &[&str]) -> Option<(String, String)> {
    let at = words.iter().position(|word| *word == "=>")?;
    let target = words.get(at + 1)?.trim_matches('"');
    let local = target.starts_with("./") || target.starts_with("../");
    let target = source::normalised(&format!("./{directory}/{target}")).filter(|_| local)?;
    Some((words[0].trim_matches('"').to_owned(), target))
}

/// The last part of a module's path that is no version: `shop` of `example.com/shop/v2`.
fn last_name(path: &str) -> String {
    let is_version = |part: &str| {
        part.strip_prefix('v')
            .is_some_and(|rest| !numbers(rest).is_empty())
    };
    let mut parts = path.rsplit('/').filter(|part| !is_version(part));
    parts.next().unwrap_or("app").to_owned()
}

/// A version as numbers; empty when it is something else.
pub(super) fn numbers(version: &str) -> Vec<u32> {
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    parts.unwrap_or_default()
}

struct Directive<'a> {
    verb: &'a str,
    words: Vec<&'a str>,
    number: usize,
}

/// Directives with their lines, those in parentheses one by one.
fn directives(text: &str) -> Vec<Directive<'_>> {
    let mut found = Vec::new();
    let mut block = None;
    for (index, line) in text.lines().enumerate() {
        let mut words = line
            .split("//")
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let number = index + 1;
        match (block, words.next()) {
            (_, None) => {}
            (Some(_), Some(")")) => block = None,
            (Some(verb), Some(first)) => {
                let words = std::iter::once(first).chain(words).collect();
                found.push(Directive {
                    verb,
                    words,
                    number,
                });
            }
            (None, Some(verb)) => {
                let words: Vec<&str> = words.collect();
                if words.first() == Some(&"(") {
                    block = Some(verb);
                } else {
                    found.push(Directive {
                        verb,
                        words,
                        number,
                    });
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_alone_and_in_parentheses_with_their_lines() {
        let text = "module example.com/shop/v2 // why\n\ngo 1.21\n\nrequire (\n\ta.b/c v1.0.0\n\td.e/f v2.0.0 // indirect\n)\nreplace a.b/c => ../c\n";
        let found = directives(text);
        let shown: Vec<String> = found
            .iter()
            .map(|it| format!("{} {} {}", it.number, it.verb, it.words.join(" ")))
            .collect();
        assert_eq!(
            shown,
            [
                "1 module example.com/shop/v2",
                "3 go 1.21",
                "6 require a.b/c v1.0.0",
                "7 require d.e/f v2.0.0",
                "9 replace a.b/c => ../c"
            ]
        );
        assert_eq!(last_name("example.com/shop/v2"), "shop");
        let replaced = replacement("svc", &["a.b/c", "=>", "../c"]);
        assert_eq!(replaced, Some(("a.b/c".to_owned(), "c".to_owned())));
        assert_eq!(replacement("", &["a.b/c", "=>", "d.e/f", "v1"]), None);
    }
}
