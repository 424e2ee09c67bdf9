//! Plain files: which directory of the source, of what the spec's own commands make, or of what Node builds, is published.

use hop3_plugin_api::{
    Abort, ArtifactKind, BuildPlan, Evidence, PlanContext, Rank, Result, RuntimeSpec,
    ToolchainDescription,
};

use crate::language::Language;
use crate::node;
use crate::place::Place;
use crate::source;

const NAME: &str = "static";

/// Directories that are published without being named, in this order.
const USUAL: [&str; 2] = ["public", "dist"];

/// Plain files.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StaticSite;

impl Language for StaticSite {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            detects: &[
                "`static-dir` in `[build]`",
                "a `static` worker",
                "index.html",
                "public/",
                "dist/",
            ],
            builds: &["the `build` script of package.json, with Node, where there is one"],
            remarks: &[
                "the proxy serves the published directory; nothing runs",
                "after a build with Node only files are left: node_modules is taken away",
            ],
            ..ToolchainDescription::default()
        }
    }

    fn evidence(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        let found = match directory_of_spec(cx) {
            Some(named) => Some(named.to_owned()),
            None => usual_directory(cx)?,
        };
        Ok(found.map(|directory| Evidence {
            rank: Rank::Companion,
            file: if directory.is_empty() {
                "index.html".to_owned()
            } else {
                directory
            },
        }))
    }

    fn lacks(&self) -> &'static str {
        "there is no `index.html`, `public/` or `dist/`, and `[build] static-dir` names no directory"
    }

    fn plan(&self, place: &Place<'_>) -> Result<BuildPlan> {
        let mut plan = BuildPlan::new(NAME, ArtifactKind::Static);
        let generated = node::static_site(place, &mut plan)?;
        let built = !plan.steps.is_empty();
        plan.runtime = RuntimeSpec {
            publish: Some(publish(place, generated, built)?),
            ..RuntimeSpec::default()
        };
        Ok(plan)
    }

    fn takes_assets(&self) -> bool {
        false
    }
}

/// The published directory, relative to the project's root; empty for the root itself.
fn publish(place: &Place<'_>, generated: Option<String>, built: bool) -> Result<String> {
    let cx = &place.cx;
    if let Some(directory) = directory_of_spec(cx) {
        let directory = named(place, directory)?;
        return if built {
            Ok(directory)
        } else {
            existing_or_made(cx, directory)
        };
    }
    if let Some(directory) = generated {
        return Ok(directory);
    }
    match usual_directory(cx)? {
        Some(directory) => Ok(directory),
        None if built => Ok("dist".to_owned()),
        None => existing_or_made(cx, USUAL[0].to_owned()),
    }
}

/// A directory that the spec names, relative to the project's root.
pub(crate) fn named(place: &Place<'_>, named: &str) -> Result<String> {
    source::normalised(named)
        .map(|path| place.own(&path))
        .ok_or_else(|| {
            source::config(
                format!("`static-dir` is `{named}`, which is not inside the source"),
                Some("name a directory relative to the source's root, such as `public`"),
            )
        })
}

/// `[build] static-dir`, else the Procfile's or the spec's `static` worker, which names a directory.
fn directory_of_spec<'a>(cx: &PlanContext<'a>) -> Option<&'a str> {
    let build = cx.config.build.static_dir.as_deref();
    build.or_else(|| cx.config.workers.get(NAME).map(|worker| worker.trim()))
}

fn usual_directory(cx: &PlanContext<'_>) -> Result<Option<String>> {
    if cx.source.has("index.html") {
        return Ok(Some(String::new()));
    }
    let present = source::directories(cx, "")?;
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
