//! What real engines say when a build fails, and what is told of it.

use super::*;

const CLASSIC: &str = include_str!("../../tests/recorded/build-classic-failed.txt");
const BUILDKIT: &str = include_str!("../../tests/recorded/build-buildkit-failed.txt");

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

fn told(output: &str, text: &str) -> PluginError {
    FailedBuild::read(output).told(&Named {
        path: "deploy/Dockerfile",
        text,
        late: None,
    })
}

#[test]
fn a_failing_step_is_told_with_its_file_line_number_and_status_by_either_builder() {
    let text = "FROM local/busybox:1\nRUN echo first\n\nRUN echo \"no such module\"; exit 3\n";
    for output in [CLASSIC, BUILDKIT] {
        let error = told(output, text);
        assert_eq!(
            error.to_string(),
            "`deploy/Dockerfile:4` failed at step 3, `RUN echo \"no such module\"; exit 3`: it exited with status 3"
        );
        assert!(error.hints()[0].contains("build-*.log"));
    }
}

#[test]
fn what_is_no_step_is_told_by_the_line_that_the_builder_names() {
    for (output, place, hint) in [
        (
            "Error response from daemon: dockerfile parse error line 3: unknown instruction: RUNN",
            "`deploy/Dockerfile:3` failed: dockerfile parse error",
            "correct that line",
        ),
        (
            "#1 DONE\nDockerfile:7\n--------------------\n   7 | >>> COPY missing /x\n--------------------\nERROR: failed to solve: failed to compute cache key: \"/missing\": not found",
            "`deploy/Dockerfile:7` failed",
            "commit the file",
        ),
        (
            "Step 1/2 : FROM a\n ---> 1\nStep 2/2 : RUN --mount=type=cache make\nthe --mount option requires BuildKit. Refer to x",
            "`deploy/Dockerfile:9` failed at step 2",
            "docker-buildx",
        ),
        (
            "failed to reach build target nonesuch in Dockerfile",
            "`deploy/Dockerfile` failed: failed to reach build target",
            "`target`",
        ),
    ] {
        let text = "FROM a\n#\n#\n#\n#\n#\n#\n#\nRUN --mount=type=cache make\n";
        let error = told(output, text);
        assert!(error.to_string().starts_with(place), "{error}");
        assert!(error.hints()[0].contains(hint), "{:?}", error.hints());
    }
}

#[test]
fn a_step_that_could_not_reach_something_is_the_apps_whatever_it_printed_last() {
    let output = "------\n > [2/2] RUN curl x:\n0.1 curl: (7) connection refused\n------\nERROR: failed to solve: process \"/bin/sh -c curl x\" did not complete successfully: exit code: 7";
    assert!(!is_infrastructure_of_build(output));
    assert!(is_infrastructure_of_build(
        "ERROR: failed to solve: x: failed to resolve source metadata: unexpected status from HEAD request to http://127.0.0.1:1/v2/x: 503 Service Unavailable"
    ));
    assert!(is_infrastructure_of_build(
        "Step 1/1 : FROM 127.0.0.1:1/x\nError response from daemon: received unexpected HTTP status: 500 Internal Server Error"
    ));
    assert!(!is_infrastructure_of_build(
        "Step 1/1 : FROM 127.0.0.1:1/x\nmanifest for 127.0.0.1:1/x:latest not found: manifest unknown"
    ));
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
