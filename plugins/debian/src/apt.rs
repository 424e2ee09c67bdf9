//! Installs by `apt-get`, which is asked first whether it can.

use std::time::Duration;

use hop3_plugin_api::{Abort, AgentDeath, Exit, HostContext, PluginError, Program, Result, Task};

/// Packages come from afar and may be large.
const DEADLINE: Duration = Duration::from_mins(30);
/// Others install too: an administrator, unattended upgrades.
const LOCKS: &str = "DPkg::Lock::Timeout=600";
/// Where the administrator changed a file of a package, it stays; nobody is there to be asked.
const OLD_FILES: [&str; 4] = [
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
];
const WITHOUT_EXTRAS: [&str; 3] = ["--yes", "--no-install-recommends", "--no-remove"];

/// `apt-get` on a host.
pub(crate) struct Apt<'a> {
    pub(crate) cx: &'a HostContext<'a>,
}

impl Apt<'_> {
    /// Refuses unless all of the packages could be installed. Effect: with `update`, fetches the lists of packages anew where they do not
    /// have one.
    pub(crate) async fn resolve(&self, names: &[String], update: bool) -> Result<()> {
        let mut refusal = self.simulate(names).await?;
        if refusal.is_some() && update {
            let refreshed = self
                .run(self.task("fetch the lists of packages", &["update"]))
                .await?;
            if !refreshed.success() {
                return Err(failed(
                    "the lists of packages could not be fetched",
                    &refreshed,
                ));
            }
            refusal = self.simulate(names).await?;
        }
        match refusal {
            None => Ok(()),
            Some(words) => Err(refused(names, &words).into()),
        }
    }

    /// What `apt-get` has against installing these, if anything.
    async fn simulate(&self, names: &[String]) -> Result<Option<String>> {
        let task = self
            .task(
                "look whether the packages can be installed",
                &["install", "--simulate"],
            )
            .args(WITHOUT_EXTRAS)
            .args(["--"])
            .args(names);
        let exit = self.run(task).await?;
        Ok((!exit.success()).then(|| complaints(&exit.tail)))
    }

    /// Effect: installs. What an earlier run was cut off in is completed first.
    pub(crate) async fn install(&self, names: &[String]) -> Result<()> {
        let words = names.join(", ");
        self.cx.log.say(
            hop3_plugin_api::Level::Info,
            &format!("Installing the packages {words}."),
        );
        let mut exit = self.run(self.installation(names)).await?;
        if was_interrupted(&exit) {
            self.complete().await?;
            exit = self.run(self.installation(names)).await?;
        }
        if exit.success() {
            return Ok(());
        }
        Err(failed(&format!("{words} could not be installed"), &exit))
    }

    /// The installation itself outlives the agent: half of it would be in everybody's way.
    fn installation(&self, names: &[String]) -> Task {
        let mut task = self
            .task("install packages", &["install"])
            .args(WITHOUT_EXTRAS)
            .args(OLD_FILES)
            .args(["--"])
            .args(names);
        task.agent_death = self.finish();
        task
    }

    async fn complete(&self) -> Result<()> {
        let program = Program::Named("dpkg".to_owned());
        let mut task = self
            .given("complete an interrupted installation", program)
            .args([
                "--configure",
                "--pending",
                "--force-confdef",
                "--force-confold",
            ]);
        task.agent_death = self.finish();
        let exit = self.run(task).await?;
        if exit.success() {
            return Ok(());
        }
        Err(failed(
            "an interrupted installation could not be completed",
            &exit,
        ))
    }

    fn finish(&self) -> AgentDeath {
        AgentDeath::Finish {
            exit_file: self.cx.dirs.log.join("packages.exit.json"),
        }
    }

    fn task(&self, what: &str, words: &[&str]) -> Task {
        let program = Program::Named("apt-get".to_owned());
        self.given(what, program)
            .args(["-o", LOCKS])
            .args(words.iter().copied())
    }

    fn given(&self, what: &str, program: Program) -> Task {
        let path = self.cx.host.tool_path();
        let path: Vec<_> = path.iter().map(|it| it.display().to_string()).collect();
        Task::new(what, program, "/")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C.UTF-8")
            .env("PATH", path.join(":"))
            .deadline(DEADLINE)
    }

    async fn run(&self, task: Task) -> Result<Exit> {
        Ok(self.cx.host.run(&task).await?)
    }
}

fn was_interrupted(exit: &Exit) -> bool {
    !exit.success() && exit.tail.contains("dpkg was interrupted")
}

/// The lines in which `apt-get` says what is wrong.
fn complaints(tail: &str) -> String {
    let words: Vec<&str> = tail
        .lines()
        .filter_map(|line| line.strip_prefix("E: "))
        .map(|line| line.trim_end_matches('.'))
        .collect();
    if words.is_empty() {
        tail.trim().to_owned()
    } else {
        words.join("; ")
    }
}

