//! What is followed in a repository, and which of a remote's refs that is. Pure.

use std::fmt;

use gix::bstr::ByteSlice as _;
use hop3_plugin_api::Abort;
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use super::refs::RemoteRef;
use super::{CommitId, RepoError};

/// Where branches live.
pub(super) const HEADS: &str = "refs/heads/";
/// Where tags live.
const TAGS: &str = "refs/tags/";
/// How many branches or tags an error names.
const SUGGESTIONS: usize = 10;

/// What is followed in a repository.
///
/// Guarantees: no name of it starts with `-`, and each is one that git itself allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Words", into = "Words")]
#[non_exhaustive]
pub enum Reference {
    /// The newest commit of a branch, or of any other ref that is named in full: `refs/…`.
    Branch(RefName),
    /// The commit of a tag.
    Tag(RefName),
    /// The commit of the tag with the highest version within a range.
    Semver(VersionRange),
    /// This commit.
    Commit(CommitId),
}

/// The full name of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefName(String);

/// A range of versions, as Cargo writes them: `^1.4`, `>=1.2, <2`, `~1.4.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange(VersionReq);

impl Reference {
    /// Follows a branch, or another ref that is named in full.
    pub fn branch(name: &str) -> Result<Self, Abort> {
        let full = if name.starts_with("refs/") {
            name.to_owned()
        } else {
            format!("{HEADS}{name}")
        };
        RefName::parse(name, full, "a branch", "`main`, or a full one, `refs/…`").map(Self::Branch)
    }

    /// Follows a tag.
    pub fn tag(name: &str) -> Result<Self, Abort> {
        let full = format!("{TAGS}{}", name.strip_prefix(TAGS).unwrap_or(name));
        RefName::parse(name, full, "a tag", "`v1.4.0`").map(Self::Tag)
    }

    /// Follows the highest version within a range.
    pub fn semver(range: &str) -> Result<Self, Abort> {
        let parsed = VersionReq::parse(range).map_err(|error| {
            let message = format!("`{}` is not a range of versions: {error}", shown(range));
            Abort::new(message).hint("write it as Cargo does: `^1.4`, `>=1.2, <2`, `~1.4.0`, `*`")
        });
        parsed.map(|range| Self::Semver(VersionRange(range)))
    }

    /// Stays at a commit.
    pub fn commit(id: &str) -> Result<Self, Abort> {
        id.parse().map(Self::Commit).map_err(|error| {
            Abort::new(format!("{error}"))
                .hint("write all of its 40 digits, as `git rev-parse` prints them")
        })
    }

    /// What the names of all refs that matter start with; nothing when no ref matters.
    pub(super) fn prefix(&self) -> Option<&str> {
        match self {
            Self::Branch(name) | Self::Tag(name) => Some(&name.0),
            Self::Semver(_) => Some(TAGS),
            Self::Commit(_) => None,
        }
    }

