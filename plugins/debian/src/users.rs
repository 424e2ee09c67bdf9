//! System users by `groupadd` and `useradd`.

use std::path::Path;
use std::time::Duration;

use hop3_plugin_api::{HostContext, PluginError, Program, Result, SystemUser, Task, UserId};

/// Effect: makes the group and the user where they are missing; what is there stays as it is.
pub(crate) async fn ensure(cx: &HostContext<'_>, user: &SystemUser) -> Result<UserId> {
    if let Some(found) = find(cx, &user.name).await? {
        return Ok(found);
    }
    if entry(cx, "/etc/group", &user.group).await?.is_none() {
        let words = ["--system", "--", &user.group];
        run(
            cx,
            &format!("add the group {}", user.group),
            "groupadd",
            &words,
        )
        .await?;
    }
    let (home, shell) = (user.home.display(), user.shell.display());
    let (home, shell) = (home.to_string(), shell.to_string());
    let words = [
        "--system",
        "--no-create-home",
        "--gid",
        &user.group,
        "--home-dir",
        &home,
        "--shell",
        &shell,
        "--",
        &user.name,
    ];
    run(
        cx,
        &format!("add the user {}", user.name),
        "useradd",
        &words,
    )
    .await?;
    let found = find(cx, &user.name).await?;
    found.ok_or_else(|| {
        lacking(
            &user.name,
            "`useradd` succeeded, and the user is still missing",
        )
    })
}

async fn run(cx: &HostContext<'_>, what: &str, program: &str, words: &[&str]) -> Result<()> {
    let task = Task::new(what, Program::Named(program.to_owned()), "/")
        .args(words.iter().copied())
        .deadline(Duration::from_mins(1));
    let exit = cx.host.run(&task).await?;
    if exit.success() {
        return Ok(());
    }
    let words = format!("`{program}` {}: {}", exit.status, exit.tail.trim());
    Err(lacking(what, &words))
}

async fn find(cx: &HostContext<'_>, name: &str) -> Result<Option<UserId>> {
    let Some(fields) = entry(cx, "/etc/passwd", name).await? else {
        return Ok(None);
    };
    let number = |index: usize| fields.get(index).and_then(|field| field.parse().ok());
    Ok(number(2)
        .zip(number(3))
        .map(|(uid, gid)| UserId { uid, gid }))
}

/// The fields of a line of a file that begins with a name.
async fn entry(cx: &HostContext<'_>, file: &str, name: &str) -> Result<Option<Vec<String>>> {
    let content = cx.host.read(Path::new(file)).await?.unwrap_or_default();
    let content = String::from_utf8_lossy(&content);
    let mut lines = content.lines().map(|line| line.split(':'));
    let line = lines.find(|line| line.clone().next() == Some(name));
    Ok(line.map(|fields| fields.map(str::to_owned).collect()))
}

fn lacking(what: &str, words: &str) -> PluginError {
    PluginError::Lacking {
        message: format!("{what}: {words}"),
        hint: "make it by hand, or run the agent as root".to_owned(),
    }
}
