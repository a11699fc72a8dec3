//! The two servers that are compared: Keyroll as shipped, and a handler that only returns bytes.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::Value;

/// `keyroll serve` on an empty folder; ends with this value.
pub(crate) struct Keyroll {
    child: Child,
    program: PathBuf,
    address: SocketAddr,
    key: String,
    admin_key: String,
    folder: tempfile::TempDir,
    agent: ureq::Agent,
}

impl Keyroll {
    pub(crate) fn start() -> Keyroll {
        Keyroll::start_on(None)
    }

    /// On a database of its own; without one, on the one that the environment names, or SQLite.
    pub(crate) fn start_on(database_url: Option<&str>) -> Keyroll {
        let program = std::env::current_exe()
            .expect("a program")
            .parent()
            .and_then(|p| p.parent())
            .expect("a target folder")
            .join("keyroll");
        let folder = tempfile::tempdir().expect("a folder");
        let (child, mut lines) = serve(&program, folder.path(), database_url);
        let made: Value = serde_json::from_str(&lines.next().expect("the keys")).expect("JSON");
        // No terminal shows it: the keys are in a file.
        let kept = std::fs::read(made["keys_file"].as_str().expect("a file")).expect("the keys");
        let made: Value = serde_json::from_slice(&kept).expect("JSON");
        let address = listening(&mut lines);
        let key = |name: &str| made[name].as_str().expect("a key").to_owned();
        let (key, admin_key) = (key("provisioning_key"), key("admin_key"));
        Keyroll { child, program, address, key, admin_key, folder, agent: ureq::Agent::new_with_defaults() }
    }

    /// Another server of the same installation, on a machine of its own.
    pub(crate) fn beside(&self, database_url: &str) -> Keyroll {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("data")).expect("a folder");
        for name in ["data/root.key", "data/signing.key"] {
            std::fs::copy(self.folder.path().join(name), folder.path().join(name)).expect("a key");
        }
        let (child, mut lines) = serve(&self.program, folder.path(), Some(database_url));
        let (program, address) = (self.program.clone(), listening(&mut lines));
        let (key, admin_key) = (self.key.clone(), self.admin_key.clone());
        Keyroll { child, program, address, key, admin_key, folder, agent: ureq::Agent::new_with_defaults() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// The server as an admin sees it.
    pub(crate) fn admin(&self) -> Admin<'_> {
        Admin(self)
    }

    /// Runs `keyroll apply` beside the server.
    pub(crate) fn apply(&self, catalogue: &str) {
        let file = self.folder.path().join("access.toml");
        std::fs::write(&file, catalogue).expect("a file");
        let data = self.folder.path().join("data");
        let mut command = Command::new(&self.program);
        command.arg("--data-dir").arg(data).args(["apply", "--json", "-f"]).arg(file).stdout(Stdio::null());
        assert!(command.status().expect("runs").success());
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("data/keyroll.db")
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/scim/v2{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let request = self.agent.get(self.url(path)).header("Authorization", format!("Bearer {}", self.key));
        request.call().expect("an answer").body_mut().read_to_string().expect("text")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> String {
        let request = self.agent.post(self.url(path)).header("Authorization", format!("Bearer {}", self.key));
        let mut answer = request.content_type("application/scim+json").send(body.to_string()).expect("an answer");
        answer.body_mut().with_config().limit(64 << 20).read_to_string().expect("text")
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) {
        let request = self.agent.patch(self.url(path)).header("Authorization", format!("Bearer {}", self.key));
        let mut answer = request.content_type("application/scim+json").send(body.to_string()).expect("an answer");
        answer.body_mut().read_to_string().expect("text");
    }

    /// VmRSS: resident memory, mapped pages included.
    pub(crate) fn resident_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

/// Starts a server in a folder; gives what it prints.
fn serve(program: &Path, folder: &Path, database_url: Option<&str>) -> (Child, impl Iterator<Item = String> + use<>) {
    let log = std::fs::File::create(folder.join("log")).expect("a log");
    let mut child = Command::new(program)
        .args(["serve", "--listen", "127.0.0.1:0", "--rate-limit", "off", "--data-dir"])
        .arg(folder.join("data"))
        .args(database_url.map(|url| ["--database-url", url]).into_iter().flatten())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("target/release/keyroll: cargo build --release makes it");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    (child, lines)
}

fn listening(lines: &mut impl Iterator<Item = String>) -> SocketAddr {
    let line = lines.next().expect("the address");
    line.rsplit('/').next().and_then(|text| text.parse().ok()).expect("an address")
}

/// Requests with the admin's key, each of which must be answered well.
pub(crate) struct Admin<'k>(&'k Keyroll);

impl Admin<'_> {
    fn at(&self, path: &str) -> (String, String) {
        (format!("http://{}{path}", self.0.address), format!("Bearer {}", self.0.admin_key))
    }

    fn read(&self, path: &str, tag: &str) -> ureq::http::Response<ureq::Body> {
        let (url, key) = self.at(path);
        self.0.agent.get(url).header("Authorization", key).header("If-None-Match", tag).call().expect("an answer")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> String {
        let (url, key) = self.at(path);
        let request = self.0.agent.post(url).header("Authorization", key).content_type("application/json");
        request.send(body.to_string()).expect("an answer").body_mut().read_to_string().expect("text")
    }

    /// The tag of what is there.
    pub(crate) fn tag(&self, path: &str) -> String {
        self.read(path, "\"-\"").headers()["etag"].to_str().expect("text").to_owned()
    }
}

impl Drop for Keyroll {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets PostgreSQL count the rows of the database that the environment names.
pub(crate) fn analyse() {
    use diesel::connection::SimpleConnection;
    let Ok(url) = std::env::var("KEYROLL_DATABASE_URL") else { return };
    let mut conn = <diesel::pg::PgConnection as diesel::Connection>::establish(&url).expect("a session");
    conn.batch_execute("ANALYZE").expect("counts");
}

/// A bare actix-web handler in a process of its own: no middleware, the same bytes each time.
pub(crate) struct Bare {
    child: Child,
    address: SocketAddr,
}

impl Bare {
    pub(crate) fn start(body: &str) -> Bare {
        let mut child = Command::new(std::env::current_exe().expect("a program"))
            .arg("--bare")
            .env("KEYROLL_TEST_BARE_BODY", body)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        Bare { child, address: line.trim().parse().expect("an address") }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bare server's program.
pub(crate) fn bare_main() {
    let body = web::Bytes::from(std::env::vars().find(|(name, _)| name == "KEYROLL_TEST_BARE_BODY").expect("a body").1);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    actix_web::rt::System::new().block_on(async move {
        let app = move || {
            let body = body.clone();
            // A body that was left unread would end the connection.
            App::new().default_service(web::to(move |_: web::Bytes| {
                let body = body.clone();
                async move { HttpResponse::Ok().content_type("application/scim+json").body(body) }
            }))
        };
        HttpServer::new(app).listen(listener).expect("listens").run().await.expect("serves");
    });
}
