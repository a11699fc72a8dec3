//! A PostgreSQL cluster for this test process: started by the first test that asks, gone with the process.
//!
//! Set `KEYROLL_TEST_SQLITE_ONLY=1` to do without; otherwise a missing PostgreSQL fails the tests.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};
use keyroll::store::{Settings, Store};

/// What initdb is told: text is UTF-8, and sorted unlike bytes unless a column says otherwise, so that
/// a forgotten `COLLATE "C"` shows.
const INITDB: &[&str] = &[
    "--no-sync",
    "--auth=trust",
    "--username=keyroll",
    "--locale-provider=icu",
    "--icu-locale=en-US",
    "--locale=C",
    "--encoding=UTF8",
];

/// A throw-away cluster: durability is not what these tests are about.
const SERVER: &str = "-c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
     -c max_connections=400 -c shared_buffers=64MB -c deadlock_timeout=100ms";

const TEMPLATE: &str = "keyroll_template";

struct Cluster(Machine);

/// A PostgreSQL that a test can stop, promote and start again.
pub struct Machine {
    folder: PathBuf,
    owner: Option<(u32, u32)>,
    /// Stops the cluster when its standard input closes, which the end of this process does however it ends.
    _watchdog: Child,
}

/// The URL of a new database with tables; `None` if PostgreSQL is switched off.
pub fn url() -> Option<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let cluster = cluster()?;
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    cluster.run(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}"));
    Some(cluster.url(&name))
}

/// The URL of a new database without tables; `None` if PostgreSQL is switched off.
pub fn empty_url() -> Option<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let cluster = cluster()?;
    let name = format!("empty_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    cluster.run(&format!("CREATE DATABASE {name}"));
    Some(cluster.url(&name))
}

fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let off = || std::env::var("KEYROLL_TEST_SQLITE_ONLY").is_ok_and(|value| value == "1");
    CLUSTER.get_or_init(|| (!off()).then(Cluster::start)).as_ref()
}

impl Cluster {
    fn start() -> Cluster {
        let cluster = Cluster(Machine::init());
        cluster.run(&format!("CREATE DATABASE {TEMPLATE}"));
        Store::open(&Settings { url: cluster.url(TEMPLATE), readers: 1 }).unwrap();
        cluster
    }

    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=keyroll", self.0.folder.display())
    }

    fn run(&self, sql: &str) {
        self.0.run(sql);
    }
}

impl Machine {
    /// A primary of a test's own, with an empty database `keyroll`; `None` if PostgreSQL is switched off.
    pub fn primary() -> Option<Machine> {
        cluster()?;
        let machine = Machine::init();
        machine.run("CREATE DATABASE keyroll");
        Some(machine)
    }

