//! Which app answers, and what it gets to see.

use std::collections::BTreeMap;

use hop3_plugin_api::{AppName, Digest, EndpointAddress};
use hop3_plugin_builtin_proxy::{BuiltinProxy, BuiltinProxyConfig};

use crate::backend::{Backend, STREAM_CHUNK};
use crate::bench::{Bench, site};

#[test]
fn each_host_reaches_its_own_app_and_an_unknown_one_none() {
    let (shop, blog) = (Backend::start(1), Backend::start(2));
    let bench = Bench::new();
    bench.apply(&[
        site("shop", &["shop.test", "*.shop.test"], &[&shop]),
        site("blog", &["blog.test"], &[&blog]),
    ]);
    for (host, answer) in [
        ("shop.test", "1"),
        ("SHOP.test.:8080", "1"),
        ("a.b.shop.test", "1"),
        ("blog.test:80", "2"),
    ] {
        let response = bench.get(host, "/");
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, answer),
            "{host}"
        );
    }
    for host in ["other.test", "test", "127.0.0.1", "blog.test.shop.example"] {
        let response = bench.get(host, "/");
        assert_eq!(response.status, 404, "{host}");
        assert!(
            response
                .text()
                .contains("No app answers for this host name")
        );
    }
    assert_eq!((shop.requests(), blog.requests()), (3, 1));
}

#[test]
fn the_catch_all_answers_for_the_rest() {
    let (shop, rest) = (Backend::start(1), Backend::start(2));
    let bench = Bench::new();
    bench.apply(&[
        site("shop", &["shop.test"], &[&shop]),
        site("rest", &["_"], &[&rest]),
    ]);
    assert_eq!(bench.get("shop.test", "/").text(), "1");
    assert_eq!(bench.get("127.0.0.1:8080", "/").text(), "2");
    assert_eq!(bench.client().raw("GET / HTTP/1.0\n\n").text(), "2");
}

#[test]
fn a_request_without_exactly_one_host_is_bad() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    for request in [
        "GET / HTTP/1.1\n\n",
        "GET / HTTP/1.1\nHost: shop.test\nHost: shop.test\n\n",
        "GET / HTTP/1.1\nHost: shop.test/x\n\n",
        "CONNECT shop.test:80 HTTP/1.1\nHost: shop.test\n\n",
    ] {
        assert_eq!(bench.client().raw(request).status, 400, "{request}");
    }
    assert_eq!(shop.requests(), 0);
    let absolute = "GET http://shop.test/ HTTP/1.1\nHost: other.test\n\n";
    assert_eq!(bench.client().raw(absolute).status, 200);
}

#[test]
fn the_app_sees_its_host_and_the_real_client() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let port = bench.address().port();
    let request = "GET /headers HTTP/1.1\nHost: Shop.Test\nX-Forwarded-For: 192.0.2.1\nX-Real-IP: 192.0.2.1\nX_Forwarded_For: 192.0.2.1\nConnection: x-mine\nX-Mine: 1\nCookie: a=b\n\n";
    let seen = bench.client().raw(request).text().to_lowercase();
    for expected in [
        "host: shop.test\r\n".to_owned(),
        "x-forwarded-for: 127.0.0.1\r\n".to_owned(),
        "x-real-ip: 127.0.0.1\r\n".to_owned(),
        "x-forwarded-proto: http\r\n".to_owned(),
        format!("x-forwarded-port: {port}\r\n"),
        "cookie: a=b\r\n".to_owned(),
    ] {
        assert!(seen.contains(&expected), "{expected} in {seen}");
    }
    assert!(
        !seen.contains("192.0.2.1") && !seen.contains("x-mine"),
        "{seen}"
    );
}

