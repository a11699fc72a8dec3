//! The data folder and its keys: made once, fsynced; the database tells whether they are its own.
//!
//! `root.key` is there before the database holds anything. `signing.key` lies beside it, also in a folder
//! that is older than signatures: it is made when the database knows of none.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::domain::clock::Entropy;
use crate::domain::secret::Keyring;
use crate::store::installation::{ROOT, SIGNING};
use crate::store::{self, Conn};

use super::error::Error;
use super::signing::SigningKey;

/// The name of the file that holds the 32 bytes everything secret is derived from.
pub(super) const ROOT_KEY: &str = "root.key";
/// The name of the file that holds the 32 bytes of the key that signs.
const SIGNING_KEY: &str = "signing.key";

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
    let known = store::Store::open(database)?.read(|conn| store::installation::fingerprint(conn, ROOT))?;
    // A node that starts beside this one may have made both meanwhile.
    if known.is_none() || path.exists() {
        return Ok(());
    }
    Err(missing(ROOT_KEY, data_dir))
}

/// Reads `root.key`, or makes it if there is none.
///
/// # Errors
/// If the folder or the file cannot be made or read, or the file does not hold 32 bytes.
pub(super) fn open_keyring(data_dir: &Path, entropy: &dyn Entropy) -> Result<Keyring, Error> {
    Ok(Keyring::derive(&open_key(data_dir, ROOT_KEY, entropy)?))
}

/// Reads `signing.key`, or makes it if the database knows of none, and compares it with the database.
///
/// # Errors
/// If the file cannot be made or read, or the database was used with another one.
pub(super) fn open_signing_key(
    store: &store::Store,
    data_dir: &Path,
    entropy: &dyn Entropy,
) -> Result<SigningKey, Error> {
    let known = store.read(|conn| store::installation::fingerprint(conn, SIGNING))?;
    // The file is made before the database knows of it, so a node of this folder finds both or makes both.
    if known.is_some() && !data_dir.join(SIGNING_KEY).exists() {
        return Err(missing(SIGNING_KEY, data_dir));
    }
    let key = SigningKey::from_seed(&open_key(data_dir, SIGNING_KEY, entropy)?)?;
    let fingerprint = key.fingerprint();
    if known != Some(fingerprint.to_vec()) {
        let folder = data_dir.to_owned();
        store.write(move |conn| check_fingerprint(conn, (SIGNING, SIGNING_KEY), &fingerprint, &folder))?;
    }
    Ok(key)
}

/// Reads the 32 bytes of a key, or makes them if there are none; the folder is made with mode 0700, the
/// file with 0600.
fn open_key(data_dir: &Path, name: &str, entropy: &dyn Entropy) -> Result<[u8; 32], Error> {
    let path = data_dir.join(name);
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
    let mut key = [0; 32];
    entropy.fill(&mut key);
    write(&path, &key).map_err(|e| failed("write", e))?;
    // The name of the new file is durable only once its folder is.
    folder.sync_all().map_err(|e| failed("make durable", e))?;
    Ok(key)
}

/// Gives the file its name when it is whole: power loss must not leave half a key.
fn write(path: &Path, key: &[u8; 32]) -> Result<(), std::io::Error> {
    let draft = path.with_extension("key.new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(key)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

fn read(path: &Path) -> Result<[u8; 32], std::io::Error> {
    let mut key = [0; 32];
    let mut file = File::open(path)?;
    file.read_exact(&mut key)?;
    if fs::metadata(path)?.len() != 32 {
        return Err(std::io::Error::new(ErrorKind::InvalidData, "it must hold exactly 32 bytes"));
    }
    Ok(key)
}

/// Compares `root.key` with the fingerprint in the database; an empty database takes it.
///
/// # Errors
/// If the database was made with another `root.key`.
pub(super) fn check_root(conn: &mut Conn, keyring: &Keyring, data_dir: &Path) -> Result<(), Error> {
    check_fingerprint(conn, (ROOT, ROOT_KEY), keyring.fingerprint(), data_dir)
}

fn check_fingerprint(
    conn: &mut Conn,
    (key, name): (store::installation::Key, &str),
    fingerprint: &[u8; 32],
    data_dir: &Path,
) -> Result<(), Error> {
    let stored = match store::installation::fingerprint(conn, key)? {
        Some(stored) => Some(stored),
        None => {
            // Of nodes that start at once on an empty database one is first; the others belong to it or not.
            store::installation::set_fingerprint(conn, key, fingerprint)?;
            store::installation::fingerprint(conn, key)?
        }
    };
    if stored.as_deref() == Some(fingerprint) {
        return Ok(());
    }
    Err(foreign(&format!("belongs to another {name}"), name, data_dir))
}

fn missing(name: &str, data_dir: &Path) -> Error {
    foreign(&format!("has a {name} and this folder has none"), name, data_dir)
}

fn foreign(why: &str, name: &str, data_dir: &Path) -> Error {
    let path = data_dir.join(name);
    Error::Refused(format!("the database {why}: copy {name} of the node that made the database to {}", path.display()))
}
