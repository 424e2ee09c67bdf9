//! A git server over plain HTTP that follows a script: what the real git would answer, or a given pack, and what a hostile server makes of it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// What the server can do.
    Handshake,
    /// Which refs it has.
    Refs,
    /// A pack.
    Pack,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) stage: Stage,
    /// By name, in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// One answer, byte for byte.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
}

/// What happens when all of an answer was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The server hangs up.
    Close,
    /// It says no more, and keeps the connection.
    Stall,
    /// It sends the body again and again.
    Endless,
}

/// What the server has.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A repository of the real git.
    Repository(PathBuf),
    /// One commit, and a pack that should hold it.
    Pack { tip: String, pack: Vec<u8> },
    /// What `ls-refs` answers, and nothing else.
    Refs(Vec<u8>),
}

type Script = dyn Fn(&Request, Answer) -> Answer + Send + Sync;

/// The server. It ends with the process; its connections end with their clients.
pub(crate) struct Forge {
    port: u16,
    heard: Arc<Mutex<Vec<Request>>>,
}

impl Forge {
    /// Serves a content, changed by a script.
    pub(crate) fn start(
        content: Content,
        script: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::<Mutex<Vec<Request>>>::default();
        let (content, script): (_, Arc<Script>) = (Arc::new(content), Arc::new(script));
        let forge = Self {
            port,
            heard: Arc::clone(&heard),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (content, script, heard) = (
                    Arc::clone(&content),
                    Arc::clone(&script),
                    Arc::clone(&heard),
                );
                std::thread::spawn(move || serve(stream, &content, script.as_ref(), &heard));
            }
        });
        forge
    }

    /// Serves a repository as it is.
    pub(crate) fn of(repository: &Path) -> Self {
        Self::start(Content::Repository(repository.to_owned()), |_, answer| {
            answer
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/c.git", self.port)
    }

    /// Everything that was asked.
    pub(crate) fn heard(&self) -> Vec<Request> {
        self.heard.lock().unwrap().clone()
    }
}

impl Answer {
    /// An answer with this status, as a server that hangs up after it.
    pub(crate) fn status(status: &str) -> Self {
        Self {
            status: status.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            end: End::Close,
        }
    }

    /// A success of git's own kind.
    fn git(stage: Stage, body: Vec<u8>) -> Self {
        let kind = if stage == Stage::Handshake {
            "advertisement"
        } else {
            "result"
        };
        Self {
            body,
            ..Self::status("200 OK")
        }
        .header(&format!(
            "Content-Type: application/x-git-upload-pack-{kind}"
        ))
    }

    pub(crate) fn header(mut self, line: &str) -> Self {
        self.headers.push(line.to_owned());
        self
    }

    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    /// The first bytes of it, beginning with its status line.
    pub(crate) fn cut(&self, after: usize) -> Vec<u8> {
        let whole = self.bytes();
        whole[..after.min(whole.len())].to_vec()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {}\r\n", self.status);
        for header in &self.headers {
            text += &format!("{header}\r\n");
        }
        let mut bytes = (text + "Connection: close\r\n\r\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// An answer of these very bytes, headers included.
    pub(crate) fn raw(bytes: Vec<u8>, end: End) -> Self {
        Self {
            status: String::new(),
            headers: Vec::new(),
            body: bytes,
            end,
        }
    }
}

fn serve(stream: TcpStream, content: &Content, script: &Script, heard: &Mutex<Vec<Request>>) {
    let Some(request) = read_request(&stream) else {
        return;
    };
    heard.lock().unwrap().push(request.clone());
    let usual = Answer::git(request.stage, answer(content, &request));
    let answer = script(&request, usual);
    send(stream, &answer);
}

fn send(mut stream: TcpStream, answer: &Answer) {
    let bytes = if answer.status.is_empty() {
        answer.body.clone()
    } else {
        answer.bytes()
    };
    let mut sent = stream.write_all(&bytes);
    while answer.end == End::Endless && sent.is_ok() {
        sent = stream.write_all(&answer.body);
    }
    if answer.end == End::Stall {
        // Until the client has had enough.
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let has = |word: &[u8]| body.windows(word.len()).any(|part| part == word);
    let stage = match &line {
        line if line.starts_with("GET ") => Stage::Handshake,
        _ if has(b"command=ls-refs") => Stage::Refs,
        _ => Stage::Pack,
    };
    Some(Request {
        stage,
        headers,
        body,
    })
}

fn answer(content: &Content, request: &Request) -> Vec<u8> {
    match (content, request.stage) {
        (Content::Repository(path), stage) => git(path, stage, &request.body),
        (_, Stage::Handshake) => lines(&[
            "version 2\n",
            "ls-refs=unborn\n",
            "fetch=shallow\n",
            "object-format=sha1\n",
        ]),
        (Content::Pack { tip, .. }, Stage::Refs) => lines(&[&format!("{tip} refs/heads/main\n")]),
        (Content::Refs(refs), Stage::Refs) => refs.clone(),
        (Content::Refs(_), Stage::Pack) => Vec::new(),
        (Content::Pack { tip, pack }, Stage::Pack) => packed(tip, pack),
    }
}

/// The answer to a first, shallow fetch.
fn packed(tip: &str, pack: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    frame(&mut body, b"shallow-info\n");
    frame(&mut body, format!("shallow {tip}").as_bytes());
    body.extend_from_slice(b"0001");
    frame(&mut body, b"packfile\n");
    for part in pack.chunks(60_000) {
        frame(&mut body, &[b"\x01", part].concat());
    }
    body.extend_from_slice(b"0000");
    body
}

pub(crate) fn lines(lines: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    for line in lines {
        frame(&mut body, line.as_bytes());
    }
    body.extend_from_slice(b"0000");
    body
}

fn frame(body: &mut Vec<u8>, content: &[u8]) {
    body.extend_from_slice(format!("{:04x}", content.len() + 4).as_bytes());
    body.extend_from_slice(content);
}

/// What the real git answers.
fn git(repository: &Path, stage: Stage, body: &[u8]) -> Vec<u8> {
    let mut command = Command::new("git");
    command.arg("upload-pack").arg("--stateless-rpc");
    if stage == Stage::Handshake {
        command.arg("--http-backend-info-refs");
    }
    let mut child = command
        .arg(repository)
        .env("GIT_PROTOCOL", "version=2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(body).ok();
    drop(stdin);
    child.wait_with_output().unwrap().stdout
}
