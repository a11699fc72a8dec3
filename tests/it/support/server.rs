//! The real program as a child process, and clients that talk to it over HTTP.
//!
//! ```ignore
//! let place = Installation::sqlite();            // a folder and an empty database of the test's own
//! let server = place.serve(&[]);                 // `keyroll serve` on a free port; ended when dropped
//! let idp = server.idp();                        // speaks with the provisioning key
//! let user = idp.post("/scim/v2/Users", &json!({…})).expect(201);
//! let output = place.run(&["log", "verify"]);    // the command line beside it
//! ```

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::postgres;

/// Nothing that a test asks takes this long; a server that hangs fails the test.
const PATIENCE: Duration = Duration::from_secs(30);

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
pub const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
pub const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// A data folder and a database, both empty at first.
pub struct Installation {
    folder: Arc<tempfile::TempDir>,
    data_dir: PathBuf,
    database_url: Option<String>,
    keys: Arc<OnceLock<Keys>>,
}

/// What the first start printed.
#[derive(Clone, Debug)]
pub struct Keys {
    pub admin: String,
    pub provisioning: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The one JSON value that it printed.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(self.stdout.trim()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails unless it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Output {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

impl Installation {
    /// On the embedded database.
    pub fn sqlite() -> Installation {
        Installation::at(None)
    }

    /// On a PostgreSQL database without tables; `None` if PostgreSQL is switched off.
    pub fn postgres() -> Option<Installation> {
        Some(Installation::at(Some(postgres::empty_url()?)))
    }

    /// One on each database.
    pub fn each() -> impl Iterator<Item = Installation> {
        [Some(Installation::sqlite()), Installation::postgres()].into_iter().flatten()
    }

    fn at(database_url: Option<String>) -> Installation {
        let folder = Arc::new(tempfile::Builder::new().prefix("keyroll-it-").tempdir().unwrap());
        let data_dir = folder.path().join("data");
        Installation { folder, data_dir, database_url, keys: Arc::default() }
    }

    /// The same database with another data folder, as a second machine has it.
    pub fn elsewhere(&self, name: &str) -> Installation {
        let url = format!("sqlite:{}", self.data_dir.join("keyroll.db").display());
        Installation {
            folder: Arc::clone(&self.folder),
            data_dir: self.folder.path().join(name),
            database_url: Some(self.database_url.clone().unwrap_or(url)),
            keys: Arc::clone(&self.keys),
        }
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub fn is_embedded(&self) -> bool {
        self.database_url.as_ref().is_none_or(|url| url.starts_with("sqlite:"))
    }

    /// What the library opens the database with.
    pub fn database_url(&self) -> String {
        let embedded = || format!("sqlite:{}", self.data_dir.join("keyroll.db").display());
        self.database_url.clone().unwrap_or_else(embedded)
    }

    /// The program in a clean environment, in a folder without settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyroll"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KEYROLL_")) {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("KEYROLL_LOG", "warn").env("KEYROLL_DATA_DIR", &self.data_dir);
        if let Some(url) = &self.database_url {
            command.env("KEYROLL_DATABASE_URL", url);
        }
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        finish(self.command(arguments))
    }

    /// Starts a server on a free port and waits until it listens.
    #[track_caller]
    pub fn serve(&self, flags: &[&str]) -> Server {
        self.start(flags, &[]).ready()
    }

    /// The same with variables.
    #[track_caller]
    pub fn serve_with(&self, flags: &[&str], variables: &[(&str, &str)]) -> Server {
        self.start(flags, variables).ready()
    }

    /// Starts a server and does not wait for it.
    pub fn start(&self, flags: &[&str], variables: &[(&str, &str)]) -> Starting {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(flags).envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Process(command.spawn().unwrap());
        let stdout = BufReader::new(child.0.stdout.take().unwrap());
        let stderr = Drain::start(child.0.stderr.take().unwrap());
        Starting { child, stdout, stderr, keys: Arc::clone(&self.keys) }
    }

    /// What the first start printed.
    pub fn keys(&self) -> Keys {
        self.keys.get().expect("a server or `init` has run").clone()
    }
}

/// Runs a command to its end.
pub fn finish(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    Output { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A child that never outlives the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads a pipe to its end beside everything else, so that the child never blocks on it.
struct Drain {
    text: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Drain {
    fn start(mut from: impl Read + Send + 'static) -> Drain {
        let text = Arc::new(Mutex::new(vec![]));
        let to = Arc::clone(&text);
        let thread = std::thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(length @ 1..) = from.read(&mut chunk) {
                to.lock().unwrap().extend_from_slice(&chunk[..length]);
            }
        });
        Drain { text, thread: Some(thread) }
    }

    /// Everything, once the child has ended.
    fn end(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.so_far()
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

/// A server that may not listen yet.
pub struct Starting {
    child: Process,
    stdout: BufReader<std::process::ChildStdout>,
    stderr: Drain,
    keys: Arc<OnceLock<Keys>>,
}

impl Starting {
    /// Waits until it listens.
    #[track_caller]
    pub fn ready(self) -> Server {
        self.outcome().unwrap_or_else(|output| panic!("the server did not start: {output:?}"))
    }

    /// Waits until it listens or has ended.
    pub fn outcome(mut self) -> Result<Server, Output> {
        let mut printed = vec![];
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).unwrap() == 0 {
                let code = self.child.0.wait().unwrap().code().unwrap_or(-1);
                return Err(Output { code, stdout: printed.join(""), stderr: self.stderr.end() });
            }
            if let Some(url) = line.trim().strip_prefix("listening on ") {
                let address = url.strip_prefix("http://").unwrap().parse().unwrap();
                let stdout = Drain::start(self.stdout);
                let Starting { child, stderr, keys, .. } = self;
                return Ok(Server { child, address, printed, stdout, stderr, keys });
            }
            if let Some(found) = Keys::parse(&line) {
                let _ = self.keys.set(found);
            }
            printed.push(line);
        }
    }
}

impl Keys {
    fn parse(line: &str) -> Option<Keys> {
        let object: Value = serde_json::from_str(line).ok()?;
        let key = |name: &str| object[name].as_str().map(str::to_owned);
        Some(Keys { admin: key("admin_key")?, provisioning: key("provisioning_key")? })
    }
}

/// A server that listens; it ends when this is dropped.
pub struct Server {
    child: Process,
    pub address: SocketAddr,
    /// The lines that it printed before it listened: none, or its keys.
    pub printed: Vec<String>,
    stdout: Drain,
    stderr: Drain,
    keys: Arc<OnceLock<Keys>>,
}

impl Server {
    /// An identity provider with the provisioning key.
    pub fn idp(&self) -> Client {
        self.client(&self.keys().provisioning)
    }

    /// An admin with the admin key.
    pub fn admin(&self) -> Client {
        self.client(&self.keys().admin)
    }

    /// A client with any key, or none for "".
    pub fn client(&self, key: &str) -> Client {
        Client::new(self.address, key)
    }

    pub fn keys(&self) -> Keys {
        self.keys.get().expect("the first server of the installation printed them").clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Whether the process that was started still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_none()
    }

    /// The most memory that the process has ever had, in KiB (`VmHWM`).
    pub fn peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Forgets the peak, so that the next one is that of what follows.
    pub fn reset_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
    }

    /// SIGKILL, at once.
    pub fn kill(&mut self) {
        self.child.0.kill().unwrap();
        self.child.0.wait().unwrap();
    }

    /// SIGTERM: what was accepted is finished. Does not wait.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end: how it ended, what it printed after it listened, what it logged.
    pub fn wait(mut self) -> (ExitStatus, String, String) {
        let status = self.child.0.wait().unwrap();
        (status, self.stdout.end(), self.stderr.end())
    }

    /// What it has logged so far.
    pub fn logged(&self) -> String {
        self.stderr.so_far()
    }
}

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
        self.send("POST", path, &[], &body.to_string()).unwrap()
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[], &body.to_string()).unwrap()
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[], &body.to_string()).unwrap()
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
            seen.borrow_mut().push_str(&format!("{method} {path}: {answer:?}\n"));
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
