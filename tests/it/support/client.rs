//! Talking HTTP to a server: as a proper client, or byte by byte as no proper client does.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Nothing that a test asks takes this long; a server that hangs fails the test.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The number in the ETag.
    #[track_caller]
    pub fn version(&self) -> i64 {
        let tag = self.header("etag").unwrap_or_else(|| panic!("no ETag: {self:?}"));
        tag.trim_start_matches("W/").trim_matches('"').parse().unwrap()
    }

    /// Fails unless it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Status, scimType and detail of a SCIM error, on one line.
    #[track_caller]
    pub fn error(&self) -> String {
        let body = self.json();
        assert_eq!(body["status"], self.status.to_string(), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/scim+json"), "{self:?}");
        let kind = body["scimType"].as_str().unwrap_or("-");
        format!("{} {kind}: {}", self.status, body["detail"].as_str().unwrap())
    }
}

/// A client that keeps its connection.
pub struct Client {
    pub address: SocketAddr,
    pub key: String,
    agent: ureq::Agent,
    /// Everything it was ever answered, if somebody wants to search it.
    pub seen: Option<RefCell<String>>,
}

impl Client {
    pub fn new(address: SocketAddr, key: &str) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_response_header_size(1 << 20)
            .build();
        Client { address, key: key.to_owned(), agent: config.new_agent(), seen: None }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").unwrap()
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], "").unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], body.to_string()).unwrap()
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[], body.to_string()).unwrap()
    }

    /// One request; an error if there was no whole answer.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Result<Answer, ureq::Error> {
        let body = body.as_ref();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if !self.key.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.header("content-type", "application/scim+json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body {
            [] => self.agent.run(request.body(()).unwrap()),
            body => self.agent.run(request.body(body).unwrap()),
        };
        let mut response = response?;
        let text = |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = response.body_mut().with_config().limit(1 << 30).read_to_string()?;
        let answer = Answer { status: response.status().as_u16(), headers, body };
        if let Some(seen) = &self.seen {
            seen.borrow_mut().push_str(&format!("{} {:?}\n{}\n", answer.status, answer.headers, answer.body));
        }
        Ok(answer)
    }
}

/// Sends bytes that no proper client sends, and reads the one answer. `None` if the server just hangs up.
pub fn raw(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut stream = connect(address);
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(request);
    read_answer(&mut stream)
}

/// A connection on which nothing waits for ever.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Whether nothing has come on a connection yet, not even its end.
pub fn is_silent(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Reads one answer with a Content-Length, or up to the end.
pub fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = vec![];
    let mut chunk = [0; 8192];
    loop {
        if let Some(answer) = parse_answer(&bytes) {
            return Some(answer);
        }
        match stream.read(&mut chunk) {
            Ok(length @ 1..) => bytes.extend_from_slice(&chunk[..length]),
            Ok(0) => return None,
            Err(error) => {
                let hung = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                assert!(!hung, "the server hangs; so far: {:?}", String::from_utf8_lossy(&bytes));
                return None;
            }
        }
    }
}

fn parse_answer(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(':')).map(|(n, v)| (n.to_owned(), v.trim().to_owned())).collect();
    let answer = Answer { status, headers, body: String::new() };
    let length = answer.header("content-length").unwrap_or("0").parse::<usize>().ok()?;
    let body = bytes.get(end + 4..end + 4 + length)?;
    Some(Answer { body: String::from_utf8_lossy(body).into_owned(), ..answer })
}

/// Percent-encodes everything that could mean something in a query.
pub fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
