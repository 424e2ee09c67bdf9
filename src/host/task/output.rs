//! What a program says: to its log up to a cap, and its last bytes for the report.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, PipeReader, Read as _, Write as _};

use super::super::run::open_log;
use super::protocol::Watch;

/// Takes a program's output from a pipe that never blocks.
pub(super) struct Output {
    pipe: PipeReader,
    open: bool,
    log: Option<File>,
    room: u64,
    cap: u64,
    tail: VecDeque<u8>,
    tail_bytes: usize,
}

impl Output {
    pub(super) fn new(pipe: PipeReader, watch: &Watch) -> std::io::Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self {
            pipe,
            open: true,
            log: watch.log.as_deref().map(open_log).transpose()?,
            room: watch.log_bytes,
            cap: watch.log_bytes,
            tail: VecDeque::new(),
            tail_bytes: watch.tail_bytes,
        })
    }

    /// The pipe, for as long as something may still come.
    pub(super) fn pipe(&self) -> Option<&PipeReader> {
        self.open.then_some(&self.pipe)
    }

    /// Takes what is there now, at most a few buffers, so that a flood does not keep from looking at the clock. True: there may be more now.
    pub(super) fn pump(&mut self) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        for _ in 0..16 {
            match self.pipe.read(&mut buffer) {
                Ok(0) => self.open = false,
                Ok(read) => {
                    self.take(&buffer[..read]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => self.open = error.kind() == ErrorKind::WouldBlock,
            }
            return false;
        }
        true
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.write_log(bytes);
        let kept = &bytes[bytes.len().saturating_sub(self.tail_bytes)..];
        let surplus = (self.tail.len() + kept.len()).saturating_sub(self.tail_bytes);
        self.tail.drain(..surplus);
        self.tail.extend(kept);
    }

    /// A log that cannot be written (a full disk) is given up; the program goes on.
    fn write_log(&mut self, bytes: &[u8]) {
        let Some(log) = &mut self.log else {
            return;
        };
        let fits = usize::try_from(self.room)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.room -= fits as u64;
        let mut written = log.write_all(&bytes[..fits]);
        if fits < bytes.len() {
            let note = format!(
                "\n[hop3-agent: output after {} bytes was dropped]\n",
                self.cap
            );
            written = written.and_then(|()| log.write_all(note.as_bytes()));
            self.log = None;
        }
        if written.is_err() {
            self.log = None;
        }
    }

    pub(super) fn tail(&self) -> String {
        let bytes: Vec<u8> = self.tail.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
