//! PHP: packages by Composer from composer.lock, or plain scripts; served by PHP's own server with several workers, because no adapter
//! from HTTP to PHP-FPM is part of this program yet. A plan says so.
//!
//! Guarantees: packages are a layer that releases clone; autoloading and the scripts of composer.json are made in the release, offline.

mod composer;

use hop3_plugin_api::{
    ArtifactKind, BuildPlan, BuildStep, Evidence, LayerPlan, PlanContext, Result,
    ToolchainDescription,
};

use crate::language::{Language, manifest_or_sign};
use crate::place::Place;
use crate::source;
use crate::steps::{UNLOCKED_NOTE, env, missing_lock, step, tool, web, write};
use crate::version::{self, Pin, PinFile, Places};
use composer::Composer;

const NAME: &str = "php";
const PLACES: Places = Places {
    language: NAME,
    names: &[NAME],
    own_files: &[(".php-version", PinFile::Word)],
};

/// Front controllers, in the directories that are published.
const FRONTS: [&str; 5] = [
    "public/index.php",
    "web/index.php",
    "htdocs/index.php",
    "html/index.php",
    "index.php",
];

/// What answers each request: a file of the published directory, else the front controller. Hidden files are never served, and where
/// the whole source is published, neither are packages and manifests.
const ROUTER: &str = r#"<?php
$root = $_SERVER['DOCUMENT_ROOT'];
$path = rawurldecode(strtok($_SERVER['REQUEST_URI'], '?'));
if (preg_match('#(^|/)(\.(?!well-known/)|vendor/|composer\.(json|lock)$)#', ltrim($path, '/')) === 1) {
    http_response_code(404);
    return true;
}
if (strpos($path, "\0") === false && strpos($path, '..') === false) {
    $file = rtrim($root . $path, '/');
    if (is_file($file) || is_file("$file/index.html")) {
        return false;
    }
    if (is_file("$file/index.php")) {
        $front = "$file/index.php";
    }
}
$front = $front ?? "$root/index.php";
if (!is_file($front)) {
    http_response_code(404);
    return true;
}
$script = substr($front, strlen($root));
$_SERVER['SCRIPT_FILENAME'] = $front;
$_SERVER['SCRIPT_NAME'] = $script;
$_SERVER['PHP_SELF'] = $script;
chdir(dirname($front));
require $front;
"#;

/// Where sessions outlive a release.
const SESSIONS: &str = ".hop3/sessions";

/// PHP's own places for these are the host's, which an app cannot write.
const SETTINGS: &str =
    "-d opcache.lockfile_path=\"$TMPDIR\" -d session.save_path=\"$PWD/.hop3/sessions\"";

/// PHP.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Php;

impl Language for Php {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            tools: &["php", "composer"],
            detects: &[
                "composer.json",
                "index.php",
                "public/index.php",
                "web/index.php",
            ],
            locks: &[(
                "composer.lock",
                "composer install --no-dev --prefer-dist --optimize-autoloader, after check-platform-reqs",
            )],
            pins: &[
                "`php-version` in `[build]`",
                ".php-version",
                ".tool-versions",
                "mise.toml",
                "`config.platform.php`, else `require.php` in composer.json",
            ],
            builds: &["the scripts of composer.json"],
            starts: &[
                "PHP's own server with four workers (PHP_CLI_SERVER_WORKERS), for public/, web/, htdocs/, html/ or the root",
            ],
            writes: &[
                "storage and bootstrap/cache of Laravel",
                "var/log of Symfony",
            ],
            remarks: &[
                "packages are installed in a layer and cloned into each release; where packages go to other directories, or come from the source, in each release",
                "PHP-FPM needs an adapter between it and the proxy, which is not built yet",
            ],
        }
    }

    fn evidence(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        Ok(manifest_or_sign(cx, &[composer::MANIFEST], &FRONTS))
    }

    fn lacks(&self) -> &'static str {
        "there is no composer.json and no index.php"
    }

    fn plan(&self, place: &Place<'_>) -> Result<BuildPlan> {
        let mut plan = BuildPlan::new(NAME, ArtifactKind::Native);
        let composer = composer::read(place)?;
        let asked = composer.as_ref().and_then(|composer| composer.php.clone());
        plan.tools.push(tool(NAME, version(place, asked)?));
        if let Some(composer) = &composer {
            install(place, &mut plan, composer)?;
        }
        frameworks(place, &mut plan);
        if let Some(front) = FRONTS.iter().find(|front| place.cx.source.has(front)) {
            serve(&mut plan, front);
        }
        Ok(plan)
    }
}

