//! The data folder and its keys: made once, fsynced; the database tells whether they are its own.
//!
//! `root.key` is there before the database holds anything. `signing.key` lies beside it, also in a folder
//! that is older than signatures: it is made when the database knows of none.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use crate::domain::Id;
use crate::domain::clock::Entropy;
use crate::domain::secret::Keyring;
use crate::store::installation::{ROOT, SIGNING};
use crate::store::{self, Conn};

use crate::service::error::Error;
use crate::service::signing::SigningKey;

/// The name of the file that holds the 32 bytes everything secret is derived from.
pub(in crate::service) const ROOT_KEY: &str = "root.key";
/// A key, in bytes.
const KEY_BYTES: usize = 32;
/// The id of an installation, in bytes.
const ID_BYTES: usize = 16;
/// The name of the file that holds the 32 bytes of the key that signs.
const SIGNING_KEY: &str = "signing.key";

/// Refuses to make a new key beside a database that has one: the next backup of the folder would keep a
/// key that opens nothing.
///
/// # Errors
/// If `root.key` is missing and the database was made with one.
pub(in crate::service) fn check_key_is_there(data_dir: &Path, database: &store::Settings) -> Result<(), Error> {
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

/// The installation that `root.key` says it is of, if the file is there and says so.
///
/// # Errors
/// If the file cannot be read or does not hold a key.
pub(in crate::service) fn expected(data_dir: &Path) -> Result<Option<Id>, Error> {
    Ok(read(&data_dir.join(ROOT_KEY))?.and_then(|(_, installation)| installation))
}

/// What `root.key` holds: 32 bytes, and behind them the id of the installation, once a database has it.
pub(in crate::service) struct RootKey {
    key: [u8; KEY_BYTES],
    /// The installation that it is of.
    pub(in crate::service) installation: Option<Id>,
}

impl RootKey {
    /// Reads the file, or makes it if there is none.
    ///
    /// # Errors
    /// If the folder or the file cannot be made or read, or the file does not hold a key.
    pub(in crate::service) fn open(data_dir: &Path, entropy: &dyn Entropy) -> Result<RootKey, Error> {
        let (key, rest) = open_key(data_dir, ROOT_KEY, entropy)?;
        Ok(RootKey { key, installation: rest })
    }

    /// Reads the file, which must be there.
    ///
    /// # Errors
    /// If it is not, or does not hold a key.
    pub(in crate::service) fn present(data_dir: &Path) -> Result<RootKey, Error> {
        let (key, installation) = present(data_dir, ROOT_KEY)?;
        Ok(RootKey { key, installation })
    }

    /// What is derived from it.
    pub(in crate::service) fn keyring(&self) -> Keyring {
        Keyring::derive(&self.key)
    }

    /// The id that a database without one gets: the file's own, or a new one.
    pub(in crate::service) fn id(&self, entropy: &dyn Entropy) -> Result<Id, Error> {
        if let Some(id) = self.installation {
            return Ok(id);
        }
        let mut bytes = [0; ID_BYTES];
        entropy.fill(&mut bytes);
        Id::from_bytes(&bytes).ok_or_else(|| Error::internal("16 bytes are an id"))
    }

    /// Writes the id that the database has committed into the file. Where the file cannot be changed, it stays as
    /// it is: a secret that is mounted for reading alone.
    ///
    /// # Errors
    /// If the file cannot be written, though others in its folder can.
    pub(in crate::service) fn keep(&self, id: Id, data_dir: &Path) -> Result<(), Error> {
        if self.installation == Some(id) {
            return Ok(());
        }
        let path = data_dir.join(ROOT_KEY);
        let written = lock(data_dir).and_then(|folder| {
            replace(&path, &[&self.key[..], id.as_bytes()].concat())?;
            folder.sync_all()
        });
        match written {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => {
                ::log::warn!(
                    "cannot write the id of the installation into {}: {error}: an emptied database will not be noticed",
                    path.display()
                );
                Ok(())
            }
            Err(error) => Err(Error::Refused(format!("cannot write {}: {error}", path.display()))),
        }
    }
}

/// Reads `signing.key`, or makes it if the database knows of none, and compares it with the database.
///
/// # Errors
/// If the file cannot be made or read, or the database was used with another one.
pub(in crate::service) fn open_signing_key(
    store: &store::Store,
    data_dir: &Path,
    entropy: &dyn Entropy,
) -> Result<SigningKey, Error> {
    let known = store.read(|conn| store::installation::fingerprint(conn, SIGNING))?;
    // The file is made before the database knows of it, so a node of this folder finds both or makes both.
    if known.is_some() && !data_dir.join(SIGNING_KEY).exists() {
        return Err(missing(SIGNING_KEY, data_dir));
    }
    let key = SigningKey::from_seed(&open_key(data_dir, SIGNING_KEY, entropy)?.0)?;
    let fingerprint = key.fingerprint();
    if known != Some(fingerprint.to_vec()) {
        let folder = data_dir.to_owned();
        store.write(move |conn| check_fingerprint(conn, (SIGNING, SIGNING_KEY), &fingerprint, &folder))?;
    }
    Ok(key)
}

/// Reads a key, or makes one if there is none; the folder is made with mode 0700, the file with 0600.
fn open_key(data_dir: &Path, name: &str, entropy: &dyn Entropy) -> Result<([u8; KEY_BYTES], Option<Id>), Error> {
    let path = data_dir.join(name);
    let failed =
        |what: &str, error: std::io::Error| Error::Refused(format!("cannot {what} {}: {error}", path.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(|e| failed("make the folder of", e))?;
    // Of processes that start at once one makes the key: the others wait until it is whole.
    let folder = lock(data_dir).map_err(|e| failed("lock the folder of", e))?;
    if let Some(found) = read(&path)? {
        return Ok(found);
    }
    let mut key = [0; KEY_BYTES];
    entropy.fill(&mut key);
    replace(&path, &key).map_err(|e| failed("write", e))?;
    // The name of the new file is durable only once its folder is.
    folder.sync_all().map_err(|e| failed("make durable", e))?;
    Ok((key, None))
}

/// The key that signs, which must be there.
///
/// # Errors
/// If it is not, or is no key.
pub(in crate::service) fn present_signing_key(data_dir: &Path) -> Result<SigningKey, Error> {
    SigningKey::from_seed(&present(data_dir, SIGNING_KEY)?.0)
}

fn present(data_dir: &Path, name: &str) -> Result<([u8; KEY_BYTES], Option<Id>), Error> {
    let path = data_dir.join(name);
    let missing =
        || Error::Refused(format!("{} is not there: a backup holds no keys: copy it there first", path.display()));
    read(&path)?.ok_or_else(missing)
}

fn lock(folder: &Path) -> Result<File, std::io::Error> {
    let folder = File::open(folder)?;
    folder.lock()?;
    Ok(folder)
}

/// Gives the file its name when it is whole: power loss must not leave half a key. Whose it was, it stays: the host's
/// administrator may run a command beside a server that has a user of its own.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), std::io::Error> {
    let draft = path.with_extension("key.new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    if let Ok(before) = fs::metadata(path)
        && file.metadata()?.uid() != before.uid()
    {
        fchown(&file, Some(before.uid()), Some(before.gid()))?;
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// A key, and the installation that its file names.
type Held = ([u8; KEY_BYTES], Option<Id>);

/// What a key's file holds; `None` if there is none. A key that others can read is none.
fn read(path: &Path) -> Result<Option<Held>, Error> {
    let failed = |error: std::io::Error| Error::Refused(format!("cannot read {}: {error}", path.display()));
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
        let path = path.display();
        return Err(Error::Refused(format!("{path} is open to others than its owner: chmod 600 {path}")));
    }
    let mut bytes = vec![];
    // One byte more than there may be, and not a whole disk.
    (&mut file).take(KEY_BYTES as u64 + ID_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let held = bytes.split_first_chunk().and_then(|(key, rest)| match rest.len() {
        0 => Some((*key, None)),
        _ => Id::from_bytes(rest).map(|id| (*key, Some(id))),
    });
    let wrong =
        || std::io::Error::new(ErrorKind::InvalidData, "it must hold 32 bytes, or 48 with the installation's id");
    held.map(Some).ok_or_else(|| failed(wrong()))
}

/// Compares `root.key` with a database that knows it and its own id already, and gives the id. Nothing is written, so
/// one that takes no writes now will do.
///
/// # Errors
/// See [`check_root`].
pub(in crate::service) fn known_root(conn: &mut Conn, keyring: &Keyring, data_dir: &Path) -> Result<Option<Id>, Error> {
    if store::installation::fingerprint(conn, ROOT)?.is_none() {
        return Ok(None);
    }
    check_fingerprint(conn, (ROOT, ROOT_KEY), keyring.fingerprint(), data_dir)?;
    Ok(store::installation::id(conn)?)
}

/// Compares `root.key` with the fingerprint in the database, and gives the id of the installation; an empty database
/// takes both.
///
/// # Errors
/// If the database was made with another `root.key`.
pub(in crate::service) fn check_root(
    conn: &mut Conn,
    keyring: &Keyring,
    id: &Id,
    data_dir: &Path,
) -> Result<Id, Error> {
    check_fingerprint(conn, (ROOT, ROOT_KEY), keyring.fingerprint(), data_dir)?;
    // Of nodes that start at once one is first; the others learn its id.
    store::installation::set_id(conn, id)?;
    store::installation::id(conn)?.ok_or_else(|| Error::internal("the id is not there"))
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
