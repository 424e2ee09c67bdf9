//! The tools of a plan on this host: where they are, which version they are, and whether that satisfies who asked.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hop3_plugin_api::serde::Serialize;
use hop3_plugin_api::{
    Abort, Context, Host, HostError, PluginError, Program, Result, Task, ToolRequirement,
};

/// A tool that is there. Its path and version are part of every key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(crate = "hop3_plugin_api::serde")]
pub(crate) struct Tool {
    pub(crate) program: String,
    pub(crate) path: PathBuf,
    /// The version number, or what the tool said where no number could be found.
    pub(crate) version: String,
}

/// Finds every tool of a plan, or says which one is missing or of the wrong version.
pub(crate) async fn resolve(cx: &Context<'_>, wanted: &[ToolRequirement]) -> Result<Vec<Tool>> {
    let mut tools = Vec::new();
    for requirement in wanted {
        let Some(tool) = find(cx, &requirement.program).await? else {
            return Err(missing(cx, requirement).await);
        };
        check_version(requirement, &tool)?;
        tools.push(tool);
    }
    Ok(tools)
}

async fn find(cx: &Context<'_>, program: &str) -> Result<Option<Tool>> {
    let Some(path) = cx.host.find_program(program) else {
        return Ok(None);
    };
    let what = format!("ask for the version of {program}");
    let task = Task::new(what, Program::Named(program.to_owned()), &cx.paths.app)
        .args([version_argument(program)])
        .env("LANG", "C.UTF-8")
        .env("PATH", search_path(path.parent(), cx.host))
        .deadline(Duration::from_secs(20));
    let exit = cx.host.run(&task).await?.require_success(&task)?;
    Ok(Some(Tool {
        program: program.to_owned(),
        path,
        version: version_number(&exit.tail).unwrap_or_else(|| first_line(&exit.tail)),
    }))
}

/// A `PATH` of these directories, then the host's own: a tool may be a script that needs its interpreter.
pub(crate) fn search_path<'a>(
    first: impl IntoIterator<Item = &'a Path>,
    host: &dyn Host,
) -> String {
    let first = first.into_iter().map(Path::to_owned);
    let mut directories: Vec<String> = Vec::new();
    for directory in first.chain(host.tool_path()) {
        let directory = directory.display().to_string();
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories.join(":")
}

/// Tools differ in how they are asked.
fn version_argument(program: &str) -> &'static str {
    match program {
        "go" => "version",
        "java" => "-version",
        _ => "--version",
    }
}

/// The first dotted number: `3.11.2` of `Python 3.11.2`, `1.22` of `go version go1.22 linux/amd64`.
fn version_number(text: &str) -> Option<String> {
    let starts = text.char_indices().filter(|(_, c)| c.is_ascii_digit());
    let numbers = starts.map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'));
        rest[..end.unwrap_or(rest.len())].trim_end_matches('.')
    });
    let mut dotted = numbers.filter(|number| number.contains('.'));
    dotted.next().map(str::to_owned)
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.trim().chars().take(80).collect()
}

fn check_version(requirement: &ToolRequirement, tool: &Tool) -> Result<()> {
    let Some(wanted) = &requirement.version else {
        return Ok(());
    };
    let by = asked_by(requirement);
    match satisfies(wanted, &tool.version) {
        Some(true) => Ok(()),
        Some(false) => Err(Abort::new(format!(
            "{by} asks for `{}` {wanted}, and this host has {}",
            tool.program, tool.version
        ))
        .hint(format!(
            "ask for {} or for less of the version, or install the one that is asked for",
            tool.version
        ))
        .into()),
        None => Err(Abort::new(format!(
            "{by} asks for `{}` `{wanted}`, which cannot be compared with {}",
            tool.program, tool.version
        ))
        .hint("write a version such as `3.12`, or a range such as `>=3.11,<4`")
        .into()),
    }
}

fn asked_by(requirement: &ToolRequirement) -> String {
    let by = requirement.pinned_by.as_deref();
    by.map_or_else(|| "the plan".to_owned(), |file| format!("`{file}`"))
}

