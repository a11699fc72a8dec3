//! The real program as a child process.
//!
//! ```ignore
//! let place = Installation::sqlite();            // a folder and an empty database of the test's own
//! let server = place.serve(&[]);                 // `keyroll serve` on a free port; ended when dropped
//! let idp = server.idp();                        // speaks with the provisioning key
//! let user = idp.post("/scim/v2/Users", &json!({…})).expect(201);
//! let output = place.run(&["log", "verify"]);    // the command line beside it
//! ```

mod installation;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

use serde_json::Value;

pub use self::installation::Installation;
pub use super::client::{Answer, Client, connect, encode, is_silent, raw, read_answer};

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
pub const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
pub const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

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

/// Runs a command to its end.
pub fn finish(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    Output { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What a server has logged, without the warnings of the PostgreSQL that the tests use, which may lose commits.
pub fn unwarned(logged: &str) -> String {
    logged
        .lines()
        .filter(|line| !line.contains(" is off at the database server: "))
        .fold(String::new(), |all, line| all + line + "\n")
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
    /// A pipe that stays open and is not read.
    _held: Option<std::process::ChildStderr>,
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
        Drain { text, thread: Some(thread), _held: None }
    }

    fn none(from: std::process::ChildStderr) -> Drain {
        Drain { text: Arc::default(), thread: None, _held: Some(from) }
    }

    /// Whether the child has closed the pipe, and all that it wrote is here.
    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Everything, once the child has ended.
    fn end(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
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
        // Nobody but a terminal is shown the keys themselves.
        let kept = fs::read_to_string(object["keys_file"].as_str()?).unwrap();
        let object: Value = serde_json::from_str(&kept).unwrap();
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
        self.signal("TERM");
    }

    pub fn signal(&self, name: &str) {
        // The shell's own: a small Debian has no other.
        let arguments = ["-c", "kill -\"$1\" \"$2\"", "sh", name, &self.pid().to_string()];
        assert!(Command::new("sh").args(arguments).status().unwrap().success());
    }

    /// Waits until it has logged this, and fails if it ends before or that takes far too long; gives all that it has
    /// logged.
    #[track_caller]
    pub fn await_log(&self, text: &str) -> String {
        super::until(text, || {
            // Before what it has logged is looked at: a server that has ended logs no more.
            let has_ended = self.stderr.has_ended();
            let logged = String::from_utf8_lossy(&self.stderr.text.lock().unwrap()).into_owned();
            assert!(!has_ended || logged.contains(text), "the server has ended, and not logged {text:?} but: {logged}");
            Some(logged).filter(|logged| logged.contains(text))
        })
    }

    /// Waits for the end: how it ended, what it printed after it listened, what it logged.
    pub fn wait(mut self) -> (ExitStatus, String, String) {
        let status = self.child.0.wait().unwrap();
        (status, self.stdout.end(), self.stderr.end())
    }
}
