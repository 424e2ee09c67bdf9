//! Git's pkt-line framing: just enough for `ls-refs` and the first advertisement. Pure.

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Line(&'a [u8]),
    Flush,
    Delimiter,
    End,
}

/// The body of a protocol v2 `ls-refs` request for refs that start with `prefix`.
pub(super) fn ls_refs_request(prefix: &str) -> Vec<u8> {
    let mut body = Vec::new();
    line(&mut body, "command=ls-refs\n");
    line(
        &mut body,
        concat!("agent=hop3-agent/", env!("CARGO_PKG_VERSION"), "\n"),
    );
    line(&mut body, "object-format=sha1\n");
    body.extend_from_slice(b"0001");
    line(&mut body, &format!("ref-prefix {prefix}\n"));
    body.extend_from_slice(b"0000");
    body
}

fn line(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(format!("{:04x}{text}", text.len() + 4).as_bytes());
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
        let (header, rest) = self.0.split_at_checked(4)?;
        // A sign is a number to the standard library, but not to git.
        let digits = std::str::from_utf8(header)
            .ok()
            .filter(|text| !text.starts_with('+'))?;
        let length = usize::from_str_radix(digits, 16).ok()?;
        let (packet, rest) = match length {
            0 => (Packet::Flush, rest),
            1 => (Packet::Delimiter, rest),
            2 => (Packet::End, rest),
            3 => return None,
            _ => {
                let (line, rest) = rest.split_at_checked(length - 4)?;
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
        assert!(body.ends_with(b"0001001fref-prefix refs/heads/main\n0000"));
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