    /// Another machine that follows this one.
    pub fn standby(&self) -> Machine {
        let machine = Machine::empty();
        let backup = command("pg_basebackup", machine.owner)
            .args(["--no-sync", "--checkpoint=fast", "--write-recovery-conf", "-U", "keyroll", "-h"])
            .arg(&self.folder)
            .arg("-D")
            .arg(machine.folder.join("data"))
            .output()
            .unwrap();
        assert!(backup.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&backup.stderr));
        machine.start();
        machine
    }

    /// The URL of the database on whichever of these machines is the primary.
    pub fn url(machines: &[&Machine]) -> String {
        let hosts: Vec<String> = machines.iter().map(|machine| machine.folder.display().to_string()).collect();
        format!("postgres:///keyroll?host={}&user=keyroll", hosts.join(","))
    }

    pub fn start(&self) {
        self.start_with("");
    }

    /// The same with settings beside those of all clusters here.
    pub fn start_with(&self, settings: &str) {
        let start = command("pg_ctl", self.owner)
            .args(["start", "--wait", "--silent", "-D"])
            .arg(self.folder.join("data"))
            .arg("-l")
            .arg(self.folder.join("log"))
            .args(["-o", &format!("{SERVER} {settings} -k {}", self.folder.display())])
            .stdin(Stdio::null())
            .status()
            .unwrap();
        let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(start.success(), "PostgreSQL did not start: {}", log());
    }

    pub fn stop(&self) {
        self.control(&["stop", "--mode=immediate"]);
    }

    /// The same where it can be reached over TCP, at an address of its own.
    pub fn listen_at(&self, address: &str) {
        self.stop();
        self.start_with(&format!("-c listen_addresses={address}"));
    }

    /// Has every process of it stand still, or go on: its machine still acknowledges what it is sent.
    pub fn signal(&self, name: &str) {
        let file = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let first = file.lines().next().unwrap();
        let signal = |process: &str| Command::new("kill").arg(format!("-{name}")).arg(process).status().unwrap();
        assert!(signal(first).success(), "kill -{name}");
        // It starts none any more; one may have ended by itself.
        let others = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
        for other in others.split_whitespace() {
            signal(other);
        }
    }

    /// Makes a standby a primary, on a timeline of its own.
    pub fn promote(&self) {
        self.control(&["promote", "--wait"]);
    }

    /// Has it start as a standby from now on.
    pub fn demote(&self) {
        let signal = self.folder.join("data/standby.signal");
        fs::write(&signal, "").unwrap();
        if let Some((user, group)) = self.owner {
            chown(&signal, Some(user), Some(group)).unwrap();
        }
    }

    pub fn run(&self, sql: &str) {
        let url = format!("postgres:///postgres?host={}&user=keyroll", self.folder.display());
        PgConnection::establish(&url).unwrap().batch_execute(sql).unwrap();
    }

    fn control(&self, arguments: &[&str]) {
        let done = command("pg_ctl", self.owner).args(arguments).arg("-D").arg(self.folder.join("data")).output();
        let done = done.unwrap();
        assert!(done.status.success(), "pg_ctl: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A folder for a cluster.
    fn empty() -> Machine {
        // The server's user must be able to reach the folder: not the checkout, and a short path for the socket.
        let folder = tempfile::Builder::new().prefix("keyroll-pg-").tempdir_in("/tmp").unwrap().keep();
        let owner = unprivileged(&folder);
        if let Some((user, group)) = owner {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        let watchdog = watchdog(&folder, owner);
        Machine { folder, owner, _watchdog: watchdog }
    }

    fn init() -> Machine {
        let machine = Machine::empty();
        let data = machine.folder.join("data");
        let initdb = command("initdb", machine.owner).args(INITDB).arg("-D").arg(&data).output().unwrap();
        assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
        machine.start();
        machine
    }
}

/// Stops the cluster and deletes its folder once nobody holds the other end of its standard input. In a
/// process group of its own, since Ctrl-C would end it before that.
fn watchdog(folder: &Path, owner: Option<(u32, u32)>) -> Child {
    let script = r#"cat >/dev/null; kill -CONT "$(head -n 1 "$2/data/postmaster.pid")" 2>/dev/null; "$1" stop -m immediate -D "$2/data" >/dev/null 2>&1; rm -rf "$2""#;
    let mut command = as_owner(Command::new("sh"), owner);
    command.args(["-c", script, "sh"]).arg(binary("pg_ctl")).arg(folder).stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/").process_group(0).spawn().unwrap()
}

/// PostgreSQL refuses to run as root: then it runs as `postgres` or `nobody`.
fn unprivileged(own: &Path) -> Option<(u32, u32)> {
    if fs::metadata(own).unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let fields: Vec<&str> = users.lines().map(|l| l.split(':').collect()).find(|f: &Vec<&str>| f[0] == name)?;
        Some((fields[2].parse().ok()?, fields[3].parse().ok()?))
    };
    Some(find("postgres").or_else(|| find("nobody")).expect("a user postgres or nobody to run PostgreSQL"))
}

fn command(name: &str, owner: Option<(u32, u32)>) -> Command {
    as_owner(Command::new(binary(name)), owner)
}

fn as_owner(mut command: Command, owner: Option<(u32, u32)>) -> Command {
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}

/// Debian keeps the server's programs out of the PATH.
fn binary(name: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    places.extend(versions.map(|version| version.path().join("bin")));
    let found = places.into_iter().map(|place| place.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!("the tests need PostgreSQL's {name} (apt-get install postgresql), or KEYROLL_TEST_SQLITE_ONLY=1")
    })
}

/// Waits until so many statements wait for a lock in this database.
pub fn wait_for_locks(conn: &mut PgConnection, count: i64) {
    let sql = "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() \
               AND wait_event_type = 'Lock'";
    for _ in 0..10_000 {
        // A transaction sees the same activity each time unless it asks anew.
        conn.batch_execute("SELECT pg_stat_clear_snapshot()").unwrap();
        if sql_query(sql).get_result::<Count>(conn).unwrap().count >= count {
            return;
        }
        std::thread::yield_now();
    }
    panic!("nobody waits");
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}
