//! One release, one engine: the effects of the deployer, each a call of compose on files that were written for it.

use std::path::Path;

use hop3_plugin_api::{
    Abort, AppName, ArtifactLocation, BuildArtifact, Context, Counts, FileWrite, Launch,
    PluginError, Program, ReleaseId, Result, Sandbox, Task,
};
use serde_json::Value;

use crate::builder::{COMPOSE_FILE, IMAGE_ID};
use crate::compose::{self, AppFile, Blueprint, Order, Ports, Stamp};
use crate::engine::{Compose, Engine, LONG};
use crate::settings::{AppSettings, DockerTable};
use crate::{containers, names, safety};

/// What a call of the deployer works with.
pub(crate) struct Session<'a> {
    pub(crate) cx: &'a Context<'a>,
    pub(crate) engine: Engine<'a>,
    pub(crate) compose: Compose,
}

impl<'a> Session<'a> {
    pub(crate) async fn open(cx: &'a Context<'a>) -> Result<Self> {
        let engine = Engine::new(cx.machine)?;
        let compose = Compose::find(&engine).await?;
        Ok(Self {
            cx,
            engine,
            compose,
        })
    }

    pub(crate) fn stamp<'b>(&self, launch: &'b Launch<'b>) -> Stamp<'b>
    where
        'a: 'b,
    {
        Stamp {
            install: self.cx.install,
            release: launch.release,
            grace: launch.stop_grace,
        }
    }

    /// What the release consists of. Refuses an app's compose file that asks for too much before anything is started.
    pub(crate) async fn blueprint(
        &self,
        launch: &Launch<'_>,
        counts: &Counts,
    ) -> Result<Blueprint> {
        let image = self.image(launch.release, launch.artifact).await?;
        let order = Order {
            launch,
            counts,
            env: self.cx.env,
            table: &DockerTable::of(self.cx.plan.config)?,
            image: image.as_deref(),
        };
        let Some(file) = launch.artifact.metadata.get(COMPOSE_FILE) else {
            return Ok(compose::generate(&order));
        };
        let document = self.normalised(launch.release, file).await?;
        let root = &self.cx.paths.build;
        safety::check(&document, file, root)?;
        let settings: AppSettings = self.cx.plan.section()?;
        let app_file = AppFile {
            document: &document,
            name: file,
            root,
            service: settings.service.as_deref(),
        };
        compose::adapt(&order, &app_file)
    }

    /// The image to run. One that was built here gets its tag again, in case somebody moved it: the id is what was recorded.
    async fn image(&self, release: &ReleaseId, artifact: &BuildArtifact) -> Result<Option<String>> {
        let ArtifactLocation::Image(reference) = &artifact.location else {
            return Ok(None);
        };
        let Some(id) = artifact.metadata.get(IMAGE_ID) else {
            return Ok(Some(reference.clone()));
        };
        let name = names::image(&release.app, release.number);
        let tag = self.engine.task("name the image", ["tag", id, &name]);
        let exit = self.engine.run(&tag).await?;
        if exit.tail.contains("No such image") {
            let message = format!("the image of release {release} is no longer in the engine");
            return Err(Abort::new(message).hint("build the app again").into());
        }
        exit.require_success(&tag)?;
        Ok(Some(name))
    }

    /// The app's own compose file as compose understands it. It is read as the app's user, in its sandbox and with its environment: the
    /// file may name other files to include, and their content must not come from where the app cannot read.
    async fn normalised(&self, release: &ReleaseId, file: &str) -> Result<Value> {
        if self.compose == Compose::V1 {
            return Err(PluginError::Config {
                message: format!("`{file}` cannot be checked with compose version 1"),
                hint: Some("install the compose plugin of docker (version 2)".to_owned()),
            });
        }
        let task = self.normalising(release, file);
        let answer = self.engine.succeed(&task).await?;
        json_part(&answer).ok_or_else(|| {
            PluginError::other(
                format!("could not read `{file}`"),
                "`docker compose config` gave no JSON",
            )
        })
    }

    fn normalising(&self, release: &ReleaseId, file: &str) -> Task {
        let root = &self.cx.paths.build;
        let what = format!("read `{file}`");
        let mut task = Task::new(what, Program::Named("docker".to_owned()), root)
            .deadline(std::time::Duration::from_secs(30));
        for (key, value) in self.cx.env {
            task.env.insert(key.to_string(), value.clone());
        }
        let settings = [
            ("HOP3_IMAGE_TAG", release.number.to_string()),
            ("COMPOSE_EXPERIMENTAL_GIT_REMOTE", "false".to_owned()),
            ("COMPOSE_EXPERIMENTAL_OCI_REMOTE", "false".to_owned()),
        ];
        for (key, value) in settings {
            task = task.env(key, value);
        }
        task = self.engine.with_client_env(task).args([
            "compose".to_owned(),
            "--project-name".to_owned(),
            names::release_project(release),
            "--project-directory".to_owned(),
            root.display().to_string(),
            "--file".to_owned(),
            root.join(file).display().to_string(),
            "config".to_owned(),
            "--format=json".to_owned(),
        ]);
        task.output.tail_bytes = 4 * 1024 * 1024;
        task.user = self.cx.user;
        task.sandbox = Sandbox {
            enabled: true,
            readable: vec![root.clone()],
            ..Sandbox::default()
        };
        task
    }

