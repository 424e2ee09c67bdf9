//! Maven: which module is the app, what it is packaged as, and the command. Pure.

use hop3_plugin_api::{BuildPlan, PlanContext, Result};

use super::{jdk, runnable, start};
use crate::place::{Place, join};
use crate::source;
use crate::steps::{choose_one, fetch, link, no_such, tool, web};
use crate::version::Pin;
use crate::xml::{Element, elements, text_at};

const MANIFEST: &str = "pom.xml";
const WRAPPER: [&str; 2] = ["mvnw", ".mvn/wrapper/maven-wrapper.properties"];

/// Where a pom says which release it compiles for.
const RELEASES: [&str; 4] = [
    "project/properties/maven.compiler.release",
    "project/properties/java.version",
    "project/properties/maven.compiler.target",
    "project/properties/maven.compiler.source",
];

/// Words of a pom whose archive can be run.
const RUNS: [&str; 6] = [
    "spring-boot-maven-plugin",
    "quarkus-maven-plugin",
    "micronaut-maven-plugin",
    "maven-shade-plugin",
    "maven-assembly-plugin",
    "<mainClass>",
];

/// A pom.
struct Pom {
    /// Its module's directory.
    directory: String,
    text: String,
    elements: Vec<Element>,
}

impl Pom {
    fn read(cx: &PlanContext<'_>, directory: &str) -> Result<Option<Self>> {
        let text = source::text(cx, &join(directory, MANIFEST))?;
        Ok(text.map(|text| Self {
            directory: directory.to_owned(),
            elements: elements(&text),
            text,
        }))
    }

    fn packaging(&self) -> &str {
        text_at(&self.elements, "project/packaging").unwrap_or("jar")
    }

    fn modules(&self) -> Vec<String> {
        let modules = self
            .elements
            .iter()
            .filter(|it| it.path == "project/modules/module");
        modules
            .filter_map(|it| source::normalised(&format!("./{}/{}", self.directory, it.text)))
            .collect()
    }

    fn artifact(&self) -> &str {
        text_at(&self.elements, "project/artifactId").unwrap_or_default()
    }
}

/// Directories of all modules, those of modules included.
pub(super) fn modules(cx: &PlanContext<'_>) -> Result<Vec<String>> {
    let poms = poms(cx)?.into_iter();
    Ok(poms
        .map(|pom| pom.directory)
        .filter(|it| !it.is_empty())
        .collect())
}

fn poms(cx: &PlanContext<'_>) -> Result<Vec<Pom>> {
    let mut found: Vec<Pom> = Vec::new();
    let mut open = vec![String::new()];
    while let Some(directory) = open.pop() {
        if found.iter().any(|pom| pom.directory == directory) {
            continue;
        }
        if let Some(pom) = Pom::read(cx, &directory)? {
            open.extend(pom.modules().into_iter().rev());
            found.push(pom);
        }
    }
    Ok(found)
}

/// Adds tools, the build and the start.
pub(super) fn add(place: &Place<'_>, plan: &mut BuildPlan) -> Result<()> {
    let poms = poms(&place.cx)?;
    let wrapped = WRAPPER.iter().all(|file| place.cx.source.has(file));
    plan.tools.extend(jdk(place, release(place, &poms))?);
    if !wrapped {
        plan.tools.push(tool("mvn", None));
    }
    if !wrapped && place.cx.source.has(WRAPPER[0]) {
        plan.notes.push(format!(
            "`mvnw` is not used, because `{}` is missing",
            WRAPPER[1]
        ));
    }
    if place.builds_itself() {
        return Ok(());
    }
    let pom = choose(place, &poms)?;
    let words = command(place, wrapped, &pom.directory);
    plan.steps
        .push(fetch("build", words.iter().map(String::as_str)));
    add_start(place, plan, pom);
    Ok(())
}

