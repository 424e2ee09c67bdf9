//! Git's smart HTTP as a fetch needs it, in the child: no redirect is followed, no helper is asked, nothing is sent but the operator's token.

use std::any::Any;
use std::cell::RefCell;
use std::io::{self, BufReader, Cursor, Read, Write};
use std::rc::Rc;

use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse,
};
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::child::Order;
use super::wire::Watch;
use super::{RepoError, remote, tls};

/// What every answer of git's has in the name of its kind.
const KIND: &str = "application/x-git-upload-pack-";

/// A client for one fetch.
pub(super) struct HttpWire {
    client: Client,
    authorization: Option<HeaderValue>,
    watch: Watch,
}

impl HttpWire {
    pub(super) fn new(order: &Order, watch: Watch) -> Result<Self, RepoError> {
        let mut builder = Client::builder()
            .user_agent(remote::USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(order.limits.connect)
            .timeout(order.limits.stall);
        if let Some(path) = &order.ca {
            builder = builder.tls_certs_only(tls::authorities(path)?);
        }
        let client = builder
            .build()
            .map_err(|e| RepoError::internal("prepare a connection", e))?;
        let header = order
            .authorization
            .as_deref()
            .map(HeaderValue::from_str)
            .transpose();
        let mut authorization = header.map_err(|e| RepoError::internal("prepare a request", e))?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        Ok(Self {
            client,
            authorization,
            watch,
        })
    }

    fn prepare(
        &self,
        request: RequestBuilder,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> RequestBuilder {
        let lines = headers.into_iter();
        let mut map: HeaderMap = lines.filter_map(|line| header(line.as_ref())).collect();
        map.remove(reqwest::header::USER_AGENT);
        match &self.authorization {
            Some(value) => map.insert(AUTHORIZATION, value.clone()),
            None => map.remove(AUTHORIZATION),
        };
        request.headers(map)
    }

    fn exchange(&self, request: RequestBuilder) -> Rc<RefCell<Exchange>> {
        Rc::new(RefCell::new(Exchange {
            request: Some(request),
            body: Vec::new(),
            response: None,
            watch: self.watch.clone(),
        }))
    }
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

/// A request that is sent when its answer is first read: by then its body is complete.
pub(super) struct Exchange {
    request: Option<RequestBuilder>,
    body: Vec<u8>,
    response: Option<Response>,
    watch: Watch,
}

impl Exchange {
    fn response(&mut self) -> io::Result<&mut Response> {
        if let Some(request) = self.request.take() {
            let body = std::mem::take(&mut self.body);
            let request = if body.is_empty() {
                request
            } else {
                request.body(body)
            };
            let response = request
                .send()
                .map_err(|e| self.watch.fault(self.watch.asked().failed(&e)))?;
            self.check(&response)?;
            self.response = Some(response);
        }
        self.response
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn check(&self, response: &Response) -> io::Result<()> {
        let asked = self.watch.asked();
        let status = response.status();
        if !status.is_success() {
            return Err(self.watch.fault(asked.status(status, response.headers())));
        }
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .map(HeaderValue::as_bytes);
        if kind.is_some_and(|kind| kind.starts_with(KIND.as_bytes())) {
            return Ok(());
        }
        Err(self
            .watch
            .fault(asked.not_a_repository("it answers with something that is not git's")))
    }

    /// The headers as lines, the form in which git's code wants them.
    fn headers(&mut self) -> io::Result<Vec<u8>> {
        let mut lines = Vec::new();
        for (name, value) in self.response()?.headers() {
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.push(b':');
            lines.extend_from_slice(value.as_bytes());
            lines.push(b'\n');
        }
        Ok(lines)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.response()?.read(buffer) {
            Ok(read) => self.watch.count(read),
            Err(error) => {
                let timed_out = inner(&error).is_some_and(reqwest::Error::is_timeout);
                let asked = self.watch.asked();
                Err(self.watch.fault(if timed_out {
                    asked.stalled()
                } else {
                    asked.bad_answer("it broke off")
                }))
            }
        }
    }
}

fn inner(error: &io::Error) -> Option<&reqwest::Error> {
    error.get_ref()?.downcast_ref()
}

/// The body of a request, or of its answer.
pub(super) struct Body(Rc<RefCell<Exchange>>);

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

/// The headers of an answer.
pub(super) struct Headers {
    exchange: Rc<RefCell<Exchange>>,
    lines: Option<Cursor<Vec<u8>>>,
}

impl Read for Headers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.lines.is_none() {
            self.lines = Some(Cursor::new(self.exchange.borrow_mut().headers()?));
        }
        self.lines
            .as_mut()
            .map_or(Ok(0), |lines| lines.read(buffer))
    }
}

fn headers_of(exchange: &Rc<RefCell<Exchange>>) -> BufReader<Headers> {
    BufReader::new(Headers {
        exchange: Rc::clone(exchange),
        lines: None,
    })
}

impl Http for HttpWire {
    type Headers = BufReader<Headers>;
    type ResponseBody = BufReader<Body>;
    type PostBody = Body;

    fn get(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<GetResponse<Self::Headers, Self::ResponseBody>, gix::Error> {
        let exchange = self.exchange(self.prepare(self.client.get(url), headers));
        Ok(GetResponse {
            headers: headers_of(&exchange),
            body: BufReader::new(Body(exchange)),
        })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>, gix::Error> {
        let exchange = self.exchange(self.prepare(self.client.post(url), headers));
        Ok(PostResponse {
            post_body: Body(Rc::clone(&exchange)),
            headers: headers_of(&exchange),
            body: BufReader::new(Body(exchange)),
        })
    }

    /// Everything was said when it was made; the configuration of a repository changes nothing.
    fn configure(&mut self, _config: &dyn Any) -> Result<(), gix::Error> {
        Ok(())
    }
}
