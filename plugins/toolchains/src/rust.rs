//! Rust: packages and workspaces of Cargo; which binary is the app.
//!
//! Guarantees: built from Cargo.lock as it is, without network once crates are fetched. Manifests alone do not suffice to resolve a
//! workspace, so crates and what is compiled of them are kept in the app's cache: a change of the source alone compiles only the app.

mod workspace;

use hop3_plugin_api::{
    ArtifactKind, BuildPlan, BuildStep, Evidence, PlanContext, Rank, Result, ToolchainDescription,
};

use crate::language::{Language, first_of};
use crate::place::{Place, Subtree, join, upwards};
use crate::source::{self, toml_string};
use crate::steps::{UNLOCKED_NOTE, env, fetch, missing_lock, step, tool, web};
use crate::version::{self, Pin, PinFile, Places, is_open};
use workspace::Binary;

const NAME: &str = "rust";
const MANIFEST: &str = "Cargo.toml";
const LOCK: &str = "Cargo.lock";
const PLACES: Places = Places {
    language: NAME,
    names: &[NAME],
    own_files: &[
        (
            "rust-toolchain.toml",
            PinFile::Toml(&["toolchain", "channel"]),
        ),
        ("rust-toolchain", PinFile::Toml(&["toolchain", "channel"])),
    ],
};

/// Rust.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rust;

impl Language for Rust {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            tools: &["cargo", "rustc"],
            detects: &[MANIFEST],
            locks: &[(
                LOCK,
                "cargo fetch --locked, then cargo build --release --locked --offline",
            )],
            pins: &[
                "`rust-version` in `[build]`",
                "rust-toolchain.toml",
                ".tool-versions",
                "mise.toml",
                "`package.rust-version` in Cargo.toml: that version or a newer one",
            ],
            builds: &["the only binary of the root's package, else of the workspace"],
            starts: &["target/release/<the binary's name>"],
            remarks: &[
                "crates and what is compiled of them are kept in the app's cache; the release gets the binary alone",
                "`package = \"web\"` in `[plugin.toolchains]` chooses a package or a binary",
            ],
            ..ToolchainDescription::default()
        }
    }

    fn evidence(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        Ok(first_of(cx, Rank::Manifest, &[MANIFEST]))
    }

    fn lacks(&self) -> &'static str {
        "there is no Cargo.toml"
    }

    /// A package that the workspace of a directory above has belongs to it.
    fn root(&self, cx: &PlanContext<'_>, directory: &str) -> Result<String> {
        for above in upwards(directory).skip(1) {
            let view = Subtree {
                whole: cx.source,
                directory: above,
            };
            let members = workspace::members(&PlanContext {
                source: &view,
                ..*cx
            })?;
            if members
                .iter()
                .any(|member| join(above, member) == directory)
            {
                return Ok(above.to_owned());
            }
        }
        Ok(directory.to_owned())
    }

    fn plan(&self, place: &Place<'_>) -> Result<BuildPlan> {
        let cx = &place.cx;
        let lock = source::lock_text(cx, LOCK)?;
        if lock.is_none() && !place.allows_unlocked() {
            return Err(missing_lock(
                &place.shown(MANIFEST),
                "cargo generate-lockfile",
            ));
        }
        let mut plan = BuildPlan::new(NAME, ArtifactKind::Native);
        let (cargo, channel) = version(place)?;
        plan.tools.push(tool("cargo", cargo));
        plan.env = env(&[
            ("CARGO_HOME", "${cache}/cargo"),
            ("CARGO_TERM_COLOR", "never"),
        ]);
        plan.env.extend(
            channel
                .iter()
                .flat_map(|name| env(&[("RUSTUP_TOOLCHAIN", name)])),
        );
        let fetches = lock
            .as_ref()
            .is_none_or(|lock| lock.contains("\nsource = "));
        plan.steps
            .extend(fetches.then(|| fetch_crates(lock.is_some())));
        if lock.is_none() {
            plan.notes.push(UNLOCKED_NOTE.to_owned());
        }
        if !place.builds_itself() {
            let binary = workspace::choose(place)?;
            plan.env
                .extend(env(&[("CARGO_TARGET_DIR", "${cache}/cargo-target")]));
            plan.steps.push(build(&binary, lock.is_some()));
            plan.steps.push(install(place, &binary)?);
            plan.runtime.workers = web(start(place, &binary)?);
        }
        Ok(plan)
    }
}

fn fetch_crates(locked: bool) -> BuildStep {
    let words = ["cargo", "fetch"]
        .into_iter()
        .chain(locked.then_some("--locked"));
    fetch("fetch crates", words)
}

fn build(binary: &Binary, locked: bool) -> BuildStep {
    let words = ["cargo", "build", "--release"].into_iter();
    let words = words
        .chain(locked.then_some("--locked"))
        .chain(["--offline"]);
    let which = ["--package", &binary.package, "--bin", &binary.name];
    step("build", words.chain(which))
}

/// The binary is copied to where Cargo would leave it, which is where Procfiles look for it.
fn install(place: &Place<'_>, binary: &Binary) -> Result<BuildStep> {
    let settings = source::toml(&place.cx, ".cargo/config.toml")?.unwrap_or_default();
    let target = toml_string(&settings, &["build", "target"]).unwrap_or_default();
    let made = join(target, &format!("release/{}", binary.name));
    let made = format!("${{cache}}/cargo-target/{made}");
    let kept = format!("target/release/{}", binary.name);
    let words = ["install", "-D", "-m", "755", "--", &made, &kept];
    Ok(step("keep the binary", words))
}

/// Rocket does not look at `PORT`.
fn start(place: &Place<'_>, binary: &Binary) -> Result<String> {
    let manifest = join(&binary.directory, MANIFEST);
    let manifest = source::toml(&place.cx, &manifest)?.unwrap_or_default();
    let rocket = source::toml_value(&manifest, &["dependencies", "rocket"]).is_some();
    let before = if rocket {
        "ROCKET_PORT=$PORT exec "
    } else {
        ""
    };
    Ok(format!("{before}./target/release/{}", binary.name))
}

/// The version of Cargo, and the channel for rustup: `stable` and `nightly` are names of no version.
fn version(place: &Place<'_>) -> Result<(Option<Pin>, Option<String>)> {
    let manifest = source::toml(&place.cx, &place.own(MANIFEST))?.unwrap_or_default();
    let text = source::text(&place.cx, &place.own(MANIFEST))?.unwrap_or_default();
    let least = toml_string(&manifest, &["package", "rust-version"]).map(|version| {
        let own = place.own(MANIFEST);
        Pin::of_manifest(
            place,
            (&own, &text),
            ("rust-version", &format!(">={version}")),
        )
    });
    let Some(pin) = version::pinned(place, &PLACES, least)? else {
        return Ok((None, None));
    };
    let least = pin.version.starts_with('>');
    let channel = (!least && pin.version != "latest").then(|| pin.version.clone());
    let comparable = pin.version.contains('.') || pin.version.bytes().all(|b| b.is_ascii_digit());
    Ok((
        Some(pin).filter(|pin| comparable && !is_open(&pin.version)),
        channel,
    ))
}
