//! What is too large, too slow or not allowed.

use std::io::Write as _;
use std::time::Duration;

use crate::backend::Backend;
use crate::bench::{Bench, site};

#[test]
fn a_body_over_the_limit_is_refused_before_and_while_it_is_sent() {
    let shop = Backend::start(1);
    let bench = Bench::new();
    let mut small = site("shop", &["shop.test"], &[&shop]);
    small.body_size = Some(1000);
    bench.apply(&[small]);
    assert_eq!(bench.client().post("/length", &[b'x'; 1000]).text(), "1000");
    let refused = bench.client().post("/length", &vec![b'x'; 200_000]);
    assert_eq!(refused.status, 413);
    assert_eq!(shop.requests(), 1);
    let mut request =
        b"POST /length HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..3 {
        write!(request, "1f4\r\n{}\r\n", "y".repeat(500)).unwrap();
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let mut client = bench.client();
    client.send(&request).unwrap();
    assert_eq!(client.response().unwrap().status, 413);
}

#[test]
fn an_answer_that_does_not_begin_in_time_is_a_timeout() {
    let shop = Backend::start(1);
    let bench = Bench::new();
    let mut hasty = site("shop", &["shop.test"], &[&shop]);
    hasty.timeout = Some(Duration::from_millis(100));
    bench.apply(&[hasty]);
    assert_eq!(bench.get("shop.test", "/slow").status, 504);
    assert_eq!(bench.client().post("/never", b"abc").status, 504);
    assert!(bench.drain(1, Duration::from_secs(20)));
}

#[test]
fn a_head_that_is_too_large_or_no_http_is_refused() {
    let shop = Backend::start(1);
    let bench = Bench::with(&shop);
    let large = format!(
        "GET / HTTP/1.1\nHost: shop.test\nX: {}\n\n",
        "x".repeat(80_000)
    );
    assert_eq!(bench.client().raw(&large).status, 431);
    assert_eq!(bench.client().raw("HELLO\n\n").status, 400);
    let smuggled = "POST / HTTP/1.1\nHost: shop.test\nContent-Length: 4\nContent-Length: 5\n\nabcd";
    assert_eq!(bench.client().raw(smuggled).status, 400);
    assert_eq!(shop.requests(), 0);
}
