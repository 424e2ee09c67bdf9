//! Ruby: gems by Bundler from Gemfile.lock; Rails and Rack apps.
//!
//! Guarantees: the lock is frozen. Gems go into a layer that releases use where it is; where the Gemfile reads more of the source, into
//! the release, and a note says so.

mod gemfile;

use std::collections::BTreeMap;

use hop3_plugin_api::{
    ArtifactKind, BuildPlan, BuildStep, EnvKey, Evidence, LayerPlan, PlanContext, Result,
    RuntimeSpec, ToolchainDescription,
};

use crate::language::{Language, manifest_or_sign};
use crate::node;
use crate::place::Place;
use crate::source;
use crate::steps::{UNLOCKED_NOTE, env, fetch, missing_lock, step, tool, web};
use crate::version::{self, Pin, PinFile, Places};
use gemfile::Gemfile;

const NAME: &str = "ruby";
const PLACES: Places = Places {
    language: NAME,
    names: &[NAME],
    own_files: &[(".ruby-version", PinFile::Word)],
};

/// Gems that compile assets.
const ASSETS: [&str; 7] = [
    "sprockets-rails",
    "propshaft",
    "jsbundling-rails",
    "cssbundling-rails",
    "shakapacker",
    "webpacker",
    "vite_rails",
];

/// Ruby.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ruby;

impl Language for Ruby {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            tools: &["ruby", "bundle"],
            detects: &["Gemfile", "config.ru"],
            locks: &[(
                "Gemfile.lock",
                "bundle install, with BUNDLE_DEPLOYMENT and without development and test",
            )],
            pins: &[
                "`ruby-version` in `[build]`",
                ".ruby-version",
                ".tool-versions",
                "mise.toml",
                "`ruby` in the Gemfile, else the version in Gemfile.lock",
                "BUNDLED WITH in Gemfile.lock, for Bundler: it switches to that version itself",
            ],
            builds: &["Rails' assets:precompile with a dummy secret, where a gem compiles assets"],
            starts: &["rails server", "puma or rackup, where there is a config.ru"],
            writes: &["tmp, log and storage of Rails"],
            remarks: &[
                "gems are installed in a layer that releases use where it is; where the Gemfile takes gems from the source, in each release",
            ],
        }
    }

    fn evidence(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        Ok(manifest_or_sign(cx, &[gemfile::NAME], &["config.ru"]))
    }

    fn lacks(&self) -> &'static str {
        "there is no Gemfile or config.ru"
    }

    fn plan(&self, place: &Place<'_>) -> Result<BuildPlan> {
        let Some(gemfile) = gemfile::read(place)? else {
            return without_gems(place);
        };
        if gemfile.lock.is_none() && gemfile.asks_for_gems && !place.allows_unlocked() {
            let path = place.shown(gemfile::NAME);
            return Err(missing_lock(&path, "bundle lock"));
        }
        let mut plan = BuildPlan::new(NAME, ArtifactKind::Native);
        let ruby = version(place, gemfile.ruby.clone())?;
        plan.tools.push(tool(NAME, ruby));
        plan.tools.push(tool("bundle", gemfile.bundler.clone()));
        let directory = install(&mut plan, place, &gemfile);
        plan.env
            .extend(bundle_env(directory, gemfile.lock.is_some()));
        let rails = rails(place, &gemfile);
        plan.runtime = runtime(place, &gemfile, rails);
        plan.runtime
            .env
            .extend(bundle_env(directory, gemfile.lock.is_some()));
        if rails {
            plan.env.extend(rails_env());
            plan.env.extend(env(&[
                ("SECRET_KEY_BASE", "only-for-the-build"),
                ("SECRET_KEY_BASE_DUMMY", "1"),
                ("SKIP_BUN_INSTALL", "1"),
                ("SKIP_YARN_INSTALL", "1"),
            ]));
            let built = gemfile.has("jsbundling-rails") && node::builds_assets(place)?;
            plan.env.extend(
                built
                    .then(|| env(&[("SKIP_JS_BUILD", "1")]))
                    .into_iter()
                    .flatten(),
            );
            plan.steps.extend(precompile(&gemfile));
        }
        Ok(plan)
    }
}

