//! The refs that a remote shows, from the bytes of its answer. Pure.

use super::CommitId;
use super::pkt::{Packet, Packets};

/// The most refs that are looked at.
const REF_LIMIT: usize = 100_000;

/// One ref of a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteRef {
    pub(super) name: String,
    pub(super) target: CommitId,
    /// What a tag object stands for in the end.
    pub(super) peeled: Option<CommitId>,
}

/// What a server says when it is asked what it can do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Advertisement {
    /// It answers `ls-refs`.
    Modern,
    /// It only knows the older protocol and has shown all its refs already.
    Legacy(Vec<RemoteRef>),
}

/// The refs of an answer whose names start with what was asked for, whatever else the server sent.
struct Listing<'a> {
    prefix: &'a str,
    seen: usize,
    refs: Vec<RemoteRef>,
}

impl<'a> Listing<'a> {
    fn of(prefix: &'a str) -> Self {
        Self {
            prefix,
            seen: 0,
            refs: Vec::new(),
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        self.seen += 1;
        if self.seen > REF_LIMIT {
            return Err(format!("it has more than {REF_LIMIT} refs"));
        }
        let Some(found) = parse_line(line)? else {
            return Ok(());
        };
        // The older protocol says what a tag stands for in a line of its own.
        if let Some(tag) = found.name.strip_suffix("^{}") {
            if let Some(last) = self.refs.last_mut().filter(|last| last.name == tag) {
                last.peeled = Some(found.target);
            }
        } else if found.name.starts_with(self.prefix) {
            self.refs.push(found);
        }
        Ok(())
    }
}

/// Reads the answer to `ls-refs`. A cut-off answer is an error: what is missing could be the branch that is asked for.
pub(super) fn parse_listing(body: &[u8], prefix: &str) -> Result<Vec<RemoteRef>, String> {
    let mut listing = Listing::of(prefix);
    for packet in Packets(body) {
        match packet.ok_or("it breaks git's framing or is cut off")? {
            Packet::Line(line) => listing.take(line)?,
            Packet::Flush => return Ok(listing.refs),
            Packet::Delimiter | Packet::End => return Err("it is not a list of refs".to_owned()),
        }
    }
    Err("it is cut off".to_owned())
}

/// Reads what `info/refs` answers.
pub(super) fn parse_advertisement(body: &[u8], prefix: &str) -> Result<Advertisement, String> {
    let mut packets = Packets(body).peekable();
    if matches!(packets.peek(), Some(Some(Packet::Line(line))) if line.starts_with(b"# service=")) {
        packets.nth(1);
    }
    let mut listing = Listing::of(prefix);
    for packet in packets {
        match packet.ok_or("it breaks git's framing or is cut off")? {
            Packet::Line(b"version 2") => return Ok(Advertisement::Modern),
            Packet::Line(b"version 1") => {}
            Packet::Line(line) => listing.take(before_nul(line))?,
            Packet::Flush => return Ok(Advertisement::Legacy(listing.refs)),
            Packet::Delimiter | Packet::End => {
                return Err("it is no advertisement of refs".to_owned());
            }
        }
    }
    Err("it is cut off".to_owned())
}

fn before_nul(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == 0).next().unwrap_or(line)
}

