//! A proxy that counts how often it is given its sites, refuses some and fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hop3_plugin_api::{
    Abort, ConfigFile, HostContext, HostDirs, Plugin, ProxyStatus, ReleaseId, async_trait,
};
use hop3_plugin_testing::FakeHost;
use tokio::sync::Semaphore;

use super::*;
use crate::registry::Registry;

const NEVER: &str = "only `apply` is asked for here";

struct Counting {
    /// One permit lets one call through.
    gate: Semaphore,
    begun: AtomicUsize,
    fails_once: AtomicBool,
}

#[async_trait]
impl Proxy for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn setup_backend(&self, _site: &Site) -> Result<String> {
        unreachable!("{NEVER}")
    }

    fn generate_config(&self, _cx: &HostContext<'_>, _sites: &[Site]) -> Result<Vec<ConfigFile>> {
        unreachable!("{NEVER}")
    }

    async fn check_config(&self, _cx: &HostContext<'_>, _candidate: &Path) -> Result<()> {
        unreachable!("{NEVER}")
    }

    async fn reload(&self, _cx: &HostContext<'_>) -> Result<()> {
        unreachable!("{NEVER}")
    }

    async fn apply(
        &self,
        _cx: &HostContext<'_>,
        sites: &[Site],
    ) -> Result<BTreeMap<AppName, String>> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.gate
            .acquire()
            .await
            .expect("it is never closed")
            .forget();
        if self.fails_once.swap(false, Ordering::SeqCst) {
            return Err(Abort::new("it is away").into());
        }
        let bad = sites.iter().filter(|site| site.app.as_str() == "bad");
        Ok(bad
            .map(|site| (site.app.clone(), "no".to_owned()))
            .collect())
    }

    async fn drain(
        &self,
        _cx: &HostContext<'_>,
        _of: &ReleaseId,
        _until: Duration,
    ) -> Result<bool> {
        unreachable!("{NEVER}")
    }

    async fn stop(&self, _cx: &HostContext<'_>) -> Result<()> {
        unreachable!("{NEVER}")
    }

    async fn status(&self, _cx: &HostContext<'_>) -> Result<ProxyStatus> {
        unreachable!("{NEVER}")
    }
}

struct Linked(Arc<Counting>);

impl Plugin for Linked {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn description(&self) -> &'static str {
        "counts"
    }

    fn proxies(&self) -> Vec<Arc<dyn Proxy>> {
        vec![self.0.clone()]
    }
}

/// A machine with the proxy, and what was given to it.
struct Bench {
    machine: Machine,
    proxy: Arc<Counting>,
    sites: Sites,
}

impl Bench {
    fn new() -> Arc<Self> {
        let proxy = Arc::new(Counting {
            gate: Semaphore::new(0),
            begun: AtomicUsize::new(0),
            fails_once: AtomicBool::new(false),
        });
        let nowhere = || Path::new("/nowhere").to_owned();
        let machine = Machine {
            host: Arc::new(FakeHost::new()),
            registry: Registry::new(vec![Arc::new(Linked(proxy.clone()))]).expect("one plugin"),
            dirs: HostDirs {
                data: nowhere(),
                run: nowhere(),
                sites: nowhere(),
                addons: nowhere(),
                log: nowhere(),
            },
            install: "test".to_owned(),
            settings: BTreeMap::new(),
            system: None,
            installs_packages: false,
            per_app_users: false,
        };
        Arc::new(Self {
            machine,
            proxy,
            sites: Sites::default(),
        })
    }

    /// Puts a site beside whatever else goes on.
    fn put(self: &Arc<Self>, app: &str) -> tokio::task::JoinHandle<Result<Option<String>>> {
        let (bench, app) = (Arc::clone(self), app.to_owned());
        tokio::spawn(async move { bench.sites.put(&bench.machine, of(&app, "counting")).await })
    }

    /// One call to the proxy is under way, and so many wait for their turn.
    async fn until_waiting(&self, count: usize) {
        while self.proxy.begun.load(Ordering::SeqCst) == 0 || self.sites.line().len() != count {
            tokio::task::yield_now().await;
        }
    }
}

