//! Where a repository is: parsed once, so that nothing later can mistake it for an option, a command or another transport.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hop3_plugin_api::Abort;
use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ssh::SshPlace;

/// The address of a git repository: `https://…`, `ssh://user@…` or `user@host:path`, `file:///…`, or `http://…` on this machine.
///
/// Guarantees: no password, no query; no part that a program could read as an option, and none that a shell could read as more than a word.
#[derive(Clone, PartialEq, Eq)]
pub struct RepoUrl(Place);

/// What kind of place a [`RepoUrl`] is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A server that speaks git's smart HTTP.
    Http(Url),
    /// A server that is reached with ssh.
    Ssh(SshPlace),
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
                "use https or ssh",
            ));
        }
        Ok(url)
    }

    /// Reads an address that may be plain `http` to another machine: for those who refuse that themselves.
    pub fn parse_allowing_http(text: &str) -> Result<Self, Abort> {
        check_characters(text)?;
        let place = match text.split_once("://") {
            Some(("https" | "http", _)) => Place::Http(http(text)?),
            Some(("ssh", rest)) => Place::Ssh(SshPlace::of_url(rest).map_err(|e| say(text, e))?),
            Some(("file", path)) => Place::File(file(text, path)?),
            None if text.contains('@') => {
                Place::Ssh(SshPlace::of_scp(text).map_err(|e| say(text, e))?)
            }
            _ => {
                let hint = "use `https://…`, `ssh://user@host/…` or `file:///…`";
                return Err(refuse(
                    text,
                    "is not an address that the agent fetches from",
                    hint,
                ));
            }
        };
        Ok(Self(place))
    }

    /// Whether it is reached with ssh, and so needs a key and known host keys.
    pub fn is_ssh(&self) -> bool {
        matches!(self.0, Place::Ssh(_))
    }

    /// Where a server of a checked address said that the repository is on the same server.
    pub(super) fn of_http(url: Url) -> Self {
        Self(Place::Http(url))
    }

    pub(super) fn place(&self) -> &Place {
        &self.0
    }

    /// Whether what is sent there crosses a network unencrypted.
    pub(super) fn is_cleartext(&self) -> bool {
        matches!(&self.0, Place::Http(url) if url.scheme() == "http" && !is_loopback(url))
    }

    /// Scheme, host and port: what a token is bound to, and what rests after failures.
    pub(super) fn host(&self) -> String {
        match &self.0 {
            Place::Http(url) => url.origin().ascii_serialization(),
            Place::Ssh(place) => format!("ssh://{}", place.authority()),
            Place::File(_) => "file://".to_owned(),
        }
    }
}

fn say(text: &str, (problem, hint): (&str, &str)) -> Abort {
    refuse(text, problem, hint)
}

fn refuse(text: &str, problem: &str, hint: &str) -> Abort {
    let shown: String = text.chars().take(200).collect();
    Abort::new(format!("`{}` {problem}", shown.escape_debug())).hint(hint)
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
            .hint("put the user name into `username`, the token into a file that only the agent can read, and name that in `token-file`"));
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
            Place::Ssh(place) => place.fmt(f),
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
            (
                "ssh://git@forge.example/team/c.git",
                "ssh://git@forge.example/team/c.git",
            ),
            (
                "ssh://git@forge.example:2222/~ops/c.git",
                "ssh://git@forge.example:2222/~ops/c.git",
            ),
            (
                "ssh://git@[::1]:2222/srv/c.git",
                "ssh://git@[::1]:2222/srv/c.git",
            ),
            (
                "git@forge.example:team/c.git",
                "git@forge.example:team/c.git",
            ),
            (
                "git@forge.example:/srv/c.git",
                "git@forge.example:/srv/c.git",
            ),
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
            "ssh://forge.example/c.git",
            "ssh://-oProxyCommand=canary/c.git",
            "ssh://-l@forge.example/c.git",
            "ssh://git@-oProxyCommand=canary/c.git",
            "ssh://git@forge.example",
            "ssh://git@forge.example/",
            "ssh://git@forge.example/-c.git",
            "ssh://git@forge.example:0/c.git",
            "ssh://git@forge.example:99999/c.git",
            "ssh://git@forge.example:22:22/c.git",
            "ssh://git:canary@forge.example/c.git",
            "ssh://git@forge%2eexample/c.git",
            "ssh://git@forge.example/c%20d.git",
            "ssh://git@forge.example/c.git?x",
            "ssh://git@[::1/c.git",
            "ssh://git@fo_rge!/c.git",
            "git+ssh://git@forge.example/c.git",
            "git@forge.example:-c.git",
            "git@forge.example:",
            "git@-oProxyCommand=canary:c.git",
            "-oProxyCommand=canary@forge.example:c.git",
            "git@forge.example:c.git;canary",
            "git@forge.example:$(canary)",
            "@forge.example:c.git",
            "forge.example:c.git",
            "git@:c.git",
            "git@forge.example::canary",
            "a@b@c:d",
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
    fn what_a_token_is_bound_to_is_scheme_host_and_port() {
        let host = |text| RepoUrl::parse(text).unwrap().host();
        assert_eq!(
            host("https://forge.example/a"),
            host("https://forge.example:443/b")
        );
        for other in [
            "https://forge.example:8443/a",
            "https://forge.test/a",
            "ssh://git@forge.example/a",
        ] {
            assert_ne!(host("https://forge.example/a"), host(other), "{other}");
        }
        assert_eq!(
            host("ssh://git@forge.example/a"),
            host("git@forge.example:b")
        );
    }

    #[test]
    fn plain_http_to_another_machine_is_the_operators_decision() {
        let url = RepoUrl::parse_allowing_http("http://forge.example/c.git").unwrap();
        assert!(url.is_cleartext());
    }
}
