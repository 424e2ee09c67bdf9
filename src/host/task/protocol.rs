//! What the agent tells its helper processes over a pipe, and what they say back. Nothing of it is ever an argument or a variable.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use hop3_plugin_api::{Exit, Limits, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The byte that asks a watcher to end its task.
pub(in crate::host) const CANCEL: u8 = b'x';

/// The longest message: environments and inputs are far below.
const LONGEST: u32 = 64 * 1024 * 1024;

/// One program to become. Holds plaintext, so it is never printed.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::host) struct Order {
    pub(in crate::host) program: PathBuf,
    pub(in crate::host) args: Vec<String>,
    pub(in crate::host) env: BTreeMap<String, String>,
    pub(in crate::host) dir: PathBuf,
    pub(in crate::host) user: Option<UserId>,
    pub(in crate::host) limits: Limits,
    pub(in crate::host) confinement: Option<Confinement>,
    /// Whether it lives on without whoever started it.
    pub(in crate::host) detached: bool,
}

/// What a program may see.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::host) struct Confinement {
    /// The system's own directories.
    pub(in crate::host) visible: Vec<PathBuf>,
    pub(in crate::host) readable: Vec<PathBuf>,
    pub(in crate::host) writable: Vec<PathBuf>,
    pub(in crate::host) network: bool,
    pub(in crate::host) required: bool,
}

/// One program to watch until its end.
#[derive(Serialize, Deserialize)]
pub(in crate::host) struct Watch {
    pub(in crate::host) order: Order,
    pub(in crate::host) input: String,
    pub(in crate::host) deadline: Duration,
    pub(in crate::host) log: Option<PathBuf>,
    pub(in crate::host) log_bytes: u64,
    pub(in crate::host) tail_bytes: usize,
    /// Where the exit goes if the task may outlive the agent.
    pub(in crate::host) exit_file: Option<PathBuf>,
}

/// What a watcher tells the agent, once.
#[derive(Serialize, Deserialize)]
pub(in crate::host) enum Report {
    Ended {
        exit: Exit,
        weakness: Option<String>,
    },
    NotStarted(String),
    Refused(String),
}

/// What a program to be says before it becomes it; the last line counts.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::host) enum Notice {
    /// All is set up; nothing after this means that the program runs.
    Ready {
        weakness: Option<String>,
    },
    NotStarted(String),
    Refused(String),
}

impl Notice {
    pub(in crate::host) fn last(lines: &[u8]) -> Option<Self> {
        let last = lines
            .split(|byte| *byte == b'\n')
            .rfind(|line| !line.is_empty())?;
        serde_json::from_slice(last).ok()
    }

    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// A message with its length before it.
pub(in crate::host) fn frame<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|length| *length <= LONGEST)
        .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
    Ok([&length.to_le_bytes(), body.as_slice()].concat())
}

/// Reads exactly one message and not a byte more.
pub(super) fn read_frame<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_back_and_what_follows_is_left() {
        let mut bytes = frame(&"hello").unwrap();
        bytes.extend(b"rest");
        let mut reader = bytes.as_slice();
        assert_eq!(read_frame::<String>(&mut reader).unwrap(), "hello");
        assert_eq!(reader, b"rest");
        assert!(read_frame::<String>(&mut [255, 255, 255, 255].as_slice()).is_err());
    }

    #[test]
    fn the_last_notice_counts() {
        let mut lines = Notice::Ready { weakness: None }.line();
        assert_eq!(Notice::last(&lines), Some(Notice::Ready { weakness: None }));
        lines.extend(Notice::NotStarted("no".to_owned()).line());
        assert_eq!(
            Notice::last(&lines),
            Some(Notice::NotStarted("no".to_owned()))
        );
        assert_eq!(Notice::last(b""), None);
    }
}
