//! An app on a host, as plugins are given it: everything a context borrows from, in one owner.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hop3_plugin_api::serde_json::Value;
use hop3_plugin_api::{
    AppConfig, AppName, AppPaths, Context, DirectoryTree, EnvKey, EnvMap, Host, HostContext,
    HostDirs, PlanContext, Secret, Services, UserId,
};
use tempfile::TempDir;

use crate::{FakeHost, Recorder};

/// One app with its source, its settings and its directories.
///
/// Guarantees: the directories of [`AppPaths`] exist but for `build`; all are removed with the value.
pub struct TestApp {
    /// Its name.
    pub name: AppName,
    /// Its settings.
    pub config: AppConfig,
    /// Its resolved environment.
    pub env: EnvMap,
    /// Its user.
    pub user: Option<UserId>,
    /// Its directories.
    pub paths: AppPaths,
    /// The host's directories.
    pub dirs: HostDirs,
    /// The operator's settings by plugin.
    pub settings: BTreeMap<String, Value>,
    /// What other plugins offer.
    pub services: Services,
    /// The machine.
    pub host: Arc<dyn Host>,
    /// What plugins said.
    pub log: Recorder,
    fake: Option<Arc<FakeHost>>,
    source: DirectoryTree,
    source_root: TempDir,
    _root: Option<TempDir>,
}

impl TestApp {
    /// An app on a [`FakeHost`], with an empty source.
    pub fn new(name: &str) -> Self {
        let fake = Arc::new(FakeHost::new());
        let root = fake.root().to_owned();
        Self {
            fake: Some(fake.clone()),
            ..Self::beneath(name, fake, &root)
        }
    }

    /// An app on another machine, for instance the real one, in a temporary directory of its own.
    pub fn on(name: &str, host: Arc<dyn Host>) -> Self {
        let root = temporary();
        let path = root.path().to_owned();
        Self {
            _root: Some(root),
            ..Self::beneath(name, host, &path)
        }
    }

    fn beneath(name: &str, host: Arc<dyn Host>, root: &Path) -> Self {
        let name = AppName::parse(name).expect("a test names its app properly");
        let source_root = temporary();
        let app = Self {
            paths: app_paths(&root.join("data"), &name),
            dirs: host_dirs(root),
            name,
            config: AppConfig::default(),
            env: EnvMap::new(),
            user: None,
            settings: BTreeMap::new(),
            services: Services::default(),
            host,
            log: Recorder::default(),
            fake: None,
            source: DirectoryTree::new(source_root.path()),
            source_root,
            _root: None,
        };
        app.make_directories();
        app
    }

    /// Adds a file to the source.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        write(&self.source_root.path().join(path), content.as_ref());
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn variable(mut self, key: &str, value: &str) -> Self {
        let key = EnvKey::parse(key).expect("a test names its variables properly");
        self.env.insert(key, Secret::new(value));
        self
    }

    /// Changes the settings.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut AppConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// The fake machine. Panics on an app made with [`TestApp::on`].
    pub fn fake(&self) -> &FakeHost {
        self.fake.as_deref().expect("this app is on a fake host")
    }

    /// The effects so far; see [`FakeHost::transcript`].
    pub fn transcript(&self) -> Vec<String> {
        self.fake().transcript()
    }

    /// Where the source lies, to change it by hand.
    pub fn source_directory(&self) -> &Path {
        self.source_root.path()
    }

    /// The context of a pure call.
    pub fn plan_context(&self) -> PlanContext<'_> {
        PlanContext {
            app: &self.name,
            source: &self.source,
            config: &self.config,
        }
    }

    /// The context of a call about the host.
    pub fn host_context(&self) -> HostContext<'_> {
        HostContext {
            install: "test-install",
            host: self.host.as_ref(),
            services: &self.services,
            log: &self.log,
            dirs: &self.dirs,
            settings: &self.settings,
        }
    }

    /// The context of an effect on the app.
    pub fn context(&self) -> Context<'_> {
        Context {
            plan: self.plan_context(),
            machine: self.host_context(),
            paths: &self.paths,
            env: &self.env,
            user: self.user,
        }
    }

    fn make_directories(&self) {
        let (paths, dirs) = (&self.paths, &self.dirs);
        for directory in [
            &dirs.run,
            &dirs.sites,
            &dirs.addons,
            &dirs.log,
            &paths.release,
            &paths.layers,
            &paths.data,
            &paths.cache,
            &paths.log,
            &paths.state,
        ] {
            make_directory(directory);
        }
    }
}

fn app_paths(data: &Path, name: &AppName) -> AppPaths {
    let app = data.join("apps").join(name.as_str());
    let release = app.join("releases/1");
    AppPaths {
        build: release.join("app"),
        release,
        layers: app.join("layers"),
        data: app.join("data"),
        cache: app.join("cache"),
        log: app.join("log"),
        state: app.join("state"),
        app,
    }
}

fn host_dirs(root: &Path) -> HostDirs {
    let data = root.join("data");
    HostDirs {
        run: root.join("run"),
        sites: data.join("sites"),
        addons: data.join("addons"),
        log: data.join("agent/log"),
        data,
    }
}

fn temporary() -> TempDir {
    tempfile::Builder::new()
        .prefix("hop3-")
        .tempdir()
        .expect("the test machine has a writable temporary directory")
}

#[expect(clippy::disallowed_methods, reason = "tests prepare their own files")]
fn make_directory(path: &Path) {
    std::fs::create_dir_all(path).expect("a test can make directories in its own root");
}

#[expect(clippy::disallowed_methods, reason = "tests prepare their own files")]
fn write(path: &Path, content: &[u8]) {
    make_directory(path.parent().expect("a file has a parent"));
    std::fs::write(path, content).expect("a test can write in its own root");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_shows_the_source_the_settings_and_the_directories() {
        let app = TestApp::new("shop")
            .file("a/b.txt", "text")
            .variable("KEY", "value")
            .configure(|config| config.writable.push("uploads".to_owned()));
        let cx = app.context();
        assert_eq!(
            cx.plan.source.text("a/b.txt").unwrap().as_deref(),
            Some("text")
        );
        assert_eq!(cx.plan.config.writable, ["uploads"]);
        assert_eq!(cx.env["KEY"].expose(), "value");
        assert!(cx.paths.data.is_dir());
        assert!(!cx.paths.build.exists());
        assert!(cx.dirs.run.is_dir());
    }
}
