//! Headers on their way through: what belongs to one connection stops here, and what tells the app about the client is ours alone to say.

use std::net::SocketAddr;

use hyper::header::{
    self, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE,
};

use crate::routing::RequestHost;

/// Headers about one connection, never about the message.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers without a constant: those about a connection, and those that an app would believe about its client.
const STRIPPED: [&str; 8] = [
    "keep-alive",
    "proxy-connection",
    "proxy",
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "expect",
];

/// Who sent a request, and where it came in.
pub(super) struct Sender<'a> {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) host: &'a RequestHost,
}

/// The headers of a request as its backend gets them.
pub(super) fn for_backend(headers: &mut HeaderMap, sender: &Sender<'_>, web_socket: bool) {
    strip_hop_by_hop(headers);
    for name in STRIPPED {
        headers.remove(name);
    }
    remove_where(headers, |name| {
        name.as_str().starts_with("x-forwarded-") || name.as_str().contains('_')
    });
    let peer = sender.peer.ip().to_canonical().to_string();
    set(headers, "x-forwarded-for", &peer);
    set(headers, "x-real-ip", &peer);
    set(headers, "x-forwarded-proto", "http");
    set(
        headers,
        "x-forwarded-port",
        &sender.local.port().to_string(),
    );
    if let Ok(host) = HeaderValue::from_str(sender.host.written())
        && !host.is_empty()
    {
        headers.insert(HOST, host.clone());
        headers.insert("x-forwarded-host", host);
    }
    if web_socket {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
}

/// The headers of an answer as the client gets them.
pub(super) fn for_client(headers: &mut HeaderMap, own: &[(HeaderName, HeaderValue)]) {
    strip_hop_by_hop(headers);
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    add(headers, own);
}

/// The site's own headers, in place of what the backend said.
pub(super) fn add(headers: &mut HeaderMap, own: &[(HeaderName, HeaderValue)]) {
    for (name, value) in own {
        headers.insert(name, value.clone());
    }
}

/// Whether a request asks for a web socket; any other upgrade is none of ours.
pub(super) fn asks_for_web_socket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(UPGRADE).and_then(|v| v.to_str().ok());
    upgrade.is_some_and(|what| what.eq_ignore_ascii_case("websocket"))
        && connection_options(headers).any(|option| option == "upgrade")
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = connection_options(headers)
        .filter_map(|option| HeaderName::from_bytes(option.as_bytes()).ok())
        .filter(|name| *name != HOST && *name != CONTENT_LENGTH)
        .collect();
    for name in listed.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|option| option.trim().to_ascii_lowercase())
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|n| unwanted(n)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    fn sent(pairs: &[(&str, &str)], web_socket: bool) -> HeaderMap {
        let mut headers = map(pairs);
        let host = RequestHost::parse("Shop.test:8080").unwrap();
        let sender = Sender {
            peer: "[::ffff:192.0.2.7]:5000".parse().unwrap(),
            local: "127.0.0.1:8080".parse().unwrap(),
            host: &host,
        };
        for_backend(&mut headers, &sender, web_socket);
        headers
    }

    #[test]
    fn t09_the_client_cannot_say_who_it_is() {
        let headers = sent(
            &[
                ("x-forwarded-for", "203.0.113.1"),
                ("x-forwarded-for", "203.0.113.2"),
                ("x-forwarded-user", "admin"),
                ("x_forwarded_for", "203.0.113.3"),
                ("forwarded", "for=203.0.113.4"),
                ("x-real-ip", "203.0.113.5"),
                ("proxy", "http://evil.test"),
            ],
            false,
        );
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "host",
                "x-forwarded-for",
                "x-forwarded-host",
                "x-forwarded-port",
                "x-forwarded-proto",
                "x-real-ip"
            ]
        );
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["host"], "Shop.test:8080");
    }

    #[test]
    fn what_belongs_to_the_connection_stops_here() {
        let headers = sent(
            &[
                ("connection", "close, X-Mine, Host, Content-Length"),
                ("x-mine", "1"),
                ("content-length", "3"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("te", "trailers"),
                ("accept", "*/*"),
            ],
            false,
        );
        for gone in ["connection", "x-mine", "transfer-encoding", "upgrade", "te"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        assert_eq!(headers["content-length"], "3");
        assert_eq!(headers["accept"], "*/*");
    }

    #[test]
    fn only_a_web_socket_is_an_upgrade() {
        let asked = map(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
        ]);
        assert!(asks_for_web_socket(&asked));
        let other = map(&[("connection", "upgrade"), ("upgrade", "h2c")]);
        assert!(!asks_for_web_socket(&other));
        assert!(!asks_for_web_socket(&map(&[("upgrade", "websocket")])));
        assert_eq!(sent(&[], true)["connection"], "upgrade");
    }

    #[test]
    fn a_sites_headers_replace_those_of_its_app() {
        let mut headers = map(&[("server", "app"), ("connection", "close"), ("x-a", "1")]);
        let own = [(header::SERVER, HeaderValue::from_static("mine"))];
        for_client(&mut headers, &own);
        assert_eq!(headers["server"], "mine");
        assert_eq!(headers["x-a"], "1");
        assert!(!headers.contains_key("connection"));
    }
}
