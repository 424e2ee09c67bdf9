//! The cases: every effect by its name, in every way in which it can go wrong.

use std::fmt;

use hop3_plugin_testing::{Fault, FaultMode, Point, Trouble};

use crate::proof::effects::named;

/// One fault, and the row of the table of faults that it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) fault: Fault,
}

impl Case {
    /// The row.
    pub(crate) fn row(&self) -> &'static str {
        match self.fault.mode {
            FaultMode::Trouble(trouble) | FaultMode::TroubleFromThere(trouble) => match trouble {
                Trouble::NoSpace | Trouble::TooManyFiles => "F03",
                Trouble::InputOutput => "F04",
                Trouble::ReadOnly => "F05",
            },
            _ => "F01",
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault.at {
            Point::Named { name, occurrence } => {
                write!(f, "{:?} at {occurrence} {name}", self.fault.mode)
            }
            Point::Number(number) => write!(f, "{:?} at effect {number}", self.fault.mode),
        }
    }
}

/// Every effect in every way that can happen to it.
pub(crate) fn cases(journal: &[String]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, occurrence) in named(journal) {
        cases.extend(modes(&name).into_iter().map(|mode| {
            let name = name.clone();
            let at = Point::Named { name, occurrence };
            Case {
                fault: Fault { at, mode },
            }
        }));
    }
    cases
}

fn modes(effect: &str) -> Vec<FaultMode> {
    let verb = effect.split(' ').next().unwrap_or_default();
    let mut modes = vec![FaultMode::Before, FaultMode::After];
    match verb {
        "signal" => {}
        "run" | "spawn" | "ensure" | "ask" => {
            modes.push(FaultMode::Trouble(Trouble::TooManyFiles));
        }
        "remove" => modes.extend(
            [
                Trouble::InputOutput,
                Trouble::ReadOnly,
                Trouble::TooManyFiles,
            ]
            .map(FaultMode::Trouble),
        ),
        _ => {
            modes.extend(Trouble::ALL.map(FaultMode::Trouble));
            modes.push(FaultMode::TroubleFromThere(Trouble::NoSpace));
            modes.push(FaultMode::TroubleFromThere(Trouble::ReadOnly));
        }
    }
    modes
}
