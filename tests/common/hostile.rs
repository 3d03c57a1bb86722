//! A server that writes what it is told, octet by octet, and knows what it was asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the server does with a question.
#[derive(Clone)]
pub(crate) enum Act {
    /// Says these octets and closes.
    Say(Vec<u8>),
    /// Says these octets and then nothing, until the end of the test.
    Stall(Vec<u8>),
    /// Says these octets, then this one for ever.
    Endless(Vec<u8>, u8),
}

/// A server that writes what it is told, octet by octet.
pub(crate) struct Hostile {
    pub(crate) address: SocketAddr,
    act: Arc<Mutex<Act>>,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Hostile {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self {
            address,
            act: Arc::new(Mutex::new(Act::Say(Vec::new()))),
            asked: Arc::default(),
            stop: Arc::default(),
        };
        let (act, asked, stop) = (server.act.clone(), server.asked.clone(), server.stop.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (act, stop) = (act.lock().unwrap().clone(), stop.clone());
                let asked = asked.clone();
                thread::spawn(move || answer(stream, act, &asked, &stop));
            }
        });
        server
    }

    pub(crate) fn does(&self, act: Act) {
        *self.act.lock().unwrap() = act;
    }

    /// The heads of the questions since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut stream: TcpStream, act: Act, asked: &Mutex<Vec<String>>, stop: &AtomicBool) {
    let mut question = Vec::new();
    let mut buffer = [0; 1024];
    while !question.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => question.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    asked.lock().unwrap().push(String::from_utf8_lossy(&question).into_owned());
    // Who goes away is welcome to.
    let _ = match act {
        Act::Say(octets) => stream.write_all(&octets),
        Act::Stall(octets) => stream.write_all(&octets).map(|()| {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
        }),
        Act::Endless(octets, octet) => stream.write_all(&octets).and_then(|()| {
            let more = [octet; 1 << 14];
            loop {
                stream.write_all(&more)?;
            }
        }),
    };
}

/// A head and a body of the right length.
pub(crate) fn response(head: &str, body: &[u8]) -> Vec<u8> {
    let head = head.replace('\n', "\r\n");
    [
        format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(),
        body,
    ]
    .concat()
}
