//! Reaching a repository with ssh: the address, the argument vector and what ssh says when it fails.
//!
//! Nothing of the machine's own ssh is used: no configuration, no agent, no other key, no other known hosts. A host key that is not the
//! pinned one ends the connection before anything is asked, and is never replaced.

use std::fmt;
use std::net::Ipv6Addr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{FetchLimits, RepoError};

/// The port of ssh.
const PORT: u16 = 22;

/// What is wrong with an address, and what to do about it.
type Refusal = (&'static str, &'static str);

/// A repository behind ssh. No part starts with `-`, and none holds a character that a shell would not take as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SshPlace {
    user: String,
    host: String,
    port: Option<u16>,
    /// As the remote git is given it: from the root, or from the user's home.
    path: String,
    short: bool,
}

impl SshPlace {
    /// Reads what follows `ssh://`.
    pub(super) fn of_url(rest: &str) -> Result<Self, Refusal> {
        let (authority, path) = rest.split_once('/').ok_or(NO_REPOSITORY)?;
        let (user, at) = authority.split_once('@').ok_or(NO_USER)?;
        let (host, port) = host_and_port(at)?;
        // `/~user/…` is from that user's home, as git reads it.
        let path = if path.starts_with('~') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Self {
            user: user.to_owned(),
            host,
            port,
            path,
            short: false,
        }
        .checked()
    }

    /// Reads `user@host:path`.
    pub(super) fn of_scp(text: &str) -> Result<Self, Refusal> {
        let (user, rest) = text.split_once('@').ok_or(NO_USER)?;
        let (host, path) = rest.split_once(':').ok_or(NO_REPOSITORY)?;
        let (user, host, path) = (user.to_owned(), host.to_owned(), path.to_owned());
        Self {
            user,
            host,
            port: None,
            path,
            short: true,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, Refusal> {
        if self.user.contains(':') {
            return Err(("holds a password", "use a deploy key: `ssh-key`"));
        }
        let user = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
        if self.user.is_empty() || self.user.starts_with('-') || !self.user.chars().all(user) {
            return Err(NO_USER);
        }
        let label = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let named = !self.host.is_empty() && self.host.chars().all(label);
        if self.host.starts_with(['-', '.']) || !(named || self.is_ipv6()) {
            return Err(("names no host", "check it"));
        }
        let part = |c: char| c.is_ascii_alphanumeric() || "/._-+~@,=".contains(c) || !c.is_ascii();
        let below = self.path.trim_start_matches('/');
        if below.is_empty() || below.starts_with('-') || !self.path.chars().all(part) {
            return Err(NO_REPOSITORY);
        }
        Ok(self)
    }

    fn is_ipv6(&self) -> bool {
        self.host.parse::<Ipv6Addr>().is_ok()
    }

    /// Host and port, always both.
    pub(super) fn authority(&self) -> String {
        let port = self.port.unwrap_or(PORT);
        if self.is_ipv6() {
            format!("[{}]:{port}", self.host)
        } else {
            format!("{}:{port}", self.host)
        }
    }

    /// How a file of known host keys names it.
    pub(super) fn known_as(&self) -> String {
        match self.port {
            None | Some(PORT) => self.host.clone(),
            Some(port) => format!("[{}]:{port}", self.host),
        }
    }

    /// Everything that ssh is told. The last word is the only one that meets a shell, the remote user's: it is quoted.
    pub(super) fn arguments(&self, identity: &SshIdentity, limits: &FetchLimits) -> Vec<String> {
        let connect = limits.connect.as_secs().max(1);
        let alive = (limits.stall.as_secs() / 2).max(1);
        let mut arguments: Vec<String> = ["-F", "none", "-T", "-l", &self.user]
            .map(str::to_owned)
            .into();
        let mut option = |text: String| arguments.extend(["-o".to_owned(), text]);
        FIXED.iter().for_each(|text| option((*text).to_owned()));
        option(format!("IdentityFile={}", quoted(&identity.key)));
        option(format!(
            "UserKnownHostsFile={}",
            quoted(&identity.known_hosts)
        ));
        option(format!("ConnectTimeout={connect}"));
        option(format!("ServerAliveInterval={alive}"));
        option(format!("Port={}", self.port.unwrap_or(PORT)));
        let command = format!("git-upload-pack '{}'", self.path);
        arguments.extend(["--".to_owned(), self.host.clone(), command]);
        arguments
    }
}

/// Nothing but the deploy key is offered, nothing but the pinned host key is accepted, nobody is asked and nothing is remembered.
const FIXED: [&str; 22] = [
    "BatchMode=yes",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "CertificateFile=none",
    "PreferredAuthentications=publickey",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=none",
    "UpdateHostKeys=no",
    "VerifyHostKeyDNS=no",
    "CheckHostIP=no",
    "ProxyCommand=none",
    "ProxyJump=none",
    "ControlMaster=no",
    "ControlPath=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ServerAliveCountMax=2",
    "SendEnv=GIT_PROTOCOL",
    "LogLevel=ERROR",
];

/// A path as ssh reads it in an option: in quotes, with what it would expand written twice.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

const NO_USER: Refusal = (
    "names no user",
    "write `ssh://git@host/path` or `git@host:path`",
);
const NO_REPOSITORY: Refusal = (
    "is not the address of a repository",
    "use the address that the forge offers for cloning",
);

fn host_and_port(text: &str) -> Result<(String, Option<u16>), Refusal> {
    const WRONG: Refusal = ("names no host and port", "check it");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(WRONG)?;
            host.parse::<Ipv6Addr>().map_err(|_| WRONG)?;
            (
                host,
                (!port.is_empty()).then(|| port.strip_prefix(':').unwrap_or("?")),
            )
        }
        None => text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(|port| {
        port.parse::<u16>()
            .ok()
            .filter(|port| *port != 0)
            .ok_or(WRONG)
    });
    Ok((host.to_owned(), port.transpose()?))
}

impl fmt::Display for SshPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = if self.is_ipv6() {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.short {
            return write!(f, "{}@{host}:{}", self.user, self.path);
        }
        let port = self
            .port
            .map_or_else(String::new, |port| format!(":{port}"));
        write!(
            f,
            "ssh://{}@{host}{port}/{}",
            self.user,
            self.path.trim_start_matches('/')
        )
    }
}

