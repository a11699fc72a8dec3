//! Why credentials were revoked, in people's own words.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Binary, Text};

use crate::domain::{Credential, Id, TenantKey};
use crate::store::connection::{Bind, CHUNK, Conn, LISTED, List, alter};
use crate::store::error::Result;
use crate::store::schema::revocation_notes;
use crate::store::types::Column;

/// Keeps why a credential was revoked, in people's own words.
///
/// # Errors
/// A unique violation if there is such a note already.
pub fn add_note(conn: &mut Conn, tenant: TenantKey, credential: &Credential, note: &str) -> Result<()> {
    let values = (
        revocation_notes::tenant.eq(tenant.0),
        revocation_notes::credential.eq(&credential.id.as_bytes()[..]),
        revocation_notes::owner.eq(&credential.owner.as_bytes()[..]),
        revocation_notes::note.eq(note),
    );
    alter!(conn, |c| diesel::insert_into(revocation_notes::table).values(values).execute(c))?;
    Ok(())
}

/// The notes of some credentials.
///
/// # Errors
/// If the database cannot be read.
pub fn notes(conn: &mut Conn, tenant: TenantKey, ids: &[Id]) -> Result<HashMap<Id, String>> {
    let own = conn.each("revocation_notes", "n", "n.tenant = ? AND n.credential = list.value");
    let sql = format!("SELECT n.credential, n.note {LISTED}{own}");
    let mut found = HashMap::new();
    for ids in ids.chunks(CHUNK) {
        let binds = [Bind::List(List::ids(ids)), Bind::Int(tenant.0)];
        for (id, note) in conn.load_sql::<(Binary, Text), (Vec<u8>, String)>(&sql, &binds)? {
            found.insert(Column("revocation_notes", "credential").id(&id)?, note);
        }
    }
    Ok(found)
}

/// Forgets the notes about an owner's credentials.
///
/// # Errors
/// If the database cannot be written.
pub fn forget_notes(conn: &mut Conn, tenant: TenantKey, owner: &Id) -> Result<()> {
    // SQLite would find them by the tenant alone, which is the beginning of the primary key.
    let index = if conn.is_embedded() { "INDEXED BY revocation_notes_owner" } else { "" };
    let sql = format!("DELETE FROM revocation_notes {index} WHERE tenant = ? AND owner = ?");
    conn.execute_sql(&sql, &[Bind::Int(tenant.0), Bind::Bytes(owner.as_bytes())])?;
    Ok(())
}
