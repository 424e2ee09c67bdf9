//! The body of an answer. While it lives, its request is in flight.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use crate::files::FileBody;
use crate::routing::InFlight;

/// What an answer consists of.
pub(super) struct AnswerBody {
    source: Source,
    in_flight: Option<InFlight>,
}

enum Source {
    Text(Full<Bytes>),
    Backend(Incoming),
    File(FileBody),
}

impl AnswerBody {
    /// A text of ours.
    pub(super) fn text(text: impl Into<Bytes>) -> Self {
        Self {
            source: Source::Text(Full::new(text.into())),
            in_flight: None,
        }
    }

    /// What a backend sends.
    pub(super) fn backend(body: Incoming, in_flight: InFlight) -> Self {
        Self {
            source: Source::Backend(body),
            in_flight: Some(in_flight),
        }
    }

    /// A file, or nothing.
    pub(super) fn file(body: Option<FileBody>, in_flight: Option<InFlight>) -> Self {
        Self {
            source: body.map_or_else(|| Source::Text(Full::default()), Source::File),
            in_flight,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = match &mut self.source {
            Source::Text(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Source::Backend(body) => Pin::new(body).poll_frame(cx).map_err(io::Error::other),
            Source::File(body) => Pin::new(body).poll_frame(cx),
        };
        if matches!(next, Poll::Ready(None)) {
            self.in_flight = None;
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Text(body) => body.is_end_stream(),
            Source::Backend(body) => body.is_end_stream(),
            Source::File(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Text(body) => body.size_hint(),
            Source::Backend(body) => body.size_hint(),
            Source::File(body) => body.size_hint(),
        }
    }
}
