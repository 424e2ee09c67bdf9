//! Where a repository is: parsed once, so that nothing later can mistake it for an option, a command or another transport.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hop3_plugin_api::Abort;
use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The address of a git repository: `https://…`, `file:///…`, or `http://…` on this machine.
///
/// Guarantees: no user, no password, no query; no part that a program could read as an option.
#[derive(Clone, PartialEq, Eq)]
pub struct RepoUrl(Place);

/// What kind of place a [`RepoUrl`] is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A server that speaks git's smart HTTP.
    Http(Url),
    /// A repository on this machine.
    File(PathBuf),
}

impl RepoUrl {
    /// Reads an address; plain `http` is only taken for this machine.
    pub fn parse(text: &str) -> Result<Self, Abort> {
        let url = Self::parse_allowing_http(text)?;
        if url.is_cleartext() {
            return Err(refuse(
                text,
                "sends everything in clear text",
                "use https, or let the operator allow http in agent.toml",
            ));
        }
        Ok(url)
    }

    /// Reads an address when the operator has allowed plain `http` to other machines.
    pub fn parse_allowing_http(text: &str) -> Result<Self, Abort> {
        check_characters(text)?;
        match text.split_once("://") {
            Some(("https" | "http", _)) => http(text).map(|url| Self(Place::Http(url))),
            Some(("file", path)) => file(text, path).map(|path| Self(Place::File(path))),
            Some(("ssh" | "git+ssh" | "ssh+git", _)) => Err(ssh(text)),
            None if looks_like_scp(text) => Err(ssh(text)),
            _ => Err(refuse(
                text,
                "is not an address that the agent fetches from",
                "use `https://…` or `file:///…`",
            )),
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.0
    }

    /// Whether what is sent there crosses a network unencrypted.
    pub(super) fn is_cleartext(&self) -> bool {
        matches!(&self.0, Place::Http(url) if url.scheme() == "http" && !is_loopback(url))
    }
}

fn refuse(text: &str, problem: &str, hint: &str) -> Abort {
    let shown: String = text.chars().take(200).collect();
    Abort::new(format!("`{}` {problem}", shown.escape_debug())).hint(hint)
}

fn ssh(text: &str) -> Abort {
    refuse(
        text,
        "needs ssh, which the agent does not speak yet",
        "use the https address with a read-only token in `token-file`",
    )
}

fn looks_like_scp(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(host, path)| host.contains('@') && !path.starts_with(':'))
}

fn check_characters(text: &str) -> Result<(), Abort> {
    let hostile = |c: char| c.is_control() || c.is_whitespace() || "'\"`\\<>|;$".contains(c);
    if text.is_empty() {
        Err(refuse(
            text,
            "is empty",
            "write the address of the config repo",
        ))
    } else if text.starts_with('-') || text.len() > 2048 || text.contains(hostile) {
        Err(refuse(
            text,
            "holds characters that an address cannot have",
            "write it as the forge shows it, percent-encoded where needed",
        ))
    } else {
        Ok(())
    }
}

fn http(text: &str) -> Result<Url, Abort> {
    let mut url = Url::parse(text)
        .map_err(|e| refuse(text, &format!("is not an address: {e}"), "check it"))?;
    if !url.username().is_empty() || url.password().is_some() {
        // The text holds a password: it is not repeated.
        return Err(Abort::new("the address holds a user name or password")
            .hint("put the token into a file that only the agent can read, and name it in `token-file`"));
    }
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() || host.starts_with('-') {
        return Err(refuse(text, "names no host", "check it"));
    }
    if url.query().is_some() || url.fragment().is_some() || url.path().len() < 2 {
        return Err(refuse(
            text,
            "is not the address of a repository",
            "use the address that the forge offers for cloning",
        ));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn file(text: &str, path: &str) -> Result<PathBuf, Abort> {
    let clean = Path::new(path)
        .components()
        .all(|part| !matches!(part, std::path::Component::ParentDir));
    if !path.starts_with('/') || path.contains(['%', '?', '#']) || !clean {
        return Err(refuse(
            text,
            "is not the absolute path of a repository",
            "write `file:///` and the whole path, without `..` and `%`",
        ));
    }
    Ok(PathBuf::from(path))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Http(url) => f.write_str(url.as_str()),
            Place::File(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl fmt::Debug for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for RepoUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RepoUrl {
    /// Takes what was checked before: plain `http` was the operator's decision then.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_allowing_http(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_forges_and_directories_are_taken() {
        for (text, shown) in [
            (
                "https://forge.example/team/config",
                "https://forge.example/team/config",
            ),
            (
                "https://forge.example:8443/c.git/",
                "https://forge.example:8443/c.git",
            ),
            ("http://127.0.0.1:3000/c.git", "http://127.0.0.1:3000/c.git"),
            ("http://[::1]:3000/c.git", "http://[::1]:3000/c.git"),
            ("http://localhost/c.git", "http://localhost/c.git"),
            ("file:///srv/git/config.git", "file:///srv/git/config.git"),
        ] {
            assert_eq!(RepoUrl::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn t12_options_commands_and_other_transports_are_refused() {
        for text in [
            "",
            "-",
            "--upload-pack=touch /tmp/canary",
            "-oProxyCommand=canary",
            "ext::sh -c canary",
            "ext::canary",
            "fd::17",
            "git://forge.example/c.git",
            "ftp://forge.example/c",
            "https://-oProxyCommand=x/c.git",
            "https:///c.git",
            "https://forge.example",
            "https://forge.example/",
            "https://forge.example/c.git\n",
            "https://forge.example/c .git",
            "https://forge.example/c'.git",
            "https://forge.example/c\".git",
            "https://forge.example/`canary`",
            "https://forge.example/$(canary)",
            "https://forge.example/c.git?x=1",
            "https://forge.example/c.git#main",
            "https://forge.example/c\u{0}",
            "HTTPS://forge.example/c.git\t",
            "file://host/srv/c.git",
            "file://srv",
            "file:///srv/../etc/c.git",
            "file:///srv/%2e%2e/c",
            "/srv/git/config.git",
            "config.git",
            "http://forge.example/c.git",
        ] {
            assert!(RepoUrl::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_refused_without_being_repeated() {
        let error = RepoUrl::parse("https://user:canary@forge.example/c.git").unwrap_err();
        assert!(!format!("{error:?}").contains("canary"));
        assert!(error.hint.unwrap().contains("token-file"));
        assert!(RepoUrl::parse("https://git@forge.example/c.git").is_err());
    }

    #[test]
    fn ssh_is_refused_by_its_name() {
        for text in [
            "ssh://git@forge.example/c.git",
            "git@forge.example:team/c.git",
        ] {
            assert!(
                RepoUrl::parse(text).unwrap_err().message.contains("ssh"),
                "{text}"
            );
        }
    }

    #[test]
    fn plain_http_to_another_machine_is_the_operators_decision() {
        let url = RepoUrl::parse_allowing_http("http://forge.example/c.git").unwrap();
        assert!(url.is_cleartext());
    }
}
