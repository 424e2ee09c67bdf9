//! Java: Maven and Gradle, with the wrapper that a source brings where it is whole; and what everything on the JVM shares.
//!
//! Neither resolves what it needs from manifests alone, so both install while they build, into the app's cache: a change of the source
//! alone downloads nothing.

mod gradle;
mod maven;

use hop3_plugin_api::{
    ArtifactKind, BuildPlan, Evidence, Pick, PlanContext, Rank, Result, ToolRequirement,
    ToolchainDescription,
};

use crate::language::{Language, first_of};
use crate::place::{Place, Subtree, join, upwards};
use crate::steps::{env, tool};
use crate::version::{self, Pin, PinFile, Places};

const NAME: &str = "java";
const PLACES: Places = Places {
    language: NAME,
    names: &[NAME],
    own_files: &[
        (".java-version", PinFile::Word),
        (".sdkmanrc", PinFile::Property("java")),
        (
            "system.properties",
            PinFile::Property("java.runtime.version"),
        ),
    ],
};

/// A virtual machine asks neither `HOME` nor `TMPDIR`.
pub(crate) const JVM: (&str, &str) = (
    "JAVA_TOOL_OPTIONS",
    "-Duser.home=${cache} -Djava.io.tmpdir=${tmp}",
);

/// What is left beside the archive that runs.
const NOT_RUNNABLE: [&str; 6] = [
    "sources",
    "javadoc",
    "plain",
    "tests",
    "test-fixtures",
    "original",
];

/// Names of archives that hold what they depend on.
const RUNNABLE: [&str; 6] = [
    "exec",
    "runner",
    "standalone",
    "jar-with-dependencies",
    "shaded",
    "all",
];

/// Java.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Java;

impl Language for Java {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            tools: &["java", "javac", "mvn", "gradle"],
            detects: &[
                "pom.xml",
                "build.gradle",
                "build.gradle.kts",
                "settings.gradle",
                "settings.gradle.kts",
            ],
            pins: &[
                "`java-version` in `[build]`",
                ".java-version",
                ".sdkmanrc",
                "system.properties",
                ".tool-versions",
                "mise.toml",
                "the release that pom.xml compiles for: that version or a newer one",
                "`languageVersion` in build.gradle",
            ],
            builds: &[
                "mvn -DskipTests package, by `mvnw` where .mvn/wrapper/maven-wrapper.properties is there",
                "Gradle's bootJar, shadowJar, installDist or assemble, by `gradlew` where its wrapper is whole",
            ],
            starts: &[
                "java $JAVA_OPTS -jar, with the port for Spring Boot, Quarkus and Micronaut",
                "the script of Gradle's installDist",
            ],
            remarks: &[
                "the archive that runs is the one that is not called sources, javadoc, plain, tests or original",
                "what is downloaded is kept in the app's cache",
                "`package = \"web\"` in `[plugin.toolchains]` chooses a module",
            ],
            ..ToolchainDescription::default()
        }
    }

    fn evidence(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        Ok(first_of(
            cx,
            Rank::Manifest,
            &[
                "pom.xml",
                "build.gradle",
                "build.gradle.kts",
                "settings.gradle",
                "settings.gradle.kts",
            ],
        ))
    }

    fn lacks(&self) -> &'static str {
        "there is no pom.xml, build.gradle or settings.gradle"
    }

    /// A module that the project of a directory above names belongs to it.
    fn root(&self, cx: &PlanContext<'_>, directory: &str) -> Result<String> {
        for above in upwards(directory).skip(1) {
            let view = Subtree {
                whole: cx.source,
                directory: above,
            };
            let view = PlanContext {
                source: &view,
                ..*cx
            };
            let mut modules = maven::modules(&view)?;
            modules.extend(gradle::projects(&view)?);
            if modules
                .iter()
                .any(|module| join(above, module) == directory)
            {
                return Ok(above.to_owned());
            }
        }
        Ok(directory.to_owned())
    }

    fn plan(&self, place: &Place<'_>) -> Result<BuildPlan> {
        let mut plan = BuildPlan::new(NAME, ArtifactKind::Native);
        plan.env = env(&[JVM]);
        let both = place.cx.source.has("pom.xml");
        if both {
            maven::add(place, &mut plan)?;
        } else {
            gradle::add(place, &mut plan)?;
        }
        if both && gradle::is_here(&place.cx) {
            let note = "`build.gradle` is not read, because `pom.xml` says how the app is built";
            plan.notes.push(note.to_owned());
        }
        Ok(plan)
    }
}

/// The compiler and the virtual machine, which come together.
pub(crate) fn jdk(place: &Place<'_>, manifest: Option<Pin>) -> Result<[ToolRequirement; 2]> {
    let pin = version::pinned(place, &PLACES, manifest)?;
    let pin = pin.and_then(plain_version);
    Ok([tool("javac", pin.clone()), tool("java", pin)])
}

/// The virtual machine alone.
pub(crate) fn jvm(place: &Place<'_>) -> Result<ToolRequirement> {
    let [_, java] = jdk(place, None)?;
    Ok(java)
}

/// `temurin-17.0.9+9`, `17.0.9-tem` and `1.8` name a version among other things.
fn plain_version(pin: Pin) -> Option<Pin> {
    let text = &pin.version;
    if text.starts_with(['<', '>', '=', '^']) {
        return Some(pin);
    }
    let mut parts = text.split('-');
    let text = parts.find(|part| part.starts_with(|c: char| c.is_ascii_digit()))?;
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let version = text[..end].trim_end_matches('.');
    let version = version
        .strip_prefix("1.")
        .filter(|rest| rest.starts_with('8'))
        .unwrap_or(version);
    Some(pin.clone().reworded(version))
}

/// The archive that runs, in these directories, under a name that the start command knows.
pub(crate) fn runnable(directories: Vec<String>, (extension, link): (&str, String)) -> Pick {
    Pick {
        directories,
        extension: extension.to_owned(),
        without: NOT_RUNNABLE.map(str::to_owned).to_vec(),
        prefer: RUNNABLE.map(str::to_owned).to_vec(),
        link,
    }
}

/// The command that runs an archive. Frameworks do not look at `PORT` by themselves.
pub(crate) fn start(manifest: &str, archive: &str) -> String {
    let options =
        if manifest.contains("spring-boot") || manifest.contains("org.springframework.boot") {
            " -Dserver.address=127.0.0.1 -Dserver.port=$PORT"
        } else if manifest.contains("quarkus") {
            " -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port=$PORT"
        } else if manifest.contains("micronaut") {
            " -Dmicronaut.server.host=127.0.0.1 -Dmicronaut.server.port=$PORT"
        } else {
            ""
        };
    format!("exec java -Djava.io.tmpdir=\"$TMPDIR\" $JAVA_OPTS{options} -jar {archive}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_among_the_names_of_vendors() {
        for (text, version) in [
            ("17", "17"),
            ("temurin-17.0.9+9", "17.0.9"),
            ("17.0.9-tem", "17.0.9"),
            ("openjdk64-21.0.1", "21.0.1"),
            ("1.8", "8"),
            ("1.8.0_392", "8.0"),
            (">=17", ">=17"),
        ] {
            let pin = plain_version(Pin::new(text, "x")).unwrap();
            assert_eq!(pin.version, version, "{text}");
        }
    }
}
