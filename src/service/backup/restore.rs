//! Putting a backup in the place of a database.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::domain::clock::{Clock, Entropy};
use crate::domain::log::{self, Entry, Head, RequestRef};
use crate::domain::{Caller, Id, Operation};
use crate::service::backup::folder::Source;
use crate::service::backup::{check, open};
use crate::service::work::analyze;
use crate::service::{Error, Settings};
use crate::store::archive::{self, Present};
use crate::store::{self, Conn};

/// Puts a backup, which is checked first, in the place of the database; both logs and keys of services go on from
/// there. What came later is gone, revocations included: the log says from where on.
///
/// # Errors
/// [`Error::Refused`] if the backup is not intact, a server or a command has the database open, or it holds an
/// installation that is not to be replaced; then nothing has changed.
pub fn restore(
    settings: &Settings,
    folder: &Path,
    replace: bool,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Value, Error> {
    check(settings, folder)?;
    let (manifest, _) = open(settings, folder)?;
    let now = clock.now();
    let present = if replace { Present::Replace } else { Present::Keep };
    // The lines fail at their end, before the commit, if they are not those that were checked.
    let mut source = Source::open(folder, &manifest)?;
    let restored =
        archive::restore(&settings.database_url, &manifest.migrations, &mut source.lines(), present, |conn| {
            record(conn, now, entropy)?;
            // What the first database had counted, this one has not.
            Ok::<_, Error>(store::statistics::uncounted(conn, analyze::JOB)?)
        });
    // Why it failed, if they are others, is said by the hash and not by what the database made of them.
    if matches!(restored, Err(Error::Internal(_))) {
        source.whole()?;
    }
    restored?;
    let mut told = manifest.to_json(folder);
    if let Some(told) = told.as_object_mut() {
        told.insert("restored".to_owned(), json!(true));
    }
    Ok(told)
}

/// Records in each log that it was put back, and up to which record.
fn record(conn: &mut Conn, now: DateTime<Utc>, entropy: &dyn Entropy) -> Result<(), Error> {
    let request = RequestRef { id: Id::mint(now, entropy).to_string(), method: "CLI".into(), route: "restore".into() };
    for tenant in store::tenants::all(conn)? {
        let head = store::log::lock_head(conn, tenant.key)?;
        let entry = Entry::new(Operation::Restore.action(), "tenant", tenant.id).with("seq", head.next_seq - 1);
        let (record, after) = log::append(&head, entry, &Caller::host(tenant.clone()), &request, now)?;
        let mut epoch = [0; 8];
        entropy.fill(&mut epoch);
        // What services keep of roles and mappings may be of a time that is gone.
        let after = Head { policy_seq: record.seq, policy_epoch: i64::from_be_bytes(epoch), ..after };
        store::log::append(conn, tenant.key, &[record], &after)?;
    }
    Ok(())
}
