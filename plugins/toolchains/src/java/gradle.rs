//! Gradle: which project is the app, which task builds it, and the command. Pure.

use hop3_plugin_api::{BuildPlan, PlanContext, Result};

use super::{jdk, runnable, start};
use crate::place::{Place, join};
use crate::source;
use crate::steps::{choose_one, env, fetch, link, no_such, tool, web};
use crate::version::Pin;

const BUILDS: [&str; 2] = ["build.gradle", "build.gradle.kts"];
const SETTINGS: [&str; 2] = ["settings.gradle", "settings.gradle.kts"];
const WRAPPER: [&str; 3] = [
    "gradlew",
    "gradle/wrapper/gradle-wrapper.jar",
    "gradle/wrapper/gradle-wrapper.properties",
];

/// Tasks that make something to run, by a word of the plugin that brings each.
const TASKS: [(&str, &str); 5] = [
    ("org.springframework.boot", "bootJar"),
    ("shadow", "shadowJar"),
    ("io.quarkus", "quarkusBuild"),
    ("io.micronaut.application", "installDist"),
    ("application", "installDist"),
];

/// A project with its build file.
struct Project {
    directory: String,
    text: String,
}

impl Project {
    /// The task of the plugin that it applies.
    fn task(&self) -> Option<&'static str> {
        let applied = |plugin: &str| {
            self.text
                .lines()
                .map(str::trim)
                .filter(|line| !line.starts_with("//"))
                .any(|line| applies(line, plugin))
        };
        TASKS
            .iter()
            .find(|(plugin, _)| applied(plugin))
            .map(|(_, task)| *task)
    }
}

/// `id 'x'`, `id("x")`, `apply plugin: 'x'` or, for the plugins that come with Gradle, the bare name.
fn applies(line: &str, plugin: &str) -> bool {
    let declares =
        line.starts_with("id") || line.starts_with("apply plugin") || line.starts_with("alias");
    let bare = line == plugin || line == format!("`{plugin}`");
    let quoted = line.split(['\'', '"']).nth(1).unwrap_or(line);
    let named = match plugin {
        "shadow" => quoted.contains("shadow"),
        "application" => quoted == plugin,
        _ => quoted.starts_with(plugin),
    };
    bare || (declares && named && !line.contains("apply false"))
}

/// Whether there is a build of Gradle.
pub(super) fn is_here(cx: &PlanContext<'_>) -> bool {
    BUILDS.iter().any(|file| cx.source.has(file))
}

/// Directories of the projects that the settings include.
pub(super) fn projects(cx: &PlanContext<'_>) -> Result<Vec<String>> {
    let text = first_text(cx, "", &SETTINGS)?;
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("include"));
    let names = lines
        .filter(|line| !line.starts_with("includeBuild"))
        .flat_map(quoted);
    Ok(names
        .map(|name| name.trim_start_matches(':').replace(':', "/"))
        .collect())
}

fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split(['\'', '"']).skip(1).step_by(2)
}

fn first_text(cx: &PlanContext<'_>, directory: &str, files: &[&str]) -> Result<String> {
    for file in files {
        if let Some(text) = source::text(cx, &join(directory, file))? {
            return Ok(text);
        }
    }
    Ok(String::new())
}

/// Adds tools, the build and the start.
pub(super) fn add(place: &Place<'_>, plan: &mut BuildPlan) -> Result<()> {
    let all = all(&place.cx)?;
    let lacking = WRAPPER.iter().find(|file| !place.cx.source.has(file));
    plan.tools
        .extend(jdk(place, language_version(place, &all))?);
    plan.env
        .extend(env(&[("GRADLE_USER_HOME", "${cache}/gradle")]));
    if let Some(lacking) = lacking {
        plan.tools.push(tool("gradle", None));
        let started = *lacking != WRAPPER[0];
        plan.notes.extend(
            started.then(|| format!("`gradlew` is not used, because `{lacking}` is missing")),
        );
    }
    if place.builds_itself() {
        return Ok(());
    }
    let project = choose(place, &all)?;
    let task = project.task().unwrap_or("assemble");
    let words = command(place, lacking.is_none(), (project, task));
    plan.steps
        .push(fetch("build", words.iter().map(String::as_str)));
    add_start(place, plan, (project, task))
}

fn all(cx: &PlanContext<'_>) -> Result<Vec<Project>> {
    let mut all = Vec::new();
    for directory in std::iter::once(String::new()).chain(projects(cx)?) {
        let text = first_text(cx, &directory, &BUILDS)?;
        if !text.is_empty() {
            all.push(Project { directory, text });
        }
    }
    Ok(all)
}

