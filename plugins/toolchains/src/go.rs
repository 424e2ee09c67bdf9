//! Go: modules, workspaces and vendored sources; which package is the app; one binary.
//!
//! Guarantees: go.mod and go.sum are read only; modules are downloaded into a layer and compiled without network. No other version of Go
//! is downloaded: one that a module asks for and the host lacks is refused.

mod mains;
mod modfile;

use hop3_plugin_api::{
    Abort, ArtifactKind, BuildPlan, BuildStep, Evidence, LayerPlan, PlanContext, Result,
    ToolchainDescription,
};

use crate::language::{Language, manifest_or_sign};
use crate::place::{Place, Subtree, join, upwards};
use crate::source;
use crate::steps::{UNLOCKED_NOTE, env, fetch, missing_lock, step, tool, web};
use crate::version::{self, Pin, PinFile, Places};
use mains::Main;
use modfile::Module;

const NAME: &str = "go";
const PLACES: Places = Places {
    language: NAME,
    names: &[NAME, "golang"],
    own_files: &[(".go-version", PinFile::Word)],
};

/// Go.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Go;

impl Language for Go {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            tools: &["go"],
            detects: &["go.mod", "go.work", "main.go"],
            locks: &[
                ("go.sum", "go mod download, then go build -mod=readonly"),
                ("vendor/modules.txt", "go build -mod=vendor"),
            ],
            pins: &[
                "`go-version` in `[build]`",
                ".go-version",
                ".tool-versions",
                "mise.toml",
                "`toolchain` or `go` in go.mod: that version or a newer one",
            ],
            builds: &[
                "go build -trimpath -ldflags \"-s -w\" of the root's package, else of the only one in cmd/, else of the only one there is",
            ],
            starts: &["bin/<the package's name>"],
            remarks: &[
                "modules are downloaded into a layer; what is compiled is kept in the app's cache",
                "`package = \"./cmd/web\"` in `[plugin.toolchains]` chooses between several",
            ],
            ..ToolchainDescription::default()
        }
    }

    fn evidence(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        Ok(manifest_or_sign(cx, &["go.mod", "go.work"], &["main.go"]))
    }

    fn lacks(&self) -> &'static str {
        "there is no go.mod, go.work or main.go"
    }

    /// A module that the go.work of a directory above uses belongs to it.
    fn root(&self, cx: &PlanContext<'_>, directory: &str) -> Result<String> {
        for above in upwards(directory).skip(1) {
            let view = Subtree {
                whole: cx.source,
                directory: above,
            };
            let used = modfile::used(&PlanContext {
                source: &view,
                ..*cx
            })?;
            if used.iter().any(|module| join(above, module) == directory) {
                return Ok(above.to_owned());
            }
        }
        Ok(directory.to_owned())
    }

    fn plan(&self, place: &Place<'_>) -> Result<BuildPlan> {
        let modules = modfile::modules(&place.cx)?;
        let vendored = place.cx.source.has("vendor/modules.txt");
        let fetches = !vendored && modules.iter().any(Module::fetches);
        let unlocked = modules
            .iter()
            .find(|module| !vendored && module.is_unlocked());
        if let Some(module) = unlocked.filter(|_| !place.allows_unlocked()) {
            let path = place.shown(&module.file("go.mod"));
            return Err(missing_lock(&path, "go mod tidy"));
        }
        let unlocked = unlocked.is_some();
        let mut plan = BuildPlan::new(NAME, ArtifactKind::Native);
        plan.tools.push(tool(NAME, version(place, &modules)?));
        plan.env = env(&[
            ("GOCACHE", "${cache}/go-build"),
            ("GOFLAGS", "-modcacherw"),
            ("GOTOOLCHAIN", "local"),
        ]);
        if unlocked {
            plan.notes.push(UNLOCKED_NOTE.to_owned());
        } else if fetches {
            plan.env.extend(env(&[("GOMODCACHE", "${layer:modules}")]));
            plan.layers.push(layer(&place.cx, &modules));
        }
        if !place.builds_itself() {
            let mode = mode(vendored, unlocked, modules.is_empty());
            let main = mains::choose(place, &modules)?;
            plan.runtime.workers = web(format!("./bin/{}", main.name));
            plan.steps.push(build(place, &main, mode, unlocked));
        }
        plan.runtime.path = path(place);
        Ok(plan)
    }
}

fn path(place: &Place<'_>) -> Vec<String> {
    vec![join("${app}", &place.own("bin"))]
}

/// `-mod` as the source has it; a script without a module has none.
fn mode(vendored: bool, unlocked: bool, script: bool) -> Option<&'static str> {
    match (script, vendored, unlocked) {
        (true, ..) => None,
        (_, true, _) => Some("-mod=vendor"),
        (_, _, true) => Some("-mod=mod"),
        _ => Some("-mod=readonly"),
    }
}

fn build(place: &Place<'_>, main: &Main, mode: Option<&str>, network: bool) -> BuildStep {
    let output = join("${app}", &place.own(&format!("bin/{}", main.name)));
    let options = ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o"];
    let words = ["go", "build"].into_iter().chain(mode).chain(options);
    let packages = main.packages.iter().map(String::as_str);
    let built = step("build", words.chain([output.as_str()]).chain(packages));
    BuildStep { network, ..built }
}

/// Each module's manifest and sums are all that decides which modules are downloaded.
fn layer(cx: &PlanContext<'_>, modules: &[Module]) -> LayerPlan {
    let files = ["go.mod", "go.sum"];
    let own = modules
        .iter()
        .flat_map(|module| files.map(|file| module.file(file)));
    let beside = modules.iter().flat_map(Module::beside);
    let beside = beside.map(|directory| join(directory, "go.mod"));
    let workspace = ["go.work", "go.work.sum"].map(str::to_owned);
    let mut inputs: Vec<String> = workspace.into_iter().chain(own).chain(beside).collect();
    inputs.retain(|path| cx.source.has(path));
    inputs.sort();
    inputs.dedup();
    let steps = vec![fetch("download modules", ["go", "mod", "download"])];
    LayerPlan::mounted("modules", inputs, steps)
}

/// What `go` and `toolchain` lines ask for is the least that will do.
fn version(place: &Place<'_>, modules: &[Module]) -> Result<Option<Pin>> {
    let asked = modules.iter().filter_map(|module| module.version.as_ref());
    let highest = asked.max_by_key(|(version, _)| modfile::numbers(version));
    let manifest = highest.map(|(version, at)| Pin::new(format!(">={version}"), place.shown(at)));
    let pin = version::pinned(place, &PLACES, manifest)?;
    Ok(pin.map(|pin| {
        let version = pin.version.trim_start_matches("go").to_owned();
        pin.reworded(version)
    }))
}

/// Files of a program that belongs to no module.
fn script_files(cx: &PlanContext<'_>) -> Result<Vec<String>> {
    let files = source::files(cx, "")?.into_iter();
    let files: Vec<String> = files
        .filter(|file| source::has_ending(file, "go") && !file.ends_with("_test.go"))
        .collect();
    if files.is_empty() {
        return Err(Abort::new("there is no go.mod, and no Go file at the root of the source")
            .hint("make a module with `go mod init`, or name its directory: `directory` in `[plugin.toolchains]`")
            .into());
    }
    Ok(files)
}
