//! `[source]`: exactly one place, with what pins it.

use super::{Draft, stays_beneath};
use crate::spec::app::SourceSpec;
use crate::spec::sections::SourceSection;
use crate::spec::suggest::shortened;

/// What the code can come from, each with the keys that go with it.
const KINDS: [(&str, &[&str]); 3] = [
    ("git", &["branch", "tag", "semver", "commit", "path"]),
    ("url", &["sha256", "path"]),
    ("image", &[]),
];

/// Ways to say which commit of a repository is meant.
const REFS: [&str; 4] = ["branch", "tag", "semver", "commit"];

impl Draft<'_> {
    pub(super) fn source(&mut self, section: Option<&SourceSection>) -> Option<SourceSpec> {
        let section = section?;
        let given: Vec<&str> = KINDS
            .iter()
            .map(|(kind, _)| *kind)
            .filter(|kind| self.has_source(kind))
            .collect();
        let kind = match given.as_slice() {
            [kind] => *kind,
            [] if self.in_doubt("/source") => return None,
            [] => {
                let hint = "add one of `git`, `url` and `image`; without `[source]` the spec's own directory is the source";
                self.key_error("/source", "`[source]` names no source", hint);
                return None;
            }
            [first, second, ..] => {
                self.either_of(first, second);
                return None;
            }
        };
        self.strangers(kind);
        match kind {
            "git" => self.git(section),
            "url" => self.archive(section),
            _ => return self.image(section),
        }
        self.unbuilt("/source", format!("[source] {kind}"));
        None
    }

    fn has_source(&self, key: &str) -> bool {
        self.tree.value.pointer(&format!("/source/{key}")).is_some()
    }

    fn either_of(&mut self, first: &str, second: &str) {
        let words = (
            format!("`[source]` has both `{first}` and `{second}`"),
            "keep one of the two".to_owned(),
        );
        let other = format!("/source/{first}");
        self.conflict(
            &format!("/source/{second}"),
            (&other, "the other one"),
            words,
        );
    }

    /// Keys that go with another kind of source.
    fn strangers(&mut self, kind: &str) {
        let own = KINDS.iter().find(|(name, _)| *name == kind);
        let own = own.map_or(&[][..], |(_, keys)| keys);
        for key in ["branch", "tag", "semver", "commit", "path", "sha256"] {
            if own.contains(&key) || !self.has_source(key) {
                continue;
            }
            let home = if key == "sha256" { "url" } else { "git" };
            let message = format!("`{key}` does not go with `{kind}`");
            let hint = format!("it goes with `{home}`; remove it");
            self.key_error(&format!("/source/{key}"), message, hint);
        }
    }

    fn git(&mut self, section: &SourceSection) {
        self.address("/source/git", section.git.as_deref(), &["https", "ssh"]);
        self.directory(section);
        let refs: Vec<&str> = REFS
            .into_iter()
            .filter(|key| self.has_source(key))
            .collect();
        match refs.as_slice() {
            [_] => {}
            [] => {
                let hint = "add `branch = \"main\"`, or one of `tag`, `semver` and `commit`";
                self.key_error("/source/git", "nothing says which commit is meant", hint);
            }
            [first, second, ..] => self.either_of(first, second),
        }
    }

    fn archive(&mut self, section: &SourceSection) {
        self.address("/source/url", section.url.as_deref(), &["https"]);
        self.directory(section);
        if !self.has_source("sha256") {
            let hint = "add `sha256 = \"…\"` with what `sha256sum` prints for it";
            self.key_error("/source/url", "nothing pins the archive", hint);
        }
    }

    fn directory(&mut self, section: &SourceSection) {
        let path = section.path.as_deref();
        if let Some(path) = path.filter(|path| !stays_beneath(path)) {
            let message = format!("`{}` leaves the source", shortened(path));
            self.error("/source/path", message, "use a relative path without `..`");
        }
    }

    /// An address whose parts no program can take for something else, and that holds no password.
    fn address(&mut self, pointer: &str, text: Option<&str>, schemes: &[&str]) {
        let Some(text) = text else { return };
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let authority = rest.split('/').next().unwrap_or_default();
        if authority
            .rsplit_once('@')
            .is_some_and(|(user, _)| user.contains(':'))
        {
            let message = "the address holds a password, and everybody who can read the config repo can read it";
            let hint = "remove it; the operator gives access in agent.toml";
            self.tell(|tree| tree.error(pointer, message).hint(hint).redacted());
            return;
        }
        let scheme = if scp_like(text) { "ssh" } else { scheme };
        if !schemes.contains(&scheme)
            || !plain(text)
            || authority.is_empty()
            || authority.starts_with('-')
        {
            let message = format!(
                "`{}` is not an address that can be fetched",
                shortened(text)
            );
            let example = if schemes.contains(&"ssh") {
                "write it as the forge shows it: `https://forge.example/shop.git`"
            } else {
                "write the whole address: `https://forge.example/shop-1.2.tar.gz`"
            };
            self.error(pointer, message, example);
        }
    }

    fn image(&mut self, section: &SourceSection) -> Option<SourceSpec> {
        let image = section.image.as_deref()?;
        if !pinned(image) {
            let name = image.split(['@', ' ']).next().unwrap_or_default();
            let hint = format!(
                "pin it by digest: `{}@sha256:<64 hexadecimal digits>`",
                shortened(name)
            );
            self.error("/source/image", "the image is not pinned by digest", hint);
        }
        Some(SourceSpec::Image(image.to_owned()))
    }
}

/// `git@forge.example:shop.git`
fn scp_like(text: &str) -> bool {
    let user = text.split_once('@').map(|(user, _)| user);
    !text.contains("://")
        && text.contains(':')
        && user.is_some_and(|user| !user.contains(['/', ':']))
}

fn plain(text: &str) -> bool {
    let hostile = |c: char| c.is_control() || c.is_whitespace() || "'\"`\\<>|;$".contains(c);
    !text.is_empty() && text.len() <= 2048 && !text.starts_with('-') && !text.contains(hostile)
}

/// Whether an image is named by its digest, in characters that no command line can mistake.
fn pinned(image: &str) -> bool {
    let hex = |digest: &str| {
        digest.len() == 64
            && digest
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let plain = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-/:".contains(c))
    };
    image
        .split_once("@sha256:")
        .is_some_and(|(name, digest)| plain(name) && hex(digest))
}
