//! The holder and its worker: deaths, take-overs, bad documents.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::backend::Backend;
use crate::bench::{Bench, kill, site, wait_until};
use crate::client::Client;

/// Clients that ask over a fresh connection each time, until told to stop.
struct Traffic {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    thread: thread::JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    answered: AtomicUsize,
    refused: AtomicUsize,
    broken: AtomicUsize,
}

impl Traffic {
    fn to(address: std::net::SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Counts::default());
        let thread = thread::spawn({
            let (stop, counts) = (Arc::clone(&stop), Arc::clone(&counts));
            move || {
                while !stop.load(Ordering::SeqCst) {
                    let answer = Client::try_connect(address)
                        .and_then(|mut client| client.try_get("shop.test", "/"));
                    let count = match answer {
                        Ok(response) if response.status == 200 => &counts.answered,
                        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => &counts.refused,
                        _ => &counts.broken,
                    };
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let traffic = Self {
            stop,
            counts,
            thread,
        };
        traffic.wait_for_more();
        traffic
    }

    fn wait_for_more(&self) {
        let seen = self.counts.answered.load(Ordering::SeqCst);
        wait_until("more requests were answered", || {
            self.counts.answered.load(Ordering::SeqCst) > seen + 10
        });
    }

    /// Refused and broken requests.
    fn end(self) -> (usize, usize) {
        self.wait_for_more();
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        let read = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (read(&self.counts.refused), read(&self.counts.broken))
    }
}

#[test]
fn a_worker_that_is_killed_is_replaced_and_no_connection_is_refused() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let traffic = Traffic::to(bench.address());
    let address = bench.address();
    let holder = bench.pid("holder");
    for _ in 0..3 {
        let worker = bench.pid("worker").unwrap();
        kill(worker);
        assert_eq!(Client::connect(address).get("shop.test", "/").text(), "1");
        wait_until("another worker answers", || {
            bench.pid("worker").is_some_and(|now| now != worker)
        });
    }
    assert_eq!(bench.pid("holder"), holder);
    let (refused, broken) = traffic.end();
    assert_eq!(refused, 0);
    assert!(
        broken <= 3,
        "{broken} requests were with a worker that died"
    );
}

#[test]
fn a_holder_that_is_killed_stops_nothing_and_the_next_apply_takes_over_without_a_failure() {
    let (old, new) = (Backend::start(1), Backend::start(2));
    let bench = Bench::with(&old);
    let address = bench.address();
    let slow = thread::spawn(move || Client::connect(address).get("shop.test", "/slow").text());
    wait_until("the slow request arrived", || old.waiting() == 1);
    let traffic = Traffic::to(address);
    let (holder, worker) = (bench.pid("holder").unwrap(), bench.pid("worker").unwrap());
    bench.machine.kill(holder);
    wait_until("the worker noticed", || bench.pid("holder").is_none());
    traffic.wait_for_more();
    bench.apply(&[site("shop", &["shop.test"], &[&new])]);
    assert_eq!(bench.address(), address);
    assert_ne!(bench.pid("holder"), Some(holder));
    assert_ne!(bench.pid("worker"), Some(worker));
    assert_eq!(bench.get("shop.test", "/").text(), "2");
    assert!(
        !bench.drain(1, Duration::from_millis(30)),
        "the retired worker still has one"
    );
    old.open();
    assert_eq!(slow.join().unwrap(), "1");
    assert!(bench.drain(1, Duration::from_secs(20)));
    assert_eq!(traffic.end(), (0, 0));
    wait_until("the retired worker ended", || !is_alive(worker));
    let socket = bench.dirs.run.join(format!("proxy-{worker}.sock"));
    assert!(!socket.exists(), "its socket is left");
}

#[test]
fn a_worker_whose_holder_died_before_it_was_made_the_current_one_hands_its_listeners_on() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let address = bench.address();
    let (holder, worker) = (bench.pid("holder").unwrap(), bench.pid("worker").unwrap());
    bench.machine.kill(holder);
    wait_until("the worker noticed", || bench.pid("holder").is_none());
    fs::remove_file(bench.dirs.run.join("proxy.sock")).unwrap();
    bench.apply(&[site("shop", &["shop.test"], &[&shop])]);
    assert_eq!(bench.address(), address);
    assert_ne!(bench.pid("worker"), Some(worker));
    assert_eq!(bench.get("shop.test", "/").text(), "1");
    wait_until("the retired worker ended", || !is_alive(worker));
}

#[test]
fn status_heals_a_dead_holder_too() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let holder = bench.pid("holder").unwrap();
    bench.machine.kill(holder);
    wait_until("the worker noticed", || bench.pid("holder").is_none());
    assert!(bench.status().running);
    assert!(bench.pid("holder").is_some());
}