    /// A port of the host for each routed instance; those that run keep theirs.
    pub(crate) async fn ports(&self, launch: &Launch<'_>, plan: &Blueprint) -> Result<Ports> {
        let status = containers::of_release(&self.engine, self.cx.install, launch.release).await?;
        let kept = containers::running_ports(&status);
        let mut ports = Ports::new();
        for instance in plan.routed(launch.release) {
            let port = match kept.get(&instance) {
                Some(port) => *port,
                None => self.cx.host.free_port().await?,
            };
            ports.insert(instance, port);
        }
        Ok(ports)
    }

    /// Refuses a project of that name whose containers are not this installation's.
    pub(crate) async fn require_own(&self, project: &str) -> Result<()> {
        let filter = format!("label={}={project}", names::COMPOSE_PROJECT);
        let format = format!("owner={{{{.Label \"{}\"}}}}", names::INSTALL);
        let args = ["ps", "--all", "--filter", &filter, "--format", &format];
        let answer = self.engine.ask("look for strangers", args).await?;
        let mut owners = answer
            .lines()
            .filter_map(|line| line.strip_prefix("owner="));
        if owners.all(|owner| owner == self.cx.install) {
            return Ok(());
        }
        let message = format!("the compose project `{project}` exists and is not this agent's");
        Err(Abort::new(message)
            .hint("remove its containers, or rename the app")
            .into())
    }

    /// Refuses to mount a volume of one of the app's names that somebody else made: its data would become the app's.
    async fn require_own_volumes(&self, app: &AppName, plan: &Blueprint) -> Result<()> {
        let format = format!("{{{{.Name}}}} {{{{.Label \"{}\"}}}}", names::INSTALL);
        let args = ["volume", "ls", "--format", &format];
        let answer = self.engine.ask("look for strangers", args).await?;
        for name in &plan.volumes {
            let name = names::volume(app, name);
            let mut found = answer.lines().filter_map(|line| line.split_once(' '));
            if found.any(|(volume, owner)| volume == name && owner != self.cx.install) {
                let message = format!("the volume `{name}` exists and is not this agent's");
                let hint = "move its data away and remove it, or rename the app";
                return Err(Abort::new(message).hint(hint).into());
            }
        }
        Ok(())
    }

    /// Starts what the app has once, in place, and waits until it is healthy.
    pub(crate) async fn start_shared(&self, launch: &Launch<'_>, plan: &Blueprint) -> Result<()> {
        let Some(document) = compose::render_app(plan, &self.stamp(launch)) else {
            return Ok(());
        };
        let project = names::app_project(&launch.release.app);
        self.require_own(&project).await?;
        self.require_own_volumes(&launch.release.app, plan).await?;
        let file = names::app_file(self.cx);
        self.write(&file, &document).await?;
        let mut task = self.up(&project, &file);
        if self.compose == Compose::V2 {
            task = task.args(["--wait"]);
        }
        self.engine.succeed(&task).await.map(drop)
    }

    /// Makes exactly the instances of a rendered release run.
    pub(crate) async fn start_release(&self, release: &ReleaseId, document: &Value) -> Result<()> {
        let project = names::release_project(release);
        let file = names::release_file(self.cx, release);
        self.write(&file, document).await?;
        let empty = safety::members(&document["services"]).next().is_none();
        let task = if empty {
            self.down(&project, Some(&file))
        } else {
            self.up(&project, &file)
        };
        self.engine.succeed(&task).await.map(drop)
    }

    fn up(&self, project: &str, file: &Path) -> Task {
        let what = format!("start {project}");
        let task = self.compose.task(&self.engine, what, project, Some(file));
        task.args(["up", "--detach", "--no-build", "--remove-orphans"])
            .deadline(LONG)
    }

    /// Ends a project: containers and networks, never volumes.
    pub(crate) fn down(&self, project: &str, file: Option<&Path>) -> Task {
        let what = format!("stop {project}");
        let task = self.compose.task(&self.engine, what, project, file);
        task.args(["down", "--remove-orphans"]).deadline(LONG)
    }

    /// Writes a compose file; it holds the app's environment.
    pub(crate) async fn write(&self, file: &Path, document: &Value) -> Result<()> {
        let content = document.to_string().into_bytes();
        Ok(self
            .cx
            .host
            .write_atomic(FileWrite::private(file, content))
            .await?)
    }
}

/// The JSON document in an output that may start with warnings.
fn json_part(output: &str) -> Option<Value> {
    let start = if output.starts_with('{') {
        0
    } else {
        output.find("\n{")? + 1
    };
    let end = output.rfind('}')?;
    serde_json::from_str(output.get(start..=end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_before_the_document_do_not_matter() {
        let output = "time=\"x\" level=warning msg=\"the {odd} one\"\n{\n \"name\": \"x\"\n}\n";
        assert_eq!(json_part(output).unwrap()["name"], "x");
        assert_eq!(json_part("{\"a\": 1}").unwrap()["a"], 1);
        assert!(json_part("no such file").is_none());
    }
}