/// A Rack app of the standard library.
fn without_gems(place: &Place<'_>) -> Result<BuildPlan> {
    let mut plan = BuildPlan::new(NAME, ArtifactKind::Native);
    plan.tools.push(tool(NAME, version(place, None)?));
    if place.cx.source.has("config.ru") {
        plan.runtime.workers = web("rackup --host 127.0.0.1 --port $PORT");
    }
    Ok(plan)
}

/// `ruby-3.2.2` and `3.2.2` are the same.
fn version(place: &Place<'_>, manifest: Option<Pin>) -> Result<Option<Pin>> {
    let pin = version::pinned(place, &PLACES, manifest)?;
    Ok(pin.map(|pin| {
        let version = pin.version.trim_start_matches("ruby-").to_owned();
        pin.reworded(version)
    }))
}

/// Adds the layer or the step that installs; says where the gems are.
fn install(plan: &mut BuildPlan, place: &Place<'_>, gemfile: &Gemfile) -> &'static str {
    let steps = vec![fetch("install gems", ["bundle", "install", "--jobs=4"])];
    if gemfile.lock.is_none() && gemfile.asks_for_gems {
        plan.notes.push(UNLOCKED_NOTE.to_owned());
    }
    let why = gemfile.reads_the_source.as_ref();
    if let Some(why) = why {
        plan.notes
            .push(format!("{why}, so gems are installed anew in each release"));
    }
    // Without a lock Bundler writes one, which must stay with what runs.
    if why.is_some() || gemfile.lock.is_none() {
        plan.steps.extend(steps);
        return "${app}/vendor/bundle";
    }
    let mut inputs = gemfile.files.clone();
    inputs.extend(source::present(
        &place.cx,
        &[".ruby-version", ".tool-versions", "vendor/cache"],
    ));
    plan.layers
        .push(LayerPlan::mounted("bundle", inputs, steps));
    "${layer:bundle}"
}

/// Settings that a developer left in `.bundle` must not count, so Bundler is shown another place for them.
fn bundle_env(directory: &str, locked: bool) -> BTreeMap<EnvKey, String> {
    let mut variables = env(&[
        ("BUNDLE_APP_CONFIG", &format!("{directory}/.bundle")),
        ("BUNDLE_PATH", directory),
        ("BUNDLE_WITHOUT", "development:test"),
        ("RACK_ENV", "production"),
    ]);
    variables.extend(
        locked
            .then(|| env(&[("BUNDLE_DEPLOYMENT", "1")]))
            .into_iter()
            .flatten(),
    );
    variables
}

fn rails(place: &Place<'_>, gemfile: &Gemfile) -> bool {
    gemfile.has("railties") && place.cx.source.has("config/application.rb")
        || gemfile.lock.is_none() && gemfile.names.contains("rails")
}

fn rails_env() -> BTreeMap<EnvKey, String> {
    env(&[
        ("RAILS_ENV", "production"),
        ("RAILS_LOG_TO_STDOUT", "1"),
        ("RAILS_SERVE_STATIC_FILES", "1"),
    ])
}

fn precompile(gemfile: &Gemfile) -> Option<BuildStep> {
    let compiles = ASSETS.iter().any(|gem| gemfile.has(gem));
    let words = ["bundle", "exec", "rails", "assets:precompile"];
    compiles.then(|| step("precompile assets", words))
}

fn runtime(place: &Place<'_>, gemfile: &Gemfile, rails: bool) -> RuntimeSpec {
    if rails {
        let server = "bundle exec rails server -b 127.0.0.1 -p $PORT -P \"$TMPDIR/server.pid\"";
        return RuntimeSpec {
            env: rails_env(),
            workers: web(server),
            writable: ["tmp", "log", "storage"].map(str::to_owned).to_vec(),
            ..RuntimeSpec::default()
        };
    }
    if !place.cx.source.has("config.ru") {
        return RuntimeSpec::default();
    }
    let server = if gemfile.has("puma") {
        "bundle exec puma -b tcp://127.0.0.1:$PORT"
    } else {
        "bundle exec rackup --host 127.0.0.1 --port $PORT"
    };
    RuntimeSpec {
        workers: web(server),
        ..RuntimeSpec::default()
    }
}