#[test]
fn a_document_that_was_removed_is_missed_while_it_is_served_and_put_in_place_anew() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    assert_eq!(bench.status().sites.len(), 1);
    std::fs::remove_file(bench.dirs.sites.join("builtin/config.json")).unwrap();
    assert!(bench.status().sites.is_empty());
    assert_eq!(bench.get("shop.test", "/").text(), "1");
    bench.apply(&[site("shop", &["shop.test"], &[&shop])]);
    assert_eq!(bench.status().sites.len(), 1);
}

#[test]
fn other_settings_take_over_in_the_same_way() {
    let shop = Backend::start(1);
    let mut bench = Bench::with(&shop);
    let address = bench.address();
    let (holder, worker) = (bench.pid("holder"), bench.pid("worker").unwrap());
    let traffic = Traffic::to(address);
    bench.reload().unwrap();
    assert_eq!(
        bench.pid("worker"),
        Some(worker),
        "equal settings change nothing"
    );
    bench.settings.get_mut("builtin-proxy").unwrap()["threads"] = 1.into();
    bench.listen(&["127.0.0.1:0", "[::1]:0"]);
    bench.reload().unwrap();
    assert_ne!(bench.pid("holder"), holder);
    assert_eq!(bench.address(), address);
    assert_eq!(bench.addresses().len(), 2);
    assert_eq!(traffic.end(), (0, 0));
    wait_until("the retired worker ended", || !is_alive(worker));
}

#[test]
fn a_connection_that_asks_its_first_request_after_a_take_over_gets_its_answer() {
    let shop = Backend::start(1);
    let mut bench = Bench::with(&shop);
    let (mut known, mut fresh) = (bench.client(), bench.client());
    assert_eq!(known.get("shop.test", "/").status, 200);
    wait_until("both are accepted", || bench.connections() == 2);
    bench.settings.get_mut("builtin-proxy").unwrap()["threads"] = 1.into();
    bench.reload().unwrap();
    assert!(known.head().is_err(), "an idle connection is closed");
    let answer = fresh.get("shop.test", "/");
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("close"))
    );
}

#[test]
fn a_bad_document_is_refused_and_the_old_one_stays() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let file = bench.dirs.sites.join("builtin/config.json");
    let good = fs::read(&file).unwrap();
    fs::write(&file, "{\"format\": 99}").unwrap();
    let error = bench.reload().unwrap_err().to_string();
    assert!(error.contains("format 99 is unknown"), "{error}");
    assert_eq!(bench.get("shop.test", "/").text(), "1");
    assert!(bench.status().problem.unwrap().contains("format 99"));
    fs::write(&file, good).unwrap();
    bench.reload().unwrap();
    assert_eq!(bench.status().problem, None);
}

#[test]
fn a_proxy_that_does_not_run_says_so_and_one_that_cannot_start_says_why() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bench = Bench::new();
    assert!(!bench.status().running);
    let address = taken.local_addr().unwrap().to_string();
    bench.listen(&[&address]);
    let error = bench.reload().unwrap_err().to_string();
    assert!(
        error.contains(&format!("could not listen on {address}")),
        "{error}"
    );
    assert!(!bench.status().running);
}

