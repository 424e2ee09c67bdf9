//! Signals as readable descriptors.

use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use super::doing;

/// One kind of event, told by one or more signals.
pub(super) struct SignalPipe {
    reader: UnixStream,
}

impl SignalPipe {
    /// Listens for these signals from now on.
    pub(super) fn listen(signals: &[Signal]) -> Result<Self, String> {
        let (reader, writer) = UnixStream::pair().map_err(doing("make a pipe"))?;
        reader
            .set_nonblocking(true)
            .map_err(doing("set up a pipe"))?;
        for signal in signals {
            let writer = writer.try_clone().map_err(doing("copy a pipe"))?;
            signal_hook::low_level::pipe::register(signal.as_raw(), writer)
                .map_err(doing(format_args!("listen for signal {}", signal.as_raw())))?;
        }
        Ok(Self { reader })
    }

    /// Whether a signal came since the last call.
    pub(super) fn take(&self) -> bool {
        let mut reader = &self.reader;
        let mut buffer = [0; 64];
        let mut came = false;
        while matches!(reader.read(&mut buffer), Ok(n) if n > 0) {
            came = true;
        }
        came
    }
}

impl AsFd for SignalPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
