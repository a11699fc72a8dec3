//! Where the embedded database lies, looked at before anything there is changed: a typing error in the URL must
//! harm no file of anybody else.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::connection::Conn;
use super::error::{Error, Result};

/// What SQLite calls the `application_id` of a file: "keyr" in ASCII.
const APPLICATION: i64 = 0x6b65_7972;

/// Tables that together only Keyroll has. Files from before they carried its number are known by them.
const OWN_TABLES: [&str; 2] = ["installation", "log_heads"];

/// The shortest file that is a database: one page (<https://sqlite.org/fileformat.html> §1.3.2).
const PAGE_BYTES_MIN: u64 = 512;

/// What a path of a URI may hold as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// What lies at the place of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// No file.
    Nothing,
    /// A file without tables, of nobody.
    Empty,
    /// A database of Keyroll, perhaps without tables yet.
    Ours,
}

/// The absolute path of the database file, whose folder must exist.
pub(super) fn absolute(path: &str) -> Result<PathBuf> {
    let path = Path::new(path);
    let Some(name) = path.file_name() else {
        return Err(Error::Refused("the database URL must name a file: sqlite:<path>".to_owned()));
    };
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|error| {
        Error::Refused(format!("the folder of the database, {}: {error}: create it first", told(folder)))
    })?;
    Ok(folder.join(name))
}

/// A path as a message names it. What looks like a URL, or like a part of one, may hold a password: the setting stands
/// for it.
pub(super) fn told(path: &Path) -> String {
    let text = path.to_string_lossy();
    match text.contains('@') || text.contains(":/") {
        true => "the place that --database-url names".to_owned(),
        false => text.into_owned(),
    }
}

/// Looks at the file and changes nothing, not even if another program has it open.
///
/// # Errors
/// [`Error::Refused`] if it is neither empty nor a database of Keyroll, with what it is.
pub(super) fn look(path: &Path) -> Result<FileKind> {
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(FileKind::Nothing),
        Err(error) => return Err(Error::Refused(format!("cannot look at {}: {error}", told(path)))),
    };
    // Whoever only opens a pipe waits for somebody to open its other end.
    let kind = about.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(path).unwrap_or_default();
        return Err(foreign(path, &format!("is a symbolic link to {}", told(&target)), "name that file itself"));
    }
    if !kind.is_file() {
        let what = match () {
            () if kind.is_dir() => "is a folder",
            () if kind.is_fifo() => "is a pipe",
            () if kind.is_socket() => "is a socket",
            () => "is a device",
        };
        return Err(foreign(path, what, CHECK));
    }
    // SQLite takes what is shorter than its shortest page for empty, and writes over it.
    if (1..PAGE_BYTES_MIN).contains(&about.len()) {
        return Err(foreign(path, "is too short for a database", CHECK));
    }
    let unread = |error: Error| {
        let reason = match error {
            Error::Refused(reason) | Error::Unavailable(reason) => reason,
            other => other.to_string(),
        };
        foreign(path, &format!("cannot be read as a database (its owner is user {}): {reason}", about.uid()), CHECK)
    };
    // As if nobody could change the file: no lock is taken, and neither a journal nor a log beside it is looked at.
    // By itself it may be torn: whoever puts its log back, or was killed while doing so, has changed some of its
    // pages and not yet the others (<https://sqlite.org/wal.html> §2.1). Only with the log they are one database.
    let has_log = has_log(path);
    let contents = match Contents::read(path, "&immutable=1") {
        Ok(contents) if !(has_log && contents.is_empty()) => contents,
        Err(error) if !has_log => return Err(unread(error)),
        _ => Contents::read(path, "").map_err(unread)?,
    };
    contents.judge(path)
}

/// What a file says of itself.
struct Contents {
    application: i64,
    /// A number of a program's own; Keyroll gives none.
    version: i64,
    tables: Vec<String>,
}

impl Contents {
    fn read(path: &Path, options: &str) -> Result<Contents> {
        let text = path.to_str().ok_or_else(|| Error::Refused("its path must be UTF-8".to_owned()))?;
        let uri = format!("file:{}?mode=ro{options}", utf8_percent_encode(text, PATH));
        let mut connection = SqliteConnection::establish(&uri).map_err(|error| Error::Refused(error.to_string()))?;
        connection.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA trusted_schema = OFF;")?;
        let mut conn = Conn::from(connection);
        let application = conn.load_sql::<BigInt, i64>("PRAGMA application_id", &[])?.pop().unwrap_or(0);
        let version = conn.load_sql::<BigInt, i64>("PRAGMA user_version", &[])?.pop().unwrap_or(0);
        let tables = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')";
        let tables = conn.load_sql::<Text, String>(tables, &[])?;
        Ok(Contents { application, version, tables })
    }

    fn is_empty(&self) -> bool {
        self.application == 0 && self.version == 0 && self.tables.is_empty()
    }

    fn judge(&self, path: &Path) -> Result<FileKind> {
        let has = |name: &&str| self.tables.iter().any(|table| table == name);
        match self.application {
            // Its tables may lie in the log beside it.
            APPLICATION => Ok(FileKind::Ours),
            _ if self.is_empty() => Ok(FileKind::Empty),
            0 if OWN_TABLES.iter().all(has) => Ok(FileKind::Ours),
            number => {
                let some: Vec<&str> = self.tables.iter().take(3).map(String::as_str).collect();
                let holds = match some.as_slice() {
                    [] => format!("user_version {}, no tables", self.version),
                    some => format!("tables {}", some.join(", ")),
                };
                let what = format!("is a database of another program (application_id {number}, {holds})");
                Err(foreign(path, &what, CHECK))
            }
        }
    }
}

const CHECK: &str = "check the database URL, or move it away";

fn foreign(path: &Path, what: &str, fix: &str) -> Error {
    Error::Refused(format!("{} {what}: it was left as it is: {fix}", told(path)))
}

/// Whether what was committed to the file may still lie beside it.
fn has_log(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|about| about.len() > 0)
}

/// The path of a file that SQLite keeps beside the database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Marks the file as Keyroll's, unless it is marked already: a start needs no room on the disk.
pub(super) fn claim(connection: &mut Conn) -> Result<()> {
    let number = connection.load_sql::<BigInt, i64>("PRAGMA application_id", &[])?.pop();
    if number != Some(APPLICATION) {
        connection.execute_sql(&format!("PRAGMA application_id = {APPLICATION}"), &[])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_url_is_not_repeated() {
        for plain in ["/var/lib/keyroll/keyroll.db", "keyroll-data/k.db", "a:b.db"] {
            assert_eq!(told(Path::new(plain)), plain);
        }
        for url in ["postgres://u:Hunter2@h/x", "postgres:/u:Hunter2", "u:Hunter2@h/x", "/srv/u:Hunter2@h/x"] {
            assert_eq!(told(Path::new(url)), "the place that --database-url names");
        }
    }
}