#[test]
fn a_sites_headers_are_on_every_answer_and_hop_by_hop_ones_on_none() {
    let shop = Backend::start(1);
    let bench = Bench::new();
    let mut with_headers = site("shop", &["shop.test"], &[&shop]);
    with_headers.headers = BTreeMap::from([("X-Frame-Options".into(), "DENY".into())]);
    let mut closed = site("closed", &["closed.test"], &[]);
    closed.headers = with_headers.headers.clone();
    bench.apply(&[with_headers, closed]);
    let answer = bench.get("shop.test", "/");
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    assert_eq!(answer.header("server"), Some("app"));
    assert_eq!(answer.header("keep-alive"), None);
    let maintenance = bench.get("closed.test", "/");
    assert_eq!(maintenance.status, 503);
    assert_eq!(maintenance.header("x-frame-options"), Some("DENY"));
    assert!(maintenance.header("retry-after").is_some());
}

#[test]
fn bodies_go_through_in_both_directions_whatever_their_framing() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let mut client = bench.client();
    let megabytes = vec![b'x'; 3 * 1024 * 1024];
    assert_eq!(client.post("/length", &megabytes).text(), "3145728");
    assert_eq!(client.post("/length", b"").text(), "0");
    let chunked = "POST /length HTTP/1.1\nHost: shop.test\nTransfer-Encoding: chunked\n\n5\nhello\n3\nyou\n0\n\n";
    assert_eq!(client.raw(chunked).text(), "8");
    let stream = client.get("shop.test", "/stream/512");
    assert_eq!(stream.body.len(), 512 * STREAM_CHUNK);
    assert_eq!(client.get("shop.test", "/").text(), "1");
}

#[test]
fn a_head_keeps_the_length_of_what_it_does_not_send() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let mut client = bench.client();
    for _ in 0..2 {
        client
            .send(b"HEAD / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            .unwrap();
        let head = client.head().unwrap().to_lowercase();
        assert!(head.contains("content-length: 4711"), "{head}");
    }
    assert_eq!(client.get("shop.test", "/").text(), "1");
}

#[test]
fn it_renders_as_every_proxy_does() {
    let shop = Backend::start(1);
    let bench = Bench::new();
    let sites = [site("shop", &["shop.test"], &[&shop])];
    hop3_plugin_testing::conformance::proxy::conforms(&BuiltinProxy, &bench.cx(), &sites);
    hop3_plugin_testing::conformance::section::conforms::<BuiltinProxyConfig>();
}

#[test]
fn a_client_that_waits_for_a_go_ahead_gets_one() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let mut client = bench.client();
    let head = b"POST /length HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    client.send(head).unwrap();
    assert!(client.head().unwrap().starts_with("HTTP/1.1 100"));
    client.send(b"hello").unwrap();
    assert_eq!(client.response().unwrap().text(), "5");
}

#[test]
fn a_unix_socket_is_a_backend_too() {
    use std::io::{Read as _, Write as _};
    let bench = Bench::new();
    let path = bench.directory().join("app.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let count = stream.read(&mut [0; 4096]).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix")
            .unwrap();
        count
    });
    let placeholder = Backend::start(1);
    let mut shop = site("shop", &["shop.test"], &[&placeholder]);
    shop.backends[0].address = EndpointAddress::Unix(path);
    bench.apply(&[shop]);
    assert_eq!(bench.get("shop.test", "/").text(), "unix");
    assert!(server.join().unwrap() > 0);
}

#[test]
fn a_refused_site_is_named_keeps_its_former_version_and_stops_no_other() {
    let (one, two, three) = (Backend::start(1), Backend::start(2), Backend::start(3));
    let bench = Bench::new();
    bench.apply(&[site("blog", &["blog.test"], &[&one])]);
    let shop = site("shop", &["shop.test"], &[&two]);
    let refused = bench
        .try_apply(&[
            shop.clone(),
            site("blog", &["blog.test", "shop.test"], &[&three]),
        ])
        .unwrap();
    let blog = AppName::parse("blog").unwrap();
    assert_eq!(
        refused[&blog],
        "the host name `shop.test` belongs to `shop`"
    );
    assert_eq!(bench.get("blog.test", "/").text(), "1");
    assert_eq!(bench.get("shop.test", "/").text(), "2");
    let used = bench.status().sites;
    assert_eq!(used[&shop.app], Digest::of(&shop));
    assert_eq!(
        used[&blog],
        Digest::of(&site("blog", &["blog.test"], &[&one]))
    );
}
