//! Clojure: Leiningen or the Clojure CLI with a build program; one archive that runs. What is downloaded is kept in the app's cache.

use hop3_plugin_api::{
    Abort, ArtifactKind, BuildPlan, BuildStep, Evidence, PlanContext, Result, ToolchainDescription,
};

use crate::java::{JVM, jvm, runnable, start};
use crate::language::{Language, manifest_or_sign};
use crate::place::Place;
use crate::source;
use crate::steps::{env, fetch, link, tool, web};
use crate::version::Pin;

const NAME: &str = "clojure";
const LEIN: &str = "project.clj";
const DEPS: &str = "deps.edn";

/// Clojure.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clojure;

impl Language for Clojure {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            tools: &["java", "lein", "clojure"],
            detects: &[LEIN, DEPS, "build.clj"],
            pins: &[
                "`clojure-version` in `[build]`, for the Clojure CLI",
                "`java-version` in `[build]`, .java-version, .sdkmanrc, system.properties, .tool-versions, mise.toml",
            ],
            builds: &[
                "lein uberjar",
                "clojure -T:build uber, where deps.edn has the alias `:build`",
                "clojure -X:uberjar, where it has the alias `:uberjar`",
            ],
            starts: &["java $JAVA_OPTS -jar of the standalone archive"],
            remarks: &["what is downloaded is kept in the app's cache"],
            ..ToolchainDescription::default()
        }
    }

    fn evidence(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        Ok(manifest_or_sign(cx, &[LEIN, DEPS], &["build.clj"]))
    }

    fn lacks(&self) -> &'static str {
        "there is no project.clj, deps.edn or build.clj"
    }

    fn plan(&self, place: &Place<'_>) -> Result<BuildPlan> {
        let mut plan = BuildPlan::new(NAME, ArtifactKind::Native);
        let lein = place.cx.source.has(LEIN);
        let asked = place.cx.config.build.versions.get(NAME);
        plan.tools.push(jvm(place)?);
        plan.env = env(&[JVM]);
        if lein {
            plan.tools.push(tool("lein", None));
            plan.env
                .extend(env(&[("LEIN_HOME", "${cache}/lein"), ("LEIN_ROOT", "1")]));
            plan.notes.extend(asked.map(|_| {
                format!("`clojure-version` has no effect: `{LEIN}` names the version of Clojure")
            }));
        } else {
            let pin = asked.map(|version| Pin::new(version, "hop3.toml"));
            plan.tools.push(tool(NAME, pin));
            plan.env.extend(env(&[("CLJ_CONFIG", "${cache}/clojure")]));
        }
        if !place.builds_itself() {
            plan.steps.push(build(place, lein)?);
            let directories = ["target", "target/uberjar"].map(str::to_owned).to_vec();
            let pick = runnable(directories, (".jar", "target/app.jar".to_owned()));
            plan.steps.push(link("find the archive that runs", pick));
            plan.runtime.workers = web(start("", "target/app.jar"));
        }
        Ok(plan)
    }
}

fn build(place: &Place<'_>, lein: bool) -> Result<BuildStep> {
    if lein {
        return Ok(fetch("build", ["lein", "uberjar"]));
    }
    let text = source::text(&place.cx, DEPS)?.unwrap_or_default();
    let has = |alias: &str| {
        let mut words = text.split(|c: char| c.is_whitespace() || "{}(),".contains(c));
        words.any(|word| word == alias)
    };
    if has(":build") || text.is_empty() {
        return Ok(fetch("build", ["clojure", "-T:build", "uber"]));
    }
    if has(":uberjar") {
        return Ok(fetch("build", ["clojure", "-X:uberjar"]));
    }
    let message = format!(
        "`{}` has neither an alias `:build` nor an alias `:uberjar`",
        place.shown(DEPS)
    );
    Err(Abort::new(message)
        .hint("add one that makes an archive, or set `build` in `[build]` and `start` in `[run]`")
        .into())
}
