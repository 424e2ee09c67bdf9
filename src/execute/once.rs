//! Release commands: once per release. `started` is on disk before a command runs and its exit after, so that a crash in between is
//! known for what it is. What an earlier agent started is never run beside: it is waited for, or ended.

use std::time::Duration;

use hop3_plugin_api::{
    Abort, Context, Deployer, Exit, ExitRecord, ExitStatus, FileWrite, Launch, OneOff, PluginError,
    ProcessId, ReleaseId, Result,
};

use crate::observe::{OnceCommand, OnceRecord, StateFiles, read_json};
use crate::spec::OnInterrupt;

/// The longest that one release command may take.
const DEADLINE: Duration = Duration::from_mins(30);

/// Between two looks at a command that an earlier agent started.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long a command that gives way may take to end.
const PATIENCE: Duration = Duration::from_secs(15);

const KILL: i32 = 9;

/// What a release command is run with.
pub(super) struct Once<'a> {
    pub(super) cx: &'a Context<'a>,
    pub(super) deployer: &'a dyn Deployer,
    pub(super) launch: &'a Launch<'a>,
    pub(super) files: &'a StateFiles,
}

impl Once<'_> {
    /// Effect: runs those commands that have not succeeded yet, in order.
    pub(super) async fn run(&self, commands: &[String], on_interrupt: OnInterrupt) -> Result<()> {
        let number = self.launch.release.number;
        let mut record: OnceRecord = read_json(self.cx.host, &self.files.once(number))
            .await?
            .unwrap_or_default();
        self.settle(&mut record, on_interrupt).await?;
        for (index, command) in commands.iter().enumerate().skip(record.commands.len()) {
            record.commands.push(OnceCommand {
                command: command.clone(),
                exit: None,
            });
            self.save(&record).await?;
            let exit = self.command(index, command).await?;
            let last = record
                .commands
                .last_mut()
                .expect("a command was just pushed");
            last.exit = Some(exit.clone());
            self.save(&record).await?;
            succeeded(command, exit)?;
        }
        record.done = true;
        self.save(&record).await
    }

    /// Learns what became of a command that an earlier agent started, and drops failed attempts so that they are tried again.
    async fn settle(&self, record: &mut OnceRecord, on_interrupt: OnInterrupt) -> Result<()> {
        let index = record.commands.len().saturating_sub(1);
        let Some(last) = record.commands.last_mut() else {
            return Ok(());
        };
        if last.exit.is_none() {
            last.exit = self.exit_of(index).await?;
            if last.exit.is_none() {
                // Nobody watches it any more, but something of it may still run.
                let release = self.launch.release;
                self.deployer.end_commands(self.cx, release).await?;
            }
            if is_in_doubt(last.exit.as_ref()) && on_interrupt == OnInterrupt::Hold {
                return Err(interrupted(&last.command));
            }
        }
        if !last.exit.as_ref().is_some_and(Exit::success) {
            record.commands.pop();
        }
        Ok(())
    }

    /// How a command of an earlier agent ended. One that still runs is waited for; its own watcher ends it at its deadline.
    async fn exit_of(&self, index: usize) -> Result<Option<Exit>> {
        let file = self.files.once_exit(self.launch.release.number, index);
        let mut was_gone = false;
        loop {
            let record: Option<ExitRecord> = read_json(self.cx.host, &file).await?;
            match word_of(record, |watcher| self.cx.host.is_running(watcher)) {
                Word::Ended(exit) => return Ok(Some(exit)),
                Word::Runs => self.cx.host.sleep(LOOK_AGAIN).await,
                // It may have left its last word after the file was read and before its process was looked for.
                Word::Gone if !was_gone => was_gone = true,
                Word::Gone | Word::Never => return Ok(None),
            }
        }
    }

    async fn command(&self, index: usize, command: &str) -> Result<Exit> {
        let exit_file = self.files.once_exit(self.launch.release.number, index);
        self.cx
            .host
            .remove_beneath(self.files.app(), &exit_file)
            .await?;
        let command = OneOff {
            exit_file: Some(exit_file),
            ..OneOff::new(command, DEADLINE)
        };
        self.deployer.run(self.cx, self.launch, &command).await
    }

    async fn save(&self, record: &OnceRecord) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(record).map_err(|e| {
            PluginError::other("could not write the record of a release command", e)
        })?;
        let path = self.files.once(self.launch.release.number);
        self.cx
            .host
            .write_atomic(FileWrite::private(path, bytes))
            .await?;
        Ok(())
    }
}

/// Effect: ends the release command that was under way when its change gave way to a newer one, and waits until nothing of it runs: the newer
/// change may run its own.
pub(super) async fn end(
    cx: &Context<'_>,
    deployer: &dyn Deployer,
    files: &StateFiles,
    release: &ReleaseId,
) -> Result<()> {
    let record: Option<OnceRecord> = read_json(cx.host, &files.once(release.number)).await?;
    let index = record.map_or(0, |record| record.commands.len().saturating_sub(1));
    let file = files.once_exit(release.number, index);
    if let Some(ExitRecord::Running(watcher)) = read_json(cx.host, &file).await? {
        end_watcher(cx, &watcher).await?;
    }
    deployer.end_commands(cx, release).await
}

/// A watcher of this agent was told to end its command when the change gave way; one of an earlier agent was not.
async fn end_watcher(cx: &Context<'_>, watcher: &ProcessId) -> Result<()> {
    let mut waited = Duration::ZERO;
    while cx.host.is_running(watcher) && waited < PATIENCE {
        cx.host.sleep(LOOK_AGAIN).await;
        waited += LOOK_AGAIN;
    }
    if cx.host.is_running(watcher) {
        // The kernel ends its command with it.
        cx.host.signal(watcher, KILL, false).await?;
    }
    Ok(())
}

/// What an exit file says of a command.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Ended(Exit),
    Runs,
    /// Its watcher is no more, and had not said how it ended when the file was read.
    Gone,
    Never,
}

fn word_of(record: Option<ExitRecord>, runs: impl FnOnce(&ProcessId) -> bool) -> Word {
    match record {
        Some(ExitRecord::Ended(exit)) => Word::Ended(exit),
        Some(ExitRecord::Running(watcher)) if runs(&watcher) => Word::Runs,
        Some(ExitRecord::Running(_)) => Word::Gone,
        None => Word::Never,
    }
}

/// Whether a command of an earlier agent may or may not have taken effect: nobody saw its end, or something else ended it, such as a machine that
/// shut down.
fn is_in_doubt(exit: Option<&Exit>) -> bool {
    exit.is_none_or(|exit| matches!(exit.status, ExitStatus::Signal(_)))
}

fn succeeded(command: &str, exit: Exit) -> Result<()> {
    if exit.success() {
        return Ok(());
    }
    Err(PluginError::Command {
        command: command.chars().take(200).collect(),
        status: exit.status.to_string(),
        tail: exit.tail,
    })
}

fn interrupted(command: &str) -> PluginError {
    Abort::new(format!("the release command `{command}` was interrupted, and whether it took effect is not known"))
        .hint("look at what it changed; a new commit, or `on-interrupt = \"retry\"` in `[deploy]`, lets it run again")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_command_that_ended_by_itself_is_known_to_have_failed() {
        let ended = |status| Exit {
            status,
            tail: String::new(),
        };
        assert!(is_in_doubt(None));
        assert!(is_in_doubt(Some(&ended(ExitStatus::Signal(15)))));
        assert!(!is_in_doubt(Some(&ended(ExitStatus::Code(1)))));
        assert!(!is_in_doubt(Some(&ended(ExitStatus::DeadlineExceeded))));
    }
}
