//! Static files: which file a URL path means, and the answer for it. Reads only, and only beneath the directory that a site names.

pub(crate) mod date;
mod kind;
mod open;
mod path;
mod range;
mod stream;

use std::os::fd::OwnedFd;
use std::path::Path;

use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};
use rustix::fs::Stat;

pub(crate) use path::{PathError, UrlPath, segments};
pub(crate) use stream::FileBody;

use open::Found;
use range::Wanted;

/// What stands in every directory's stead.
const INDEX: &[u8] = b"index.html";

/// What is asked of a static root.
pub(crate) struct Asked<'a> {
    /// GET or HEAD.
    pub(crate) method: &'a Method,
    /// The whole path of the URL.
    pub(crate) path: &'a UrlPath,
    /// Its query with the question mark, for redirects.
    pub(crate) query: Option<&'a str>,
    /// The request's headers.
    pub(crate) headers: &'a HeaderMap,
}

/// A directory that is served.
pub(crate) struct Root<'a> {
    /// The directory.
    pub(crate) directory: &'a Path,
    /// The segments of the URL that lead to it.
    pub(crate) prefix: &'a [Vec<u8>],
    /// Whether an unknown path gets `index.html`.
    pub(crate) spa: bool,
}

/// The answer for a query; `None` when there is no such file.
pub(crate) fn answer(
    root: &Root<'_>,
    asked: &Asked<'_>,
) -> std::io::Result<Option<Response<Option<FileBody>>>> {
    let Some(below) = asked.path.below(root.prefix) else {
        return Ok(None);
    };
    if path::is_hidden(below) {
        return Ok(None);
    }
    Ok(match resolve(root, asked, below)? {
        Target::File(file) => Some(serve(file, asked)),
        Target::Redirect => Some(redirect(asked)),
        Target::Nothing => None,
    })
}

struct ServedFile {
    file: OwnedFd,
    stat: Stat,
    content_type: &'static str,
}

enum Target {
    File(ServedFile),
    Redirect,
    Nothing,
}

fn resolve(root: &Root<'_>, asked: &Asked<'_>, below: &[Vec<u8>]) -> std::io::Result<Target> {
    let slash = asked.path.directory;
    match open::find(root.directory, below)? {
        Some(Found::File(file, stat)) if !slash => {
            let name = below.last().map_or(&[][..], Vec::as_slice);
            return Ok(Target::File(ServedFile {
                file,
                stat,
                content_type: kind::content_type(name),
            }));
        }
        Some(Found::Directory) => {
            if let Some(index) = index_of(root.directory, below)? {
                let served = slash || asked.path.segments.is_empty();
                return Ok(if served {
                    Target::File(index)
                } else {
                    Target::Redirect
                });
            }
        }
        _ => {}
    }
    if !root.spa {
        return Ok(Target::Nothing);
    }
    Ok(index_of(root.directory, &[])?.map_or(Target::Nothing, Target::File))
}

fn index_of(directory: &Path, below: &[Vec<u8>]) -> std::io::Result<Option<ServedFile>> {
    let mut path = below.to_vec();
    path.push(INDEX.to_vec());
    Ok(match open::find(directory, &path)? {
        Some(Found::File(file, stat)) => Some(ServedFile {
            file,
            stat,
            content_type: kind::content_type(INDEX),
        }),
        _ => None,
    })
}

fn redirect(asked: &Asked<'_>) -> Response<Option<FileBody>> {
    let path = path::as_directory_url(&asked.path.segments);
    let location = format!("{path}{}", asked.query.unwrap_or_default());
    let mut response = bare(StatusCode::MOVED_PERMANENTLY);
    insert(&mut response, LOCATION, &location);
    response
}

fn serve(served: ServedFile, asked: &Asked<'_>) -> Response<Option<FileBody>> {
    let size = u64::try_from(served.stat.st_size).unwrap_or(0);
    let tag = entity_tag(&served.stat);
    let modified = date::http(u64::try_from(served.stat.st_mtime).unwrap_or(0));
    let mut response = bare(StatusCode::OK);
    insert(&mut response, ETAG, &tag);
    insert(&mut response, LAST_MODIFIED, &modified);
    if is_unchanged(asked.headers, &tag, &modified) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    insert(&mut response, ACCEPT_RANGES, "bytes");
    let (first, length) = match range_for(asked.headers, size, &tag, &modified) {
        Wanted::Whole => (0, size),
        Wanted::Part { first, last } => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let part = format!("bytes {first}-{last}/{size}");
            insert(&mut response, CONTENT_RANGE, &part);
            (first, last - first + 1)
        }
        Wanted::Unsatisfiable => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            insert(&mut response, CONTENT_RANGE, &format!("bytes */{size}"));
            return response;
        }
    };
    insert(&mut response, CONTENT_TYPE, served.content_type);
    insert(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    insert(&mut response, CONTENT_LENGTH, &length.to_string());
    if asked.method != Method::HEAD {
        *response.body_mut() = Some(FileBody::new(served.file, first, length));
    }
    response
}

fn bare(status: StatusCode) -> Response<Option<FileBody>> {
    let mut response = Response::new(None);
    *response.status_mut() = status;
    response
}

/// Values are made of numbers, escapes and constants; one that is none of a header's is left out.
fn insert(response: &mut Response<Option<FileBody>>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn entity_tag(stat: &Stat) -> String {
    format!(
        "\"{:x}.{:x}-{:x}\"",
        stat.st_mtime, stat.st_mtime_nsec, stat.st_size
    )
}

/// `If-None-Match` goes before `If-Modified-Since`; the date must be exactly ours.
fn is_unchanged(headers: &HeaderMap, tag: &str, modified: &str) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    match text(IF_NONE_MATCH) {
        Some(tags) => tags
            .split(',')
            .map(|t| t.trim().trim_start_matches("W/"))
            .any(|t| t == "*" || t == tag),
        None => text(IF_MODIFIED_SINCE) == Some(modified),
    }
}

