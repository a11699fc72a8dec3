//! Where the program runs: its folder, its database, and the commands and servers that are started there.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};

use super::super::postgres;
use super::{Drain, Keys, Output, Process, Server, Starting, finish};

/// A data folder and a database, both empty at first.
pub struct Installation {
    folder: Arc<tempfile::TempDir>,
    data_dir: PathBuf,
    database_url: Option<String>,
    keys: Arc<OnceLock<Keys>>,
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

    /// On a database that is at this URL.
    pub fn on(url: String) -> Installation {
        Installation::at(Some(url))
    }

    /// The same installation, whose database is reached another way.
    pub fn through(&self, url: String) -> Installation {
        Installation {
            folder: Arc::clone(&self.folder),
            data_dir: self.data_dir.clone(),
            database_url: Some(url),
            keys: Arc::clone(&self.keys),
        }
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

    /// The same place, whose servers answer to the keys of another one's first start.
    pub fn of(mut self, other: &Installation) -> Installation {
        self.keys = Arc::clone(&other.keys);
        self
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

    /// Changes the database from outside, as somebody with SQL would.
    pub fn sql(&self, sql: &str) {
        let url = self.database_url();
        match url.strip_prefix("sqlite:") {
            Some(path) => SqliteConnection::establish(path).unwrap().batch_execute(sql).unwrap(),
            None => PgConnection::establish(&url).unwrap().batch_execute(sql).unwrap(),
        }
    }

    /// The program in a clean environment, in a folder without settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_keyroll"), arguments)
    }

    fn command_of(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
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
        self.start_before(Drain::start, flags, variables)
    }

    /// The name of the database, and a session beside it on the same PostgreSQL.
    pub fn cluster(&self) -> (String, PgConnection) {
        let url = self.database_url();
        let name = url.strip_prefix("postgres:///").unwrap().split('?').next().unwrap().to_owned();
        let cluster = PgConnection::establish(&url.replacen(&name, "postgres", 1)).unwrap();
        (name, cluster)
    }

    /// Starts a server whose log nobody reads, and waits until it listens.
    pub fn serve_unread(&self, variables: &[(&str, &str)]) -> Server {
        self.start_before(Drain::none, &[], variables).ready()
    }

    /// Starts a server that may open only so many files: `limit` is what the shell's `ulimit` takes.
    pub fn serve_with_files(&self, limit: &str) -> Server {
        self.serve_after(&format!("ulimit {limit}"), &[("KEYROLL_LOG", "info")])
    }

    /// Starts a server in a shell that has done something first, and waits until it listens.
    #[track_caller]
    pub fn serve_after(&self, preparation: &str, variables: &[(&str, &str)]) -> Server {
        let program = self.command(&["serve"]);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{preparation} && exec \"$@\""), "sh"]).arg(program.get_program());
        command.args(program.get_args()).current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        self.spawn(command, Drain::start, &[], variables).ready()
    }

    /// Starts a server on a socket that is held for it, as systemd does.
    pub fn serve_on(&self, held: &std::net::TcpListener) -> Server {
        let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
        let mut command = self.command_of("sh", &["-c", script, "sh", env!("CARGO_BIN_EXE_keyroll"), "serve"]);
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(held.try_clone().unwrap())));
        self.spawn(command, Drain::start, &[], &[]).ready()
    }

    fn start_before(
        &self,
        reader: impl Fn(std::process::ChildStderr) -> Drain,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Starting {
        self.spawn(self.command(&["serve"]), reader, flags, variables)
    }

    fn spawn(
        &self,
        mut command: Command,
        reader: impl Fn(std::process::ChildStderr) -> Drain,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Starting {
        if !flags.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(flags).envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Process(command.spawn().unwrap());
        let stdout = BufReader::new(child.0.stdout.take().unwrap());
        let stderr = reader(child.0.stderr.take().unwrap());
        Starting { child, stdout, stderr, keys: Arc::clone(&self.keys) }
    }
}
