//! A URL path as the segments of a file's path. Pure; decodes once and never guesses.

/// Why a URL path leads to no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathError {
    /// It is no path: a broken escape, a NUL.
    Malformed,
    /// It goes up, hides a slash, or names a hidden file.
    Hidden,
}

/// A decoded URL path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UrlPath {
    /// Its segments without empty ones.
    pub(crate) segments: Vec<Vec<u8>>,
    /// Whether it ends in a slash.
    pub(crate) directory: bool,
}

impl UrlPath {
    /// Decodes a path as it stands in a request line, without its query.
    pub(crate) fn parse(path: &str) -> Result<Self, PathError> {
        let mut segments = Vec::new();
        for raw in path.split('/').filter(|raw| !raw.is_empty()) {
            let segment = decode(raw).ok_or(PathError::Malformed)?;
            if segment.contains(&0) {
                return Err(PathError::Malformed);
            }
            if segment == b".." || segment == b"." || segment.contains(&b'/') {
                return Err(PathError::Hidden);
            }
            segments.push(segment);
        }
        Ok(Self {
            segments,
            directory: path.ends_with('/'),
        })
    }

    /// What is left below a prefix; `None` when the path is not below it.
    pub(crate) fn below<'a>(&'a self, prefix: &[Vec<u8>]) -> Option<&'a [Vec<u8>]> {
        self.segments.strip_prefix(prefix)
    }
}

/// The segments of a configured URL path, which must start with a slash.
pub(crate) fn segments(path: &str) -> Option<Vec<Vec<u8>>> {
    path.starts_with('/')
        .then(|| UrlPath::parse(path).ok())
        .flatten()
        .map(|parsed| parsed.segments)
}

/// Whether a dotfile is among the segments; `.well-known` is meant to be seen.
pub(crate) fn is_hidden(segments: &[Vec<u8>]) -> bool {
    segments
        .iter()
        .any(|segment| segment.first() == Some(&b'.') && segment != b".well-known")
}

/// The path with every byte escaped that is not plain, with slashes around each segment: never `//host`.
pub(crate) fn as_directory_url(segments: &[Vec<u8>]) -> String {
    segments.iter().fold("/".to_owned(), |mut url, segment| {
        for byte in segment {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
                url.push(char::from(*byte));
            } else {
                url.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
        url.push('/');
        url
    })
}

fn digit(nibble: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(nibble)])
}

fn decode(raw: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => nibble(bytes.next()?)? << 4 | nibble(bytes.next()?)?,
            plain => plain,
        });
    }
    Some(decoded)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> Result<Vec<String>, PathError> {
        UrlPath::parse(path).map(|parsed| {
            let lossy = |s: &Vec<u8>| String::from_utf8_lossy(s).into_owned();
            parsed.segments.iter().map(lossy).collect()
        })
    }

    #[test]
    fn a_path_is_decoded_once() {
        assert_eq!(text("/a%20b//c/").unwrap(), ["a b", "c"]);
        assert_eq!(text("/%252e%252e").unwrap(), ["%2e%2e"]);
        assert_eq!(text("/").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn t29_no_spelling_of_going_up_gets_through() {
        for path in [
            "/../etc",
            "/a/../../etc",
            "/%2e%2e/etc",
            "/%2E%2e/",
            "/.%2e/x",
            "/a%2f..%2fb",
            "/./a",
            "/..",
        ] {
            assert_eq!(text(path), Err(PathError::Hidden), "{path}");
        }
        for path in ["/%", "/%g1", "/%4", "/a%00b"] {
            assert_eq!(text(path), Err(PathError::Malformed), "{path}");
        }
    }

    #[test]
    fn t29_dotfiles_are_hidden_in_every_spelling() {
        for path in ["/.env", "/.git/config", "/%2eenv", "/a/.ssh/id", "/..."] {
            assert!(is_hidden(&UrlPath::parse(path).unwrap().segments), "{path}");
        }
        let known = UrlPath::parse("/.well-known/acme-challenge/x").unwrap();
        assert!(!is_hidden(&known.segments));
    }

    #[test]
    fn a_prefix_matches_whole_segments() {
        let path = UrlPath::parse("/st%61tic/css/a.css").unwrap();
        assert_eq!(path.below(&segments("/static/").unwrap()).unwrap().len(), 2);
        assert!(path.below(&segments("/stat").unwrap()).is_none());
        assert_eq!(segments("static"), None);
    }

    #[test]
    fn a_redirect_never_leaves_the_host() {
        let path = UrlPath::parse("//evil.test/%0d%0ax").unwrap();
        assert_eq!(as_directory_url(&path.segments), "/evil.test/%0D%0Ax/");
    }
}
