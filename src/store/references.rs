//! What the references of documents name: read for all of them at once.

use std::collections::{HashMap, HashSet};

use diesel::sql_types::{Binary, Nullable, Text};
use serde_json::{Map, Value};

use super::connection::{Bind, CHUNK, Conn, LISTED, List};
use super::error::Result;
use super::types::Column;
use crate::domain::{Id, TenantKey};
use crate::scim::ResourceType;
use crate::scim::reference::{self, Referenced};
use crate::scim::schema::registry;

/// Completes the references of documents of one type: URL and name of what each names in this tenant.
///
/// # Errors
/// If the database cannot be read.
pub fn complete(
    conn: &mut Conn,
    tenant: TenantKey,
    base_url: &str,
    resource_type: &'static ResourceType,
    documents: &mut [Map<String, Value>],
) -> Result<()> {
    let own = conn.each("resources", "r", "r.tenant = ? AND r.id = list.value");
    let sql = format!("SELECT r.id, r.type, r.display {LISTED}{own}");
    type Columns = (Binary, Text, Nullable<Text>);
    let named = documents.iter().flat_map(|document| reference::ids(document, resource_type));
    let ids: HashSet<Id> = named.filter_map(|id| Id::parse(&id)).collect();
    let ids: Vec<Id> = ids.into_iter().collect();
    let mut targets = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let binds = [Bind::List(List::ids(ids)), Bind::Int(tenant.0)];
        for (id, type_name, display) in conn.load_sql::<Columns, (Vec<u8>, String, Option<String>)>(&sql, &binds)? {
            let id = Column("resources", "id").id(&id)?;
            let endpoint = registry().endpoint_of(&type_name);
            let url = format!("{base_url}{endpoint}/{id}");
            targets.insert(id.to_string(), Referenced { type_name, url, display });
        }
    }
    for document in documents {
        reference::complete(document, resource_type, &targets);
    }
    Ok(())
}
