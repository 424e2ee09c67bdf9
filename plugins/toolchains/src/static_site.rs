//! Plain files: which directory of the source, or of what the spec's own commands make, is published. Runs nothing itself.

use hop3_plugin_api::{
    Abort, ArtifactKind, BuildPlan, LanguageToolchain, PlanContext, Result, RuntimeSpec, Verdict,
};

use crate::source;

const NAME: &str = "static";

/// Directories that are published without being named, in this order.
const USUAL: [&str; 2] = ["public", "dist"];

/// Plain files.
#[derive(Debug, Clone, Copy, Default)]
pub struct StaticSite;

impl LanguageToolchain for StaticSite {
    fn name(&self) -> &'static str {
        NAME
    }

    fn detects(&self) -> &'static [&'static str] {
        &[
            "`static-dir` in `[build]`",
            "a `static` worker",
            "index.html",
            "public/",
            "dist/",
        ]
    }

    fn accept(&self, cx: &PlanContext<'_>) -> Verdict {
        if source::is_named(cx, NAME) || named_directory(cx).is_some() {
            return Verdict::Accept;
        }
        match usual_directory(cx) {
            Ok(found) => Verdict::when(
                found.is_some(),
                "there is no `index.html`, `public/` or `dist/`, and `[build] static-dir` names no directory",
            ),
            Err(error) => Verdict::Reject(error.to_string()),
        }
    }

    fn plan(&self, cx: &PlanContext<'_>) -> Result<BuildPlan> {
        Ok(BuildPlan {
            toolchain: NAME.to_owned(),
            kind: ArtifactKind::Static,
            tools: Vec::new(),
            layers: Vec::new(),
            steps: Vec::new(),
            env: source::no_env(),
            runtime: RuntimeSpec {
                publish: Some(publish(cx)?),
                ..RuntimeSpec::default()
            },
            notes: Vec::new(),
        })
    }
}

/// The published directory, relative to the root; empty for the root itself.
fn publish(cx: &PlanContext<'_>) -> Result<String> {
    let Some(named) = named_directory(cx) else {
        return match usual_directory(cx)? {
            Some(directory) => Ok(directory),
            None => existing_or_made(cx, USUAL[0].to_owned()),
        };
    };
    let directory = source::normalised(named).ok_or_else(|| {
        source::config(
            format!("`static-dir` is `{named}`, which is not inside the source"),
            Some("name a directory relative to the source's root, such as `public`"),
        )
    })?;
    existing_or_made(cx, directory)
}

/// `[build] static-dir`, else the Procfile's or the spec's `static` worker, which names a directory.
fn named_directory<'a>(cx: &PlanContext<'a>) -> Option<&'a str> {
    let build = cx.config.build.static_dir.as_deref();
    build.or_else(|| cx.config.workers.get(NAME).map(|worker| worker.trim()))
}

fn usual_directory(cx: &PlanContext<'_>) -> Result<Option<String>> {
    if cx.source.has("index.html") {
        return Ok(Some(String::new()));
    }
    let present = source::directories(cx)?;
    let usual = USUAL.iter().find(|name| present.iter().any(|d| d == *name));
    Ok(usual.map(|name| (*name).to_owned()))
}

/// A directory that neither exists nor can be made by any command would publish nothing.
fn existing_or_made(cx: &PlanContext<'_>, directory: String) -> Result<String> {
    let build = &cx.config.build;
    let commands = [&build.before_build, &build.build, &build.after_build];
    let made = commands.iter().any(|commands| !commands.is_empty());
    if made || directory.is_empty() || !cx.source.list(&directory)?.is_empty() {
        return Ok(directory);
    }
    Err(Abort::new(format!(
        "the directory `{directory}` is not in the source, and no command makes it"
    ))
    .hint("set `static-dir` in `[build]` to the directory to publish, or `build` to the command that makes it")
    .into())
}
