//! Backups: all data in a folder, apart from the keys; how to trust one, and how to put it back.
//!
//! A folder holds `data.jsonl.gz` and `manifest.json`. The manifest says which keys the data needs, where each log
//! ends, and the hash of the data; a MAC by a label of `root.key` keeps both as they are.

mod folder;
mod manifest;
mod restore;

use std::path::Path;

use serde_json::{Value, json};

use self::folder::{Draft, Source};
pub use self::manifest::Manifest;
use self::manifest::{FORMAT, LogEnd};
use crate::domain::Operation;
use crate::domain::log::{hex, render_time};
use crate::domain::secret::Keyring;
use crate::service::{Context, Error, Service, Settings, authorize, installation, log};
use crate::store::installation::{ROOT, SIGNING};
use crate::store::{self, Store, archive};

/// What a check needs: the logs, the credentials, and what these refer to.
const CHECKED: [&str; 7] =
    ["installation", "tenants", "connections", "principals", "credentials", "log_records", "log_heads"];

impl Service {
    /// Writes a backup into a folder, which must not be there yet, while others go on writing.
    ///
    /// # Errors
    /// If the folder cannot be made, or the store fails; then there is no folder.
    pub fn back_up(&self, context: &Context, folder: &Path) -> Result<Value, Error> {
        authorize(&context.caller, Operation::Backup, None)?;
        let draft = Draft::new(folder, self.mint())?;
        let made_at = self.now();
        let manifest = self.read(|conn| {
            store::snapshot(conn, |conn| {
                let mut data = draft.data()?;
                let rows = archive::export(conn, |line| data.line(line))?;
                let (sha256, bytes) = data.end()?;
                let fingerprint = |found: Option<Vec<u8>>| hex(&found.unwrap_or_default());
                let mut logs = vec![];
                for tenant in store::tenants::all(conn)? {
                    let head = store::log::head(conn, tenant.key)?;
                    logs.push(LogEnd::new(&tenant, &head));
                }
                Ok(Manifest {
                    format: FORMAT,
                    keyroll: env!("CARGO_PKG_VERSION").to_owned(),
                    migrations: archive::migrations(conn)?,
                    made_at: render_time(made_at),
                    installation: store::installation::id(conn)?,
                    root_key: fingerprint(store::installation::fingerprint(conn, ROOT)?),
                    signing_key: fingerprint(store::installation::fingerprint(conn, SIGNING)?),
                    logs,
                    rows,
                    bytes,
                    sha256,
                })
            })
        })?;
        draft.finish(&manifest.seal(self.keyring())?)?;
        Ok(manifest.to_json(folder))
    }
}

/// Checks a backup from its first byte to its last: the MAC over it, both keys, the chain of each log, and the row of
/// each credential. The database is not needed, the keys are.
///
/// # Errors
/// [`Error::Refused`] with what is wrong.
pub fn check(settings: &Settings, folder: &Path) -> Result<Value, Error> {
    let (manifest, keyring) = open(settings, folder)?;
    let place = settings.data_dir.join("backup.checking");
    // What a check that was killed left.
    folder::remove(&place)?;
    let checked = examine(&manifest, &keyring, folder, &place);
    folder::remove(&place)?;
    checked?;
    let mut told = manifest.to_json(folder);
    if let Some(told) = told.as_object_mut() {
        told.insert("intact".to_owned(), json!(true));
    }
    Ok(told)
}

/// Reads what a backup says of itself, and whether it is of the keys that are here.
fn open(settings: &Settings, folder: &Path) -> Result<(Manifest, Keyring), Error> {
    let manifest = folder::manifest(folder)?;
    let root = installation::RootKey::present(&settings.data_dir)?;
    let keyring = root.keyring();
    let manifest = Manifest::open(&manifest, &keyring)?;
    let other = |name: &str| {
        let path = settings.data_dir.join(name);
        Error::Refused(format!("the backup is of another installation than {}: nothing was done", path.display()))
    };
    if let (Some(own), Some(id)) = (root.installation, manifest.installation)
        && own != id
    {
        return Err(other("root.key"));
    }
    if manifest.signing_key != hex(&installation::present_signing_key(&settings.data_dir)?.fingerprint()) {
        return Err(other("signing.key"));
    }
    Ok((manifest, keyring))
}

/// Puts what there is to check into a database of its own, and checks it there.
fn examine(manifest: &Manifest, keyring: &Keyring, folder: &Path, place: &Path) -> Result<(), Error> {
    let broken = |what: &str| Error::Refused(format!("the backup in {} is broken: {what}", folder.display()));
    // Before a row of it is looked at.
    Source::open(folder, manifest)?.whole()?;
    let mut source = Source::open(folder, manifest)?;
    archive::fill(place, &manifest.migrations, &mut source.lines(), &CHECKED, |_| Ok::<_, Error>(()))?;
    let database = store::Settings { url: format!("sqlite:{}", place.display()), readers: 1 };
    let store = Store::open(&database)?;
    let tenants = store.read(store::tenants::all)?;
    if tenants.len() != manifest.logs.len() {
        return Err(broken("it has other tenants than its manifest says"));
    }
    for (tenant, end) in tenants.iter().zip(&manifest.logs) {
        let head = store.read(|conn| store::log::head(conn, tenant.key))?;
        if *end != LogEnd::new(tenant, &head) {
            return Err(broken("its log ends elsewhere than its manifest says"));
        }
        let found = log::verify(&store, keyring, tenant)?;
        found.chain.map_err(|what| broken(&what))?;
        if found.credentials.tampered > 0 {
            return Err(broken(&format!("{} keys were changed from outside", found.credentials.tampered)));
        }
    }
    Ok(())
}

pub use self::restore::restore;
