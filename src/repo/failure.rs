//! From what the HTTP and git libraries say to a [`RepoError`] that tells a wrong token from a wrong certificate from a dead server.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};

use super::{Credential, RepoError};

/// The longest that a server can ask us to stay away.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The most of a server's own words that an error repeats, in characters.
const LONGEST_QUOTE: usize = 400;

/// What was being asked, for the error.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) url: String,
    pub(super) with: Credential,
    pub(super) deadline: Duration,
    pub(super) stall: Duration,
}

impl Asked {
    pub(super) fn timed_out(&self) -> RepoError {
        RepoError::TimedOut {
            url: self.url.clone(),
            deadline: self.deadline,
        }
    }

    pub(super) fn stalled(&self) -> RepoError {
        RepoError::Stalled {
            url: self.url.clone(),
            silence: self.stall,
        }
    }

    pub(super) fn bad_answer(&self, detail: impl Into<String>) -> RepoError {
        RepoError::BadAnswer {
            url: self.url.clone(),
            detail: detail.into(),
        }
    }

    pub(super) fn not_a_repository(&self, detail: impl Into<String>) -> RepoError {
        RepoError::NotARepository {
            url: self.url.clone(),
            detail: detail.into(),
        }
    }

    pub(super) fn unreachable(&self, detail: impl Into<String>) -> RepoError {
        RepoError::Unreachable {
            url: self.url.clone(),
            detail: detail.into(),
            retry_after: None,
        }
    }

    pub(super) fn unauthorized(&self) -> RepoError {
        RepoError::Unauthorized {
            url: self.url.clone(),
            with: self.with,
        }
    }

    /// An answer that is not a success.
    pub(super) fn status(&self, status: StatusCode, headers: &HeaderMap) -> RepoError {
        let wait = retry_after(headers);
        match status.as_u16() {
            // A forge that limits how often it is asked says so with 403, too.
            403 if wait.is_some() => self.busy(status, wait),
            401 | 403 | 407 => self.unauthorized(),
            301 | 302 | 303 | 307 | 308 => RepoError::Redirected {
                url: self.url.clone(),
                to: location(headers),
            },
            429 | 500.. => self.busy(status, wait),
            _ => self.not_a_repository(format!("it answers {status}")),
        }
    }

    fn busy(&self, status: StatusCode, retry_after: Option<Duration>) -> RepoError {
        RepoError::Unreachable {
            url: self.url.clone(),
            detail: format!("it answers {status}"),
            retry_after,
        }
    }

    /// A request that failed.
    pub(super) fn failed(&self, error: &reqwest::Error) -> RepoError {
        let causes = causes(error);
        let detail = causes.last().map_or_else(String::new, ToString::to_string);
        if causes.iter().any(|e| e.is::<rustls::Error>()) {
            let url = self.url.clone();
            return RepoError::Tls { url, detail };
        }
        if error.is_timeout() && error.is_connect() {
            return self.unreachable("no connection within its deadline");
        }
        if error.is_timeout() || causes.iter().any(|e| is_timeout(*e)) {
            return self.stalled();
        }
        if error.is_connect() || error.is_request() {
            return self.unreachable(detail);
        }
        self.bad_answer(told(&error.to_string(), &detail))
    }

    /// A fetch that failed while no server could be blamed: what came made no sense to git.
    pub(super) fn broken(&self, error: &gix::Error) -> RepoError {
        let causes = causes(error);
        let detail = causes.last().map_or_else(String::new, ToString::to_string);
        self.bad_answer(told(&causes[0].to_string(), &detail))
    }
}

/// A summary and its cause, once when they are the same. Both may quote the server.
fn told(summary: &str, detail: &str) -> String {
    let text = if summary == detail {
        detail.to_owned()
    } else {
        format!("{summary}: {detail}")
    };
    harmless(&text)
}

/// What a server said, on one line and short.
pub(super) fn harmless(text: &str) -> String {
    let kept = text.trim().chars().take(LONGEST_QUOTE);
    let hides =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    kept.map(|c| if hides(c) { ' ' } else { c }).collect()
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|e| e.kind() == io::ErrorKind::TimedOut)
}

/// All causes, outermost first. An I/O error hides what it wraps from `source`, and gix's error is a tree.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut found = vec![error];
    if let Some(tree) = error.downcast_ref::<gix::Error>() {
        for inner in tree.iter_errors() {
            found.extend(causes(inner));
        }
        return found;
    }
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    let next = match wrapped {
        Some(inner) => Some(inner as &(dyn Error + 'static)),
        None => error.source(),
    };
    if let Some(next) = next {
        found.extend(causes(next));
    }
    found
}

fn location(headers: &HeaderMap) -> String {
    let target = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let target = target
        .unwrap_or("nowhere")
        .split(['?', '#'])
        .next()
        .unwrap_or_default();
    target
        .chars()
        .take(200)
        .filter(|c| !c.is_control())
        .collect()
}

/// Seconds, or a moment: the server's own clock says how far away that is.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let moment = |name| httpdate::parse_http_date(text(name)?).ok();
    let seconds = text(RETRY_AFTER)?.trim().parse().ok();
    let until = || moment(RETRY_AFTER)?.duration_since(moment(DATE)?).ok();
    let wait = seconds.map(Duration::from_secs).or_else(until)?;
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked {
            url: "https://forge.example/c.git".into(),
            with: Credential::Token,
            deadline: Duration::from_secs(1),
            stall: Duration::from_secs(1),
        }
    }

    fn headers(name: reqwest::header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn statuses_are_told_apart() {
        let status =
            |code: u16| asked().status(StatusCode::from_u16(code).unwrap(), &HeaderMap::new());
        assert!(matches!(
            status(401),
            RepoError::Unauthorized {
                with: Credential::Token,
                ..
            }
        ));
        assert!(matches!(status(403), RepoError::Unauthorized { .. }));
        assert!(matches!(status(404), RepoError::NotARepository { .. }));
        assert!(matches!(
            status(502),
            RepoError::Unreachable {
                retry_after: None,
                ..
            }
        ));
        assert!(matches!(status(308), RepoError::Redirected { .. }));
    }

    #[test]
    fn f10_retry_after_is_honoured_within_reason() {
        let wait = |text| {
            asked()
                .status(StatusCode::TOO_MANY_REQUESTS, &headers(RETRY_AFTER, text))
                .retry_after()
        };
        assert_eq!(wait("120"), Some(Duration::from_mins(2)));
        assert_eq!(wait("99999999"), Some(LONGEST_RETRY_AFTER));
        assert_eq!(wait("soon"), None);
        let mut both = headers(RETRY_AFTER, "Wed, 21 Oct 2026 07:28:30 GMT");
        let answer = |headers: &HeaderMap| {
            asked()
                .status(StatusCode::SERVICE_UNAVAILABLE, headers)
                .retry_after()
        };
        assert_eq!(
            answer(&both),
            None,
            "a moment means nothing without the server's clock"
        );
        both.extend(headers(DATE, "Wed, 21 Oct 2026 07:28:00 GMT"));
        assert_eq!(answer(&both), Some(Duration::from_secs(30)));
        let limited = asked().status(StatusCode::FORBIDDEN, &headers(RETRY_AFTER, "7"));
        assert_eq!(limited.retry_after(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn t20_the_words_of_a_server_are_shortened_and_lose_their_control_characters() {
        let shown = harmless(&format!("\u{1b}]0;x\u{7}\r\n{}", "y".repeat(10_000)));
        assert!(
            shown.len() <= LONGEST_QUOTE && !shown.chars().any(char::is_control),
            "{shown:?}"
        );
    }
}
