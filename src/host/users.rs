//! System users for apps, made by the system's own `useradd`.

use std::path::Path;
use std::time::Duration;

use hop3_plugin_api::{Host as _, HostError, Program, Task, UserId};

use super::{SystemHost, files};

const NO_SHELL: &str = "/usr/sbin/nologin";

/// Makes sure of a user; one call at a time, because `useradd` gives up when another one holds its lock.
pub(super) async fn ensure_user(
    host: &SystemHost,
    name: &str,
    home: &Path,
) -> Result<UserId, HostError> {
    check_name(name)?;
    let _turn = host.users.lock().await;
    if let Some(user) = find(name)? {
        return Ok(user);
    }
    add(host, name, home).await?;
    find(name)?.ok_or_else(|| refused(name, "`useradd` succeeded, and the user is still missing"))
}

async fn add(host: &SystemHost, name: &str, home: &Path) -> Result<(), HostError> {
    let home = home.display().to_string();
    let program = Program::Named("useradd".to_owned());
    let task = Task::new(format!("add the user {name}"), program, "/")
        .args(["--system", "--user-group", "--no-create-home"])
        .args(["--home-dir", &home, "--shell", NO_SHELL, "--", name])
        .deadline(Duration::from_mins(1));
    let exit = host.run(&task).await?;
    if exit.success() {
        Ok(())
    } else {
        Err(refused(
            name,
            format!("`useradd` {}: {}", exit.status, exit.tail.trim()),
        ))
    }
}

fn find(name: &str) -> Result<Option<UserId>, HostError> {
    let passwd = files::read(Path::new("/etc/passwd"))?.unwrap_or_default();
    Ok(find_in(&String::from_utf8_lossy(&passwd), name))
}

fn find_in(passwd: &str, name: &str) -> Option<UserId> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        found.then_some(UserId { uid, gid })
    })
}

fn check_name(name: &str) -> Result<(), HostError> {
    let good = name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
    if good {
        Ok(())
    } else {
        Err(refused(
            name,
            "a user name is 1 to 32 of a-z, 0-9, `-` and `_`, starting with a letter or `_`",
        ))
    }
}

fn refused(name: &str, reason: impl Into<String>) -> HostError {
    HostError::Refused {
        doing: format!("make sure of the user `{name}`"),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nh3-ab:x:990:991::/data:/usr/sbin/nologin\n";
        assert_eq!(
            find_in(passwd, "h3-ab"),
            Some(UserId { uid: 990, gid: 991 })
        );
        assert_eq!(find_in(passwd, "h3-a"), None);
    }

    #[test]
    fn t22_a_name_that_could_be_an_option_is_refused() {
        for bad in ["", "-D", "Root", "a b", "a:b", "a\nb", &"a".repeat(33)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_name("h3-0a1b2c").is_ok());
    }
}
