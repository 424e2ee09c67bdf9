//! The document, compiled for looking up: exact name, then the longest wildcard, then the catch-all. Never another app's content.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hop3_plugin_api::{EndpointAddress, Site};
use hyper::header::{self, HeaderName, HeaderValue};

use crate::document::Document;
use crate::files;

use super::Claimed;
use super::ledger::{Account, InFlight, Ledger};

/// The largest request body where a site sets none: 100 MiB.
const BODY_SIZE: u64 = 100 * 1024 * 1024;

/// How long an answer may take to begin where a site sets nothing.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// All routes.
#[derive(Debug, Default)]
pub(crate) struct Table {
    exact: HashMap<String, Arc<Route>>,
    wildcard: HashMap<String, Arc<Route>>,
    catch_all: Option<Arc<Route>>,
}

/// How the requests of one site are answered.
#[derive(Debug)]
pub(crate) struct Route {
    /// The app, for the log.
    pub(crate) app: String,
    /// Files, longest path first.
    pub(crate) statics: Vec<StaticRoot>,
    /// Whether an unknown path gets `index.html`.
    pub(crate) spa: bool,
    /// The largest request body.
    pub(crate) body_size: u64,
    /// How long an answer may take to begin.
    pub(crate) timeout: Duration,
    /// Headers of every answer.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    backends: Vec<(EndpointAddress, Arc<Account>)>,
    next: AtomicUsize,
}

/// A URL path that is served from a directory.
#[derive(Debug)]
pub(crate) struct StaticRoot {
    /// The path's segments.
    pub(crate) prefix: Vec<Vec<u8>>,
    /// The directory.
    pub(crate) directory: PathBuf,
}

impl Table {
    /// Compiles a document. A host name of two sites is an error.
    pub(crate) fn compile(document: &Document, ledger: &Ledger) -> Result<Self, String> {
        let mut table = Self::default();
        for site in document.sites() {
            let route = Arc::new(Route::compile(site, ledger)?);
            for host in &site.hosts {
                if !table.add(host.as_str(), &route) {
                    return Err(format!("two sites claim the host name `{host}`"));
                }
            }
        }
        Ok(table)
    }

    fn add(&mut self, host: &str, route: &Arc<Route>) -> bool {
        let route = Arc::clone(route);
        match host.strip_prefix("*.") {
            _ if host == "_" => self.catch_all.replace(route).is_none(),
            Some(parent) => self.wildcard.insert(parent.to_owned(), route).is_none(),
            None => self.exact.insert(host.to_owned(), route).is_none(),
        }
    }

    /// The route for a normalised host name.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Route>> {
        self.exact
            .get(name)
            .or_else(|| parents(name).find_map(|parent| self.wildcard.get(parent)))
            .or(self.catch_all.as_ref())
    }
}

/// The names above a name, nearest first.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(at, _)| &name[at + 1..])
}

impl Route {
    fn compile(site: &Site, ledger: &Ledger) -> Result<Self, String> {
        let mut statics = site
            .static_paths
            .iter()
            .map(|path| {
                let prefix = files::segments(&path.url)
                    .ok_or_else(|| format!("`{}` is not a URL path", path.url))?;
                Ok(StaticRoot {
                    prefix,
                    directory: path.directory.clone(),
                })
            })
            .collect::<Result<Vec<_>, String>>()?;
        statics.sort_by_key(|root| std::cmp::Reverse(root.prefix.len()));
        Ok(Self {
            app: site.app.to_string(),
            statics,
            spa: site.spa,
            body_size: site.body_size.unwrap_or(BODY_SIZE),
            timeout: site.timeout.unwrap_or(ANSWER_TIMEOUT),
            headers: compile_headers(site)?,
            backends: site
                .backends
                .iter()
                .map(|b| (b.address.clone(), ledger.account(&b.release)))
                .collect(),
            next: AtomicUsize::new(0),
        })
    }

