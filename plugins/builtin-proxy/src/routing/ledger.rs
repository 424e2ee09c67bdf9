//! Requests in flight, by release.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use hop3_plugin_api::ReleaseId;

/// The requests of one release.
#[derive(Debug, Default)]
pub(crate) struct Account {
    count: AtomicUsize,
}

/// One request, counted while this lives.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Account>);

impl InFlight {
    pub(crate) fn new(account: &Arc<Account>) -> Self {
        account.count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(account))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
    }
}

/// All accounts. One release has one account, whatever tables name it.
#[derive(Default)]
pub(crate) struct Ledger {
    accounts: Mutex<BTreeMap<ReleaseId, Arc<Account>>>,
}

impl Ledger {
    /// The account of a release. Accounts that nobody uses any more are forgotten on the way.
    pub(crate) fn account(&self, release: &ReleaseId) -> Arc<Account> {
        let mut accounts = self.lock();
        accounts.retain(|_, account| Arc::strong_count(account) > 1);
        Arc::clone(accounts.entry(release.clone()).or_default())
    }

    /// Requests in flight to a release.
    pub(crate) fn count(&self, release: &ReleaseId) -> usize {
        self.lock()
            .get(release)
            .map_or(0, |account| account.count.load(Ordering::SeqCst))
    }

    /// Releases with requests in flight.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, usize> {
        self.lock()
            .iter()
            .map(|(release, account)| (release.to_string(), account.count.load(Ordering::SeqCst)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ReleaseId, Arc<Account>>> {
        self.accounts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
