//! Lines with open files attached, over a unix socket (`SCM_RIGHTS`): how listeners go from one process to the next. Blocking.

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::control::LINE_LIMIT;

/// The most sockets that one line carries.
pub(crate) const MOST_FILES: usize = 16;

/// Sends a line; the files go along with its first byte.
pub(crate) fn send(stream: &UnixStream, line: &str, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = [line.as_bytes(), b"\n"].concat();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
    let mut attached = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !attached.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::other(format!(
            "more than {MOST_FILES} sockets cannot be handed over"
        )));
    }
    let sent = rustix::io::retry_on_intr(|| {
        sendmsg(
            stream,
            &[IoSlice::new(&bytes)],
            &mut attached,
            SendFlags::NOSIGNAL,
        )
    })?;
    let mut rest: &UnixStream = stream;
    rest.write_all(&bytes[sent..])
}

/// Receives a line without its newline, and the files that came with it; `None` at the end of the stream.
pub(crate) fn receive(stream: &UnixStream) -> io::Result<Option<(String, Vec<OwnedFd>)>> {
    let (mut line, mut files) = (Vec::new(), Vec::new());
    let mut buffer = vec![0_u8; 4096];
    while line.last() != Some(&b'\n') {
        let count = receive_some(stream, &mut buffer, &mut files)?;
        if count == 0 && line.is_empty() {
            return Ok(None);
        }
        if count == 0 || line.len() + count > LINE_LIMIT {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        line.extend_from_slice(&buffer[..count]);
    }
    line.pop();
    let line = String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Some((line, files)))
}

fn receive_some(
    stream: &UnixStream,
    buffer: &mut [u8],
    files: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
    let mut attached = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::io::retry_on_intr(|| {
        recvmsg(
            stream,
            &mut [IoSliceMut::new(buffer)],
            &mut attached,
            RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    for part in attached.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            files.extend(received);
        }
    }
    Ok(message.bytes)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn a_listener_arrives_with_its_line() {
        let (here, there) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        send(&here, "take this", &[listener.as_fd()]).unwrap();
        send(&here, &"x".repeat(9000), &[]).unwrap();
        drop((here, listener));
        let (line, mut files) = receive(&there).unwrap().unwrap();
        assert_eq!(line, "take this");
        let taken = TcpListener::from(files.pop().unwrap());
        assert_eq!(taken.local_addr().unwrap(), address);
        assert_eq!(receive(&there).unwrap().unwrap().0.len(), 9000);
        assert!(receive(&there).unwrap().is_none());
    }
}