    /// The next backend in turn that was not tried yet, counted as in flight.
    pub(super) fn pick(&self, tried: &[EndpointAddress]) -> Option<Claimed> {
        let count = self.backends.len();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        (0..count)
            .map(|offset| &self.backends[start.wrapping_add(offset) % count])
            .find(|(address, _)| !tried.contains(address))
            .map(|(address, account)| Claimed {
                address: address.clone(),
                in_flight: InFlight::new(account),
            })
    }
}

fn compile_headers(site: &Site) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    site.headers
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("`{}` is not a header's name", name.escape_debug()))?;
            if forbidden_header(&name) {
                return Err(format!("the header `{name}` is the proxy's own"));
            }
            let value = HeaderValue::from_str(value).map_err(|_| {
                format!("the value of the header `{name}` holds control characters")
            })?;
            Ok((name, value))
        })
        .collect()
}

/// Whether a header decides where a message ends or what becomes of its connection: never a site's to set.
fn forbidden_header(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TRAILER,
        header::TE,
        header::UPGRADE,
        header::HOST,
        header::DATE,
    ]
    .contains(name)
        || name == "keep-alive"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hop3_plugin_api::{AppName, Backend, HostName, ReleaseId};

    use super::*;

    fn site(app: &str, hosts: &[&str]) -> Site {
        Site {
            app: AppName::parse(app).unwrap(),
            hosts: hosts.iter().map(|h| HostName::parse(h).unwrap()).collect(),
            backends: Vec::new(),
            static_paths: Vec::new(),
            spa: false,
            allow_http: false,
            body_size: None,
            timeout: None,
            headers: BTreeMap::new(),
        }
    }

    fn table(sites: Vec<Site>) -> Result<Table, String> {
        Table::compile(&Document::new(sites), &Ledger::default())
    }

    fn app_for(table: &Table, name: &str) -> Option<String> {
        table.find(name).map(|route| route.app.clone())
    }

    #[test]
    fn the_exact_name_wins_over_the_longest_wildcard_and_that_over_the_catch_all() {
        let table = table(vec![
            site("exact", &["a.b.test"]),
            site("long", &["*.b.test"]),
            site("short", &["*.test"]),
            site("rest", &["_"]),
        ])
        .unwrap();
        for (name, app) in [
            ("a.b.test", "exact"),
            ("c.b.test", "long"),
            ("d.c.b.test", "long"),
            ("b.test", "short"),
            ("test", "rest"),
            ("xb.test", "short"),
            ("", "rest"),
        ] {
            assert_eq!(app_for(&table, name).as_deref(), Some(app), "{name}");
        }
    }

    #[test]
    fn an_unknown_host_has_no_route() {
        let table = table(vec![site("one", &["a.test"])]).unwrap();
        for name in ["b.test", "xa.test", "a.test.evil.test", "test", ""] {
            assert_eq!(app_for(&table, name), None, "{name}");
        }
    }

    #[test]
    fn a_host_of_two_sites_is_refused() {
        let error = table(vec![site("one", &["a.test"]), site("two", &["a.test"])]).unwrap_err();
        assert_eq!(error, "two sites claim the host name `a.test`");
    }

    #[test]
    fn backends_take_turns() {
        let mut one = site("one", &["a.test"]);
        for port in [1, 2] {
            let release = ReleaseId {
                app: one.app.clone(),
                number: 1,
            };
            let address = EndpointAddress::Tcp(([127, 0, 0, 1], port).into());
            one.backends.push(Backend { release, address });
        }
        let table = table(vec![one]).unwrap();
        let route = table.find("a.test").unwrap();
        let picks: Vec<_> = (0..4).map(|_| route.pick(&[]).unwrap().address).collect();
        assert_eq!(picks[0], picks[2]);
        assert_ne!(picks[0], picks[1]);
    }

    #[test]
    fn t23_a_header_that_frames_or_splits_a_message_is_refused() {
        for (name, value) in [
            ("transfer-encoding", "chunked"),
            ("Content-Length", "1"),
            ("x", "a\r\nb: c"),
            ("x y", "a"),
        ] {
            let mut one = site("one", &["a.test"]);
            one.headers.insert(name.into(), value.into());
            assert!(table(vec![one]).is_err(), "{name}");
        }
    }
}
