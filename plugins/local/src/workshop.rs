//! Where steps are run: one environment, one deadline and one log for the whole build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hop3_plugin_api::{
    BuildCommand, BuildPlan, BuildStep, Context, Exit, Level, OutputCap, Program, Result, Sandbox,
    Secret, Task, UserId,
};

use crate::failure;
use crate::settings::{LocalSettings, SandboxPolicy};
use crate::tools::{self, Tool, search_path};

/// One build on this host.
pub(crate) struct Workshop<'a> {
    pub(crate) cx: &'a Context<'a>,
    pub(crate) plan: &'a BuildPlan,
    pub(crate) settings: LocalSettings,
    pub(crate) tools: Vec<Tool>,
    /// Final directories of the plan's layers, by name.
    pub(crate) layers: BTreeMap<String, PathBuf>,
    pub(crate) started: Instant,
}

/// Where one step works.
pub(crate) struct Bench<'a> {
    /// Its working directory.
    pub(crate) dir: PathBuf,
    /// What it may write, beside the cache and its temporary directory.
    pub(crate) writable: Vec<PathBuf>,
    /// The layer that it makes, where it makes one.
    pub(crate) layer: Option<&'a Path>,
}

impl Workshop<'_> {
    /// Runs a step to its end; anything but success is an error that names it.
    pub(crate) async fn run(&self, step: &BuildStep, bench: &Bench<'_>) -> Result<()> {
        self.say(&format!(
            "{}: {}",
            step.name,
            self.command_line(step, bench)
        ));
        match &step.command {
            BuildCommand::Write { path, content } => self.write(step, bench, (path, content)).await,
            BuildCommand::Link(pick) => self.link(step, bench, pick).await,
            BuildCommand::Argv(words) => self.run_program(step, bench, words).await,
            BuildCommand::Shell(line) => {
                let program = (Program::AppShell(line.clone()), Vec::new());
                self.run_task(step, bench, program).await
            }
        }
    }

    async fn run_program(
        &self,
        step: &BuildStep,
        bench: &Bench<'_>,
        words: &[String],
    ) -> Result<()> {
        let program = self.program(words, bench);
        self.run_task(step, bench, program).await
    }

    async fn run_task(
        &self,
        step: &BuildStep,
        bench: &Bench<'_>,
        program: (Program, Vec<String>),
    ) -> Result<()> {
        let task = self.task_of(step, bench, program);
        self.require(step, self.cx.host.run(&task).await?).map(drop)
    }

    /// The exit of a step's program, or the error that names the step.
    pub(crate) fn require(&self, step: &BuildStep, exit: Exit) -> Result<Exit> {
        if exit.success() {
            return Ok(exit);
        }
        Err(failure::of_step(step, exit, self.limit()))
    }

    pub(crate) fn say(&self, line: &str) {
        self.cx.log.say(Level::Info, line);
    }

    /// Where temporary files of this build go: removed with the build's end, or with the release that a crash or a newer change left unfinished.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.cx.paths.release.join("build-tmp")
    }

    /// Gives a directory and all in it to the app's user, so that its commands can write there. Without users there is nothing to do.
    pub(crate) async fn hand_over(&self, dir: &Path) -> Result<()> {
        let Some(user) = self.cx.user else {
            return Ok(());
        };
        self.own(dir, user).await
    }

    /// Takes it back: what is built belongs to root, and the app can read it but not change it.
    pub(crate) async fn take_back(&self, dir: &Path) -> Result<()> {
        let Some(user) = self.cx.user else {
            return Ok(());
        };
        // As the app's user: `chmod` follows a link that is exchanged under its eyes, and an older release of the app may be at work there.
        self.tool("chmod", &["-R", "u+rwX,go+rX,go-w"], (dir, Some(user)))
            .await?;
        self.own(dir, UserId { uid: 0, ..user }).await
    }

    async fn own(&self, dir: &Path, owner: UserId) -> Result<()> {
        let owner = format!("{}:{}", owner.uid, owner.gid);
        self.tool("chown", &["-hR", &owner], (dir, None)).await
    }

    async fn tool(
        &self,
        program: &str,
        args: &[&str],
        (dir, user): (&Path, Option<UserId>),
    ) -> Result<()> {
        let what = format!("{program} what {} builds", self.cx.plan.app);
        let mut task = Task::new(what, Program::Named(program.to_owned()), &self.cx.paths.app)
            .args(args.iter().copied())
            .args(["--".to_owned(), dir.display().to_string()]);
        task.user = user;
        self.cx.host.run(&task).await?.require_success(&task)?;
        Ok(())
    }

    /// A program of a step, in its sandbox.
    pub(crate) fn task_of(
        &self,
        step: &BuildStep,
        bench: &Bench<'_>,
        (program, args): (Program, Vec<String>),
    ) -> Task {
        let what = format!("{} of {}", step.name, self.cx.plan.app);
        let mut task = Task::new(what, program, &bench.dir)
            .args(args)
            .deadline(self.limit().saturating_sub(self.started.elapsed()));
        task.env = self.env();
        task.user = self.cx.user;
        task.limits = self.settings.limits(task.user.is_some());
        task.sandbox = self.sandbox(step, bench);
        task.output = OutputCap {
            log: Some(self.log_file()),
            ..OutputCap::default()
        };
        task
    }

    /// A word with a slash is a path of a layer or of the release; one without is looked up on the host's tool path, never in the app's.
    fn program(&self, words: &[String], bench: &Bench<'_>) -> (Program, Vec<String>) {
        let mut words = words.iter().map(|word| self.fill(word, bench.layer));
        let first = words.next().unwrap_or_default();
        let program = if first.contains('/') {
            Program::At(first.into())
        } else {
            Program::Named(first)
        };
        (program, words.collect())
    }

    /// For the log: the command without the paths that say nothing.
    fn command_line(&self, step: &BuildStep, bench: &Bench<'_>) -> String {
        let shown = step.command.to_string();
        let shown = shown
            .replace("${layer}/bin/", "")
            .replace("${app}/.venv/bin/", "");
        let filled = self.fill(&shown, bench.layer);
        filled.chars().take(200).collect()
    }

    pub(crate) fn fill(&self, text: &str, layer: Option<&Path>) -> String {
        let show = |path: &Path| path.display().to_string();
        let mut text = text
            .replace("${app}", &show(&self.cx.paths.build))
            .replace("${cache}", &show(&self.cx.paths.cache))
            .replace("${tmp}", &show(&self.temporary()));
        if let Some(layer) = layer {
            text = text.replace("${layer}", &show(layer));
        }
        for (name, dir) in &self.layers {
            text = text.replace(&format!("${{layer:{name}}}"), &show(dir));
        }
        text
    }

    /// Nothing of the agent's: the host's settings, a home, the tools' path, then the toolchain's and the spec's variables.
    fn env(&self) -> BTreeMap<String, Secret> {
        let show = |path: &Path| path.display().to_string();
        let base = [
            ("HOME", show(&self.cx.paths.cache)),
            ("TMPDIR", show(&self.temporary())),
            ("LANG", "C.UTF-8".to_owned()),
            ("PATH", self.path()),
        ];
        let base = base.map(|(key, value)| (key.to_owned(), Secret::new(value)));
        let mut env = tools::companions(self.tools.iter().map(|tool| tool.path.as_path()));
        env.extend(base);
        env.extend(self.settings.variables());
        let plan = self.plan.env.iter();
        env.extend(plan.map(|(key, value)| {
            let value = self.fill(value, None);
            (key.to_string(), Secret::new(value))
        }));
        env
    }

    /// The run-time path first, so that a hook finds the app's own tools, then the directories of the plan's tools, then the host's.
    fn path(&self) -> String {
        let runtime = self.plan.runtime.path.iter();
        let runtime: Vec<PathBuf> = runtime
            .map(|dir| PathBuf::from(self.fill(dir, None)))
            .collect();
        let tools = self.tools.iter().filter_map(|tool| tool.path.parent());
        let first = runtime.iter().map(PathBuf::as_path).chain(tools);
        search_path(first, self.cx.host)
    }

    fn sandbox(&self, step: &BuildStep, bench: &Bench<'_>) -> Sandbox {
        let build = &self.cx.plan.config.build;
        let own = [self.cx.paths.cache.clone(), self.temporary()];
        let required = self.settings.sandbox_required(build);
        let tools = self.tools.iter();
        let homes = tools.filter_map(|tool| tools::rustup_home(&tool.path));
        Sandbox {
            enabled: required || self.settings.sandbox != SandboxPolicy::Off,
            writable: bench.writable.iter().cloned().chain(own).collect(),
            readable: self.layers.values().cloned().chain(homes).collect(),
            network: self.settings.allows_network(step, build),
            required,
        }
    }

    fn limit(&self) -> Duration {
        self.settings.time_limit(&self.cx.plan.config.build)
    }

    /// One log per release, kept when the build fails.
    fn log_file(&self) -> PathBuf {
        let name = format!("build-{}.log", self.release());
        self.cx.paths.log.join(name)
    }

    fn release(&self) -> String {
        let name = self.cx.paths.release.file_name();
        name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }
}
