//! The proxy's own answers. They say what is wrong and repeat nothing that a client sent.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use super::body::AnswerBody;

/// Why a request is not answered by its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    BadRequest,
    UnknownHost,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    Broken,
    BadGateway,
    Maintenance,
    TimedOut,
}

impl Trouble {
    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::UnknownHost | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::Maintenance => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::BadRequest => "The request could not be understood.",
            Self::UnknownHost => "No app answers for this host name.",
            Self::NotFound => "There is nothing at this address.",
            Self::MethodNotAllowed => "Files can only be read.",
            Self::TooLarge => "The request is larger than this app takes.",
            Self::Broken => "The file could not be read.",
            Self::BadGateway => "The app did not answer.",
            Self::Maintenance => "This app is being maintained. Please try again later.",
            Self::TimedOut => "The app took too long to answer.",
        }
    }

    /// The page for it.
    pub(super) fn page(self) -> Response<AnswerBody> {
        let (status, words) = (self.status(), self.words());
        let text = format!(
            "<!doctype html><meta charset=\"utf-8\"><title>{status}</title><h1>{status}</h1><p>{words}</p>\n"
        );
        let mut response = Response::new(AnswerBody::text(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self == Self::Maintenance {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("30"));
        }
        if self == Self::MethodNotAllowed {
            headers.insert(hyper::header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}
