//! The example config repo as a story needs it: its guestbook says of each answer which release and version gave it.

use std::time::{Duration, Instant};

use super::host::TestHost;
use super::stream::Load;

/// The example's apps.
pub(crate) const APPS: [&str; 3] = ["site", "guestbook", "echo"];

impl TestHost {
    /// A host on which the example runs.
    pub(crate) fn running_example() -> Self {
        let mut host = Self::of_example();
        host.start();
        host.assert_settled(&APPS);
        host
    }

    /// The usual load on the guestbook.
    pub(crate) fn load(&self) -> Load {
        Load::of_guestbook(self.proxy)
    }

    /// Effect: commits another version of the guestbook and has the agent look.
    pub(crate) fn commit_guestbook(&self, version: &str) {
        self.edit("apps/guestbook/VERSION", |_| format!("{version}\n"));
        self.commit(&format!("Guestbook: {version}"));
        self.done(&["sync"]);
    }

    /// Effect: commits another version of the guestbook; returns when it is live, while the former one may still finish requests.
    pub(crate) fn deploy_guestbook(&self, version: &str) {
        self.commit_guestbook(version);
        self.until_version(version);
    }

    /// Waits until this version of the guestbook answers.
    #[track_caller]
    pub(crate) fn until_version(&self, version: &str) {
        self.until_answers("guestbook", "/health", |answer| {
            answer.version() == Some(version)
        });
    }

    /// Asks the guestbook like everybody else for a while.
    #[track_caller]
    pub(crate) fn keep_visiting(&self, length: Duration) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            let answer = self.visit("guestbook", "/health").unwrap();
            assert_eq!(answer.status, 200, "{answer:#?}");
        }
    }
}