    /// Where one would look for what could be followed instead.
    pub(super) fn neighbours(&self) -> &'static str {
        match self {
            Self::Tag(_) | Self::Semver(_) => TAGS,
            Self::Branch(_) | Self::Commit(_) => HEADS,
        }
    }

    /// The one that is followed among a remote's refs.
    pub(super) fn choose(&self, refs: &[RemoteRef]) -> Option<Tip> {
        match self {
            Self::Branch(name) | Self::Tag(name) => refs
                .iter()
                .find(|found| found.name == name.0)
                .map(|found| Tip::of(found, None)),
            Self::Semver(VersionRange(range)) => {
                let versions = refs
                    .iter()
                    .filter_map(|found| Some((version(&found.name)?, found)));
                let fitting = versions.filter(|(version, _)| range.matches(version));
                // Two spellings of one version: the name decides, so that every host decides alike.
                let best =
                    fitting.max_by(|(a, one), (b, two)| a.cmp(b).then(one.name.cmp(&two.name)));
                best.map(|(version, found)| Tip::of(found, Some(version)))
            }
            Self::Commit(id) => Some(Tip::at(*id)),
        }
    }

    /// Why nothing was chosen, from the refs that lie where it would have been.
    pub(super) fn missing(&self, url: &str, neighbours: &[RemoteRef]) -> RepoError {
        let url = url.to_owned();
        let place = self.neighbours();
        let names = neighbours
            .iter()
            .filter_map(|found| found.name.strip_prefix(place));
        let available: Vec<_> = names.take(SUGGESTIONS).map(str::to_owned).collect();
        match self {
            Self::Branch(_) if available.is_empty() => RepoError::EmptyRepository { url },
            Self::Branch(_) => RepoError::BranchMissing {
                url,
                branch: self.to_string(),
                available,
            },
            _ => RepoError::NothingToFollow {
                url,
                wanted: self.described(),
                available,
            },
        }
    }

    /// With its kind, for people and for remembering what was followed.
    pub(super) fn described(&self) -> String {
        let kind = match self {
            Self::Branch(_) => "branch",
            Self::Tag(_) => "tag",
            Self::Semver(_) => "semver",
            Self::Commit(_) => "commit",
        };
        format!("{kind} `{self}`")
    }
}

/// The version that a tag names: `v1.4.0` or `1.4.0`.
fn version(name: &str) -> Option<Version> {
    let tag = name.strip_prefix(TAGS)?;
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

impl RefName {
    fn parse(name: &str, full: String, what: &str, example: &str) -> Result<Self, Abort> {
        let allowed = !name.starts_with('-')
            && name.len() <= 255
            && gix::validate::reference::name(full.as_bytes().as_bstr()).is_ok();
        allowed.then_some(Self(full)).ok_or_else(|| {
            Abort::new(format!("`{}` is not the name of {what}", shown(name)))
                .hint(format!("write its name, for instance {example}"))
        })
    }
}

fn shown(text: &str) -> String {
    text.chars()
        .take(80)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(name) => f.write_str(name.0.strip_prefix(HEADS).unwrap_or(&name.0)),
            Self::Tag(name) => f.write_str(name.0.strip_prefix(TAGS).unwrap_or(&name.0)),
            Self::Semver(range) => range.0.fmt(f),
            Self::Commit(id) => id.fmt(f),
        }
    }
}

/// A reference on its way to the fetching child: its kind and its text.
#[derive(Serialize, Deserialize)]
struct Words(String, String);

impl From<Reference> for Words {
    fn from(reference: Reference) -> Self {
        let kind = match &reference {
            Reference::Branch(name) => return Self("branch".into(), name.0.clone()),
            Reference::Tag(_) => "tag",
            Reference::Semver(_) => "semver",
            Reference::Commit(_) => "commit",
        };
        Self(kind.to_owned(), reference.to_string())
    }
}

impl TryFrom<Words> for Reference {
    type Error = String;

    fn try_from(Words(kind, text): Words) -> Result<Self, String> {
        let parsed = match kind.as_str() {
            "branch" => Self::branch(&text),
            "tag" => Self::tag(&text),
            "semver" => Self::semver(&text),
            "commit" => Self::commit(&text),
            _ => return Err(format!("`{kind}` is nothing that could be followed")),
        };
        parsed.map_err(|abort| abort.message)
    }
}

/// What a remote has where we follow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tip {
    /// What is asked for: a commit, or a tag that points at one.
    pub(super) object: CommitId,
    /// The commit.
    pub(super) commit: CommitId,
    /// The version, when versions are followed.
    pub(super) version: Option<Version>,
}

impl Tip {
    fn of(found: &RemoteRef, version: Option<Version>) -> Self {
        let commit = found.peeled.unwrap_or(found.target);
        Self {
            object: found.target,
            commit,
            version,
        }
    }

