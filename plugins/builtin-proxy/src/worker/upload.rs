//! The body of a request on its way to a backend: counted against the site's limit, with a mark of its last progress.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, timeout};

/// How much of a body that nobody wants is read, so that the client gets to see the answer instead of a broken connection.
const UNWANTED_BYTES: usize = 1024 * 1024;
/// And for how long.
const UNWANTED_TIME: Duration = Duration::from_secs(5);

/// What is known of a body while it is sent.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    latest: AtomicU64,
    too_large: AtomicBool,
}

impl Progress {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            latest: AtomicU64::new(0),
            too_large: AtomicBool::new(false),
        }
    }

    /// When the last part went through.
    pub(super) fn latest(&self) -> Instant {
        self.start + Duration::from_millis(self.latest.load(Ordering::Relaxed))
    }

    /// Whether the body turned out to be over the limit.
    pub(super) fn too_large(&self) -> bool {
        self.too_large.load(Ordering::Relaxed)
    }

    fn touch(&self) {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.latest.store(elapsed, Ordering::Relaxed);
    }
}

/// Why a body ends early.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    /// It is over the limit.
    #[error("the request body is too large")]
    TooLarge,
    /// The client broke off.
    #[error("the client broke off")]
    Client(#[source] hyper::Error),
}

/// A request's body.
#[derive(Debug)]
pub(super) struct Upload {
    body: Option<Incoming>,
    left: u64,
    progress: Arc<Progress>,
}

impl Upload {
    /// A body of at most so many bytes.
    pub(super) fn new(body: Incoming, limit: u64) -> Self {
        Self {
            body: (!body.is_end_stream()).then_some(body),
            left: limit,
            progress: Arc::new(Progress::new()),
        }
    }

    /// The same for a request that has none.
    pub(super) fn empty(progress: Arc<Progress>) -> Self {
        Self {
            body: None,
            left: 0,
            progress,
        }
    }

    /// What is known of it.
    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    fn count(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, UploadError> {
        self.progress.touch();
        let length = frame.data_ref().map_or(0, Bytes::len);
        let left = u64::try_from(length)
            .ok()
            .and_then(|length| self.left.checked_sub(length));
        self.left = left.ok_or_else(|| {
            self.progress.too_large.store(true, Ordering::Relaxed);
            UploadError::TooLarge
        })?;
        Ok(frame)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Some(body) = self.body.as_mut() else {
            return Poll::Ready(None);
        };
        Pin::new(body).poll_frame(cx).map(|next| {
            next.map(|frame| match frame {
                Ok(frame) => self.count(frame),
                Err(error) => Err(UploadError::Client(error)),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            discard(body);
        }
    }
}

/// Reads a little of what nobody wants.
pub(super) fn discard(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(UNWANTED_TIME, async move {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > UNWANTED_BYTES {
                return;
            }
        }
    }));
}
