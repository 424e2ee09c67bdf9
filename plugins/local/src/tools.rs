//! The tools of a plan on this host: where they are, which version they are, and whether that satisfies who asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::try_join_all;
use hop3_plugin_api::serde::Serialize;
use hop3_plugin_api::{
    Abort, BuildPlan, Context, Host, PluginError, Program, Result, Secret, Task, ToolRequirement,
};

use crate::packages;
use crate::versions::{numbers, satisfies};

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
pub(crate) async fn resolve(
    cx: &Context<'_>,
    plan: &BuildPlan,
    host_env: &BTreeMap<String, Secret>,
) -> Result<Vec<Tool>> {
    let mut env = host_env.clone();
    // What names a directory of the build means nothing yet.
    let plain = plan.env.iter().filter(|(_, value)| !value.contains("${"));
    env.extend(plain.map(|(key, value)| (key.to_string(), Secret::new(value.clone()))));
    try_join_all(
        plan.tools
            .iter()
            .map(|requirement| one(cx, requirement, &env)),
    )
    .await
}

async fn one(
    cx: &Context<'_>,
    requirement: &ToolRequirement,
    env: &BTreeMap<String, Secret>,
) -> Result<Tool> {
    let Some(tool) = find(cx, &requirement.program, env).await? else {
        return Err(missing(cx, requirement, env).await);
    };
    check_version(requirement, &tool)?;
    Ok(tool)
}

async fn find(
    cx: &Context<'_>,
    program: &str,
    env: &BTreeMap<String, Secret>,
) -> Result<Option<Tool>> {
    let Some(path) = cx.host.find_program(program) else {
        return Ok(None);
    };
    let mut task = version_task(cx.host, program, &path);
    task.dir.clone_from(&cx.paths.app);
    task.user = cx.user;
    task.env.extend(env.clone());
    task = task
        .env("HOME", cx.paths.app.display().to_string())
        .env("PATH", search_path(path.parent(), cx.host));
    let exit = cx.host.run(&task).await?.require_success(&task)?;
    Ok(Some(Tool {
        program: program.to_owned(),
        path,
        version: version_of(program, &exit.tail),
    }))
}

/// Asks a tool for its version, as nobody in particular and from nowhere in particular.
pub(crate) fn version_task(host: &dyn Host, program: &str, path: &Path) -> Task {
    let what = format!("ask for the version of {program}");
    let mut task = Task::new(what, Program::Named(program.to_owned()), "/")
        .args([version_argument(program)])
        .deadline(Duration::from_secs(20));
    task.env = companions(std::iter::once(path));
    task.env("HOME", "/nonexistent")
        .env("LANG", "C.UTF-8")
        .env("PATH", search_path(path.parent(), host))
}

/// The version number in what a tool said, else its first line.
pub(crate) fn version_of(program: &str, said: &str) -> String {
    version_number(program, said).unwrap_or_else(|| first_line(said))
}

/// What a tool needs to find the rest of itself where its home is not its user's: rustup's programs look for versions beside themselves.
pub(crate) fn companions<'a>(tools: impl Iterator<Item = &'a Path>) -> BTreeMap<String, Secret> {
    let homes = tools.filter_map(rustup_home);
    homes
        .map(|home| {
            let home = home.display().to_string();
            ("RUSTUP_HOME".to_owned(), Secret::new(home))
        })
        .collect()
}

/// Where rustup keeps what its programs stand for.
pub(crate) fn rustup_home(tool: &Path) -> Option<PathBuf> {
    let cargo = tool
        .parent()?
        .parent()
        .filter(|dir| dir.ends_with(".cargo"))?;
    Some(cargo.with_file_name(".rustup"))
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
        "java" | "javac" => "-version",
        _ => "--version",
    }
}

/// The first number behind the tool's name, else the first of all: tools also speak of what they were made with.
fn version_number(program: &str, text: &str) -> Option<String> {
    let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let lower = text.to_ascii_lowercase();
    let behind = lower.find(name).map(|at| &text[at..]);
    let number = behind.and_then(|text| first_number(text, name));
    let number = number.or_else(|| first_number(text, name))?;
    // Java called itself 1.8 before it was 9.
    let java = matches!(program, "java" | "javac");
    let number = number.strip_prefix("1.").filter(|_| java).unwrap_or(number);
    Some(number.to_owned())
}