    /// A commit that is known by its name.
    pub(super) fn at(commit: CommitId) -> Self {
        Self {
            object: commit,
            commit,
            version: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "95d09f2b10159347eece71399a7e2e907ea3df4f";
    const B: &str = "0123456789012345678901234567890123456789";

    fn found(name: &str, target: &str) -> RemoteRef {
        RemoteRef {
            name: name.into(),
            target: target.parse().unwrap(),
            peeled: None,
        }
    }

    #[test]
    fn branches_and_tags_are_named_as_git_names_them() {
        for (name, full) in [
            ("main", "refs/heads/main"),
            ("release/1.2", "refs/heads/release/1.2"),
            ("refs/heads/main", "refs/heads/main"),
            ("refs/environments/prod", "refs/environments/prod"),
        ] {
            assert_eq!(Reference::branch(name).unwrap().prefix(), Some(full));
        }
        assert_eq!(Reference::tag("v1").unwrap().prefix(), Some("refs/tags/v1"));
        assert_eq!(
            Reference::tag("refs/tags/v1").unwrap().prefix(),
            Some("refs/tags/v1")
        );
        for name in [
            "",
            "-x",
            "--upload-pack=x",
            "a b",
            "a..b",
            "a\n",
            "x.lock",
            "a~1",
            "a^",
            "a:b",
            "/a",
            "a/",
            "@{0}",
            "*",
            "a\\b",
            "a?",
            "a[",
            "refs/",
            "refs/heads/",
            ".a",
            "a/.b",
            "a\u{7f}",
        ] {
            assert!(Reference::branch(name).is_err(), "{name:?}");
            assert!(Reference::tag(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_highest_version_in_the_range_is_chosen_whatever_its_spelling() {
        let refs = [
            found("refs/tags/v1.2.0", A),
            found("refs/tags/1.10.0", B),
            found("refs/tags/v1.9.9", A),
            found("refs/tags/v2.0.0", A),
            found("refs/tags/v1.11.0-rc.1", A),
            found("refs/tags/latest", A),
            found("refs/tags/v1.10", A),
        ];
        let tip = Reference::semver("^1.2").unwrap().choose(&refs).unwrap();
        assert_eq!(
            (
                tip.commit.to_string().as_str(),
                tip.version.unwrap().to_string().as_str()
            ),
            (B, "1.10.0")
        );
        assert_eq!(Reference::semver(">=3").unwrap().choose(&refs), None);
        for range in ["", "one", "^", "1.2.3.4", "--x"] {
            assert!(Reference::semver(range).is_err(), "{range:?}");
        }
    }

    #[test]
    fn an_annotated_tag_is_asked_for_and_its_commit_is_applied() {
        let mut tag = found("refs/tags/v1.0.0", A);
        tag.peeled = Some(B.parse().unwrap());
        let tip = Reference::tag("v1.0.0").unwrap().choose(&[tag]).unwrap();
        assert_eq!(
            (tip.object.to_string(), tip.commit.to_string()),
            (A.to_owned(), B.to_owned())
        );
    }

    #[test]
    fn a_branch_whose_name_another_one_starts_with_is_not_that_one() {
        let refs = [found("refs/heads/main-old", A), found("refs/heads/main", B)];
        let tip = Reference::branch("main").unwrap().choose(&refs).unwrap();
        assert_eq!(tip.commit.to_string(), B);
        assert_eq!(Reference::branch("mai").unwrap().choose(&refs), None);
    }

    #[test]
    fn a_reference_survives_the_way_to_the_child() {
        for reference in [
            Reference::branch("main").unwrap(),
            Reference::branch("refs/environments/prod").unwrap(),
            Reference::tag("v1").unwrap(),
            Reference::semver("^1.4").unwrap(),
            Reference::commit(A).unwrap(),
        ] {
            let text = serde_json::to_string(&reference).unwrap();
            assert_eq!(
                serde_json::from_str::<Reference>(&text).unwrap(),
                reference,
                "{text}"
            );
        }
        assert!(serde_json::from_str::<Reference>("[\"branch\", \"-x\"]").is_err());
        assert!(Reference::commit("main").is_err() && Reference::commit(&A[..39]).is_err());
    }
}
