//! One app's story: found, built, served, changed, given another dependency, broken, brought back. Everything is asked over HTTP and of the
//! agent's commands, as a visitor and an operator would.

use std::collections::BTreeMap;
use std::fs;

use hop3_plugin_testing::dockerd::{self, Dockerd};

use super::author::Author;
use super::case::{Case, Change, Registry};
use super::cells::Cells;
use super::engine;
use super::machine;
use super::registry::OwnRegistry;
use super::support::{TestHost, until_within};
use super::turn::Turn;

/// Seconds that an app may take from its commit to its answer, unless its case says more.
const PATIENCE: u64 = 240;

/// Goes through all stages of a folder's app.
pub(crate) fn walk(folder: &'static str, test: &'static str) {
    let cells = Cells { folder, test };
    let case = Case::read(folder);
    let missing = machine::missing(&case.needs);
    let missing = missing.or_else(|| dockerd::missing().filter(|_| case.engine));
    if let Some(why) = missing {
        return cells.none_run(&why);
    }
    let _turn = Turn::take();
    if case.engine && !engine::is_inside() {
        return engine::run_inside(test);
    }
    story(&cells, &case);
}

fn story(cells: &Cells, case: &Case) {
    let folder = cells.folder;
    let mut host = TestHost::of_files(&[]);
    let world = World::of(&host, case);
    let author = Author::of(&host, folder, (&world.variables, &case.lock));
    let first = author.commit("The first edition");
    cells.stage("detected", || {
        assert_detected(&host, (folder, &case.detected));
    });
    host.start();
    let walk = Walk {
        folder,
        case,
        cells,
        host: &host,
        author: &author,
        world: &world,
    };
    walk.go(&first);
    // Before the engine that runs what it watches.
    drop(host);
}

/// What surrounds the app.
struct World {
    _engine: Option<Dockerd>,
    registry: Option<OwnRegistry>,
    variables: BTreeMap<String, String>,
}

impl World {
    /// Starts the registry and tells the agent's builds of it.
    fn of(host: &TestHost, case: &Case) -> Self {
        let registry = (case.registry == Registry::Own).then(|| {
            let work = host.path("packages");
            fs::create_dir_all(&work).unwrap();
            OwnRegistry::start(&work)
        });
        let variables = match (&registry, case.registry) {
            (Some(own), _) => own.variables(),
            (None, Registry::Machine) => machine::registry_variables(),
            (None, _) => BTreeMap::new(),
        };
        let env = toml::Value::try_from(&variables).unwrap();
        host.configure(|text| format!("{text}\n[plugin.local]\nenv = {env}\n"));
        Self {
            _engine: case.engine.then(|| engine::start(host)),
            registry,
            variables,
        }
    }

    fn fetched(&self) -> u64 {
        self.registry.as_ref().map_or(0, OwnRegistry::fetched)
    }
}

/// The toolchain is found by looking at the source: the spec names none.
fn assert_detected(host: &TestHost, (app, wanted): (&str, &str)) {
    let work = host.path("work").display().to_string();
    let plan = host.run(&[
        "plan", "--repo", &work, "--host", "demo", "--app", app, "--json",
    ]);
    assert_eq!(plan.code, 2, "{plan:#?}");
    let spec = fs::read_to_string(host.path("work/apps").join(app).join("hop3.toml")).unwrap();
    assert!(
        !spec.contains("toolchain ="),
        "the spec of {app} names its toolchain"
    );
    let found = format!("\"toolchain\": \"{wanted}\"");
    assert!(plan.out.contains(&found), "no {found} in {}", plan.out);
}

struct Walk<'a> {
    folder: &'static str,
    case: &'a Case,
    cells: &'a Cells,
    host: &'a TestHost,
    author: &'a Author<'a>,
    world: &'a World,
}

