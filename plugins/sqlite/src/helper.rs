//! The helper process and how it is asked: one request as JSON on its standard input, one answer as JSON on its standard output.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use hop3_plugin_api::serde_json;
use hop3_plugin_api::{Context, Entrypoint, PluginError, Program, Result, Sandbox, Secret, Task};

use crate::engine::{self, Refusal, Report, Request};

/// The helper, as the binary dispatches it.
pub(crate) const ENTRYPOINT: Entrypoint = Entrypoint {
    name: "internal-sqlite",
    run: |_args| serve(),
};

/// Larger databases than this allows are backed up by their owners' own means.
const DEADLINE: Duration = Duration::from_hours(1);

/// Answers one request. The helper's whole work; tests call it in place of the process.
pub fn answer(request: &str) -> String {
    let outcome = match serde_json::from_str::<Request>(request) {
        Ok(request) => engine::answer(&request),
        Err(error) => Err(Refusal::Failed(format!(
            "the request cannot be read: {error}"
        ))),
    };
    serde_json::to_string(&outcome).unwrap_or_default()
}

fn serve() -> ExitCode {
    let mut request = String::new();
    let read = std::io::stdin().read_to_string(&mut request);
    let said = read.and_then(|_| writeln!(std::io::stdout(), "{}", answer(&request)));
    ExitCode::from(u8::from(said.is_err()))
}

/// Asks the helper. What it refuses is the inner result; that it could not be asked is the outer error.
pub(crate) async fn ask(
    cx: &Context<'_>,
    request: &Request,
    writable: Vec<PathBuf>,
) -> Result<std::result::Result<Report, Refusal>> {
    let what = format!("work on a database of {}", cx.plan.app);
    let mut task = Task::new(what, Program::Agent, &cx.paths.app)
        .args([ENTRYPOINT.name])
        .deadline(DEADLINE);
    let text = serde_json::to_string(request)
        .map_err(|e| PluginError::other("could not ask the database helper", e))?;
    task.input = Some(Secret::new(text));
    task.sandbox = Sandbox {
        enabled: true,
        writable,
        ..Sandbox::default()
    };
    let exit = cx.host.run(&task).await?.require_success(&task)?;
    read_answer(&exit.tail)
}

/// The answer is the last line that looks like one; a warning of the loader may stand before it.
fn read_answer(tail: &str) -> Result<std::result::Result<Report, Refusal>> {
    let line = tail.lines().rev().find(|line| line.starts_with('{'));
    serde_json::from_str(line.unwrap_or_default())
        .map_err(|e| PluginError::other("could not read the answer of the database helper", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_cannot_be_read_is_answered_too() {
        let answer = answer("{}");
        assert!(
            read_answer(&format!("a warning\n{answer}\n"))
                .unwrap()
                .is_err()
        );
        assert!(read_answer("").is_err());
    }
}
