//! The data folder and `root.key`: made once, fsynced, before the database holds anything.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::domain::clock::Entropy;
use crate::domain::secret::Keyring;
use crate::store::{self, Conn};

use super::error::Error;

/// The name of the file that holds the 32 bytes everything secret is derived from.
pub(super) const ROOT_KEY: &str = "root.key";

/// Refuses to make a new key beside a database that has one: the next backup of the folder would keep a
/// key that opens nothing.
///
/// # Errors
/// If `root.key` is missing and the database was made with one.
pub(super) fn check_key_is_there(data_dir: &Path, database: &store::Settings) -> Result<(), Error> {
    let path = data_dir.join(ROOT_KEY);
    let is_new = database.url.strip_prefix("sqlite:").is_some_and(|file| !Path::new(file).exists());
    if is_new || path.exists() {
        return Ok(());
    }
    let known = store::Store::open(database)?.read(store::installation::fingerprint)?;
    // A node that starts beside this one may have made both meanwhile.
    if known.is_none() || path.exists() {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "the database has a {ROOT_KEY} and this folder has none: copy {ROOT_KEY} of the node that made the \
         database to {}",
        path.display()
    )))
}

/// Reads `root.key`, or makes it if there is none; the folder is made with mode 0700, the file with 0600.
///
/// # Errors
/// If the folder or the file cannot be made or read, or the file does not hold 32 bytes.
pub(super) fn open_keyring(data_dir: &Path, entropy: &dyn Entropy) -> Result<Keyring, Error> {
    let path = data_dir.join(ROOT_KEY);
    let failed =
        |what: &str, error: std::io::Error| Error::Refused(format!("cannot {what} {}: {error}", path.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(|e| failed("make the folder of", e))?;
    // Of processes that start at once one makes the key: the others wait until it is whole.
    let folder = File::open(data_dir).and_then(|folder| folder.lock().map(|()| folder));
    let folder = folder.map_err(|e| failed("lock the folder of", e))?;
    match read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => return found.map_err(|e| failed("read", e)),
    }
    let mut root = [0; 32];
    entropy.fill(&mut root);
    write(&path, &root).map_err(|e| failed("write", e))?;
    // The name of the new file is durable only once its folder is.
    folder.sync_all().map_err(|e| failed("make durable", e))?;
    Ok(Keyring::derive(&root))
}

/// Gives the file its name when it is whole: power loss must not leave half a key.
fn write(path: &Path, root: &[u8; 32]) -> Result<(), std::io::Error> {
    let draft = path.with_extension("key.new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(root)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

fn read(path: &Path) -> Result<Keyring, std::io::Error> {
    let mut root = [0; 32];
    let mut file = File::open(path)?;
    file.read_exact(&mut root)?;
    if fs::metadata(path)?.len() != 32 {
        return Err(std::io::Error::new(ErrorKind::InvalidData, "it must hold exactly 32 bytes"));
    }
    Ok(Keyring::derive(&root))
}

/// Compares `root.key` with the fingerprint in the database; an empty database takes it.
///
/// # Errors
/// If the database was made with another `root.key`.
pub(super) fn check_fingerprint(conn: &mut Conn, keyring: &Keyring, data_dir: &Path) -> Result<(), Error> {
    let stored = match store::installation::fingerprint(conn)? {
        Some(stored) => Some(stored),
        None => {
            // Of nodes that start at once on an empty database one is first; the others belong to it or not.
            store::installation::set_fingerprint(conn, keyring.fingerprint())?;
            store::installation::fingerprint(conn)?
        }
    };
    if stored.as_deref() == Some(keyring.fingerprint()) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "the database belongs to another {ROOT_KEY}: copy {ROOT_KEY} of the node that made the database to {}",
        data_dir.join(ROOT_KEY).display()
    )))
}