impl Walk<'_> {
    fn go(&self, commit: &str) {
        let value = self.case.value.as_deref();
        let first = self.marker("one", commit, value);
        self.cells.stage("built", || self.until_release(1));
        self.cells.stage("served", || self.assert_served(&first));
        let second = self.cells.stage("warm rebuild", || self.change_code());
        let third = if let Some(change) = &self.case.dependency {
            self.cells
                .stage("dependency change", || self.change_dependency(change))
        } else {
            self.cells
                .not_run("dependency change", "the app has no dependency");
            second
        };
        self.cells.stage("failure caught", || self.break_it(&third));
        self.cells.stage("rollback", || self.roll_back(&first));
    }

    /// What the app answers with: its edition, its commit, what its dependency computed, and the tool's version.
    fn marker(&self, edition: &str, commit: &str, value: Option<&str>) -> String {
        let tool = self.case.tool.as_deref().map(machine::version);
        let words = [Some(edition), Some(commit), value, tool.as_deref()];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// What a visitor reads, without tags.
    fn seen(&self) -> String {
        let answers = self
            .case
            .paths
            .iter()
            .map(|path| match self.host.visit(self.folder, path) {
                Ok(answer) if answer.status == 200 => plain(&answer.body),
                Ok(answer) => format!("{}: {}", answer.status, answer.body),
                Err(error) => error.to_string(),
            });
        answers.collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn assert_served(&self, marker: &str) {
        assert_eq!(self.seen(), marker);
    }

    fn until_release(&self, number: u64) {
        let what = format!("release {number} of {}", self.folder);
        let patience = self.case.patience.unwrap_or(PATIENCE);
        let settled = |app: &serde_json::Value| {
            app["failure"].is_object() || (app["state"] == "running" && app["release"] == number)
        };
        let app = until_within(patience, &what, || self.host.app(self.folder), settled);
        assert!(
            app["failure"].is_null(),
            "{app:#}\n{}",
            self.build_log(number)
        );
        if let (1, Some(words)) = (number, &self.case.installs) {
            let log = self.build_log(number);
            assert!(
                log.contains(words),
                "dependencies are installed without {words:?}:\n{log}"
            );
        }
    }

    /// What the tools said during a release's build.
    fn build_log(&self, release: u64) -> String {
        let path = format!("data/apps/{}/log/build-{release}.log", self.folder);
        fs::read_to_string(self.host.path(&path)).unwrap_or_default()
    }

    /// The author's change of the code goes live, and nothing is installed for it.
    fn change_code(&self) -> String {
        let (fetched, said) = (self.world.fetched(), self.host.log().len());
        if self.world.registry.is_some() {
            assert!(fetched > 0, "the dependency came from nowhere");
        }
        self.author.change(&self.case.code);
        let commit = self.author.commit("The second edition");
        self.until_release(2);
        let marker = self.marker("two", &commit, self.case.value.as_deref());
        self.assert_served(&marker);
        assert_eq!(
            self.world.fetched(),
            fetched,
            "a change of the code alone fetched a package"
        );
        self.assert_nothing_installed(&self.host.log()[said..]);
        marker
    }

    fn assert_nothing_installed(&self, said: &str) {
        if let Some(words) = &self.case.reuses {
            assert!(
                said.contains(words),
                "the agent did not say {words:?}:\n{said}"
            );
        }
        if let Some(words) = &self.case.installs {
            let log = self.build_log(2);
            assert!(
                !log.contains(words),
                "a change of the code alone installed something:\n{log}"
            );
        }
    }

    fn change_dependency(&self, change: &Change) -> String {
        self.author.change(change);
        let commit = self.author.commit("Another version of the dependency");
        self.until_release(3);
        let marker = self.marker("two", &commit, change.value.as_deref());
        self.assert_served(&marker);
        marker
    }

    /// The tool's own words reach the person, what served serves on, and the failed build has left nothing but its log.
    fn break_it(&self, served: &str) {
        self.author.change(&self.case.broken);
        self.author.commit("A mistake");
        let patience = self.case.patience.unwrap_or(PATIENCE);
        let failing = |app: &serde_json::Value| app["failure"].is_object();
        until_within(
            patience,
            "a failure",
            || self.host.app(self.folder),
            failing,
        );
        let why = self.host.run(&["why", self.folder]);
        for words in &self.case.broken.says {
            assert!(why.out.contains(words), "{words:?} is not in:\n{}", why.out);
        }
        self.assert_served(served);
        self.assert_freed();
    }

    /// Only whole releases hold files.
    fn assert_freed(&self) {
        let app = self.host.path("data/apps").join(self.folder);
        for release in entries(&app.join("releases")) {
            let whole = release.join("release.json").is_file();
            assert!(
                whole || !release.join("app").exists(),
                "{} is left",
                release.display()
            );
        }
        for layer in entries(&app.join("layers")) {
            assert!(
                layer.join(".hop3-layer.json").is_file(),
                "{} is left",
                layer.display()
            );
        }
        for file in entries(&app.join("cache")) {
            let name = file.file_name().unwrap().to_string_lossy();
            assert!(!name.starts_with("tmp-"), "{} is left", file.display());
        }
    }

    fn roll_back(&self, first: &str) {
        self.host.done(&["rollback", self.folder, "--to", "1"]);
        let served = |seen: &String| seen == first;
        until_within(PATIENCE, "the first edition again", || self.seen(), served);
    }
}

fn entries(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The words of a page or of a plain answer.
fn plain(body: &str) -> String {
    let mut tag = false;
    let text: String = body
        .chars()
        .map(|c| {
            tag = (tag || c == '<') && c != '>';
            if tag || c == '>' { ' ' } else { c }
        })
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
