//! Servers that fall silent, hang up or talk nonsense at every point of a conversation.

use std::time::Duration;

use hop3_agent::repo::{FetchLimits, RepoError};

use crate::forge::{Answer, End, Stage, lines};
use crate::pack::sealed;
use crate::points::{Ending, Field, Point};
use crate::rows::{is_long, row};

const STAGES: [Stage; 3] = [Stage::Handshake, Stage::Refs, Stage::Pack];

fn limits() -> FetchLimits {
    FetchLimits {
        deadline: Duration::from_secs(20),
        connect: Duration::from_secs(5),
        stall: Duration::from_millis(400),
        ..FetchLimits::default()
    }
}

fn point(
    name: String,
    stage: Stage,
    script: impl Fn(Answer) -> Answer + Send + Sync + 'static,
) -> Point {
    Point {
        name,
        stage,
        script: Box::new(script),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f09_a_server_that_falls_silent_after_any_byte_ends_at_a_deadline() {
    let field = Field::new().await;
    let each = if is_long() { 128 } else { 12 };
    let mut points = Vec::new();
    for stage in STAGES {
        let length = field.length(stage).await;
        points.extend((0..each).map(|n| {
            let after = n * (length - 1) / (each - 1);
            point(
                format!("{stage:?} silent after {after} of {length}"),
                stage,
                move |answer| {
                    let cut = answer.cut(after.min(length - 1));
                    Answer::raw(cut, End::Stall)
                },
            )
        }));
    }
    let number = points.len();
    let endings = field.try_all(limits(), points).await;
    let ended = endings
        .iter()
        .filter(|ending| ending.took < Duration::from_secs(15))
        .count();
    for Ending { name, error, took } in &endings {
        assert!(
            matches!(error, RepoError::Stalled { .. }),
            "{name}: {error:?} after {took:?}"
        );
    }
    row(
        "F09",
        &[
            (number, "points of handshake, refs and pack"),
            (ended, "ended at a deadline"),
            (number - ended, "hung"),
        ],
    );
    assert_eq!(ended, number);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f10_a_pack_that_is_cut_at_each_sixty_fourth_is_refused() {
    let field = Field::new().await;
    let length = field.length(Stage::Pack).await;
    let parts = if is_long() { length - 1 } else { 64 };
    // With a length that the server does not keep, and without one, so that the cut looks like the end.
    let points = (0..parts).map(|part| {
        let declared = part % 2 == 0;
        point(
            format!("cut at {part}/{parts}, declared: {declared}"),
            Stage::Pack,
            move |answer| {
                let whole = answer.body.len();
                let answer = if declared {
                    answer.header(&format!("Content-Length: {whole}"))
                } else {
                    answer
                };
                let head = answer.bytes().len() - whole;
                Answer::raw(answer.cut(head + part * (whole - 1) / parts), End::Close)
            },
        )
    });
    let endings = field.try_all(limits(), points.collect()).await;
    let refused = endings
        .iter()
        .filter(|ending| ending.error.retryable())
        .count();
    row(
        "F10",
        &[
            (parts, "points of a cut pack"),
            (refused, "refused"),
            (0, "hung"),
        ],
    );
    for Ending { name, error, .. } in &endings {
        assert!(error.retryable(), "{name}: {error:?}");
    }
}

/// Answers that no honest server gives, for any stage.
fn nonsense() -> Vec<(&'static str, fn(Answer) -> Answer)> {
    vec![
        ("nothing at all", |_| Answer::raw(Vec::new(), End::Close)),
        ("another protocol", |_| {
            Answer::raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), End::Close)
        }),
        ("zeros", |_| Answer::raw(vec![0; 4096], End::Close)),
        ("a head without an end", |_| {
            Answer::raw(b"HTTP/1.1 200 OK\r\nContent-Type: ".to_vec(), End::Close)
        }),
        ("an endless head", |_| {
            Answer::raw(b"X: y\r\n".repeat(200_000), End::Close)
        }),
        ("a page", |_| {
            Answer::status("200 OK")
                .header("Content-Type: text/html")
                .body("<html>Sign in</html>")
        }),
        ("a page that calls itself git's", |answer| {
            answer.body("<html>Sign in</html>")
        }),
        ("an empty answer", |answer| answer.body("")),
        ("another kind", |answer| Answer {
            headers: vec!["Content-Type: application/octet-stream".into()],
            ..answer
        }),
        ("a broken frame", |answer| answer.body("zzzz")),
        ("a frame that is too long", |answer| answer.body("ffff")),
        ("a refusal in words", |answer| {
            answer.body(lines(&["ERR \u{1b}]0;access denied\u{7}\n"]))
        }),
        ("no content", |_| Answer::status("204 No Content")),
        ("400", |_| Answer::status("400 Bad Request")),
        ("401", |_| {
            Answer::status("401 Unauthorized").header("WWW-Authenticate: Basic realm=x")
        }),
        ("403", |_| Answer::status("403 Forbidden")),
        ("404", |_| Answer::status("404 Not Found")),
        ("418", |_| Answer::status("418 I'm a teapot")),
        ("429", |_| {
            Answer::status("429 Too Many Requests").header("Retry-After: 30")
        }),
        ("500", |_| Answer::status("500 Internal Server Error")),
        ("502", |_| {
            Answer::status("502 Bad Gateway").body("<html>nginx</html>")
        }),
        ("503", |_| {
            Answer::status("503 Service Unavailable").header("Retry-After: 30")
        }),
        ("a redirect to another host", |_| {
            Answer::status("302 Found").header("Location: http://127.0.0.1:1/c.git")
        }),
        ("a redirect to itself", |_| {
            Answer::status("302 Found").header("Location: /c.git/info/refs?service=git-upload-pack")
        }),
    ]
}

/// Changes a pack within the answer that carries it: the frames stay sound.
fn within_pack(answer: Answer, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Answer {
    let at = answer
        .body
        .windows(13)
        .position(|part| part == b"000dpackfile\n")
        .unwrap()
        + 13;
    let (mut body, mut pack) = (answer.body[..at].to_vec(), Vec::new());
    let mut rest = &answer.body[at..];
    while let Some(length) = rest
        .get(..4)
        .map(|hex| usize::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap())
    {
        if length < 5 {
            break;
        }
        if rest[4] == 1 {
            pack.extend_from_slice(&rest[5..length]);
        }
        rest = &rest[length..];
    }
    for part in change(pack).chunks(60_000) {
        body.extend_from_slice(format!("{:04x}\u{1}", part.len() + 5).as_bytes());
        body.extend_from_slice(part);
    }
    body.extend_from_slice(b"0000");
    Answer { body, ..answer }
}

/// Packs that are not what they should be.
fn bad_packs() -> Vec<(&'static str, fn(Vec<u8>) -> Vec<u8>)> {
    fn unsealed(mut pack: Vec<u8>) -> Vec<u8> {
        pack.truncate(pack.len() - 20);
        pack
    }
    vec![
        ("a wrong checksum", |mut pack| {
            *pack.last_mut().unwrap() ^= 1;
            pack
        }),
        ("a wrong signature", |mut pack| {
            pack[..4].copy_from_slice(b"KCAP");
            pack
        }),
        ("a version of the future", |pack| {
            let mut pack = unsealed(pack);
            pack[7] = 99;
            sealed(pack)
        }),
        ("one object more than there is", |pack| {
            let mut pack = unsealed(pack);
            pack[11] += 1;
            sealed(pack)
        }),
        ("one object less than there is", |pack| {
            let mut pack = unsealed(pack);
            pack[11] -= 1;
            sealed(pack)
        }),
        ("no object at all", |_| {
            sealed(b"PACK\0\0\0\x02\0\0\0\0".to_vec())
        }),
        ("a kind that does not exist", |pack| {
            let mut pack = unsealed(pack);
            pack[12] = (pack[12] & 0x8f) | 0x50;
            sealed(pack)
        }),
        ("compressed data that is none", |pack| {
            let mut pack = unsealed(pack);
            for byte in pack.iter_mut().skip(16).take(40) {
                *byte = 0xaa;
            }
            sealed(pack)
        }),
        ("one bit elsewhere", |pack| {
            let mut pack = unsealed(pack);
            let middle = pack.len() / 2;
            pack[middle] ^= 4;
            sealed(pack)
        }),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f10_answers_that_no_honest_server_gives_are_refused() {
    let field = Field::new().await;
    let mut points = Vec::new();
    for stage in STAGES {
        for (what, script) in nonsense() {
            points.push(point(format!("{stage:?}: {what}"), stage, script));
        }
    }
    for (what, change) in bad_packs() {
        points.push(point(format!("pack: {what}"), Stage::Pack, move |answer| {
            within_pack(answer, change)
        }));
    }
    let number = points.len();
    let endings = field.try_all(limits(), points).await;
    for Ending { name, error, took } in &endings {
        assert!(*took < Duration::from_secs(15), "{name}: {took:?}");
        let asks_for_rest = name.ends_with("429") || name.ends_with("503");
        assert_eq!(
            error.retry_after().is_some(),
            asks_for_rest,
            "{name}: {error:?}"
        );
        assert!(
            !error.to_string().chars().any(char::is_control),
            "{name}: {error:?}"
        );
        assert!(
            !matches!(error, RepoError::Internal { .. }),
            "{name}: {error:?}"
        );
    }
    row(
        "F10",
        &[
            (number, "bad answers"),
            (endings.len(), "refused"),
            (0, "hung"),
        ],
    );
}
