//! Why a program that serves a repository failed, from its own words. Pure.

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
