//! Which backend answers a request: the table in use, its atomic replacement, and who is in flight where.
//!
//! Guarantees: a request picks its backend and is counted under the same lock that a replacement takes, so once a replacement has
//! returned, every request that still goes to an old release is counted.

mod host;
mod ledger;
mod table;

use std::sync::{Arc, RwLock};

use hop3_plugin_api::{EndpointAddress, ReleaseId};

pub(crate) use host::RequestHost;
pub(crate) use ledger::{InFlight, Ledger};
pub(crate) use table::{Route, Table};

use crate::document::Document;

/// The routing of one worker process, shared by its threads.
pub(crate) struct Routing {
    table: RwLock<Arc<Table>>,
    ledger: Ledger,
}

/// A request's hold on its route.
pub(crate) struct Claim {
    /// The site's route.
    pub(crate) route: Arc<Route>,
    /// Where to go; `None` when no backend is left.
    pub(crate) backend: Option<Claimed>,
}

/// A request's hold on its backend.
pub(crate) struct Claimed {
    /// Where to go.
    pub(crate) address: EndpointAddress,
    /// Counts the request until it is dropped.
    pub(crate) in_flight: InFlight,
}

impl Routing {
    pub(crate) fn new() -> Self {
        Self {
            table: RwLock::new(Arc::new(Table::default())),
            ledger: Ledger::default(),
        }
    }

    /// Puts a document in place of the former one, or says why not and changes nothing.
    pub(crate) fn replace(&self, document: &Document) -> Result<(), String> {
        let table = Arc::new(Table::compile(document, &self.ledger)?);
        let mut current = self
            .table
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *current = table;
        Ok(())
    }

    /// The route for a host and a backend of it that was not tried yet; `None` when no app answers for the host.
    pub(crate) fn claim(&self, host: &RequestHost, tried: &[EndpointAddress]) -> Option<Claim> {
        let table = self
            .table
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let route = Arc::clone(table.find(host.name())?);
        let backend = route.pick(tried);
        Some(Claim { route, backend })
    }

    /// Requests in flight to a release.
    pub(crate) fn in_flight(&self, release: &ReleaseId) -> usize {
        self.ledger.count(release)
    }

    /// Requests in flight by release, without the idle ones.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

#[cfg(test)]
mod tests {
    use hop3_plugin_api::{AppName, Backend, HostName, Site};

    use super::*;

    fn release(number: u32) -> ReleaseId {
        ReleaseId {
            app: AppName::parse("shop").unwrap(),
            number,
        }
    }

    fn document(number: u32) -> Document {
        let release = release(number);
        let port = u16::try_from(9000 + number).unwrap();
        let address = EndpointAddress::Tcp(([127, 0, 0, 1], port).into());
        Document::new(vec![Site {
            app: release.app.clone(),
            hosts: vec![HostName::parse("shop.test").unwrap()],
            backends: vec![Backend { release, address }],
            static_paths: Vec::new(),
            spa: false,
            allow_http: false,
            body_size: None,
            timeout: None,
            headers: std::collections::BTreeMap::new(),
        }])
    }

    #[test]
    fn a_request_that_picked_the_old_release_is_counted_until_it_ends_although_the_table_changed() {
        let routing = Routing::new();
        let host = RequestHost::parse("shop.test").unwrap();
        routing.replace(&document(1)).unwrap();
        let old = routing.claim(&host, &[]).unwrap().backend.unwrap();
        let release = release(1);
        routing.replace(&document(2)).unwrap();
        let new = routing.claim(&host, &[]).unwrap().backend.unwrap();
        assert_ne!(old.address, new.address);
        assert_eq!(routing.in_flight(&release), 1);
        drop(old);
        assert_eq!(routing.in_flight(&release), 0);
        assert_eq!(routing.ledger().snapshot().len(), 1);
    }

    #[test]
    fn a_tried_backend_is_not_picked_again_and_a_switch_brings_a_fresh_one() {
        let routing = Routing::new();
        let host = RequestHost::parse("shop.test").unwrap();
        routing.replace(&document(1)).unwrap();
        let first = routing.claim(&host, &[]).unwrap().backend.unwrap().address;
        let tried = [first];
        assert!(routing.claim(&host, &tried).unwrap().backend.is_none());
        routing.replace(&document(2)).unwrap();
        assert!(routing.claim(&host, &tried).unwrap().backend.is_some());
    }
}