/// `languageVersion = JavaLanguageVersion.of(17)` asks for exactly that one.
fn language_version(place: &Place<'_>, all: &[Project]) -> Option<Pin> {
    let word = "JavaLanguageVersion.of(";
    all.iter().find_map(|project| {
        let (_, rest) = project.text.split_once(word)?;
        let version = rest.split(')').next()?.trim_matches(['"', '\'']);
        let file = BUILDS
            .iter()
            .find(|file| place.cx.source.has(&join(&project.directory, file)))?;
        let path = join(&project.directory, file);
        let numeric = version.bytes().all(|b| b.is_ascii_digit());
        numeric.then(|| Pin::of_manifest(place, (&path, &project.text), (word, version)))
    })
}

/// The project that the spec names or lies in, else the only one with something to run, else the root's.
fn choose<'a>(place: &Place<'_>, all: &'a [Project]) -> Result<&'a Project> {
    let names = |projects: &[&Project]| {
        projects
            .iter()
            .map(|it| it.directory.clone())
            .filter(|it| !it.is_empty())
            .collect::<Vec<_>>()
    };
    let everything: Vec<&Project> = all.iter().collect();
    if let Some(named) = &place.settings.package {
        let directory = named.trim_start_matches(':').replace(':', "/");
        let found = all.iter().find(|project| project.directory == directory);
        return found.ok_or_else(|| no_such("project", named, &names(&everything)));
    }
    let own = all
        .iter()
        .find(|project| project.directory == place.member());
    let runs: Vec<&Project> = all
        .iter()
        .filter(|project| project.task().is_some())
        .collect();
    match (
        own.filter(|own| own.task().is_some() || !place.member().is_empty()),
        runs.as_slice(),
    ) {
        (Some(own), _) => Ok(own),
        (None, [only]) => Ok(only),
        (None, []) => own.or(all.first()).ok_or_else(|| {
            source::config(
                format!("there is no `{}` to build", place.shown(BUILDS[0])),
                None,
            )
        }),
        (None, several) => {
            let names = names(several);
            Err(choose_one("projects", &names, &names[0]))
        }
    }
}

fn command(place: &Place<'_>, wrapped: bool, (project, task): (&Project, &str)) -> Vec<String> {
    let program: &[&str] = if wrapped {
        &["sh", "${app}/gradlew"]
    } else {
        &["gradle"]
    };
    let path = project.directory.replace('/', ":");
    let task = if path.is_empty() {
        task.to_owned()
    } else {
        format!(":{path}:{task}")
    };
    let mut words: Vec<&str> = program.to_vec();
    words.extend(["--no-daemon", "--console=plain"]);
    if !place.member().is_empty() {
        words.extend(["-p", "${app}"]);
    }
    words.push(&task);
    words.into_iter().map(str::to_owned).collect()
}

fn add_start(
    place: &Place<'_>,
    plan: &mut BuildPlan,
    (project, task): (&Project, &str),
) -> Result<()> {
    let below = project
        .directory
        .strip_prefix(place.member())
        .unwrap_or(&project.directory);
    let output = join(below.trim_start_matches('/'), "build");
    let command = match task {
        "installDist" => {
            let name = name(place, project)?;
            format!(
                "JAVA_OPTS=\"-Djava.io.tmpdir=$TMPDIR $JAVA_OPTS\" exec {output}/install/{name}/bin/{name}"
            )
        }
        "quarkusBuild" => start(
            &project.text,
            &format!("{output}/quarkus-app/quarkus-run.jar"),
        ),
        _ => {
            let archive = format!("{output}/libs/app.jar");
            let pick = runnable(vec![format!("{output}/libs")], (".jar", archive.clone()));
            plan.steps.push(link("find the archive that runs", pick));
            start(&project.text, &archive)
        }
    };
    plan.runtime.workers = web(command);
    Ok(())
}

/// What Gradle calls a project: its directory's name; the root's comes from the settings.
fn name(place: &Place<'_>, project: &Project) -> Result<String> {
    if !project.directory.is_empty() {
        let last = project.directory.rsplit('/').next();
        return Ok(last.unwrap_or_default().to_owned());
    }
    let settings = first_text(&place.cx, "", &SETTINGS)?;
    let named = settings
        .lines()
        .find(|line| line.trim().starts_with("rootProject.name"));
    let named = named.and_then(|line| quoted(line).next());
    Ok(named.unwrap_or("app").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_applied_in_every_spelling() {
        for line in [
            "id 'application'",
            "id(\"application\")",
            "application",
            "`application`",
            "apply plugin: 'application'",
        ] {
            assert!(applies(line, "application"), "{line}");
        }
        assert!(applies(
            "id 'org.springframework.boot' version '3.2.0'",
            "org.springframework.boot"
        ));
        assert!(applies(
            "id(\"com.gradleup.shadow\") version \"8\"",
            "shadow"
        ));
        for line in [
            "application {",
            "id 'java'",
            "id 'application' apply false",
            "mainClass = 'application'",
        ] {
            assert!(!applies(line, "application"), "{line}");
        }
    }
}
