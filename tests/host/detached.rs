//! Processes that live on without the agent.

use std::fs;
use std::path::Path;

use hop3_plugin_api::{Host, HostError, ProcessId, Program, Secret, Task};

use super::{Machine, until};

fn detached(machine: &Machine, command: &str) -> Task {
    let mut task = machine.shell(command);
    task.output.log = Some(machine.path("log"));
    task.input = Some(Secret::new("the input"));
    task
}

async fn start(machine: &Machine, command: &str) -> ProcessId {
    let task = detached(machine, command);
    machine.host.spawn_detached(&task).await.unwrap().process
}

#[tokio::test]
async fn a_detached_process_gets_its_input_and_is_known_by_identity() {
    let machine = Machine::new();
    let process = start(
        &machine,
        "cat; echo; ps -o sid= -p $$; echo $$; exec sleep 1000",
    )
    .await;
    assert!(machine.host.is_running(&process));
    let log = machine.path("log");
    until("written", || {
        fs::read_to_string(&log).unwrap().lines().count() == 3
    })
    .await;
    let said = fs::read_to_string(&log).unwrap();
    let own = process.pid.to_string();
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    assert_eq!(lines, ["the input", &own, &own]);
    let mut other = process.clone();
    other.start_time += 1;
    machine.host.signal(&other, 9, true).await.unwrap();
    assert!(machine.host.is_running(&process));
    machine.host.signal(&process, 15, true).await.unwrap();
    until("ended", || !machine.host.is_running(&process)).await;
    until("reaped", || !Path::new("/proc").join(&own).exists()).await;
    machine.host.signal(&process, 9, true).await.unwrap();
}

#[test]
fn a_detached_process_outlives_its_runtime() {
    let machine = Machine::new();
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let process = runtime().block_on(start(&machine, "exec sleep 1000"));
    assert!(machine.host.is_running(&process));
    runtime().block_on(async {
        machine.host.signal(&process, 9, false).await.unwrap();
        until("ended", || !machine.host.is_running(&process)).await;
    });
}

#[tokio::test]
async fn a_detached_program_that_is_missing_is_told_at_once() {
    let machine = Machine::new();
    let missing = Task::new("x", Program::At("/nowhere/program".into()), "/");
    let error = machine.host.spawn_detached(&missing).await.unwrap_err();
    assert!(matches!(error, HostError::Start { .. }), "{error:?}");
}

#[tokio::test]
async fn a_listener_of_a_grandchild_belongs_to_the_detached_process() {
    let machine = Machine::new();
    let port = machine.host.free_port().await.unwrap();
    let server = format!(
        "python3 -c \"import socket,time; s=socket.socket(); s.bind(('127.0.0.1',{port})); s.listen(); time.sleep(1000)\" & wait"
    );
    let process = start(&machine, &server).await;
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let host = &machine.host;
    until("listening", || {
        host.listens(address, std::slice::from_ref(&process)) == Some(true)
    })
    .await;
    host.signal(&process, 15, true).await.unwrap();
    until("ended", || {
        host.listens(address, std::slice::from_ref(&process)) == Some(false)
    })
    .await;
}
