//! Which effect goes wrong, and how.

use std::io;
use std::str::FromStr;

use hop3_plugin_api::HostError;

use super::effect::{Effect, Kind};

/// What goes wrong, once or from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// At which effect.
    pub at: Point,
    /// How.
    pub mode: FaultMode,
}

/// One effect of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// The N-th of all, from 1.
    Number(u64),
    /// The N-th of those that have this name: the same one in every run, whatever runs beside it.
    Named {
        /// Its name, as [`super::FaultHost`] tells it.
        name: String,
        /// Which of them, from 1.
        occurrence: u64,
    },
}

/// What happens at the chosen effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultMode {
    /// It fails without having been done.
    Before,
    /// It is done, and reported as failed: the answer was lost.
    After,
    /// It fails in the words of the machine itself, without having been done.
    Trouble(Trouble),
    /// So does it, and so does every effect after it that this trouble concerns: what a full disk is like.
    TroubleFromThere(Trouble),
    /// The process is killed, without having done it.
    KillBefore,
    /// The process is killed while it is being done, or after it where it takes no time.
    KillWithin,
    /// The process is killed, after having done it.
    KillAfter,
}

/// What a machine can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// `ENOSPC`: nothing can be written.
    NoSpace,
    /// `EIO`: the disk fails.
    InputOutput,
    /// `EROFS`: nothing can be written or removed.
    ReadOnly,
    /// `EMFILE`: nothing can be opened.
    TooManyFiles,
}

impl Trouble {
    /// Every trouble.
    pub const ALL: [Self; 4] = [
        Self::NoSpace,
        Self::InputOutput,
        Self::ReadOnly,
        Self::TooManyFiles,
    ];

    /// Its number, the same on every Linux.
    fn number(self) -> i32 {
        match self {
            Self::InputOutput => 5,
            Self::TooManyFiles => 24,
            Self::NoSpace => 28,
            Self::ReadOnly => 30,
        }
    }

    /// Whether an effect of this kind can meet it.
    pub(super) fn concerns(self, kind: Kind) -> bool {
        match self {
            Self::NoSpace => matches!(kind, Kind::Write),
            Self::InputOutput | Self::ReadOnly => matches!(kind, Kind::Write | Kind::Remove),
            Self::TooManyFiles => !matches!(kind, Kind::Signal),
        }
    }

    /// What the machine says.
    pub(super) fn error(self, effect: &Effect<'_>) -> HostError {
        let source = io::Error::from_raw_os_error(self.number());
        match effect.kind {
            Kind::Start => HostError::Start {
                program: effect.what.clone(),
                source,
            },
            _ => HostError::file(effect.doing, effect.path, source),
        }
    }
}

/// `kill-before 3` is the third effect of all, `kill-after 2 write /data/x` the second of that name.
impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.splitn(3, ' ');
        let mode = match words.next().unwrap_or_default() {
            "kill-before" => FaultMode::KillBefore,
            "kill-within" => FaultMode::KillWithin,
            "kill-after" => FaultMode::KillAfter,
            other => return Err(format!("there is no fault `{other}`")),
        };
        let number = words.next().and_then(|number| number.parse().ok());
        let number = number.ok_or_else(|| format!("`{text}` names no effect by its number"))?;
        let at = match words.next() {
            None => Point::Number(number),
            Some(name) => Point::Named {
                name: name.to_owned(),
                occurrence: number,
            },
        };
        Ok(Self { at, mode })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_from_words() {
        let fault = |at, mode| Ok(Fault { at, mode });
        let named = Point::Named {
            name: "run build: sh -c x".to_owned(),
            occurrence: 2,
        };
        assert_eq!(
            "kill-before 3".parse(),
            fault(Point::Number(3), FaultMode::KillBefore)
        );
        assert_eq!(
            "kill-after 2 run build: sh -c x".parse(),
            fault(named, FaultMode::KillAfter)
        );
        assert!("kill-after x".parse::<Fault>().is_err());
        assert!("fail 3".parse::<Fault>().is_err());
    }
}
