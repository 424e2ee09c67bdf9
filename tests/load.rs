//! The load that other tests rely on, against servers that misbehave in known ways.
#![expect(
    dead_code,
    reason = "of the shared support files only some parts are used here"
)]

#[path = "support/load/account.rs"]
mod account;
#[path = "support/load.rs"]
mod load;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use load::{Load, Report};

/// What a server does with a request: the status line and release of its answer, or `None` to close the connection without one.
type Behaviour = dyn Fn(&str, u64) -> Option<(&'static str, u64)> + Send + Sync;

/// Serves on a port of its own until the test ends. `behaviour` gets the request line and the request's number on its connection.
fn serve(
    behaviour: impl Fn(&str, u64) -> Option<(&'static str, u64)> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    let behaviour: Arc<Behaviour> = Arc::new(behaviour);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let behaviour = Arc::clone(&behaviour);
            std::thread::spawn(move || answer_all(stream, &*behaviour));
        }
    });
    address
}

fn answer_all(stream: TcpStream, behaviour: &Behaviour) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    for number in 0.. {
        let Some(line) = read_request(&mut reader)? else {
            break;
        };
        let Some((status, release)) = behaviour(&line, number) else {
            break;
        };
        write!(
            writer,
            "HTTP/1.1 {status}\r\nX-Release: {release}\r\nX-Version: v{release}\r\nContent-Length: 5\r\n\r\nhello"
        )?;
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    io::copy(&mut reader.take(length.unwrap_or(0)), &mut io::sink())?;
    Ok(head.into_iter().next())
}

/// 200 requests in half a second.
fn short_load(target: SocketAddr) -> Load {
    Load {
        rate: 400,
        seconds: Some(0.5),
        slow_path: "/slow".to_owned(),
        contains: "hello".to_owned(),
        ..Load::of_guestbook(target)
    }
}

fn report_of(load: &Load) -> Report {
    let report = load.start().and_then(load::RunningLoad::wait);
    report.expect("the load runs and reports")
}

#[test]
fn a_good_server_gets_a_flawless_report() {
    let report = report_of(&short_load(serve(|_, _| Some(("200 OK", 1)))));
    assert!(report.is_flawless(), "{}", report.summary());
    assert_eq!((report.total, report.ok, report.retried), (200, 200, 0));
    assert_eq!((report.seen.len(), report.seen[0].answers), (1, 200));
}

#[test]
fn the_mix_has_pages_posts_and_slow_requests() {
    let answer = |line: &str| match line {
        "GET / HTTP/1.1" => 1,
        "POST /entries HTTP/1.1" => 2,
        "GET /slow HTTP/1.1" => 3,
        _ => 4,
    };
    let load = Load {
        slow_per_mille: 100,
        post_per_mille: 300,
        ..short_load(serve(move |line, _| Some(("200 OK", answer(line)))))
    };
    let mut seen: Vec<_> = report_of(&load)
        .seen
        .iter()
        .map(|seen| (seen.release, seen.answers))
        .collect();
    seen.sort_unstable();
    let releases: Vec<_> = seen.iter().map(|(release, _)| *release).collect();
    assert_eq!(releases, [1, 2, 3], "{seen:?}");
    assert!(seen[0].1 > seen[1].1 && seen[1].1 > seen[2].1, "{seen:?}");
}

#[test]
fn an_unexpected_status_fails_and_is_not_retried() {
    let report = report_of(&short_load(serve(|_, _| Some(("502 Bad Gateway", 1)))));
    assert_eq!((report.failed, report.ok, report.retried), (200, 0, 0));
    assert!(
        report.problems[0].ends_with("status 502"),
        "{}",
        report.summary()
    );
}

#[test]
fn an_unexpected_body_fails() {
    let load = Load {
        contains: "good day".to_owned(),
        slow_per_mille: 0,
        post_per_mille: 0,
        ..short_load(serve(|_, _| Some(("200 OK", 1))))
    };
    assert_eq!(report_of(&load).failed, 200);
}

#[test]
fn a_kept_connection_that_the_server_closed_is_retried_and_does_not_fail() {
    let once_per_connection = |_: &str, number| (number == 0).then_some(("200 OK", 1));
    let report = report_of(&short_load(serve(once_per_connection)));
    assert!(report.is_flawless(), "{}", report.summary());
    assert!(report.retried > 20, "{}", report.summary());
}

#[test]
fn a_connection_error_that_a_fresh_connection_meets_too_fails() {
    let report = report_of(&short_load(serve(|_, _| None)));
    assert_eq!((report.failed, report.retried), (200, 0));
}

#[test]
fn an_old_release_that_comes_back_is_stale() {
    let requests = AtomicU64::new(0);
    let from_two_back_to_one = move |_: &str, _| {
        let number = requests.fetch_add(1, Ordering::Relaxed);
        Some(("200 OK", if number < 100 { 2 } else { 1 }))
    };
    let report = report_of(&short_load(serve(from_two_back_to_one)));
    assert_eq!(report.failed, 0, "{}", report.summary());
    assert!((50..=100).contains(&report.stale), "{}", report.summary());
    assert!(!report.is_flawless());
}

#[test]
fn a_load_without_an_end_goes_on_until_it_is_finished() {
    let load = Load {
        seconds: None,
        ..short_load(serve(|_, _| Some(("200 OK", 1))))
    };
    let running = load.start().expect("the load starts");
    let report = running.finish().expect("the load reports");
    assert_eq!(report.failed, 0, "{}", report.summary());
}