#[test]
fn several_starts_at_once_end_in_one_proxy() {
    let bench = Bench::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| bench.reload().unwrap());
        }
    });
    wait_until("the other holders left", || bench.machine.running() == 1);
    assert!(bench.status().running);
    let files = fs::read_dir(&bench.dirs.run).unwrap().count();
    assert_eq!(files, 3, "a lock, the worker's socket and the current one");
}

#[test]
fn a_retired_worker_lets_go_of_an_address_although_it_still_serves() {
    let shop = Backend::start(1);
    let mut bench = Bench::new();
    bench.listen(&["127.0.0.1:0", "[::1]:0"]);
    bench.apply(&[site("shop", &["shop.test"], &[&shop])]);
    let address = bench.addresses()[1];
    let slow = thread::spawn(move || Client::connect(address).get("shop.test", "/slow").text());
    wait_until("the slow request arrived", || shop.waiting() == 1);
    bench.listen(&["127.0.0.1:0"]);
    bench.reload().unwrap();
    wait_until("the address is free", || {
        Client::try_connect(address).is_err()
    });
    assert_eq!(bench.get("shop.test", "/").text(), "1");
    shop.open();
    assert_eq!(slow.join().unwrap(), "1");
}

#[test]
fn stopping_ends_every_process_and_may_be_repeated() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let (address, worker) = (bench.address(), bench.pid("worker").unwrap());
    let slow = thread::spawn(move || Client::connect(address).try_get("shop.test", "/slow"));
    wait_until("the slow request arrived", || shop.waiting() == 1);
    bench.stop();
    assert!(
        slow.join().unwrap().is_err(),
        "a request gets a moment, not for ever"
    );
    wait_until("all is gone", || {
        bench.machine.running() == 0 && !is_alive(worker)
    });
    assert!(!bench.status().running);
    assert!(Client::try_connect(address).is_err());
    bench.stop();
    bench.reload().unwrap();
    assert_eq!(bench.get("shop.test", "/").text(), "1");
}

#[test]
fn the_control_socket_is_the_agents_alone() {
    use std::os::unix::fs::MetadataExt as _;
    let bench = Bench::new();
    bench.apply(&[]);
    let mode = fs::metadata(bench.dirs.run.join("proxy.sock"))
        .unwrap()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_worker_drops_root_and_still_serves_files_reloads_and_is_replaced() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let shop = Backend::start(1);
    let mut bench = Bench::new();
    bench.settings.get_mut("builtin-proxy").unwrap()["user"] = "nobody".into();
    let root = bench.directory().join("private");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    fs::write(root.join("page.txt"), "page").unwrap();
    let mut mixed = site("shop", &["shop.test"], &[&shop]);
    mixed.static_paths = vec![hop3_plugin_api::StaticPath {
        url: "/files".to_owned(),
        directory: root,
    }];
    bench.apply(&[]);
    bench.apply(&[mixed]);
    assert_eq!(bench.get("shop.test", "/files/page.txt").text(), "page");
    let worker = bench.pid("worker").unwrap();
    let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    assert!(
        status.contains("Uid:\t65534\t65534\t65534\t65534"),
        "{status}"
    );
    assert!(status.contains("CapEff:\t0000000000000004"), "{status}");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let address = bench.address();
    kill(worker);
    assert_eq!(Client::connect(address).get("shop.test", "/").text(), "1");
}

#[test]
fn the_processes_stay_small() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    for _ in 0..50 {
        assert_eq!(bench.get("shop.test", "/").status, 200);
    }
    for (role, most) in [("holder", 1024), ("worker", 4096)] {
        let private = private_kilobytes(bench.pid(role).unwrap());
        eprintln!("{role}: {private} KiB private");
        assert!(private < most, "the {role} has {private} KiB of its own");
    }
}

fn private_kilobytes(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    rollup
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .map(|line| {
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum()
}

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}
