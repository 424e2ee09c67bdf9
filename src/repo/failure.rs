//! From what the HTTP and git libraries say to a [`RepoError`] that tells a wrong token from a wrong certificate from a dead server.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};

use super::RepoError;

/// The longest that a server can ask us to stay away.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// What was being asked, for the error.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) url: String,
    pub(super) token_sent: bool,
    pub(super) deadline: Duration,
}

impl Asked {
    pub(super) fn timed_out(&self) -> RepoError {
        RepoError::TimedOut {
            url: self.url.clone(),
            deadline: self.deadline,
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

    fn unreachable(&self, detail: impl Into<String>) -> RepoError {
        RepoError::Unreachable {
            url: self.url.clone(),
            detail: detail.into(),
            retry_after: None,
        }
    }

    fn unauthorized(&self) -> RepoError {
        RepoError::Unauthorized {
            url: self.url.clone(),
            token_sent: self.token_sent,
        }
    }

    /// An answer that is not a success.
    pub(super) fn status(&self, status: StatusCode, headers: &HeaderMap) -> RepoError {
        match status.as_u16() {
            401 | 403 | 407 => self.unauthorized(),
            301 | 302 | 303 | 307 | 308 => RepoError::Redirected {
                url: self.url.clone(),
                to: location(headers),
            },
            429 | 500.. => RepoError::Unreachable {
                url: self.url.clone(),
                detail: format!("it answers {status}"),
                retry_after: retry_after(headers),
            },
            _ => self.not_a_repository(format!("it answers {status}")),
        }
    }

    /// A request that failed, or a fetch.
    pub(super) fn failed(&self, error: &(dyn Error + 'static)) -> RepoError {
        let causes = causes(error);
        let detail = causes.last().map_or_else(String::new, ToString::to_string);
        if causes.iter().any(|e| e.is::<rustls::Error>()) {
            return RepoError::Tls {
                url: self.url.clone(),
                detail,
            };
        }
        if causes.iter().any(|e| is_timeout(*e)) {
            return self.timed_out();
        }
        if causes.iter().any(|e| is_refused(*e)) {
            return self.unauthorized();
        }
        let requests = || {
            causes
                .iter()
                .filter_map(|e| e.downcast_ref::<reqwest::Error>())
        };
        if let Some(status) = requests().find_map(reqwest::Error::status) {
            return self.status(status, &HeaderMap::new());
        }
        if requests().any(|e| e.is_connect() || e.is_request()) {
            return self.unreachable(detail);
        }
        let summary = causes[0].to_string();
        self.bad_answer(if summary == detail {
            detail
        } else {
            format!("{summary}: {detail}")
        })
    }
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<reqwest::Error>()
        .is_some_and(reqwest::Error::is_timeout)
        || error
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::TimedOut)
}

fn is_refused(error: &(dyn Error + 'static)) -> bool {
    error.is::<gix::protocol::transport::client::AuthenticationRequired>()
        || error
            .downcast_ref::<gix::Error>()
            .is_some_and(gix::Error::is_unauthenticated)
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

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked {
            url: "https://forge.example/c.git".into(),
            token_sent: true,
            deadline: Duration::from_secs(1),
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
                token_sent: true,
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
    }

    #[test]
    fn a_cause_is_found_however_it_is_wrapped() {
        let inner = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(inner));
        assert!(matches!(asked().failed(&wrapped), RepoError::Tls { .. }));
        assert!(matches!(
            asked().failed(&io::Error::from(io::ErrorKind::TimedOut)),
            RepoError::TimedOut { .. }
        ));
    }
}
