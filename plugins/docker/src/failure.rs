//! Reading what docker says when it fails: whose fault it is, and the part of a build's output that a person wants to see first.

use hop3_plugin_api::PluginError;

use crate::dockerfile::{self, Named};

/// Words by which the engine, a registry or the machine, not the app, failed. Seen with engines 20.10 to 28 and compose 1.29 to 2.26.
const INFRASTRUCTURE: [&str; 26] = [
    "dial tcp",
    "network is unreachable",
    "no route to host",
    "cannot connect to the docker daemon",
    "error during connect",
    "is the docker daemon running",
    "context deadline exceeded",
    "tls handshake timeout",
    "i/o timeout",
    "no such host",
    "connection refused",
    "connection reset by peer",
    "unexpected eof",
    "toomanyrequests",
    "too many requests",
    "service unavailable",
    "bad gateway",
    "gateway timeout",
    "gateway time-out",
    "internal server error",
    "no space left on device",
    "port is already allocated",
    "address already in use",
    "all predefined address pools have been fully subnetted",
    "could not find an available, non-overlapping ipv4 address pool",
    "temporary failure in name resolution",
];

/// Whether trying again later may succeed without any change of the app. Only the last lines count: before them the app itself may have
/// printed anything.
pub(crate) fn is_infrastructure(output: &str) -> bool {
    let last = output
        .lines()
        .rev()
        .filter(|l| !l.trim().is_empty())
        .take(3);
    last.map(str::to_lowercase)
        .filter(|line| !is_report_of_a_step(line))
        .any(|line| {
            INFRASTRUCTURE.iter().any(|words| line.contains(words)) || is_faulty_registry(&line)
        })
}

/// `unexpected HTTP status: 503 …`, `unexpected status from HEAD request to …: 429 …`, `error parsing HTTP 500 response`: the registry's
/// own trouble.
fn is_faulty_registry(line: &str) -> bool {
    let said = [
        "unexpected http status",
        "unexpected status",
        "error parsing http",
        "failed with status",
    ];
    let Some((_, rest)) = said.iter().find_map(|words| line.split_once(words)) else {
        return false;
    };
    let words = rest.split(|c: char| c.is_whitespace() || c == ':');
    let mut statuses = words
        .filter(|word| word.len() == 3)
        .filter_map(|word| word.parse().ok());
    statuses.any(|status: u16| status == 429 || (500..600).contains(&status))
}

/// The builder's closing word on a step that ran and failed; it repeats the app's own command.
fn is_report_of_a_step(line: &str) -> bool {
    [
        "returned a non-zero code",
        "did not complete successfully",
        "executor failed running",
    ]
    .iter()
    .any(|words| line.contains(words))
}

/// The same for a build: once a step of the Dockerfile failed, nothing that it printed makes that anybody else's fault.
pub(crate) fn is_infrastructure_of_build(output: &str) -> bool {
    let verdict = verdict(output).to_lowercase();
    !is_report_of_a_step(&verdict) && is_infrastructure(output)
}

/// The builder's last word.
pub(crate) fn verdict(output: &str) -> String {
    let mut lines = output.lines().rev().filter(|l| !l.trim().is_empty());
    let last = lines.next().unwrap_or("it gave no reason").trim();
    let bare = [
        "ERROR: ",
        "Error response from daemon: ",
        "failed to solve: ",
        "rpc error: code = Unknown desc = ",
        "failed to solve with frontend dockerfile.v0: ",
        "failed to create LLB definition: ",
    ];
    let bare = bare.iter().fold(last, |text, prefix| {
        text.strip_prefix(prefix).unwrap_or(text)
    });
    bare.to_owned()
}

/// A build's output with the failing step's own part first; the rest is in the log.
pub(crate) fn failing_step(output: &str) -> String {
    buildkit_step(output)
        .or_else(|| classic_step(output))
        .unwrap_or_else(|| output.to_owned())
}

/// `BuildKit` repeats the failing step between rulers, under a line like ` > [2/3] RUN make:`.
fn buildkit_step(output: &str) -> Option<String> {
    const RULER: &str = "------";
    let lines: Vec<&str> = output.lines().collect();
    let head = lines
        .windows(2)
        .rposition(|pair| pair[0] == RULER && pair[1].starts_with(" > "))?;
    let section = lines[head + 1..].iter().take_while(|l| **l != RULER);
    let verdict = lines.iter().rev().find(|l| l.starts_with("ERROR: "));
    Some(joined(section.chain(verdict)))
}

/// The classic builder prints a step's output after its `Step 3/5 : RUN make` and the container that it runs in.
fn classic_step(output: &str) -> Option<String> {
    let lines: Vec<&str> = output.lines().collect();
    let head = lines
        .iter()
        .rposition(|l| l.starts_with("Step ") && l.contains(" : "))?;
    Some(joined(
        lines[head..].iter().filter(|l| !l.starts_with(" ---> ")),
    ))
}

/// The step of a Dockerfile that failed, as far as the builder told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FailedBuild {
    /// `3`, `one 2` in a stage with a name.
    step: Option<String>,
    instruction: Option<String>,
    line: Option<usize>,
    verdict: String,
    output: String,
}

