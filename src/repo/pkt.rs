//! Git's pkt-line framing: just enough for `ls-refs` and the first advertisement.

use std::io::{self, Read};

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Line(&'a [u8]),
    Flush,
    Delimiter,
    End,
}

/// The body of a protocol v2 `ls-refs` request for refs that start with `prefix`, each tag with the commit that it stands for.
pub(super) fn ls_refs_request(prefix: &str) -> Vec<u8> {
    let mut body = Vec::new();
    line(&mut body, "command=ls-refs\n");
    line(
        &mut body,
        concat!("agent=hop3-agent/", env!("CARGO_PKG_VERSION"), "\n"),
    );
    line(&mut body, "object-format=sha1\n");
    body.extend_from_slice(b"0001");
    line(&mut body, "peel\n");
    line(&mut body, &format!("ref-prefix {prefix}\n"));
    body.extend_from_slice(b"0000");
    body
}

fn line(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(format!("{:04x}{text}", text.len() + 4).as_bytes());
}

/// Reads frames up to the first flush, as they are: from a stream that stays open after it.
pub(super) fn read_section(stream: &mut impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let start = body.len();
        body.resize(start + 4, 0);
        stream.read_exact(&mut body[start..])?;
        let header: [u8; 4] = body[start..].try_into().expect("four bytes were read");
        let length = length(header).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        if length == 0 {
            return Ok(body);
        }
        let content = usize::from(length).saturating_sub(4);
        if start + content > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        body.resize(start + 4 + content, 0);
        stream.read_exact(&mut body[start + 4..])?;
    }
}

/// What a header says: the length of the whole frame, or one of the special ones below four.
fn length(header: [u8; 4]) -> Option<u16> {
    // A sign is a number to the standard library, but not to git.
    let digits = std::str::from_utf8(&header).ok()?;
    let digits = Some(digits).filter(|text| !text.starts_with('+'))?;
    u16::from_str_radix(digits, 16)
        .ok()
        .filter(|length| *length != 3)
}

/// Takes the frames of an answer one by one; `None` is an answer that breaks the framing or is cut off.
pub(super) struct Packets<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Packets<'a> {
    type Item = Option<Packet<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let packet = self.take();
        if packet.is_none() {
            self.0 = &[];
        }
        Some(packet)
    }
}

impl<'a> Packets<'a> {
    fn take(&mut self) -> Option<Packet<'a>> {
        let (header, rest) = self.0.split_first_chunk::<4>()?;
        let (packet, rest) = match length(*header)? {
            0 => (Packet::Flush, rest),
            1 => (Packet::Delimiter, rest),
            2 => (Packet::End, rest),
            length => {
                let (line, rest) = rest.split_at_checked(usize::from(length) - 4)?;
                (Packet::Line(line.strip_suffix(b"\n").unwrap_or(line)), rest)
            }
        };
        self.0 = rest;
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_framed_as_git_frames_it() {
        let body = ls_refs_request("refs/heads/main");
        assert!(body.starts_with(b"0014command=ls-refs\n"));
        assert!(body.ends_with(b"00010009peel\n001fref-prefix refs/heads/main\n0000"));
    }

    #[test]
    fn a_section_is_read_up_to_its_end_and_no_byte_further() {
        let mut stream = &b"0008abc\n0001000200000008next"[..];
        assert_eq!(
            read_section(&mut stream, 100).unwrap(),
            b"0008abc\n000100020000"
        );
        assert_eq!(stream, b"0008next");
        for (broken, kind) in [
            (&b"0008ab"[..], io::ErrorKind::UnexpectedEof),
            (b"", io::ErrorKind::UnexpectedEof),
            (b"<htm", io::ErrorKind::InvalidData),
            (b"0003", io::ErrorKind::InvalidData),
            (b"ffff", io::ErrorKind::FileTooLarge),
        ] {
            assert_eq!(
                read_section(&mut &*broken, 100).unwrap_err().kind(),
                kind,
                "{broken:?}"
            );
        }
    }

    #[test]
    fn frames_are_taken_until_the_framing_breaks() {
        let whole: Vec<_> = Packets(b"0008abc\n000100020000").collect();
        assert_eq!(
            whole,
            [
                Some(Packet::Line(b"abc")),
                Some(Packet::Delimiter),
                Some(Packet::End),
                Some(Packet::Flush)
            ]
        );
        for broken in [
            &b"00"[..],
            b"000",
            b"0003",
            b"zzzz",
            b"0009abc\n",
            b"fff0x",
            b"+008abcd",
        ] {
            assert_eq!(Packets(broken).last(), Some(None), "{broken:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_run_on(bytes: Vec<u8>) {
            proptest::prop_assert!(Packets(&bytes).count() <= bytes.len());
        }
    }
}
