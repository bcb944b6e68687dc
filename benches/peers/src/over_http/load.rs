//! The client: some connections, each with one request at a time.

use std::cell::Cell;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{ID, SCOPE, SECRET};

pub const CONNECTIONS: usize = 16;

pub struct Load {
    address: String,
    request: Vec<u8>,
    sent: Cell<u64>,
}

impl Load {
    pub fn new(address: &str, path: &str) -> Self {
        let body = format!("grant_type=client_credentials&scope={SCOPE}");
        let credentials = BASE64_STANDARD.encode(format!("{ID}:{SECRET}"));
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic {credentials}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        Self { address: address.to_owned(), request: request.into_bytes(), sent: Cell::new(0) }
    }

    /// How long each of the requests took.
    ///
    /// It never sleeps: to wake a client that does would be work of the server's, and more of it
    /// the slower the server is.
    pub fn send_for(&self, length: Duration) -> Vec<Duration> {
        // New ones each time, since servers close those that are not used for some seconds.
        let mut connections = [(); CONNECTIONS].map(|()| Connection::open(&self.address, &self.request));
        let begin = Instant::now();
        let mut took = Vec::new();
        while begin.elapsed() < length {
            for connection in &mut connections {
                if connection.is_answered() {
                    took.push(connection.sent.elapsed());
                    connection.send(&self.request);
                }
            }
        }
        // What is still under way counts for the server, as what was under way at the beginning does not.
        self.sent.set(self.sent.get() + took.len() as u64);
        took
    }

    pub fn sent(&self) -> u64 {
        self.sent.get()
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    sent: Instant,
}

impl Connection {
    /// With the first request sent.
    fn open(address: &str, request: &[u8]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut connection = Self { stream, buffer: vec![0; 16 * 1024], filled: 0, sent: Instant::now() };
        connection.send(request);
        connection
    }

    /// A request is far smaller than what the system buffers.
    fn send(&mut self, request: &[u8]) {
        self.filled = 0;
        self.sent = Instant::now();
        self.stream.write_all(request).unwrap();
    }

    fn is_answered(&mut self) -> bool {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => panic!("the server closed the connection"),
            Ok(read) => {
                self.filled += read;
                is_whole(&self.buffer[..self.filled])
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Whatever is no token ends the measurement: a benchmark of refusals says nothing.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = std::str::from_utf8(&answer[..head]).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    let body = &answer[head + 4..];
    let whole = body.len() == length.expect("an answer of known length");
    assert!(!whole || body.windows(14).any(|part| part == b"\"access_token\""));
    whole
}
