//! A file as the body of an answer, in chunks. What the kernel has in memory is read at once; only a read that would wait for the disk
//! goes to another thread, so that a slow disk holds up nobody else.

use std::io::{self, IoSliceMut};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};
use tokio::task::{JoinHandle, spawn_blocking};

/// The most that is in memory per answer.
const CHUNK: u64 = 64 * 1024;

/// A part of a file.
pub(crate) struct FileBody {
    file: Arc<OwnedFd>,
    at: u64,
    left: u64,
    waiting: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileBody {
    /// So many bytes of the file from an offset on.
    pub(crate) fn new(file: OwnedFd, at: u64, length: u64) -> Self {
        Self {
            file: Arc::new(file),
            at,
            left: length,
            waiting: None,
        }
    }

    fn take(&mut self, chunk: io::Result<Bytes>) -> io::Result<Frame<Bytes>> {
        let chunk = chunk?;
        if chunk.is_empty() {
            return Err(io::Error::other("the file became shorter"));
        }
        let count = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.at += count;
        self.left = self.left.saturating_sub(count);
        Ok(Frame::data(chunk))
    }

    fn start_waiting(&mut self, length: usize) -> &mut JoinHandle<io::Result<Bytes>> {
        let (file, at) = (Arc::clone(&self.file), self.at);
        self.waiting
            .insert(spawn_blocking(move || read_waiting(&file, at, length)))
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = usize::try_from(self.left.min(CHUNK)).unwrap_or(usize::MAX);
        let job = if self.waiting.is_some() {
            self.waiting.as_mut()
        } else {
            match read_cached(&self.file, self.at, length) {
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => None,
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
                Ok(chunk) => return Poll::Ready(Some(self.take(Ok(chunk)))),
            }
        };
        let job = match job {
            Some(job) => job,
            None => self.start_waiting(length),
        };
        let Poll::Ready(outcome) = Pin::new(job).poll(cx) else {
            return Poll::Pending;
        };
        self.waiting = None;
        let chunk = outcome.unwrap_or_else(|e| Err(io::Error::other(e)));
        Poll::Ready(Some(self.take(chunk)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn read_cached(file: &OwnedFd, at: u64, length: usize) -> rustix::io::Result<Bytes> {
    let mut buffer = vec![0; length];
    let mut slices = [IoSliceMut::new(&mut buffer)];
    let count = preadv2(file, &mut slices, at, ReadWriteFlags::NOWAIT)?;
    buffer.truncate(count);
    Ok(buffer.into())
}

fn read_waiting(file: &OwnedFd, at: u64, length: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; length];
    let count = rustix::io::retry_on_intr(|| pread(file, &mut buffer[..], at))?;
    buffer.truncate(count);
    Ok(buffer.into())
}