/// A ref of a line, none for the lines that carry something else.
fn parse_line(line: &[u8]) -> Result<Option<RemoteRef>, String> {
    let text = String::from_utf8_lossy(line);
    if let Some(message) = text.strip_prefix("ERR ") {
        let shown: String = message.chars().take(200).collect();
        return Err(format!("the server says `{}`", shown.escape_debug()));
    }
    let mut words = text.split(' ');
    let (Some(id), Some(name)) = (words.next(), words.next()) else {
        return Err("a line of it names no ref".to_owned());
    };
    if matches!(id, "unborn" | "shallow") || name == "capabilities^{}" {
        return Ok(None);
    }
    let object = |id: &str| {
        id.parse()
            .map_err(|_| "a line of it names no object".to_owned())
    };
    let peeled = words.find_map(|word| word.strip_prefix("peeled:"));
    Ok(Some(RemoteRef {
        name: name.to_owned(),
        target: object(id)?,
        peeled: peeled.map(object).transpose()?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "95d09f2b10159347eece71399a7e2e907ea3df4f";
    const TAG: &str = "0123456789012345678901234567890123456789";

    fn frame(lines: &[&str]) -> Vec<u8> {
        let mut body = Vec::new();
        for line in lines {
            match *line {
                "FLUSH" => body.extend_from_slice(b"0000"),
                line => {
                    body.extend_from_slice(format!("{:04x}{line}\n", line.len() + 5).as_bytes());
                }
            }
        }
        body
    }

    fn main_ref() -> RemoteRef {
        RemoteRef {
            name: "refs/heads/main".into(),
            target: ID.parse().unwrap(),
            peeled: None,
        }
    }

    fn tag_ref() -> RemoteRef {
        RemoteRef {
            name: "refs/tags/v1".into(),
            target: TAG.parse().unwrap(),
            peeled: Some(ID.parse().unwrap()),
        }
    }

    #[test]
    fn a_listing_gives_its_refs() {
        let body = frame(&[
            &format!("{ID} refs/heads/main symref-target:x"),
            "unborn HEAD",
            "FLUSH",
        ]);
        assert_eq!(
            parse_listing(&body, "refs/heads/main"),
            Ok(vec![main_ref()])
        );
        assert_eq!(parse_listing(&body, "refs/tags/"), Ok(vec![]));
        assert_eq!(parse_listing(b"0000", ""), Ok(vec![]));
    }

    #[test]
    fn what_a_tag_stands_for_is_read_from_both_protocols() {
        let modern = frame(&[&format!("{TAG} refs/tags/v1 peeled:{ID}"), "FLUSH"]);
        assert_eq!(parse_listing(&modern, "refs/tags/"), Ok(vec![tag_ref()]));
        let legacy = frame(&[
            &format!("{TAG} refs/tags/v1"),
            &format!("{ID} refs/tags/v1^{{}}"),
            "FLUSH",
        ]);
        let read = parse_advertisement(&legacy, "refs/tags/v1");
        assert_eq!(read, Ok(Advertisement::Legacy(vec![tag_ref()])));
    }

    #[test]
    fn t15_a_list_without_end_is_refused() {
        let mut body = frame(&[&format!("{ID} refs/heads/x")]).repeat(REF_LIMIT + 1);
        body.extend_from_slice(b"0000");
        assert!(
            parse_listing(&body, "refs/heads/main")
                .unwrap_err()
                .contains("100000")
        );
    }

    #[test]
    fn both_protocols_are_told_apart() {
        let modern = frame(&[
            "# service=git-upload-pack",
            "FLUSH",
            "version 2",
            "ls-refs",
            "FLUSH",
        ]);
        assert_eq!(parse_advertisement(&modern, ""), Ok(Advertisement::Modern));
        let legacy = frame(&[
            "# service=git-upload-pack",
            "FLUSH",
            &format!("{ID} refs/heads/main\0caps shallow"),
            "FLUSH",
        ]);
        assert_eq!(
            parse_advertisement(&legacy, ""),
            Ok(Advertisement::Legacy(vec![main_ref()]))
        );
    }

    #[test]
    fn f10_garbage_is_refused_and_never_an_empty_list() {
        let cut = frame(&[&format!("{ID} refs/heads/main"), "FLUSH"]);
        for length in 0..cut.len() {
            assert!(parse_listing(&cut[..length], "").is_err(), "{length}");
        }
        for body in [
            &b""[..],
            b"<!DOCTYPE html>",
            b"0001",
            b"0002",
            b"000dERR gone!",
            b"0009main\n0000",
        ] {
            assert!(parse_listing(body, "").is_err(), "{body:?}");
            assert!(parse_advertisement(body, "").is_err(), "{body:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes: Vec<u8>) {
            parse_listing(&bytes, "refs/").ok();
            parse_advertisement(&bytes, "refs/").ok();
        }
    }
}
