//! The host name of a request. Pure.

use hyper::header::HOST;
use hyper::{Request, Version};

/// A host name as the client wrote it, and as it is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestHost {
    written: String,
    name: String,
}

/// Why a request's host cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadHost;

impl RequestHost {
    /// Takes a `host[:port]` apart.
    pub(crate) fn parse(written: &str) -> Result<Self, BadHost> {
        let name = normalised(written).ok_or(BadHost)?;
        Ok(Self {
            written: written.to_owned(),
            name,
        })
    }

    /// The host of a request: that of an absolute URI, else the one `Host` header. An old client without any has an empty one, for
    /// which only a catch-all answers.
    pub(crate) fn of<B>(request: &Request<B>) -> Result<Self, BadHost> {
        if let Some(authority) = request.uri().authority() {
            let written = authority.as_str();
            return Self::parse(written.rsplit_once('@').map_or(written, |(_, host)| host));
        }
        let mut headers = request.headers().get_all(HOST).iter();
        match (headers.next(), headers.next()) {
            (Some(only), None) => Self::parse(only.to_str().map_err(|_| BadHost)?),
            (None, None) if request.version() < Version::HTTP_11 => Ok(Self {
                written: String::new(),
                name: String::new(),
            }),
            _ => Err(BadHost),
        }
    }

    /// As the client wrote it, with its port.
    pub(crate) fn written(&self) -> &str {
        &self.written
    }

    /// Lower case, without port and trailing dot.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The name of a `host[:port]` in lower case without a trailing dot; `None` when it is not one.
fn normalised(written: &str) -> Option<String> {
    let (name, port) = if written.starts_with('[') {
        let end = written.find(']')? + 1;
        let port = written[end..].strip_prefix(':');
        (port.is_some() || end == written.len()).then(|| (&written[..end], port))?
    } else {
        match written.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (written, None),
        }
    };
    let port_fits = port.is_none_or(|p| p.len() <= 5 && p.bytes().all(|b| b.is_ascii_digit()));
    let name = name.strip_suffix('.').unwrap_or(name);
    let name_fits = !name.is_empty() && name.len() <= 253 && name.bytes().all(allowed);
    (port_fits && name_fits).then(|| name.to_ascii_lowercase())
}

/// Letters, digits and what stands in host names and addresses; nothing that means something in a URL or a header.
fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_port_and_trailing_dot_do_not_matter() {
        for (written, name) in [
            ("Shop.Test:8080", "shop.test"),
            ("shop.test.", "shop.test"),
            ("shop.test.:80", "shop.test"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(normalised(written).as_deref(), Some(name), "{written}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in [
            "",
            ".",
            ":80",
            "a b",
            "a/b",
            "a@b",
            "shop.test:x",
            "shop.test:123456",
            "[::1",
            "[::1]x",
            "a,b",
            "é.test",
            "a\u{0}b",
        ] {
            assert_eq!(normalised(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_request_has_exactly_one_host() {
        let request = |uri: &str, hosts: &[&str], version| {
            let mut builder = Request::builder().uri(uri).version(version);
            for host in hosts {
                builder = builder.header(HOST, *host);
            }
            RequestHost::of(&builder.body(()).unwrap())
        };
        let one = request("/", &["a.test"], Version::HTTP_11).unwrap();
        assert_eq!(one.name(), "a.test");
        assert_eq!(request("/", &[], Version::HTTP_11), Err(BadHost));
        assert_eq!(request("/", &["a", "b"], Version::HTTP_11), Err(BadHost));
        let absolute = request("http://u@b.test:81/x", &["a.test"], Version::HTTP_11).unwrap();
        assert_eq!(absolute.name(), "b.test");
        assert_eq!(request("/", &[], Version::HTTP_10).unwrap().name(), "");
    }
}
