//! A plain HTTP/1.1 client over one connection, which hides nothing.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// A header's value in a head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap()
    }

    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    pub(crate) fn get(&mut self, host: &str, path: &str) -> Response {
        self.try_get(host, path).unwrap()
    }

    pub(crate) fn try_get(&mut self, host: &str, path: &str) -> io::Result<Response> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
        self.response()
    }

    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Response {
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {length}\r\n\r\n");
        self.send(head.as_bytes()).unwrap();
        self.send(body).unwrap();
        self.response().unwrap()
    }

    /// Sends a request as it is written here, with `\n` for the line ends, and reads its answer.
    pub(crate) fn raw(&mut self, request: &str) -> Response {
        self.send(request.replace('\n', "\r\n").as_bytes()).unwrap();
        self.response().unwrap()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    pub(crate) fn read_exact(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn head(&mut self) -> io::Result<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(head)
    }

    pub(crate) fn response(&mut self) -> io::Result<Response> {
        let head = self.head()?;
        let status: u16 = head[9..12].parse().unwrap();
        let mut body = Vec::new();
        if let Some(length) = header(&head, "content-length") {
            let empty = status == 304;
            body = vec![0; if empty { 0 } else { length.parse().unwrap() }];
            self.stream.read_exact(&mut body)?;
        } else if header(&head, "transfer-encoding").is_some() {
            while self.chunk(&mut body)? {}
        }
        Ok(Response { status, head, body })
    }

    fn chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let start = body.len();
        body.resize(start + length, 0);
        self.stream.read_exact(&mut body[start..])?;
        self.stream.read_exact(&mut [0; 2])?;
        Ok(length > 0)
    }
}
