//! Another file in the place of a SQLite database.

use std::fs;
use std::path::Path;

use super::error::{Error, Result};
use super::file::connect;
use super::place::{self, FileKind};

/// What becomes of a database that holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// It is left as it is, and nothing is restored.
    Keep,
    /// It gives way.
    Replace,
}

/// Puts another file in the place of a database, which `make` writes at the path that it is given. What was there
/// stays beside it.
///
/// # Errors
/// [`Error::Refused`] if somebody has the database open, or it shall be kept.
pub(super) fn replace<T, E: From<Error>>(
    path: &str,
    present: Present,
    make: impl FnOnce(&Path) -> Result<T, E>,
) -> Result<T, E> {
    let path = place::absolute(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let failed = |error: std::io::Error| Error::Refused(format!("{}: {error}", path.display()));
    // Nobody opens the database meanwhile.
    let folder = fs::File::open(folder).and_then(|folder| folder.lock().map(|()| folder)).map_err(failed)?;
    let old = place::beside(&path, ".replaced");
    match place::look(&path)? {
        FileKind::Nothing | FileKind::Empty => {}
        FileKind::Ours if present == Present::Keep => return Err(Error::Refused(HOLDS_ONE.to_owned()).into()),
        FileKind::Ours if old.exists() => {
            let old = old.display();
            let text = format!("{old} is from an earlier restore: move it away, then restore again");
            return Err(Error::Refused(text).into());
        }
        FileKind::Ours => leave_alone(&path)?,
    }
    if ["-wal", "-journal"].iter().any(|suffix| place::beside(&path, suffix).exists()) {
        let text =
            format!("beside {} lies the log of another database: move it away, then restore again", path.display());
        return Err(Error::Refused(text).into());
    }
    let draft = place::beside(&path, ".restoring");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error).into()),
        _ => {}
    }
    let made = make(&draft)?;
    let put = || {
        if path.exists() {
            fs::hard_link(&path, &old)?;
        }
        fs::rename(&draft, &path)?;
        folder.sync_all()
    };
    put().map_err(failed)?;
    Ok(made)
}

/// Puts the log of a database back into its file, which only who has it alone can do.
fn leave_alone(path: &Path) -> Result<()> {
    let text = path.to_str().ok_or_else(|| Error::Refused("the database's path must be UTF-8".to_owned()))?;
    let mut conn = connect(text)?;
    conn.batch("PRAGMA busy_timeout = 0;")?;
    let mode = conn.load_sql::<diesel::sql_types::Text, String>("PRAGMA journal_mode = DELETE", &[]);
    match mode {
        Ok(mode) if mode == ["delete"] => Ok(()),
        Ok(_) | Err(Error::Unavailable(_)) => Err(Error::Refused(IN_USE.to_owned())),
        Err(error) => Err(error),
    }
}

/// Why a database that is open is not replaced.
pub(super) const IN_USE: &str = "a server or another command has the database open: stop it, then restore again";

/// Why nothing was restored.
pub(super) const HOLDS_ONE: &str =
    "the database holds an installation: nothing was restored: to put the backup in its place, say --replace";