fn refused(names: &[String], words: &str) -> Abort {
    Abort::new(format!("{} cannot be installed: {words}", names.join(", "))).hint(
        "`apt-cache policy`, with the name behind it, shows what this host can install; correct `packages`, or add a source of packages to the host",
    )
}

/// It may be the network, a lock or the disk: worth trying again.
fn failed(what: &str, exit: &Exit) -> PluginError {
    PluginError::Lacking {
        message: format!(
            "{what}: `apt-get` {}: {}",
            exit.status,
            complaints(&exit.tail)
        ),
        hint: "install them by hand: `apt-get install` then says what is in its way".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hop3_plugin_api::{ExitStatus, Os as _};
    use hop3_plugin_testing::TestApp;

    use super::*;
    use crate::Debian;

    const UNKNOWN: &str = "Reading package lists...\nE: Unable to locate package nope\n";

    fn exit(code: i32, tail: &str) -> Exit {
        Exit {
            status: ExitStatus::Code(code),
            tail: tail.to_owned(),
        }
    }

    /// A host that has `bash`, on which tasks end as this says.
    fn host(answer: impl Fn(&Task) -> Exit + Send + Sync + 'static) -> TestApp {
        let app = TestApp::new("shop");
        app.fake().on_run(move |task| {
            if task.what.starts_with("look which") {
                exit(0, "ii \tbash\t\n")
            } else {
                answer(task)
            }
        });
        app
    }

    async fn ensure(app: &TestApp, names: &[&str], update: bool) -> Result<()> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let cx = app.context();
        Debian.ensure_packages(&cx.machine, &names, update).await
    }

    fn steps(app: &TestApp) -> Vec<String> {
        let lines = app.transcript();
        lines
            .iter()
            .filter_map(|line| line.strip_prefix("run ")?.split_once(": "))
            .map(|(what, _)| what.to_owned())
            .collect()
    }

    #[tokio::test]
    async fn what_is_there_is_not_installed_again() {
        let app = host(|_| exit(100, "it was asked for nothing"));
        ensure(&app, &["bash"], true).await.unwrap();
        assert_eq!(steps(&app), ["look which packages are installed"]);
    }

    #[tokio::test]
    async fn missing_packages_are_resolved_before_any_is_installed() {
        let app = host(|_| exit(0, ""));
        ensure(&app, &["bash", "curl", "jq"], true).await.unwrap();
        let transcript = app.transcript();
        assert!(transcript[1].contains("--simulate"), "{transcript:#?}");
        assert!(
            transcript[2].contains("--no-remove") && transcript[2].contains("-- curl jq"),
            "{transcript:#?}"
        );
        assert_eq!(transcript.len(), 3);
    }

    #[tokio::test]
    async fn an_unknown_name_is_looked_for_in_new_lists_and_then_refused_with_the_tools_own_words()
    {
        let app = host(|task| {
            if task.args.contains(&"--simulate".to_owned()) {
                exit(100, UNKNOWN)
            } else {
                exit(0, "")
            }
        });
        let error = ensure(&app, &["nope"], true).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "nope cannot be installed: Unable to locate package nope"
        );
        assert_eq!(error.fault(), hop3_plugin_api::Fault::App);
        let expected = [
            "look which packages are installed",
            "look whether the packages can be installed",
            "fetch the lists of packages",
            "look whether the packages can be installed",
        ];
        assert_eq!(steps(&app), expected);
    }

    #[tokio::test]
    async fn what_an_earlier_run_was_cut_off_in_is_completed() {
        let interrupted = std::sync::atomic::AtomicBool::new(true);
        let app = host(move |task| {
            if task.what == "install packages"
                && interrupted.swap(false, std::sync::atomic::Ordering::SeqCst)
            {
                exit(
                    100,
                    "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'\n",
                )
            } else {
                exit(0, "")
            }
        });
        ensure(&app, &["curl"], false).await.unwrap();
        let steps = steps(&app);
        let expected = [
            "install packages",
            "complete an interrupted installation",
            "install packages",
        ];
        assert_eq!(steps[2..], expected);
    }

    #[tokio::test]
    async fn a_server_of_packages_that_does_not_answer_is_tried_again_later() {
        let app = host(|task| {
            if task.what == "install packages" {
                exit(
                    100,
                    "E: Failed to fetch http://a.test/x.deb  Could not connect\n",
                )
            } else {
                exit(0, "")
            }
        });
        let error = ensure(&app, &["curl"], false).await.unwrap_err();
        assert_eq!(error.fault(), hop3_plugin_api::Fault::Infrastructure);
        assert!(error.to_string().contains("Could not connect"), "{error}");
    }
}