/// `3.11.2`, `v22.13.1`, `go1.22`, `"21"`: a word that begins with a number once such ornaments are gone.
fn first_number<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let words = text.split_whitespace();
    let mut bare = words.map(|word| {
        let word = word.trim_start_matches(['"', '\'', '(']);
        let word = word.strip_prefix(name).unwrap_or(word);
        word.strip_prefix('v').unwrap_or(word)
    });
    let word = bare.find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let end = word.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    Some(word[..end.unwrap_or(word.len())].trim_end_matches('.'))
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
    let program = &tool.program;
    match satisfies(wanted, &tool.version) {
        Some(true) => Ok(()),
        Some(false) => Err(Abort::new(format!(
            "{by} asks for `{program}` {wanted}, and this host has {}",
            tool.version
        ))
        .hint(format!(
            "ask for {} or for less of the version, or install the one that is asked for; {}",
            tool.version,
            packages::hint(program)
        ))
        .into()),
        None => Err(Abort::new(format!(
            "{by} asks for `{program}` `{wanted}`, which cannot be compared with {}",
            tool.version
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
async fn missing(
    cx: &Context<'_>,
    requirement: &ToolRequirement,
    env: &BTreeMap<String, Secret>,
) -> PluginError {
    let program = &requirement.program;
    let by = asked_by(requirement);
    let message = match &requirement.version {
        Some(version) => {
            format!("{by} asks for `{program}` {version}, and this host has no `{program}`")
        }
        None => format!("{by} needs `{program}`, and this host has no `{program}`"),
    };
    let instead = match general(program) {
        Some(general) => find(cx, general, env).await.ok().flatten(),
        None => None,
    };
    let instead = instead.map_or_else(String::new, |tool| {
        format!(
            "ask for what is here, `{}` is {}, or install it: ",
            tool.program, tool.version
        )
    });
    let searched = search_path([], cx.host);
    PluginError::Lacking {
        message,
        hint: format!(
            "{instead}{}; or add its directory to `tool-path` in agent.toml (searched {searched})",
            packages::hint(program)
        ),
    }
}

/// A program without its version: `python3` of `python3.13`.
fn general(program: &str) -> Option<&str> {
    let (general, minor) = program.rsplit_once('.')?;
    numbers(minor).map(|_| general)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_tools_say() {
        for (program, said, version) in [
            ("python3.11", "Python 3.11.2\n", Some("3.11.2")),
            ("go", "go version go1.22.1 linux/amd64", Some("1.22.1")),
            ("node", "v22.13.1", Some("22.13.1")),
            (
                "java",
                "openjdk version \"17.0.9\" 2023-10-17",
                Some("17.0.9"),
            ),
            ("java", "openjdk version \"21\" 2023-09-19", Some("21")),
            ("java", "openjdk version \"1.8.0_392\"", Some("8.0")),
            ("javac", "javac 17.0.15", Some("17.0.15")),
            (
                "mvn",
                "\u{1b}[1mApache Maven 3.8.7 (x)\u{1b}[m\nJava version: 17.0.1",
                Some("3.8.7"),
            ),
            (
                "mix",
                "Erlang/OTP 25 [erts-13.1.5]\n\nMix 1.14.0 (compiled with Erlang/OTP 24)",
                Some("1.14.0"),
            ),
            (
                "elixir",
                "Erlang/OTP 25 [erts-13.1.5]\n\nElixir 1.14.0 (compiled)",
                Some("1.14.0"),
            ),
            (
                "lein",
                "Leiningen 2.9.8 on Java 17.0.8 OpenJDK",
                Some("2.9.8"),
            ),
            (
                "composer",
                "Composer version 2.5.5 2023-04-21",
                Some("2.5.5"),
            ),
            ("poetry", "Poetry (version 2.1.1)", Some("2.1.1")),
            ("pdm", "PDM, version 2.29.4", Some("2.29.4")),
            ("pipenv", "pipenv, version 2026.10.3", Some("2026.10.3")),
            (
                "ruby",
                "ruby 3.1.2p20 (2022-04-12 revision x)",
                Some("3.1.2"),
            ),
            ("bundle", "Bundler version 2.3.15", Some("2.3.15")),
            ("php", "PHP 8.2.7 (cli) (built: Jun 9 2023)", Some("8.2.7")),
            ("dotnet", "8.0.100", Some("8.0.100")),
            (
                "gradle",
                "\n----\nGradle 8.5\n----\nKotlin: 1.9.20",
                Some("8.5"),
            ),
            ("tool", "nothing of it", None),
        ] {
            assert_eq!(version_number(program, said).as_deref(), version, "{said}");
        }
    }

    #[test]
    fn rustup_s_programs_are_told_where_their_versions_lie() {
        let of = |tool: &str| companions(std::iter::once(Path::new(tool)));
        let found = of("/home/u/.cargo/bin/cargo");
        assert_eq!(found["RUSTUP_HOME"].expose(), "/home/u/.rustup");
        assert!(of("/usr/bin/cargo").is_empty());
    }

    #[test]
    fn only_a_version_is_taken_off_a_program_s_name() {
        assert_eq!(general("python3.13"), Some("python3"));
        assert_eq!(general("docker.io"), None);
        assert_eq!(general("node"), None);
    }
}