/// The operator's deploy key, and the host keys that are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshIdentity {
    /// The private key.
    pub key: PathBuf,
    /// The host keys, in the form of `known_hosts`.
    pub known_hosts: PathBuf,
}

impl SshIdentity {
    /// Whether both files are there and nobody else could have read the one or changed the other.
    pub(super) fn check(&self) -> Result<(), RepoError> {
        check_file(&self.key, ("`ssh-key`", 0o077, "read"))?;
        check_file(&self.known_hosts, ("`known-hosts`", 0o022, "change"))
    }
}

fn check_file(path: &Path, (key, forbidden, verb): (&str, u32, &str)) -> Result<(), RepoError> {
    let refuse = |detail: String| RepoError::credentials(key, path, detail);
    if path
        .to_str()
        .is_none_or(|text| text.contains(['"', '\\', '$']) || text.chars().any(char::is_control))
    {
        return Err(refuse(
            "ssh cannot be given a path with such characters".to_owned(),
        ));
    }
    let meta = std::fs::metadata(path).map_err(|e| refuse(e.to_string()))?;
    let own = rustix::process::geteuid().as_raw();
    if !meta.is_file() {
        Err(refuse("it is not a file".to_owned()))
    } else if meta.uid() != 0 && meta.uid() != own {
        Err(refuse(format!("it belongs to user {}", meta.uid())))
    } else if meta.mode() & forbidden != 0 {
        Err(refuse(format!(
            "others can {verb} it (mode {:o})",
            meta.mode() & 0o7777
        )))
    } else {
        Ok(())
    }
}

/// What ssh said when it failed. The order matters: the first that fits is the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complaint {
    HostKeyChanged,
    HostKeyUnknown,
    KeyUnusable,
    Denied,
    TimedOut,
    NotARepository,
    Unreachable,
}

