//! .NET: one project, published. Packages are restored into the app's cache, locked where there is a lock file.

mod project;

use hop3_plugin_api::serde_json::Value;
use hop3_plugin_api::{
    ArtifactKind, BuildPlan, Evidence, PlanContext, Rank, Result, RuntimeSpec, ToolchainDescription,
};

use crate::language::Language;
use crate::place::{Place, join};
use crate::source;
use crate::steps::{UNLOCKED_NOTE, env, fetch, missing_lock, step, tool, web};
use crate::version::{self, Pin, Places};
use project::Project;

const NAME: &str = "dotnet";
const PLACES: Places = Places {
    language: NAME,
    names: &[NAME, "dotnet-core"],
    own_files: &[],
};

/// .NET.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dotnet;

impl Language for Dotnet {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            tools: &["dotnet"],
            detects: &["*.csproj, *.fsproj, *.vbproj", "*.sln, *.slnx"],
            locks: &[("packages.lock.json", "dotnet restore --locked-mode")],
            pins: &[
                "`dotnet-version` in `[build]`",
                "`sdk.version` in global.json, with its `rollForward`",
                ".tool-versions",
                "mise.toml",
                "`TargetFramework` of the project: that version or a newer one",
            ],
            builds: &["dotnet publish -c Release -o out, of the only project that runs"],
            starts: &["dotnet out/<name>.dll, with ASPNETCORE_URLS"],
            remarks: &[
                "packages are kept in the app's cache",
                "`package = \"src/Web\"` in `[plugin.toolchains]` chooses a project",
            ],
            ..ToolchainDescription::default()
        }
    }

    fn evidence(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        let found = source::files(cx, "")?
            .into_iter()
            .find(|file| project::is_manifest(file));
        Ok(found.map(|file| Evidence {
            rank: Rank::Manifest,
            file,
        }))
    }

    fn lacks(&self) -> &'static str {
        "there is no project or solution of .NET"
    }

    fn plan(&self, place: &Place<'_>) -> Result<BuildPlan> {
        let mut plan = BuildPlan::new(NAME, ArtifactKind::Native);
        plan.env = env(&[
            ("DOTNET_CLI_HOME", "${cache}/dotnet"),
            ("DOTNET_CLI_TELEMETRY_OPTOUT", "1"),
            ("DOTNET_NOLOGO", "1"),
            ("NUGET_PACKAGES", "${cache}/nuget"),
        ]);
        if place.builds_itself() {
            plan.tools.push(tool(NAME, version(place, None)?));
            return Ok(plan);
        }
        let project = project::choose(place)?;
        plan.tools.push(tool(NAME, version(place, Some(&project))?));
        let locked = place
            .cx
            .source
            .has(&join(project.directory(), "packages.lock.json"));
        if project.has_packages && !locked {
            if !place.allows_unlocked() {
                let command = format!("dotnet restore --use-lock-file {}", project.path);
                return Err(missing_lock(&place.shown(&project.path), &command));
            }
            plan.notes.push(UNLOCKED_NOTE.to_owned());
        }
        let restore = ["dotnet", "restore", project.path.as_str()].into_iter();
        plan.steps.push(fetch(
            "restore packages",
            restore.chain(locked.then_some("--locked-mode")),
        ));
        let publish = [
            "dotnet",
            "publish",
            &project.path,
            "-c",
            "Release",
            "-o",
            "out",
            "--no-restore",
        ];
        plan.steps.push(step("publish", publish));
        plan.runtime = runtime(&project);
        Ok(plan)
    }
}

/// What is published lies in `out`, and settings are looked for there, wherever the command runs.
fn runtime(project: &Project) -> RuntimeSpec {
    RuntimeSpec {
        env: env(&[
            ("ASPNETCORE_CONTENTROOT", "${app}/out"),
            ("DOTNET_CLI_TELEMETRY_OPTOUT", "1"),
            ("DOTNET_NOLOGO", "1"),
        ]),
        workers: web(format!(
            "ASPNETCORE_URLS=http://127.0.0.1:$PORT exec dotnet out/{}.dll",
            project.assembly
        )),
        ..RuntimeSpec::default()
    }
}

/// global.json asks for an SDK; the project's framework needs one that is not older.
fn version(place: &Place<'_>, project: Option<&Project>) -> Result<Option<Pin>> {
    if place.cx.config.build.versions.contains_key(NAME) {
        return version::pinned(place, &PLACES, None);
    }
    if let Some(pin) = global(place)? {
        return Ok(Some(pin));
    }
    let framework = project.and_then(|project| project.framework.as_ref());
    let manifest = framework.map(|(version, line)| {
        let path = project.map_or("", |project| &project.path);
        Pin::new(
            format!(">={version}"),
            format!("{}:{line}", place.shown(path)),
        )
    });
    version::pinned(place, &PLACES, manifest)
}

fn global(place: &Place<'_>) -> Result<Option<Pin>> {
    let file = "global.json";
    let settings = source::json(&place.cx, file)?.unwrap_or_default();
    let text = source::text(&place.cx, file)?.unwrap_or_default();
    let asked = settings.pointer("/sdk/version").and_then(Value::as_str);
    let roll = settings.pointer("/sdk/rollForward").and_then(Value::as_str);
    Ok(asked.map(|version| {
        let pin = Pin::of_manifest(place, (file, &text), ("\"version\"", version));
        pin.reworded(accepted(version, roll.unwrap_or("patch")))
    }))
}

/// Which SDKs do for the one that is named: the third number counts features in hundreds.
fn accepted(version: &str, roll: &str) -> String {
    let numbers: Vec<u32> = version
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    let [major, minor, patch] = numbers[..] else {
        return version.to_owned();
    };
    let band = (patch / 100 + 1) * 100;
    match roll {
        "disable" => version.to_owned(),
        "feature" | "latestFeature" => format!(">={version},<{major}.{}", minor + 1),
        "minor" | "latestMinor" => format!(">={version},<{}", major + 1),
        "major" | "latestMajor" => format!(">={version}"),
        _ => format!(">={version},<{major}.{minor}.{band}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sdk_may_be_newer_as_far_as_the_source_allows() {
        assert_eq!(accepted("8.0.104", "patch"), ">=8.0.104,<8.0.200");
        assert_eq!(accepted("8.0.104", "latestFeature"), ">=8.0.104,<8.1");
        assert_eq!(accepted("8.0.104", "latestMinor"), ">=8.0.104,<9");
        assert_eq!(accepted("8.0.104", "latestMajor"), ">=8.0.104");
        assert_eq!(accepted("8.0.104", "disable"), "8.0.104");
    }
}
