//! A small HTTP/1.1 load generator: one task per connection, one thread.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::rt::System;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request, ready to be sent.
pub(crate) struct Request(Vec<u8>);

impl Request {
    pub(crate) fn get(path: &str, key: &str) -> Request {
        let auth = if key.is_empty() { String::new() } else { format!("Authorization: Bearer {key}\r\n") };
        Request(format!("GET {path} HTTP/1.1\r\nHost: k\r\n{auth}\r\n").into_bytes())
    }

    /// The same for whoever has what this tag names.
    pub(crate) fn ask_again(path: &str, key: &str, tag: &str) -> Request {
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: k\r\nAuthorization: Bearer {key}\r\nIf-None-Match: {tag}\r\n\r\n");
        Request(head.into_bytes())
    }

    pub(crate) fn post(path: &str, key: &str, body: &str) -> Request {
        Request::send("POST", path, key, body)
    }

    pub(crate) fn send(method: &str, path: &str, key: &str, body: &str) -> Request {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: k\r\nAuthorization: Bearer {key}\r\nContent-Type: application/scim+json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Request(head.into_bytes())
    }
}

/// Spreads consecutive numbers over all numbers.
pub(crate) fn scatter(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Into how many turns a measurement is divided that compares.
const TURNS: u64 = 5;

/// How much load, for how long.
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
}

impl Load {
    /// Sends requests for a while; gives answers per second. Every answer must be a 2xx.
    pub(crate) fn run(&self, address: SocketAddr, request: impl Fn(u64) -> Request) -> f64 {
        let end = Instant::now() + Duration::from_secs(self.seconds);
        self.go(address, request, |_| Instant::now() < end)
    }

    /// Measures several kinds of requests in turns, since a machine that is not alone changes its pace; gives the
    /// answers per second of each.
    pub(crate) fn in_turns<const N: usize>(&self, kinds: [(SocketAddr, &dyn Fn(u64) -> Request); N]) -> [f64; N] {
        let mut rates = [0.0; N];
        let turn = Load { connections: self.connections, seconds: self.seconds.div_ceil(TURNS) };
        for _ in 0..TURNS {
            for ((address, request), rate) in kinds.iter().zip(&mut rates) {
                *rate += turn.run(*address, request) / TURNS as f64;
            }
        }
        rates
    }

    /// Sends so many requests, one of each number; gives answers per second.
    pub(crate) fn each(&self, address: SocketAddr, requests: usize, request: impl Fn(u64) -> Request) -> f64 {
        self.go(address, request, |n| n < requests as u64)
    }

    fn go(&self, address: SocketAddr, request: impl Fn(u64) -> Request, goes_on: impl Fn(u64) -> bool) -> f64 {
        let next = Rc::new(Cell::new(0u64));
        let done = Rc::new(Cell::new(0u64));
        let started = Instant::now();
        System::new().block_on(async {
            let (request, goes_on) = (&request, &goes_on);
            let connections = (0..self.connections).map(|_| {
                let (next, done) = (Rc::clone(&next), Rc::clone(&done));
                async move {
                    let mut stream = TcpStream::connect(address).await.expect("connects");
                    stream.set_nodelay(true).expect("nodelay");
                    let mut buffer = Vec::with_capacity(16 << 10);
                    while goes_on(next.get()) {
                        let n = next.replace(next.get() + 1);
                        exchange(&mut stream, &request(n), &mut buffer).await;
                        done.set(done.get() + 1);
                    }
                }
            });
            futures_util::future::join_all(connections).await;
        });
        done.get() as f64 / started.elapsed().as_secs_f64()
    }
}

async fn exchange(stream: &mut TcpStream, request: &Request, buffer: &mut Vec<u8>) {
    stream.write_all(&request.0).await.expect("writes");
    buffer.clear();
    loop {
        let read = stream.read_buf(buffer).await.expect("reads");
        assert_ne!(read, 0, "the server closed the connection after {:?}", String::from_utf8_lossy(buffer));
        let Some(head) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        assert!(buffer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(buffer));
        let length = content_length(&buffer[..head]);
        while buffer.len() < head + 4 + length {
            assert_ne!(stream.read_buf(buffer).await.expect("reads"), 0, "the answer was cut off");
        }
        return;
    }
}

/// One client on one connection, which waits for each answer: for times.
pub(crate) struct Single {
    stream: std::net::TcpStream,
    buffer: Vec<u8>,
}

impl Single {
    pub(crate) fn connect(address: SocketAddr) -> Single {
        let stream = std::net::TcpStream::connect(address).expect("connects");
        stream.set_nodelay(true).expect("nodelay");
        Single { stream, buffer: vec![0; 1 << 20] }
    }

    /// Sends a request and reads the whole answer; gives its status.
    pub(crate) fn ask(&mut self, request: &Request) -> u16 {
        self.tell(request).0
    }

    /// The same with the text of the answer, its head included.
    pub(crate) fn tell(&mut self, request: &Request) -> (u16, String) {
        self.stream.write_all(&request.0).expect("writes");
        let (mut answer, mut end) = (Vec::new(), None);
        loop {
            let read = self.stream.read(&mut self.buffer).expect("reads");
            assert_ne!(read, 0, "the answer was cut off");
            answer.extend_from_slice(&self.buffer[..read]);
            if end.is_none()
                && let Some(head) = answer.windows(4).position(|w| w == b"\r\n\r\n")
            {
                let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
                let chunked = text.contains("transfer-encoding: chunked");
                end = Some(if chunked { None } else { Some(head + 4 + content_length(&answer[..head])) });
            }
            let is_whole = match end {
                None => false,
                Some(Some(length)) => answer.len() >= length,
                Some(None) => answer.ends_with(b"\r\n0\r\n\r\n"),
            };
            if is_whole {
                let status = String::from_utf8_lossy(&answer[9..12]).parse().expect("a status");
                return (status, String::from_utf8_lossy(&answer).into_owned());
            }
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0)
}
