//! What may happen on a walk.

use crate::proof::Random;

/// One of fourteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    CommitGood,
    CommitBad,
    ForcePush,
    Hook,
    Kill,
    Restart,
    StopForge,
    FillDisk,
    Drift,
    JumpClock,
    Upgrade,
    LoseState,
    RemoveApp,
    AddAppBack,
}

/// Each as often as it stands here: commits are what everything else happens to.
const URN: [Action; 19] = [
    Action::CommitGood,
    Action::CommitGood,
    Action::CommitGood,
    Action::CommitGood,
    Action::CommitBad,
    Action::CommitBad,
    Action::ForcePush,
    Action::Hook,
    Action::Kill,
    Action::Kill,
    Action::Restart,
    Action::StopForge,
    Action::FillDisk,
    Action::Drift,
    Action::JumpClock,
    Action::Upgrade,
    Action::LoseState,
    Action::RemoveApp,
    Action::AddAppBack,
];

impl Action {
    /// The next one.
    pub(crate) fn draw(random: &mut Random) -> Self {
        *random.one_of(&URN)
    }
}