fn of(app: &str, proxy: &str) -> RoutedSite {
    let host = format!("{app}.test");
    let site = serde_json::json!({"app": app, "hosts": [host], "backends": []});
    RoutedSite {
        proxy: PluginName::parse(proxy).expect("a good name"),
        site: serde_json::from_value(site).expect("a good site"),
    }
}

fn routed(host: &str) -> RoutedSite {
    let site = serde_json::json!({"app": "shop", "hosts": [host], "backends": []});
    RoutedSite {
        proxy: PluginName::parse("builtin").expect("a good name"),
        site: serde_json::from_value(site).expect("a good site"),
    }
}

#[tokio::test]
async fn whoever_comes_to_the_front_takes_along_all_who_wait_and_each_hears_its_own_answer() {
    let bench = Bench::new();
    let first = bench.put("first");
    bench.until_waiting(0).await;
    let others = ["a", "b", "bad", "c"].map(|app| bench.put(app));
    bench.until_waiting(4).await;
    bench.proxy.gate.add_permits(2);
    assert_eq!(first.await.expect("it ends").expect("it answers"), None);
    let mut answers = Vec::new();
    for other in others {
        answers.push(other.await.expect("it ends").expect("it answers"));
    }
    assert_eq!(answers, [None, None, Some("no".to_owned()), None]);
    assert_eq!(bench.proxy.begun.load(Ordering::SeqCst), 2);
    let sites = bench.sites.by_app.lock().await;
    let apps: Vec<&str> = sites.keys().map(AppName::as_str).collect();
    assert_eq!(
        apps,
        ["a", "b", "c", "first"],
        "a refused site has no place"
    );
}

#[tokio::test]
async fn a_failure_is_the_front_ones_and_the_others_try_for_themselves() {
    let bench = Bench::new();
    let first = bench.put("first");
    bench.until_waiting(0).await;
    let others = ["a", "b", "c"].map(|app| bench.put(app));
    bench.until_waiting(3).await;
    bench.proxy.gate.add_permits(1);
    first.await.expect("it ends").expect("it answers");
    bench.proxy.fails_once.store(true, Ordering::SeqCst);
    bench.proxy.gate.add_permits(10);
    let mut failed = 0;
    for other in others {
        failed += usize::from(other.await.expect("it ends").is_err());
    }
    assert_eq!(failed, 1);
    assert_eq!(bench.sites.by_app.lock().await.len(), 3);
}

#[tokio::test]
async fn who_gives_up_while_waiting_is_left_out() {
    let bench = Bench::new();
    let first = bench.put("first");
    bench.until_waiting(0).await;
    let (second, third) = (bench.put("second"), bench.put("third"));
    bench.until_waiting(2).await;
    second.abort();
    assert!(second.await.is_err(), "it was given up");
    bench.proxy.gate.add_permits(2);
    first.await.expect("it ends").expect("it answers");
    third.await.expect("it ends").expect("it answers");
    let sites = bench.sites.by_app.lock().await;
    assert_eq!(
        sites.keys().map(AppName::as_str).collect::<Vec<_>>(),
        ["first", "third"]
    );
}

#[test]
fn f01_the_site_in_use_is_taken_over_even_if_its_stamp_is_older_or_lost() {
    let (old, new) = (routed("old.test"), routed("new.test"));
    let live = Digest::of(&new.site);
    let releases = || vec![new.clone(), old.clone()].into_iter();
    for stamped in [Some(old.clone()), Some(new.clone()), None] {
        let taken = in_use(stamped, Some(&live), releases());
        assert_eq!(taken, Some(new.clone()));
    }
    let other = Digest::of("another");
    assert_eq!(
        in_use(Some(old.clone()), Some(&other), releases()),
        Some(old.clone())
    );
    assert_eq!(
        in_use(Some(old.clone()), None, releases()),
        Some(old.clone())
    );
    assert_eq!(in_use(None, None, releases()), None);
}
