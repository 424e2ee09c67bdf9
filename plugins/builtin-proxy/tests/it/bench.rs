//! An installation in a temporary directory, with the proxy's processes, which end with it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use hop3_plugin_api::{
    AppName, Backend as Route, EndpointAddress, HostContext, HostDirs, HostName, Level, Log, Proxy,
    ProxyStatus, ReleaseId, Result, Services, Site, StaticPath,
};
use hop3_plugin_builtin_proxy::BuiltinProxy;
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::client::Client;
use crate::machine::Machine;

pub(crate) struct Bench {
    pub(crate) machine: Machine,
    pub(crate) dirs: HostDirs,
    pub(crate) settings: BTreeMap<String, Value>,
    services: Services,
    runtime: tokio::runtime::Runtime,
    directory: tempfile::TempDir,
}

struct Quiet;

impl Log for Quiet {
    fn say(&self, _: Level, _: &str) {}
}

impl Bench {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("h3p").tempdir().unwrap();
        let make = |name: &str| {
            let path = directory.path().join(name);
            fs::create_dir_all(&path).unwrap();
            path
        };
        let dirs = HostDirs {
            data: directory.path().to_owned(),
            run: make("run"),
            sites: make("sites"),
            addons: make("addons"),
            log: make("log"),
        };
        let listen = json!({"listen": ["127.0.0.1:0"], "threads": 2});
        Self {
            machine: Machine::default(),
            dirs,
            settings: BTreeMap::from([("builtin-proxy".to_owned(), listen)]),
            services: Services::default(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            directory,
        }
    }

    /// A proxy with one site that goes to one backend.
    pub(crate) fn with(backend: &Backend) -> Self {
        let bench = Self::new();
        bench.apply(&[site("shop", &["shop.test"], &[backend])]);
        bench
    }

    pub(crate) fn cx(&self) -> HostContext<'_> {
        HostContext {
            install: "test",
            host: &self.machine,
            services: &self.services,
            log: &Quiet,
            dirs: &self.dirs,
            settings: &self.settings,
        }
    }

    pub(crate) fn try_apply(&self, sites: &[Site]) -> Result<BTreeMap<AppName, String>> {
        self.runtime.block_on(BuiltinProxy.apply(&self.cx(), sites))
    }

    /// Applies sites of which none may be refused.
    pub(crate) fn apply(&self, sites: &[Site]) {
        let outcome = self.try_apply(sites);
        assert_eq!(
            outcome.unwrap_or_else(|e| panic!("{e}\n{}", self.log())),
            BTreeMap::new()
        );
    }

    pub(crate) fn drain(&self, number: u32, deadline: Duration) -> bool {
        let release = release("shop", number);
        self.runtime
            .block_on(BuiltinProxy.drain(&self.cx(), &release, deadline))
            .unwrap()
    }

    pub(crate) fn reload(&self) -> Result<()> {
        self.runtime.block_on(BuiltinProxy.reload(&self.cx()))
    }

    pub(crate) fn stop(&self) {
        self.runtime
            .block_on(BuiltinProxy.stop(&self.cx()))
            .unwrap();
    }

    pub(crate) fn status(&self) -> ProxyStatus {
        self.runtime
            .block_on(BuiltinProxy.status(&self.cx()))
            .unwrap()
    }

    /// What the worker says about itself.
    pub(crate) fn control(&self) -> Option<Value> {
        let socket = self.dirs.run.join("proxy.sock");
        let ask = hop3_plugin_api::Host::ask(
            &self.machine,
            &socket,
            r#"{"op":"status"}"#,
            Duration::from_secs(5),
        );
        let answer = self.runtime.block_on(ask).ok().flatten()?;
        serde_json::from_str::<Value>(&answer)
            .ok()
            .map(|answer| answer["status"].clone())
    }

    /// Open connections of clients.
    pub(crate) fn connections(&self) -> u64 {
        self.control().unwrap()["connections"].as_u64().unwrap()
    }

    pub(crate) fn pid(&self, role: &str) -> Option<u32> {
        self.control()?[role]
            .as_u64()
            .map(|pid| u32::try_from(pid).unwrap())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let listens = self.status().listens;
        let parse = |url: &String| url.strip_prefix("http://").unwrap().parse().unwrap();
        listens.iter().map(parse).collect()
    }

    /// Sets the addresses of the next apply or reload.
    pub(crate) fn listen(&mut self, addresses: &[&str]) {
        self.settings.get_mut("builtin-proxy").unwrap()["listen"] = json!(addresses);
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address())
    }

    pub(crate) fn get(&self, host: &str, path: &str) -> crate::client::Response {
        self.client().get(host, path)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dirs.log.join("proxy.log")).unwrap_or_default()
    }

    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }
}

impl Drop for Bench {
    /// Holders first, so that they start nothing any more; then every worker that still answers.
    fn drop(&mut self) {
        self.machine.kill_all();
        for entry in fs::read_dir(&self.dirs.run).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let pid = name
                .strip_prefix("proxy-")
                .and_then(|n| n.strip_suffix(".sock"));
            if let Some(pid) = pid
                && UnixStream::connect(entry.path()).is_ok()
            {
                kill(pid.parse().unwrap());
            }
        }
    }
}

/// Kills a worker, which is a child of its holder or of nobody, and waits until it is gone.
pub(crate) fn kill(pid: u32) {
    let process = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).ok();
    wait_until("the process is gone", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ") || stat.contains(") X ")
    });
}

pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

pub(crate) fn release(app: &str, number: u32) -> ReleaseId {
    ReleaseId {
        app: AppName::parse(app).unwrap(),
        number,
    }
}

pub(crate) fn site(app: &str, hosts: &[&str], backends: &[&Backend]) -> Site {
    Site {
        app: AppName::parse(app).unwrap(),
        hosts: hosts.iter().map(|h| HostName::parse(h).unwrap()).collect(),
        backends: backends
            .iter()
            .map(|backend| Route {
                release: release(app, backend.release),
                address: EndpointAddress::Tcp(backend.address),
            })
            .collect(),
        static_paths: Vec::<StaticPath>::new(),
        spa: false,
        allow_http: false,
        body_size: None,
        timeout: None,
        headers: BTreeMap::new(),
    }
}
