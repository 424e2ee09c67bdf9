//! What a confined task sees and reaches.

use std::fs;
use std::path::Path;

use hop3_plugin_api::{Sandbox, Secret, Task};

use super::Machine;

fn confined(machine: &Machine, command: &str) -> Task {
    let mut task = machine.shell(command);
    task.sandbox = Sandbox {
        enabled: true,
        writable: vec![machine.path("writable")],
        readable: vec![machine.path("readable")],
        network: true,
        required: true,
    };
    task.dir = machine.path("readable");
    task
}

#[tokio::test]
async fn t36_a_confined_task_sees_only_what_it_is_given() {
    let machine = Machine::new();
    for name in ["readable", "writable", "agent"] {
        fs::create_dir(machine.path(name)).unwrap();
        fs::write(machine.path(name).join("file"), name).unwrap();
    }
    let root = machine.root.path().display();
    for (command, works) in [
        (format!("cat {root}/readable/file"), true),
        (
            format!("echo x > {root}/writable/new && mkdir {root}/writable/d"),
            true,
        ),
        (
            "echo x > $TMPDIR/x && cat $TMPDIR/x && test -d $TMPDIR".to_owned(),
            true,
        ),
        ("echo x > /dev/null; cat /etc/hosts".to_owned(), true),
        ("echo x > /dev/stderr".to_owned(), true),
        (format!("cat {root}/agent/file"), false),
        (format!("ls {root}/agent"), false),
        (format!("echo x > {root}/readable/new"), false),
        ("echo x > /tmp/hop3-test-must-not-exist".to_owned(), false),
        ("ls /root".to_owned(), false),
        ("kill -0 1".to_owned(), false),
    ] {
        let exit = machine.run(&confined(&machine, &command)).await;
        assert_eq!(exit.success(), works, "{command}: {exit:?}");
    }
}

#[tokio::test]
async fn t36_its_temporary_directory_is_gone_afterwards() {
    let machine = Machine::new();
    for name in ["readable", "writable"] {
        fs::create_dir(machine.path(name)).unwrap();
    }
    let exit = machine
        .run(&confined(
            &machine,
            "mkdir -p $TMPDIR/a/b && printf %s $TMPDIR",
        ))
        .await;
    assert!(exit.tail.starts_with("/tmp/.hop3-tmp-"), "{exit:?}");
    assert!(!Path::new(&exit.tail).exists());
}

#[tokio::test]
async fn a_task_without_network_reaches_only_itself() {
    let machine = Machine::new();
    for name in ["readable", "writable"] {
        fs::create_dir(machine.path(name)).unwrap();
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "import socket\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\nsocket.create_connection(s.getsockname(), 2)\nprint('itself')\ntry:\n    socket.create_connection(('127.0.0.1', {port}), 2)\n    print('outside')\nexcept OSError as error:\n    print('cut')"
    );
    let mut task = confined(&machine, "exec /usr/bin/python3 -");
    task.input = Some(Secret::new(script));
    assert_eq!(machine.run(&task).await.tail, "itself\noutside\n");
    task.sandbox.network = false;
    assert_eq!(machine.run(&task).await.tail, "itself\ncut\n");
}
