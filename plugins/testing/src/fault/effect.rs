//! One effect in words: a name that is the same in every run, wherever the run takes place.

use std::path::Path;

/// What an effect does to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Write,
    Remove,
    Start,
    Talk,
    Signal,
}

/// An effect that was asked for.
pub(super) struct Effect<'a> {
    pub(super) kind: Kind,
    pub(super) doing: &'static str,
    pub(super) path: &'a Path,
    pub(super) what: String,
}

impl<'a> Effect<'a> {
    pub(super) fn on(kind: Kind, doing: &'static str, path: &'a Path) -> Self {
        Self {
            kind,
            doing,
            path,
            what: format!("{doing} {}", path.display()),
        }
    }

    /// Of a program.
    pub(super) fn start(path: &'a Path, what: String) -> Self {
        Self {
            kind: Kind::Start,
            doing: "start",
            path,
            what,
        }
    }
}

/// The same words without what differs from run to run: the directory that everything lies in, numbers, and names made of hex digits.
pub(super) fn name(what: &str, root: Option<&Path>) -> String {
    let root = root.map(|root| root.display().to_string());
    let what = match root.filter(|root| !root.is_empty()) {
        Some(root) => what.replace(&root, ""),
        None => what.to_owned(),
    };
    let (mut name, mut word) = (String::new(), String::new());
    for c in what.chars() {
        if c.is_ascii_alphanumeric() {
            word.push(c);
        } else {
            name.push_str(&settled(&word));
            word.clear();
            name.push(if c == '\n' { ' ' } else { c });
        }
    }
    name.push_str(&settled(&word));
    name
}

fn settled(word: &str) -> String {
    let is_hex = word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit());
    if is_hex {
        return "*".to_owned();
    }
    let mut settled = String::new();
    for c in word.chars() {
        if !c.is_ascii_digit() {
            settled.push(c);
        } else if !settled.ends_with('#') {
            settled.push('#');
        }
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_every_run() {
        let of = |what: &str, root: &str| name(what, Some(Path::new(root)));
        let first = of(
            "write /tmp/a1/data/apps/shop/releases/3/release.json",
            "/tmp/a1",
        );
        assert_eq!(first, "write /data/apps/shop/releases/#/release.json");
        assert_eq!(
            first,
            of(
                "write /tmp/b/data/apps/shop/releases/12/release.json",
                "/tmp/b"
            )
        );
        assert_eq!(
            of("ask /run/0123456789ab.sock: {\"act\":\"status\"}", ""),
            "ask /run/*.sock: {\"act\":\"status\"}"
        );
    }
}
