//! What a backup says of itself.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::domain::log::{Head, hex, render_time};
use crate::domain::secret::Keyring;
use crate::domain::{Id, Tenant};
use crate::service::Error;

/// The form of the folder that this version writes and reads.
pub(in crate::service::backup) const FORMAT: u32 = 1;

/// `manifest.json`, without its MAC.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub(in crate::service::backup) format: u32,
    /// The version that wrote it.
    pub(in crate::service::backup) keyroll: String,
    /// What its tables have come through.
    pub(in crate::service::backup) migrations: Vec<String>,
    /// When it was begun.
    pub(in crate::service::backup) made_at: String,
    /// The installation.
    pub(in crate::service::backup) installation: Option<Id>,
    /// The fingerprint of `root.key`.
    pub(in crate::service::backup) root_key: String,
    /// That of `signing.key`.
    pub(in crate::service::backup) signing_key: String,
    /// Where each tenant's log ends.
    pub(in crate::service::backup) logs: Vec<LogEnd>,
    /// How many rows there are.
    pub(in crate::service::backup) rows: u64,
    /// How many bytes the data has.
    pub(in crate::service::backup) bytes: u64,
    /// Their hash.
    pub(in crate::service::backup) sha256: String,
}

/// Where a log ends.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::service::backup) struct LogEnd {
    tenant: Id,
    name: String,
    /// The number of the newest record.
    pub(in crate::service::backup) seq: i64,
    hash: String,
    time: String,
}

impl LogEnd {
    pub(in crate::service::backup) fn new(tenant: &Tenant, head: &Head) -> LogEnd {
        let (hash, time) = (hex(&head.hash), render_time(head.time));
        LogEnd { tenant: tenant.id, name: tenant.name.clone(), seq: head.next_seq - 1, hash, time }
    }
}

/// The file: the manifest as the text that the MAC is over.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    manifest: Box<serde_json::value::RawValue>,
    mac: String,
}

impl Manifest {
    /// The bytes of the file.
    ///
    /// # Errors
    /// If they cannot be written as JSON, which their types rule out.
    pub(in crate::service::backup) fn seal(&self, keyring: &Keyring) -> Result<Vec<u8>, Error> {
        let manifest = serde_json::value::to_raw_value(self)?;
        let mac = hex(&keyring.backup_mac(manifest.get().as_bytes()));
        Ok(serde_json::to_vec(&Sealed { manifest, mac })?)
    }

    /// Reads the bytes of the file.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is not whole, of another form, of another `root.key`, or was changed.
    pub(in crate::service::backup) fn open(bytes: &[u8], keyring: &Keyring) -> Result<Manifest, Error> {
        let refused = |what: &str| Error::Refused(format!("manifest.json: {what}: nothing was done"));
        let damaged = || refused("it is not as it was written: it was damaged or changed: take another copy");
        let newer = || refused("it was written by a newer version of keyroll: install that version");
        let sealed: Sealed = serde_json::from_slice(bytes).map_err(|_| damaged())?;
        let text = sealed.manifest.get();
        let mac = hex(&keyring.backup_mac(text.as_bytes()));
        let is_ours = bool::from(mac.as_bytes().ct_eq(sealed.mac.as_bytes()));
        let manifest: Manifest = serde_json::from_str(text).map_err(|_| if is_ours { newer() } else { damaged() })?;
        if manifest.format != FORMAT {
            return Err(newer());
        }
        if manifest.root_key != hex(keyring.fingerprint()) {
            return Err(refused(
                "the backup is of another root.key than the one in the data folder: copy that one there",
            ));
        }
        if !is_ours {
            return Err(refused("it was changed: its MAC is another"));
        }
        Ok(manifest)
    }

    /// What people and scripts are told.
    pub(in crate::service::backup) fn to_json(&self, folder: &Path) -> Value {
        json!({
            "folder": folder.display().to_string(),
            "made_at": self.made_at,
            "logs": self.logs.iter().map(|log| json!({"tenant": log.name, "seq": log.seq, "time": log.time})).collect::<Vec<_>>(),
            "rows": self.rows,
            "bytes": self.bytes,
            "root_key": self.root_key,
            "signing_key": self.signing_key,
        })
    }
}