impl FailedBuild {
    pub(crate) fn read(output: &str) -> Self {
        let shown = failing_step(output);
        let head = shown.lines().next().unwrap_or_default();
        let told = of_buildkit(head).or_else(|| of_classic(head));
        let (step, instruction) = told.or_else(|| under_way(output)).unzip();
        Self {
            step,
            instruction,
            line: line_in(output),
            verdict: verdict(output),
            output: shown,
        }
    }

    /// File, line, step, what it said, and what to do.
    pub(crate) fn told(self, file: &Named<'_>) -> PluginError {
        let found = self.instruction.as_deref();
        let found = found.and_then(|instruction| dockerfile::line_of(file.text, instruction));
        let line = self.line.or(found);
        let place = line.map_or_else(String::new, |line| format!(":{line}"));
        let step = self.step.as_ref().map(|step| format!(" at step {step}"));
        let instruction = self.instruction.as_deref().map(shortened);
        let instruction = instruction.map(|instruction| format!(", `{instruction}`"));
        let reason = match &file.late {
            Some(late) => format!("it {late}"),
            None => self.reason(),
        };
        let message = format!(
            "`{}{place}` failed{}{}: {reason}",
            file.path,
            step.unwrap_or_default(),
            instruction.unwrap_or_default(),
        );
        PluginError::Build {
            message,
            hint: hint(&self.output, file),
            tail: self.output,
        }
    }

    /// The verdict without the command that it repeats.
    fn reason(&self) -> String {
        for words in ["exit code: ", "returned a non-zero code: "] {
            if let Some((_, code)) = self.verdict.rsplit_once(words) {
                return format!("it exited with status {code}");
            }
        }
        shortened(&self.verdict)
    }
}

fn shortened(text: &str) -> String {
    const MOST: usize = 160;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain(['…']).collect()
}

/// ` > [one 2/3] RUN make:`
fn of_buildkit(head: &str) -> Option<(String, String)> {
    let (step, instruction) = head.strip_prefix(" > [")?.split_once("] ")?;
    if step == "internal" {
        return None;
    }
    Some((number(step), instruction.trim_end_matches(':').to_owned()))
}

/// `#6 [3/3] RUN make`, the last such line, where no `#6 DONE 0.1s` follows it.
fn under_way(output: &str) -> Option<(String, String)> {
    let line = output
        .lines()
        .rfind(|line| line.starts_with('#') && line.contains(" ["))?;
    let (number, rest) = line.split_once(" [")?;
    let ended = ["DONE", "CACHED"].map(|word| format!("{number} {word}"));
    if output
        .lines()
        .any(|line| ended.iter().any(|words| line.starts_with(words)))
    {
        return None;
    }
    of_buildkit(&format!(" > [{rest}"))
}

/// `Step 3/5 : RUN make`
fn of_classic(head: &str) -> Option<(String, String)> {
    let (step, instruction) = head.strip_prefix("Step ")?.split_once(" : ")?;
    Some((number(step), instruction.to_owned()))
}

/// `2` of `2/5`. How many there are counts steps that the Dockerfile does not have.
fn number(step: &str) -> String {
    step.split('/').next().unwrap_or_default().to_owned()
}

/// The line that a builder names itself: `Dockerfile:3` above an excerpt, or `parse error on line 3`.
fn line_in(output: &str) -> Option<usize> {
    let lines: Vec<&str> = output.lines().collect();
    let mut above = lines
        .windows(2)
        .filter(|pair| pair[1] == "--------------------");
    let of_excerpt = above.find_map(|pair| pair[0].rsplit_once(':')?.1.trim().parse().ok());
    let of_words = ["parse error on line ", "parse error line "]
        .iter()
        .find_map(|words| {
            let (_, rest) = output.rsplit_once(words)?;
            rest.split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        });
    of_excerpt.or(of_words)
}

/// What to do about the usual failures.
fn hint(output: &str, file: &Named<'_>) -> String {
    let lower = output.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    let advice = if file.late.is_some() {
        "give it more time with `timeout` in `[build]`, or end what it waits for"
    } else if says(&[
        "requires buildkit",
        "the --mount option",
        "the --chmod option",
    ]) {
        "it needs BuildKit: install the plugin buildx of docker on the host (the package `docker-buildx`)"
    } else if says(&["failed to reach build target", "target stage"]) {
        "`target` in `[docker]` names a stage of it: `FROM … AS <name>`"
    } else if says(&[
        "not found in build context",
        "failed to calculate checksum",
        "failed to compute cache key",
        "copy failed",
        "add failed",
    ]) {
        "commit the file, look at `context` in `[docker]`, or take it out of `.dockerignore`"
    } else if says(&[
        "pull access denied",
        "manifest unknown",
        "not found: manifest",
        "repository does not exist",
        "failed to resolve source metadata",
    ]) {
        "look at the name and tag behind `FROM`; credentials of a registry are in `config-dir` of `[plugin.docker]` in agent.toml"
    } else if says(&["parse error", "unknown instruction", "unknown flag"]) {
        "correct that line"
    } else {
        "its output is below, and the whole of it in the release's `build-*.log` in the app's `log`; `docker build` in the source does the same"
    };
    advice.to_owned()
}

fn joined<'a>(lines: impl Iterator<Item = &'a &'a str>) -> String {
    lines.copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
