//! Reading what docker says when it fails: whose fault it is, and the part of a build's output that a person wants to see first.

/// Words by which the engine, a registry or the machine, not the app, failed. Seen with engines 20.10 to 28 and compose 1.29 to 2.26.
const INFRASTRUCTURE: [&str; 23] = [
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
        .any(|line| INFRASTRUCTURE.iter().any(|words| line.contains(words)))
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

fn joined<'a>(lines: impl Iterator<Item = &'a &'a str>) -> String {
    lines.copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSIC: &str = include_str!("../tests/recorded/build-classic-failed.txt");
    const BUILDKIT: &str = include_str!("../tests/recorded/build-buildkit-failed.txt");

    #[test]
    fn the_failing_step_of_the_classic_builder_comes_first() {
        assert_eq!(
            failing_step(CLASSIC),
            "Step 3/3 : RUN echo \"no such module\"; exit 3\nno such module\n\
             The command '/bin/sh -c echo \"no such module\"; exit 3' returned a non-zero code: 3"
        );
    }

    #[test]
    fn the_failing_step_of_buildkit_comes_first() {
        let step = failing_step(BUILDKIT);
        assert!(
            step.starts_with(" > [3/3] RUN echo \"no such module\"; exit 3:"),
            "{step}"
        );
        assert!(step.contains("no such module\n"), "{step}");
        assert!(step.ends_with("exit code: 3"), "{step}");
    }

    #[test]
    fn a_registry_that_cannot_be_reached_is_not_the_apps_fault() {
        for words in [
            "Get \"https://nowhere.invalid/v2/\": dial tcp: lookup nowhere.invalid on 127.0.0.53:53: no such host",
            "Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?",
            "driver failed programming external connectivity on endpoint x: Bind for 127.0.0.1:80 failed: port is already allocated",
            "write /var/lib/x: no space left on device",
        ] {
            assert!(is_infrastructure(words), "{words}");
        }
    }

    #[test]
    fn an_app_that_cannot_reach_its_own_server_while_building_is_at_fault_itself() {
        let output = "Step 2/2 : RUN make\nconnect: connection refused\na\nb\nc\nThe command '/bin/sh -c make' returned a non-zero code: 2";
        assert!(!is_infrastructure(output));
        assert!(!is_infrastructure(CLASSIC));
        assert!(!is_infrastructure(
            "pull access denied for nothing/here, repository does not exist or may require 'docker login'"
        ));
    }
}
