//! An HTTP server on loopback for lists: tells the truth with validators and gzip, or lies. It writes its answers
//! octet by octet, since a library would refuse to cut a body or to announce a wrong length.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What is served at a path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) body: Vec<u8>,
    /// Answers `If-None-Match` with 304.
    pub(crate) etag: Option<String>,
    /// Answers an equal `If-Modified-Since` with 304.
    pub(crate) last_modified: Option<String>,
    /// Compresses the body for clients that take it.
    pub(crate) gzip: bool,
    /// A status other than 200.
    pub(crate) status: Option<u16>,
    pub(crate) lie: Lie,
}

/// How an answer is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Lie {
    #[default]
    None,
    /// Announces the whole length, sends so many octets and closes.
    Cut(usize),
    /// Announces fewer octets than there are.
    TooShort(usize),
    /// Sends so many octets of the announced body and then nothing, with the connection open.
    Stall(usize),
    /// Closes without a word.
    Silence,
}

impl Page {
    /// The body with an `ETag` made from it.
    pub(crate) fn new(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let sum = body.iter().fold(0xcbf2_9ce4_8422_2325u64, |sum, &octet| {
            (sum ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3)
        });
        Self { etag: Some(format!("\"{sum:x}\"")), body, ..Self::default() }
    }

    /// Only a status, with a body that people would read.
    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self { status: Some(status), body: body.into(), ..Self::default() }
    }
}

/// A question as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// Header names in lower case.
    pub(crate) headers: HashMap<String, String>,
    /// What it was answered with.
    pub(crate) status: u16,
}

#[derive(Default)]
struct State {
    pages: Mutex<HashMap<String, Page>>,
    asked: Mutex<Vec<Asked>>,
    stop: AtomicBool,
}

/// The server. Dropped, it ends with all its connections.
pub(crate) struct FeedServer {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl FeedServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || accept(&listener, &shared));
        Self { address, state, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn put(&self, path: &str, page: Page) {
        self.state.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    /// All questions so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// How often `path` was asked for.
    pub(crate) fn hits(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path == path).count()
    }
}

impl Drop for FeedServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        // Wakes the accept loop.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    let mut connections = Vec::new();
    for stream in listener.incoming() {
        if state.stop.load(Ordering::Relaxed) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let state = Arc::clone(state);
        connections.push(thread::spawn(move || {
            // A client that goes away is its own business.
            let _ = answer(stream, &state);
        }));
    }
    for connection in connections {
        let _ = connection.join();
    }
}

/// One question, one answer, the connection closed.
fn answer(stream: TcpStream, state: &State) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    lines.read_line(&mut first)?;
    let path = first.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let page = state.pages.lock().unwrap().get(&path).cloned();
    let page = page.unwrap_or_else(|| Page::status(404, "no such list"));
    let same = |header: &str, ours: &Option<String>| ours.is_some() && headers.get(header) == ours.as_ref();
    let known = same("if-none-match", &page.etag)
        || !headers.contains_key("if-none-match") && same("if-modified-since", &page.last_modified);
    let status = match page.status {
        Some(status) => status,
        None if known => 304,
        None => 200,
    };
    let takes_gzip = headers.get("accept-encoding").is_some_and(|coding| coding.contains("gzip"));
    state.asked.lock().unwrap().push(Asked { path, headers, status });
    reply(stream, &page, status, page.gzip && takes_gzip, state)
}

fn reply(mut stream: TcpStream, page: &Page, status: u16, gzip: bool, state: &State) -> std::io::Result<()> {
    if page.lie == Lie::Silence {
        return Ok(());
    }
    let body = if gzip { compressed(&page.body) } else { page.body.clone() };
    let body = if status == 304 { Vec::new() } else { body };
    let announced = match page.lie {
        Lie::TooShort(less) => body.len() - less,
        _ => body.len(),
    };
    let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
    if status != 304 {
        head += &format!("Content-Length: {announced}\r\n");
    }
    if gzip {
        head += "Content-Encoding: gzip\r\n";
    }
    for (name, value) in [("ETag", &page.etag), ("Last-Modified", &page.last_modified)] {
        if let Some(value) = value {
            head += &format!("{name}: {value}\r\n");
        }
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    match page.lie {
        Lie::Cut(len) => stream.write_all(&body[..len.min(body.len())]),
        Lie::Stall(len) => {
            stream.write_all(&body[..len.min(body.len())])?;
            while !state.stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        }
        Lie::None | Lie::TooShort(_) | Lie::Silence => stream.write_all(&body),
    }
}

fn compressed(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).expect("into memory");
    encoder.finish().expect("into memory")
}
