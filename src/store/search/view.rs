//! What filters look at: a document with what is not stored in it.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value, json};

use super::candidates::Candidate;
use super::finder::Finder;
use super::order::Place;
use crate::domain::{Id, TenantKey};
use crate::scim::ResourceType;
use crate::scim::filter::{Bound, attributes, matches};
use crate::scim::path::AttrRef;
use crate::scim::reference::references;
use crate::scim::schema::registry;
use crate::scim::text::render_time;
use crate::store::connection::{CHUNK, Conn};
use crate::store::error::{Error, Result};
use crate::store::external_ids;
use crate::store::members::{self, GroupRef, Member};
use crate::store::references::complete;
use crate::store::resources::{self, Resource};
use crate::store::types::{Column, ResourceKey};

/// The text of documents that is in memory at once.
const DOCUMENTS_BYTES: usize = 1 << 20;
/// Members of one group that are read to decide a filter.
const MEMBERS_MAX: usize = 100_000;

/// Makes views with what the rest of a filter and the order look at.
pub(super) struct Viewer<'q> {
    resource_type: &'static ResourceType,
    base_url: &'q str,
    residual: &'q [&'q Bound],
    /// Whose externalId is shown.
    connection: Option<i64>,
    groups: bool,
    members: bool,
    references: bool,
}

impl<'q> Viewer<'q> {
    pub(super) fn new(finder: &Finder<'q>, sort: Option<AttrRef>) -> Viewer<'q> {
        let residual = finder.plan.residual.as_slice();
        let named: Vec<AttrRef> = residual.iter().flat_map(|bound| attributes(bound)).chain(sort).collect();
        let names = |name: &str| named.iter().any(|a| a.extension.is_none() && a.attribute.name == name);
        let resource_type = finder.query.resource_type;
        Viewer {
            resource_type,
            base_url: finder.query.base_url,
            residual,
            connection: finder.query.connection.filter(|_| names("externalId")),
            groups: names("groups"),
            members: resource_type.rows.is_some_and(|rows| names(&rows.name)),
            references: references(resource_type)
                .any(|path| named.iter().any(|a| std::ptr::eq(a.attribute, path.attribute))),
        }
    }

    pub(super) fn matches(&self, document: &Map<String, Value>) -> bool {
        self.residual.iter().all(|bound| matches(bound, document))
    }

    /// Those of the candidates that match.
    pub(super) fn matching(&self, conn: &mut Conn, tenant: TenantKey, chunk: Vec<Candidate>) -> Result<Vec<Place>> {
        let open: Vec<_> = chunk.iter().filter(|c| !c.sure).map(|c| c.place.key).collect();
        let mut passed = HashSet::with_capacity(open.len());
        if !open.is_empty() {
            self.each(conn, tenant, &open, |key, document| {
                if self.matches(document) {
                    passed.insert(key);
                }
            })?;
        }
        let matching = chunk.into_iter().filter(|c| c.sure || passed.contains(&c.place.key));
        Ok(matching.map(|candidate| candidate.place).collect())
    }

    /// Shows each of these resources, one at a time; those that are gone are left out.
    pub(super) fn each(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        keys: &[ResourceKey],
        mut show: impl FnMut(ResourceKey, &Map<String, Value>),
    ) -> Result<()> {
        let external_ids = match self.connection {
            Some(connection) => external_ids::many(conn, tenant, connection, keys)?,
            None => HashMap::new(),
        };
        let groups = if self.groups { members::groups_of(conn, tenant, keys)? } else { HashMap::new() };
        let (mut rest, mut at_hand) = (keys, VecDeque::new());
        loop {
            if at_hand.is_empty() && !rest.is_empty() {
                let (found, used) = resources::first_by_keys(conn, tenant, rest, DOCUMENTS_BYTES)?;
                rest = rest.get(used..).unwrap_or_default();
                at_hand.extend(found);
                continue;
            }
            // Names are read for many at once; where none are, one document at a time is in memory as a tree.
            let some = if self.references { CHUNK } else { 1 };
            let resources: Vec<Resource> = at_hand.drain(..some.min(at_hand.len())).collect();
            if resources.is_empty() {
                return Ok(());
            }
            let mut documents = resources.iter().map(|r| self.document(r)).collect::<Result<Vec<_>>>()?;
            if self.references {
                complete(conn, tenant, self.base_url, self.resource_type, &mut documents)?;
            }
            for (resource, mut document) in resources.iter().zip(documents) {
                if let Some(external_id) = external_ids.get(&resource.key) {
                    document.insert("externalId".to_owned(), external_id.as_str().into());
                }
                if let Some(groups) = groups.get(&resource.key) {
                    let groups = groups.iter().map(|group| self.group(group)).collect();
                    document.insert("groups".to_owned(), groups);
                }
                if let (true, Some(rows)) = (self.members, self.resource_type.rows) {
                    document.insert(rows.name.clone(), self.all_members(conn, tenant, resource.key)?);
                }
                show(resource.key, &document);
            }
        }
    }

    fn document(&self, resource: &Resource) -> Result<Map<String, Value>> {
        let corrupt = |_| Column("resources", "document").corrupt("no JSON object");
        let mut document: Map<String, Value> = serde_json::from_str(&resource.document).map_err(corrupt)?;
        document.insert("id".to_owned(), resource.id.to_string().into());
        let meta = json!({
            "resourceType": self.resource_type.name,
            "created": render_time(resource.created),
            "lastModified": render_time(resource.modified),
            "location": self.url(&self.resource_type.endpoint, &resource.id),
            "version": format!("W/\"{}\"", resource.version),
        });
        document.insert("meta".to_owned(), meta);
        Ok(document)
    }

    fn url(&self, endpoint: &str, id: &Id) -> String {
        format!("{}{endpoint}/{id}", self.base_url)
    }

    fn group(&self, group: &GroupRef) -> Value {
        json!({
            "value": group.id,
            "$ref": self.url(registry().endpoint_of(&group.type_name), &group.id),
            "display": group.display,
            "type": if group.direct { "direct" } else { "indirect" },
        })
    }

    fn all_members(&self, conn: &mut Conn, tenant: TenantKey, group: ResourceKey) -> Result<Value> {
        let (mut all, mut after) = (vec![], None);
        loop {
            let page = members::page(conn, tenant, group, after, CHUNK as i64)?;
            all.extend(page.iter().map(|member| self.member(member)));
            after = page.last().map(|member| member.key);
            if page.len() < CHUNK {
                return Ok(all.into());
            }
            if all.len() > MEMBERS_MAX {
                return Err(Error::TooMany("filter: a group has too many members to compare: name a member by its id"));
            }
        }
    }

    fn member(&self, member: &Member) -> Value {
        json!({
            "value": member.id,
            "$ref": self.url(registry().endpoint_of(&member.type_name), &member.id),
            "display": member.display,
            "type": member.type_name,
        })
    }
}
