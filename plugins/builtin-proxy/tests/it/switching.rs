//! What becomes of requests while backends change under them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::backend::Backend;
use crate::bench::{Bench, site, wait_until};
use crate::client::Client;

const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn switches_under_four_keep_alive_clients_fail_no_request() {
    let mut current = Backend::start(1);
    let bench = Bench::with(&current);
    let address = bench.address();
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|index| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            thread::spawn(move || {
                let mut client = Client::connect(address);
                while !stop.load(Ordering::SeqCst) {
                    let response = match index {
                        0 => client.post("/length", b"hello"),
                        1 => client.get("shop.test", "/stream/3"),
                        _ => client.get("shop.test", "/"),
                    };
                    assert_eq!(response.status, 200, "{}", response.text());
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for number in 2..22 {
        let next = Backend::start(number);
        bench.apply(&[site("shop", &["shop.test"], &[&next])]);
        assert!(bench.drain(number - 1, DEADLINE));
        current.stop();
        current = next;
        let seen = answered.load(Ordering::SeqCst);
        wait_until("more requests were answered", || {
            answered.load(Ordering::SeqCst) > seen + 20
                || clients.iter().any(thread::JoinHandle::is_finished)
        });
    }
    stop.store(true, Ordering::SeqCst);
    let failed = clients
        .into_iter()
        .map(thread::JoinHandle::join)
        .filter(Result::is_err)
        .count();
    assert_eq!(failed, 0);
    eprintln!(
        "{} requests over 20 switches",
        answered.load(Ordering::SeqCst)
    );
}

#[test]
fn a_request_in_flight_ends_on_the_backend_it_began_with_and_drain_waits_for_it() {
    let (old, new) = (Backend::start(1), Backend::start(2));
    let bench = Bench::with(&old);
    let address = bench.address();
    let slow = thread::spawn(move || Client::connect(address).get("shop.test", "/slow").text());
    wait_until("the slow request arrived", || old.waiting() == 1);
    bench.apply(&[site("shop", &["shop.test"], &[&new])]);
    assert_eq!(bench.get("shop.test", "/").text(), "2");
    assert!(!bench.drain(1, Duration::from_millis(30)));
    assert_eq!(bench.control().unwrap()["in-flight"]["shop/1"], 1);
    old.open();
    assert!(bench.drain(1, DEADLINE));
    assert_eq!(slow.join().unwrap(), "1");
    assert!(
        bench.drain(7, Duration::ZERO),
        "a release that nobody knows is drained"
    );
}

#[test]
fn a_stream_that_is_still_read_is_in_flight() {
    let (old, new) = (Backend::start(1), Backend::start(2));
    let bench = Bench::with(&old);
    let mut client = bench.client();
    client
        .send(b"GET /stream/4096 HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        .unwrap();
    assert!(client.head().unwrap().starts_with("HTTP/1.1 200"));
    bench.apply(&[site("shop", &["shop.test"], &[&new])]);
    assert!(!bench.drain(1, Duration::from_millis(30)));
    drop(client);
    assert!(bench.drain(1, DEADLINE));
}

#[test]
fn a_web_socket_is_carried_both_ways_and_is_in_flight_as_long() {
    let (old, new) = (Backend::start(1), Backend::start(2));
    let bench = Bench::with(&old);
    let mut client = bench.client();
    client
        .send(b"GET /web-socket HTTP/1.1\r\nHost: shop.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .unwrap();
    let head = client.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(
        head.to_lowercase().contains("sec-websocket-accept: yes"),
        "{head}"
    );
    for word in ["hello", "again"] {
        client.send(word.as_bytes()).unwrap();
        assert_eq!(client.read_exact(5), word.as_bytes());
    }
    bench.apply(&[site("shop", &["shop.test"], &[&new])]);
    assert!(!bench.drain(1, Duration::from_millis(30)));
    client.send(b"still").unwrap();
    assert_eq!(client.read_exact(5), b"still");
    drop(client);
    assert!(bench.drain(1, DEADLINE));
}

#[test]
fn another_upgrade_is_none() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let request = "GET /headers HTTP/1.1\nHost: shop.test\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: x\n\n";
    let seen = bench.client().raw(request).text().to_lowercase();
    assert!(
        !seen.contains("upgrade") && !seen.contains("http2"),
        "{seen}"
    );
}

#[test]
fn a_backend_that_refuses_is_passed_over() {
    let (mut gone, alive) = (Backend::start(1), Backend::start(1));
    let bench = Bench::new();
    bench.apply(&[site("shop", &["shop.test"], &[&gone, &alive])]);
    gone.stop();
    let mut client = bench.client();
    for _ in 0..10 {
        assert_eq!(client.get("shop.test", "/").status, 200);
        assert_eq!(client.post("/length", b"abc").text(), "3");
    }
}

#[test]
fn a_backend_that_is_gone_or_breaks_off_is_a_bad_gateway() {
    let mut shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let mut client = bench.client();
    assert_eq!(client.get("shop.test", "/break").status, 502);
    assert_eq!(shop.requests(), 1, "a fresh connection is not asked twice");
    shop.stop();
    assert_eq!(client.get("shop.test", "/").status, 502);
    assert_eq!(client.post("/length", b"abc").status, 502);
    assert!(
        bench.log().contains("shop: no answer from 127.0.0.1"),
        "{}",
        bench.log()
    );
}

#[test]
fn an_idle_connection_that_the_backend_closed_is_replaced() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let mut client = bench.client();
    for _ in 0..50 {
        assert_eq!(client.get("shop.test", "/close-after").text(), "bye");
        assert_eq!(client.get("shop.test", "/").text(), "1");
    }
}

#[test]
fn what_may_be_repeated_shares_connections_and_what_may_not_gets_its_own() {
    let shop = Backend::start(1);
    let mut bench = Bench::new();
    bench.settings.get_mut("builtin-proxy").unwrap()["threads"] = 1.into();
    bench.apply(&[site("shop", &["shop.test"], &[&shop])]);
    let mut client = bench.client();
    for _ in 0..20 {
        client.get("shop.test", "/");
    }
    let shared = shop.connections();
    assert!(shared < 5, "{shared} connections for 20 requests");
    for _ in 0..5 {
        client.post("/length", b"abc");
    }
    assert_eq!(shop.connections(), shared + 5);
}