/// The release that the app's module or the root compiles for.
fn release(place: &Place<'_>, poms: &[Pom]) -> Option<Pin> {
    poms.iter().find_map(|pom| {
        let element = RELEASES.iter().find_map(|path| {
            let found = pom.elements.iter().find(|element| element.path == *path);
            found.filter(|element| element.text.starts_with(|c: char| c.is_ascii_digit()))
        })?;
        let version = element.text.strip_prefix("1.").unwrap_or(&element.text);
        let path = place.shown(&join(&pom.directory, MANIFEST));
        Some(Pin::new(
            format!(">={version}"),
            format!("{path}:{}", element.line),
        ))
    })
}

/// The module that the spec names or lies in, else the only one whose archive can be run, else the only one.
fn choose<'a>(place: &Place<'_>, poms: &'a [Pom]) -> Result<&'a Pom> {
    let named = place.settings.package.as_deref();
    if let Some(named) = named {
        let path = source::normalised(named).unwrap_or_default();
        let found = poms
            .iter()
            .find(|pom| pom.directory == path || pom.artifact() == named);
        return found.ok_or_else(|| no_such("module", named, &names(poms.iter())));
    }
    if let Some(own) = poms
        .iter()
        .find(|pom| pom.directory == place.member() && pom.packaging() != "pom")
    {
        return Ok(own);
    }
    let archives: Vec<&Pom> = poms.iter().filter(|pom| pom.packaging() != "pom").collect();
    let runs: Vec<&Pom> = archives
        .iter()
        .copied()
        .filter(|pom| RUNS.iter().any(|word| pom.text.contains(word)))
        .collect();
    match (runs.as_slice(), archives.as_slice()) {
        ([only], _) | ([], [only]) => Ok(only),
        ([], []) => Err(source::config(
            format!(
                "`{}` packages nothing that could run",
                place.shown(MANIFEST)
            ),
            Some("name the module that does: `directory` in `[plugin.toolchains]`"),
        )),
        _ => {
            let several = if runs.is_empty() { &archives } else { &runs };
            let names = names(several.iter().copied());
            Err(choose_one("modules", &names, &names[0]))
        }
    }
}

fn names<'a>(poms: impl Iterator<Item = &'a Pom>) -> Vec<String> {
    let modules = poms.filter(|pom| pom.packaging() != "pom");
    modules
        .map(|pom| {
            if pom.directory.is_empty() {
                pom.artifact().to_owned()
            } else {
                pom.directory.clone()
            }
        })
        .collect()
}

fn command(place: &Place<'_>, wrapped: bool, module: &str) -> Vec<String> {
    let program: &[&str] = if wrapped {
        &["sh", "${app}/mvnw"]
    } else {
        &["mvn"]
    };
    let options = [
        "-B",
        "-ntp",
        "-DskipTests",
        "-Dmaven.repo.local=${cache}/m2",
        "package",
    ];
    let mut words: Vec<&str> = program.iter().copied().chain(options).collect();
    if !module.is_empty() {
        words.extend(["-pl", module, "-am"]);
    }
    if !place.member().is_empty() {
        words.extend(["-f", "${app}/pom.xml"]);
    }
    words.into_iter().map(str::to_owned).collect()
}

fn add_start(place: &Place<'_>, plan: &mut BuildPlan, pom: &Pom) {
    let below = pom
        .directory
        .strip_prefix(place.member())
        .unwrap_or(&pom.directory);
    let target = join(below.trim_start_matches('/'), "target");
    let quarkus = pom.text.contains("quarkus-maven-plugin") && !pom.text.contains("uber-jar");
    if quarkus {
        let archive = format!("{target}/quarkus-app/quarkus-run.jar");
        plan.runtime.workers = web(start(&pom.text, &archive));
        return;
    }
    let extension = if pom.packaging() == "war" {
        ".war"
    } else {
        ".jar"
    };
    let archive = format!("{target}/app{extension}");
    let pick = runnable(vec![target], (extension, archive.clone()));
    plan.steps.push(link("find the archive that runs", pick));
    plan.runtime.workers = web(start(&pom.text, &archive));
}
