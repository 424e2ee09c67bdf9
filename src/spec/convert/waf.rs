//! `[waf]`: expressions that compile, gates that can be kept, tunings that relax something.

use fancy_regex::{CompileError, Regex};

use super::Draft;
use crate::spec::sections::{Filled, Waf};
use crate::spec::suggest::shortened;

impl Draft<'_> {
    pub(super) fn waf(&mut self, waf: Option<&Waf>) {
        let Some(waf) = waf else { return };
        if waf.enabled == Some(true) {
            self.unbuilt("/waf", "[waf]");
        } else if !self.in_doubt("/waf/enabled") {
            self.note("/waf", "`[waf]` is off and has no effect");
        }
        let allowed = waf.allow.iter().flatten().map(Option::as_ref);
        self.expressions("/waf/allow", allowed);
        for (index, gate) in waf.gate.iter().flatten().enumerate() {
            let Some(gate) = gate else { continue };
            let at = format!("/waf/gate/{index}");
            self.expressions(&format!("{at}/paths"), gate.paths.iter().map(Some));
            if gate.require.0 == "auth" {
                let hint =
                    "name a network, such as `office`; `[proxy] basic-auth` asks for a password";
                self.error(
                    &format!("{at}/require"),
                    "a gate cannot ask for a login",
                    hint,
                );
            }
        }
        for (index, tuning) in waf.tuning.iter().flatten().enumerate() {
            let Some(tuning) = tuning else { continue };
            let at = format!("/waf/tuning/{index}");
            let paths = tuning.paths.iter().flatten().map(Some);
            self.expressions(&format!("{at}/paths"), paths);
            if !tuning.relieves() {
                let hint = "add `disable-rule-ids = [942100]`, or `skip-body-inspection = true`";
                self.key_error(&at, "this tuning relaxes nothing", hint);
            }
        }
    }

    fn expressions<'p>(&mut self, at: &str, paths: impl Iterator<Item = Option<&'p Filled>>) {
        for (index, path) in paths.enumerate() {
            let Some(path) = path else { continue };
            if let Some((problem, hint)) = problem(&path.0) {
                let message = format!(
                    "`{}` is not a pattern of paths: {problem}",
                    shortened(&path.0)
                );
                self.error(&format!("{at}/{index}"), message, hint);
            }
        }
    }
}

/// What is wrong with a pattern, and what to do.
fn problem(path: &str) -> Option<(String, String)> {
    if path.trim() != path {
        let hint = format!("write `\"{}\"`", shortened(path.trim()));
        return Some(("it has blanks around it".to_owned(), hint));
    }
    if path.contains('"') {
        return Some((
            "it holds a double quote".to_owned(),
            "write `.` for any character".to_owned(),
        ));
    }
    let error = Regex::new(path).err()?;
    Some((
        in_words(&error),
        "write a regular expression, as in `/api/.*`; `\\` takes a sign for itself".to_owned(),
    ))
}

/// The last line of what the compiler of expressions says at its innermost; the others draw the expression.
fn in_words(error: &fancy_regex::Error) -> String {
    let text = match error {
        fancy_regex::Error::CompileError(outer) => match &**outer {
            CompileError::InnerError(inner) => inner
                .syntax_error()
                .map_or_else(|| inner.to_string(), ToString::to_string),
            outer => outer.to_string(),
        },
        error => error.to_string(),
    };
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_other_languages_than_rust_compile() {
        for good in ["/api/.*", "/(?!admin).*", r"/(?P<id>\d+)/\1", "^/health$"] {
            assert_eq!(problem(good), None, "{good}");
        }
        assert!(problem("/api/(").unwrap().0.contains("paren"));
        for bad in ["/api/(", " /x", "/a\"b", "[z-a]", "(a{1000}){1000}{1000}"] {
            assert!(problem(bad).is_some(), "{bad}");
        }
    }
}
