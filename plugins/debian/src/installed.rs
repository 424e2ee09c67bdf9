//! Which packages are installed, by the word of `dpkg-query`.

use std::collections::BTreeSet;
use std::time::Duration;

use hop3_plugin_api::{HostContext, PluginError, Program, Result, Task};

/// One line for each package that `dpkg` knows of.
const FORMAT: &str = "${db:Status-Abbrev}\\t${Package}\\t${Provides}\\n";
/// More than the lines of all packages of a large desktop.
const MOST: usize = 16 * 1024 * 1024;

/// Those of the names that no installed package has or provides.
pub(crate) async fn missing(cx: &HostContext<'_>, names: &[String]) -> Result<Vec<String>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let program = Program::Named("dpkg-query".to_owned());
    let mut task = Task::new("look which packages are installed", program, "/")
        .args(["--show", &format!("--showformat={FORMAT}")])
        .env("LC_ALL", "C.UTF-8")
        .deadline(Duration::from_mins(1));
    task.output.tail_bytes = MOST;
    let exit = cx.host.run(&task).await?;
    if !exit.success() {
        return Err(PluginError::Lacking {
            message: format!(
                "which packages are installed cannot be told: `dpkg-query` {}: {}",
                exit.status,
                exit.tail.trim()
            ),
            hint: "run `dpkg --audit`".to_owned(),
        });
    }
    let there = installed(&exit.tail);
    let is_missing = |name: &&String| !there.contains(name.as_str());
    Ok(names.iter().filter(is_missing).cloned().collect())
}

/// Names of installed packages, and what these provide.
fn installed(lines: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for line in lines.lines() {
        let mut fields = line.split('\t');
        let (Some(status), Some(name), Some(provides)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        // What is wanted of it, then its state: `i` is installed and configured.
        if status.as_bytes().get(1) == Some(&b'i') {
            names.insert(name);
            names.extend(provides.split(',').filter_map(provided));
        }
    }
    names
}

/// `mail-transport-agent (= 1.2)` is the name alone.
fn provided(entry: &str) -> Option<&str> {
    entry.split_ascii_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_and_what_that_provides_is_there_and_leftovers_are_not() {
        let lines = "ii \tbash\t\nhi \theld\t\nrc \tremoved\tvirtual-of-removed\niU \tunpacked\t\nii \tpostfix\tmail-transport-agent, default-mta (= 3.7)\ndpkg-query: a warning\n";
        let names: Vec<&str> = installed(lines).into_iter().collect();
        let expected = [
            "bash",
            "default-mta",
            "held",
            "mail-transport-agent",
            "postfix",
        ];
        assert_eq!(names, expected);
    }
}
