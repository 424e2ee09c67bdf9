//! `secrets/recipients.txt`: one age recipient per line, for whom secrets are encrypted. No message and no excerpt shows a line that is none:
//! it may be anything, a secret key among them.

use crate::spec::{Diagnostic, Position};

/// What is wrong with the lines of the file.
pub(super) fn check(path: &str, bytes: &[u8]) -> Vec<Diagnostic> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let message = "the file is not valid UTF-8";
        return vec![Diagnostic::error_at(Position::start(path), message).hint("save it as UTF-8")];
    };
    let lines = text.lines().zip(1u32..);
    let wrong = lines.filter_map(|(line, number)| Some((problem(line.trim())?, number)));
    wrong
        .map(|((message, hint), line)| {
            let at = Position {
                line,
                ..Position::start(path)
            };
            Diagnostic::error_at(at, message)
                .key(&format!("/{line}"))
                .hint(hint)
        })
        .collect()
}

fn problem(line: &str) -> Option<(&'static str, &'static str)> {
    if line.is_empty() || line.starts_with('#') || is_age(line) || is_ssh(line) {
        return None;
    }
    if line.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") || line.contains("PRIVATE KEY") {
        return Some((
            "this line is a secret key: whoever can read the config repo can decrypt every secret",
            "put its public half here (`age1…`); then make a new key and new secrets, for git keeps what was committed",
        ));
    }
    if line.starts_with("age1") {
        return Some((
            "this line is no recipient: a character of it is missing or wrong",
            "copy the whole line that begins with `age1`",
        ));
    }
    Some((
        "this line is no recipient",
        "write one recipient per line: `age1…`, `ssh-ed25519 AAAA…` or `ssh-rsa AAAA…`; `#` starts a remark",
    ))
}

/// An X25519 or hybrid recipient, or one of an age plugin: Bech32 with its checksum.
fn is_age(line: &str) -> bool {
    let Some((prefix, data)) = line.rsplit_once('1') else {
        return false;
    };
    let known = prefix == "age" || prefix.starts_with("age1");
    known && bech32(prefix, data).is_some_and(|length| prefix != "age" || length == 32)
}

const BECH32: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// How many bytes a Bech32 text holds, if its checksum is right.
fn bech32(prefix: &str, data: &str) -> Option<usize> {
    let values: Option<Vec<u32>> = data
        .chars()
        .map(|c| u32::try_from(BECH32.find(c)?).ok())
        .collect();
    let values = values?;
    let payload = values.len().checked_sub(6)?;
    let letters = prefix.bytes().map(u32::from);
    let expanded = letters
        .clone()
        .map(|letter| letter >> 5)
        .chain([0])
        .chain(letters.map(|letter| letter & 31))
        .chain(values);
    (expanded.fold(1, polymod) == 1).then_some(payload * 5 / 8)
}

/// One step of Bech32's checksum.
fn polymod(checksum: u32, value: u32) -> u32 {
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let top = checksum >> 25;
    let shifted = ((checksum & 0x1ff_ffff) << 5) ^ value;
    let set = GENERATOR
        .iter()
        .enumerate()
        .filter(|(bit, _)| (top >> bit) & 1 == 1);
    set.fold(shifted, |sum, (_, generator)| sum ^ generator)
}

/// A public SSH key whose blob says that it is what the line says.
fn is_ssh(line: &str) -> bool {
    use base64::Engine as _;
    let mut words = line.split_whitespace();
    let (Some(kind @ ("ssh-ed25519" | "ssh-rsa")), Some(blob)) = (words.next(), words.next())
    else {
        return false;
    };
    let blob = base64::engine::general_purpose::STANDARD.decode(blob);
    let length = u32::try_from(kind.len()).unwrap_or_default().to_be_bytes();
    let beginning = [&length[..], kind.as_bytes()].concat();
    blob.is_ok_and(|blob| blob.starts_with(&beginning) && blob.len() > beginning.len() + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes from 0 to 31 as a recipient, and as an SSH key.
    const AGE: &str = "age1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0savhh7m";
    const SSH: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ops@host";

    fn told(text: &str) -> Vec<(u32, String)> {
        let found = check("secrets/recipients.txt", text.as_bytes());
        found
            .into_iter()
            .map(|d| (d.position.line, d.message))
            .collect()
    }

    #[test]
    fn recipients_remarks_and_blank_lines_are_right() {
        assert_eq!(told(&format!("# team\n\n{AGE}\n  {SSH}  \n")), []);
    }

    #[test]
    fn t27_a_wrong_line_is_told_by_its_number_alone() {
        let broken = AGE.replacen('q', "p", 1);
        let text =
            format!("{AGE}\n{broken}\nhunter2 canary\nAGE-SECRET-KEY-1CANARY\nssh-rsa AAAA\n");
        let found = told(&text);
        let lines: Vec<u32> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4, 5]);
        assert!(found[2].1.contains("secret key"), "{found:?}");
        let said = format!("{found:?}").to_lowercase();
        assert!(!said.contains("canary"), "{said}");
    }
}