fn version(place: &Place<'_>, manifest: Option<Pin>) -> Result<Option<Pin>> {
    version::pinned(place, &PLACES, manifest)
}

fn install(place: &Place<'_>, plan: &mut BuildPlan, composer: &Composer) -> Result<()> {
    plan.tools.push(tool("composer", None));
    plan.env.extend(env(&[
        ("COMPOSER_ALLOW_SUPERUSER", "1"),
        ("COMPOSER_HOME", "${cache}/composer"),
        ("COMPOSER_NO_INTERACTION", "1"),
    ]));
    if !composer.requires {
        plan.steps.push(step(
            "make the autoloader",
            ["composer", "dump-autoload", "--no-dev", "--optimize"],
        ));
        return Ok(());
    }
    if !composer.locked {
        if !place.allows_unlocked() {
            return Err(missing_lock(
                &place.shown(composer::MANIFEST),
                "composer update --no-install",
            ));
        }
        plan.notes.push(UNLOCKED_NOTE.to_owned());
    }
    if let Some(why) = &composer.reads_the_source {
        plan.notes.push(format!(
            "{why}, so packages are installed anew in each release"
        ));
    }
    let in_layer = composer.locked && composer.reads_the_source.is_none();
    if in_layer {
        plan.layers.push(layer(place, composer));
    } else {
        plan.steps.extend(composer.locked.then(check));
    }
    let finished = composer_install("install packages", &["--optimize-autoloader"]);
    plan.steps.push(BuildStep {
        network: !in_layer,
        ..finished
    });
    Ok(())
}

fn check() -> BuildStep {
    let words = ["composer", "check-platform-reqs", "--lock", "--no-dev"];
    step("check PHP and its extensions", words)
}

fn composer_install(name: &str, more: &[&str]) -> BuildStep {
    let words = [
        "composer",
        "install",
        "--no-dev",
        "--prefer-dist",
        "--no-progress",
    ];
    step(name, words.into_iter().chain(more.iter().copied()))
}

/// Packages alone: autoloading and scripts look at the source.
fn layer(place: &Place<'_>, composer: &Composer) -> LayerPlan {
    let files = [composer::MANIFEST, composer::LOCK, "auth.json", "patches"];
    let inputs = source::present(&place.cx, &files);
    let install = composer_install("install packages", &["--no-scripts", "--no-autoloader"]);
    let steps = vec![
        check(),
        BuildStep {
            network: true,
            ..install
        },
    ];
    LayerPlan::cloned("vendor", vec![composer.vendor.clone()], (inputs, steps))
}

/// The list of Laravel's packages must be that of the release, so it is kept outside of what is data.
fn frameworks(place: &Place<'_>, plan: &mut BuildPlan) {
    let source = &place.cx.source;
    if source.has("artisan") {
        plan.runtime.writable = ["storage", "bootstrap/cache"].map(str::to_owned).to_vec();
        let packages = env(&[("APP_PACKAGES_CACHE", "bootstrap/packages.php")]);
        plan.runtime.env.extend(env(&[("APP_ENV", "production")]));
        plan.runtime.env.extend(packages.clone());
        plan.env.extend(packages);
    } else if source.has("bin/console") && source.has("config/bundles.php") {
        plan.runtime.writable = vec!["var/log".to_owned()];
        plan.runtime
            .env
            .extend(env(&[("APP_DEBUG", "0"), ("APP_ENV", "prod")]));
        plan.env
            .extend(env(&[("APP_DEBUG", "0"), ("APP_ENV", "prod")]));
    }
}

fn serve(plan: &mut BuildPlan, front: &str) {
    let root = front
        .rsplit_once('/')
        .map_or(".", |(directory, _)| directory);
    plan.steps
        .push(write("write the router", "${app}/.hop3/router.php", ROUTER));
    plan.runtime
        .env
        .extend(env(&[("PHP_CLI_SERVER_WORKERS", "4")]));
    plan.runtime.writable.push(SESSIONS.to_owned());
    plan.runtime.workers = web(format!(
        "exec php {SETTINGS} -S 127.0.0.1:$PORT -t {root} .hop3/router.php"
    ));
    plan.notes.push(
        "PHP's own server answers requests: PHP-FPM needs an adapter that is not built yet"
            .to_owned(),
    );
}