/// Names what there is instead: `python3` where `python3.13` is missing.
async fn missing(cx: &Context<'_>, requirement: &ToolRequirement) -> PluginError {
    let program = &requirement.program;
    let Some(version) = &requirement.version else {
        return not_installed(cx, program).into();
    };
    let message = format!(
        "{} asks for version {version}, and this host has no `{program}`",
        asked_by(requirement)
    );
    let general = program.rsplit_once('.').map(|(general, _)| general);
    let hint = match general {
        Some(general) => match find(cx, general).await {
            Ok(Some(tool)) => format!(
                "install `{program}`, or ask for what is here: `{general}` is {}",
                tool.version
            ),
            _ => format!("install `{program}`"),
        },
        None => format!("install `{program}`"),
    };
    Abort::new(message).hint(hint).into()
}

fn not_installed(cx: &Context<'_>, program: &str) -> HostError {
    HostError::MissingProgram {
        program: program.to_owned(),
        searched: search_path([], cx.host),
    }
}

/// Whether a version satisfies what is asked for: `3.12` means any 3.12, a list such as `>=3.9,<4` means all of its parts.
/// `None` when one of them cannot be read.
fn satisfies(wanted: &str, actual: &str) -> Option<bool> {
    let actual = numbers(actual)?;
    let clauses = wanted.split(',').map(str::trim);
    let met: Option<Vec<bool>> = clauses.map(|clause| meets(clause, &actual)).collect();
    Some(met?.into_iter().all(|met| met))
}

fn meets(clause: &str, actual: &[u32]) -> Option<bool> {
    let end = clause.find(|c: char| !"<>=!~".contains(c))?;
    let (operator, version) = clause.split_at(end);
    let version = version.trim();
    if let Some(prefix) = version.strip_suffix(".*") {
        let same = actual.starts_with(&numbers(prefix)?);
        return match operator {
            "" | "==" => Some(same),
            "!=" => Some(!same),
            _ => None,
        };
    }
    let version = numbers(version)?;
    let order = compare(actual, &version);
    match operator {
        "" => Some(actual.starts_with(&version)),
        "==" | "===" => Some(order.is_eq()),
        "!=" => Some(order.is_ne()),
        ">=" => Some(order.is_ge()),
        "<=" => Some(order.is_le()),
        ">" => Some(order.is_gt()),
        "<" => Some(order.is_lt()),
        "~=" => Some(order.is_ge() && actual.starts_with(version.split_last()?.1)),
        _ => None,
    }
}

fn numbers(version: &str) -> Option<Vec<u32>> {
    let version = version.strip_prefix('v').unwrap_or(version);
    version.split('.').map(|part| part.parse().ok()).collect()
}

/// Compares with missing parts as zero.
fn compare(a: &[u32], b: &[u32]) -> Ordering {
    let part = |version: &[u32], at: usize| version.get(at).copied().unwrap_or(0);
    (0..a.len().max(b.len()))
        .map(|at| part(a, at).cmp(&part(b, at)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_as_far_as_it_was_written() {
        for wanted in [
            "3",
            "3.11",
            "3.11.2",
            "3.11.*",
            ">=3.9,<4",
            "~=3.9",
            "~=3.11.1",
            "==3.11.*",
            "!=3.10.*",
            ">3.11",
            "<=3.11.2",
            "==3.11.2.0",
        ] {
            assert_eq!(satisfies(wanted, "3.11.2"), Some(true), "{wanted}");
        }
        for wanted in [
            "3.1", "3.12", "3.11.20", "<3.11", ">=3.12", "~=3.10.0", "==3.11", "!=3.11.2",
        ] {
            assert_eq!(satisfies(wanted, "3.11.2"), Some(false), "{wanted}");
        }
        for wanted in ["", "lts", ">=", "^3.9", ">=3.x"] {
            assert_eq!(satisfies(wanted, "3.11.2"), None, "{wanted}");
        }
    }

    #[test]
    fn the_version_is_found_in_what_tools_say() {
        for (said, version) in [
            ("Python 3.11.2\n", Some("3.11.2")),
            ("go version go1.22.1 linux/amd64", Some("1.22.1")),
            ("v22.13.1", Some("22.13.1")),
            ("openjdk version \"17.0.9\" 2023-10-17", Some("17.0.9")),
            ("pip 23.0.1 from /usr/lib", Some("23.0.1")),
            ("nothing of it", None),
        ] {
            assert_eq!(version_number(said).as_deref(), version, "{said}");
        }
    }
}