impl Complaint {
    /// Reads ssh's words, which are in English because its locale is ours to set.
    pub(super) fn of(words: &str) -> Option<Self> {
        const SIGNS: [(&str, Complaint); 19] = [
            (
                "REMOTE HOST IDENTIFICATION HAS CHANGED",
                Complaint::HostKeyChanged,
            ),
            (
                "has changed and you have requested strict checking",
                Complaint::HostKeyChanged,
            ),
            ("host key is known for", Complaint::HostKeyUnknown),
            ("Host key verification failed", Complaint::HostKeyUnknown),
            ("UNPROTECTED PRIVATE KEY FILE", Complaint::KeyUnusable),
            ("Load key", Complaint::KeyUnusable),
            ("Permission denied", Complaint::Denied),
            ("Too many authentication failures", Complaint::Denied),
            ("Connection timed out", Complaint::TimedOut),
            ("Operation timed out", Complaint::TimedOut),
            ("not responding", Complaint::TimedOut),
            (
                "does not appear to be a git repository",
                Complaint::NotARepository,
            ),
            ("epository not found", Complaint::NotARepository),
            ("not found.", Complaint::NotARepository),
            ("could not be found", Complaint::NotARepository),
            ("Could not resolve hostname", Complaint::Unreachable),
            ("connect to host", Complaint::Unreachable),
            ("onnection closed", Complaint::Unreachable),
            ("onnection reset", Complaint::Unreachable),
        ];
        SIGNS
            .iter()
            .find(|(sign, _)| words.contains(sign))
            .map(|(_, complaint)| *complaint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> FetchLimits {
        FetchLimits::default()
    }

    fn identity() -> SshIdentity {
        SshIdentity {
            key: "/etc/a b/100%".into(),
            known_hosts: "/etc/known".into(),
        }
    }

    #[test]
    fn ssh_is_told_to_use_nothing_but_the_pinned_files() {
        let place = SshPlace::of_url("git@forge.example:2222/team/c.git").unwrap();
        let arguments = place.arguments(&identity(), &limits());
        for option in [
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "IdentityFile=\"/etc/a b/100%%\"",
            "UserKnownHostsFile=\"/etc/known\"",
            "Port=2222",
        ] {
            assert!(
                arguments.iter().any(|argument| argument == option),
                "{option}: {arguments:?}"
            );
        }
        assert_eq!(arguments[..5], ["-F", "none", "-T", "-l", "git"]);
        let end = &arguments[arguments.len() - 3..];
        assert_eq!(
            end,
            ["--", "forge.example", "git-upload-pack '/team/c.git'"]
        );
    }

    #[test]
    fn both_ways_to_write_an_address_keep_their_path() {
        for (text, path) in [
            ("git@h:team/c.git", "team/c.git"),
            ("git@h:/srv/c.git", "/srv/c.git"),
        ] {
            assert_eq!(SshPlace::of_scp(text).unwrap().path, path);
        }
        assert_eq!(
            SshPlace::of_url("git@h/~ada/c.git").unwrap().path,
            "~ada/c.git"
        );
        assert_eq!(SshPlace::of_url("git@h/c.git").unwrap().known_as(), "h");
        assert_eq!(
            SshPlace::of_url("git@[::1]:23/c.git").unwrap().known_as(),
            "[::1]:23"
        );
    }

    #[test]
    fn the_words_of_ssh_are_understood() {
        for (words, complaint) in [
            (
                "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
                Complaint::HostKeyChanged,
            ),
            (
                "No ED25519 host key is known for [h]:22 and you have requested strict checking.\nHost key verification failed.",
                Complaint::HostKeyUnknown,
            ),
            ("git@h: Permission denied (publickey).", Complaint::Denied),
            (
                "ssh: connect to host h port 22: Connection refused",
                Complaint::Unreachable,
            ),
            (
                "ssh: connect to host h port 22: Connection timed out",
                Complaint::TimedOut,
            ),
            (
                "fatal: 'x' does not appear to be a git repository",
                Complaint::NotARepository,
            ),
            ("ERROR: Repository not found.", Complaint::NotARepository),
        ] {
            assert_eq!(Complaint::of(words), Some(complaint), "{words}");
        }
        assert_eq!(Complaint::of("bash: warning: setlocale"), None);
    }
}