/// A range counts only while the file is still the one that `If-Range` names.
fn range_for(headers: &HeaderMap, size: u64, tag: &str, modified: &str) -> Wanted {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    match text(IF_RANGE) {
        Some(condition) if condition != tag && condition != modified => Wanted::Whole,
        _ => range::wanted(text(RANGE), size),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "real files are what is tested")]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn site() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("docs")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::create_dir_all(root.join("empty")).unwrap();
        fs::write(root.join("index.html"), "home").unwrap();
        fs::write(root.join("docs/index.html"), "docs").unwrap();
        fs::write(root.join("a b.css"), "0123456789").unwrap();
        fs::write(root.join(".env"), "SECRET=1").unwrap();
        fs::write(root.join(".git/config"), "[core]").unwrap();
        symlink("/etc/passwd", root.join("passwd")).unwrap();
        dir
    }

    struct Case<'a> {
        path: &'a str,
        spa: bool,
        headers: &'a [(HeaderName, &'a str)],
    }

    fn ask(dir: &tempfile::TempDir, case: &Case<'_>) -> Option<Response<Option<FileBody>>> {
        let headers = case
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect();
        let root = Root {
            directory: dir.path(),
            prefix: &[],
            spa: case.spa,
        };
        let path = UrlPath::parse(case.path).ok()?;
        let asked = Asked {
            method: &Method::GET,
            path: &path,
            query: Some("?q=1"),
            headers: &headers,
        };
        answer(&root, &asked).unwrap()
    }

    fn get(dir: &tempfile::TempDir, path: &str) -> Option<Response<Option<FileBody>>> {
        let case = Case {
            path,
            spa: false,
            headers: &[],
        };
        ask(dir, &case)
    }

    fn header(response: &Response<Option<FileBody>>, name: HeaderName) -> &str {
        response.headers()[name].to_str().unwrap()
    }

    #[test]
    fn files_indexes_and_redirects_are_found() {
        let dir = site();
        let css = get(&dir, "/a%20b.css").unwrap();
        assert_eq!(header(&css, CONTENT_TYPE), "text/css; charset=utf-8");
        assert_eq!(header(&css, CONTENT_LENGTH), "10");
        assert!(get(&dir, "/").is_some() && get(&dir, "/docs/").is_some());
        let moved = get(&dir, "/docs").unwrap();
        assert_eq!(moved.status(), StatusCode::MOVED_PERMANENTLY);
        assert_eq!(header(&moved, LOCATION), "/docs/?q=1");
        assert!(get(&dir, "/empty/").is_none() && get(&dir, "/a%20b.css/").is_none());
    }

    #[test]
    fn t29_nothing_hidden_or_outside_is_served() {
        let dir = site();
        for path in [
            "/.env",
            "/.git/config",
            "/%2eenv",
            "/%2e%2e/etc/passwd",
            "/../../etc/passwd",
            "/passwd",
            "/etc/passwd",
            "//etc/passwd",
            "/docs/..%2f.env",
            "/%2Fetc%2Fpasswd",
        ] {
            for spa in [false, true] {
                let case = Case {
                    path,
                    spa,
                    headers: &[],
                };
                let found = ask(&dir, &case).map(|r| header(&r, CONTENT_LENGTH).to_owned());
                let home = spa.then(|| "4".to_owned());
                assert!(found.is_none() || found == home, "{path}: {found:?}");
            }
        }
    }

    #[test]
    fn an_unknown_path_gets_the_index_only_when_the_site_says_spa() {
        let dir = site();
        assert!(get(&dir, "/some/route").is_none());
        let case = Case {
            path: "/some/route",
            spa: true,
            headers: &[],
        };
        assert_eq!(header(&ask(&dir, &case).unwrap(), CONTENT_LENGTH), "4");
    }

    #[test]
    fn what_the_client_has_already_is_not_sent_again() {
        let dir = site();
        let tag = header(&get(&dir, "/").unwrap(), ETAG).to_owned();
        let weak = format!("\"x\", W/{tag}");
        let with = |name: HeaderName, value: &str| {
            let case = Case {
                path: "/",
                spa: false,
                headers: &[(name, value)],
            };
            ask(&dir, &case).unwrap().status()
        };
        assert_eq!(with(IF_NONE_MATCH, &weak), StatusCode::NOT_MODIFIED);
        assert_eq!(with(IF_NONE_MATCH, "\"x\""), StatusCode::OK);
        let date = header(&get(&dir, "/").unwrap(), LAST_MODIFIED).to_owned();
        assert_eq!(with(IF_MODIFIED_SINCE, &date), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn a_range_is_a_part_of_the_same_file() {
        let dir = site();
        let with = |headers: &[(HeaderName, &str)]| {
            let case = Case {
                path: "/a%20b.css",
                spa: false,
                headers,
            };
            ask(&dir, &case).unwrap()
        };
        let part = with(&[(RANGE, "bytes=2-4")]);
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(header(&part, CONTENT_RANGE), "bytes 2-4/10");
        let stale = with(&[(RANGE, "bytes=2-4"), (IF_RANGE, "\"old\"")]);
        assert_eq!(stale.status(), StatusCode::OK);
        let beyond = with(&[(RANGE, "bytes=10-")]);
        assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    }
}
