//! Random tenants, in a database and in memory.

mod plans;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use keyroll::domain::{Connection, Id, TenantKey};
use keyroll::scim::ResourceType;
use keyroll::scim::filter::{Bound, scalar};
use keyroll::scim::path::AttrRef;
use keyroll::scim::schema::registry;
use keyroll::scim::text::render_time;
use keyroll::scim::tolerance::Dialect;
use keyroll::store::resources::{self, NewResource};
use keyroll::store::search::{Query, Sort};
use keyroll::store::{Conn, Error, ResourceKey, Store, connections, external_ids, index, members, tenants};
use serde_json::{Map, Value, json};

use super::Question;

pub use self::plans::{around_the_cut, crowd, document, example, mixed_crowd, plans, texts, twins};

pub const BASE: &str = "https://keyroll.example/scim/v2";

/// What a tenant shall hold. Members are numbers of users, then of groups with smaller numbers.
#[derive(Clone, Debug)]
pub struct Plan {
    users: Vec<UserPlan>,
    agents: Vec<AgentPlan>,
    groups: Vec<GroupPlan>,
}

#[derive(Clone, Debug)]
struct UserPlan {
    document: Value,
    external_id: Option<String>,
    second: i64,
    millisecond: i64,
}

#[derive(Clone, Debug)]
struct AgentPlan {
    document: Value,
    external_id: Option<String>,
    second: i64,
}

#[derive(Clone, Debug)]
struct GroupPlan {
    name: String,
    members: BTreeSet<usize>,
}

/// A resource as it was stored.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: ResourceKey,
    pub id: Id,
    pub type_name: String,
    pub document: Map<String, Value>,
    external_id: Option<String>,
    time: DateTime<Utc>,
    /// Direct members.
    members: BTreeSet<ResourceKey>,
}

/// A tenant.
pub struct Directory {
    pub tenant: TenantKey,
    connection: i64,
    pub entries: Vec<Entry>,
    plan: Plan,
}

static NUMBER: AtomicU64 = AtomicU64::new(1);

fn mint() -> Id {
    let mut bytes = [0; 16];
    // The order of ids is not that of keys.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Id::from_bytes(&bytes).unwrap()
}

pub fn read<T>(store: &Store, work: impl Fn(&mut Conn) -> Result<T, Error>) -> T {
    store.read(work).unwrap()
}

pub fn at(second: i64, millisecond: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_800_000_000_000 + second * 1_000 + millisecond).unwrap()
}

impl Directory {
    pub fn fill(store: &Store, plan: &Plan) -> Directory {
        let plan = plan.clone();
        store.write::<_, Error>(move |conn| Directory::write(conn, plan.clone())).unwrap()
    }

    fn write(conn: &mut Conn, plan: Plan) -> Result<Directory, Error> {
        let tenant = tenants::insert(conn, &mint(), &mint().to_string(), at(0, 0))?.key;
        let connection = Connection {
            key: 0,
            id: mint(),
            name: "default".to_owned(),
            dialect: Dialect::Auto,
            agent: mint(),
            unique_group_names: true,
            unique_external_ids: false,
        };
        let connection = connections::insert(conn, tenant, &connection, at(0, 0))?.key;
        let mut directory = Directory { tenant, connection, entries: vec![], plan: plan.clone() };
        // In turns, so that the keys of one type lie between those of another.
        for n in 0..plan.users.len().max(plan.agents.len()) {
            if let Some(user) = plan.users.get(n) {
                directory.insert_user(conn, user, n)?;
            }
            if let Some(agent) = plan.agents.get(n) {
                directory.insert_agent(conn, agent, n)?;
            }
        }
        for group in &plan.groups {
            let document =
                json!({"displayName": group.name, "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"]});
            let mut entry = directory.insert(conn, "Group", document, None, at(9, 0))?;
            // Of what is there already: no group is in itself.
            entry.members = group.members.iter().filter_map(|n| Some(directory.entries.get(*n)?.key)).collect();
            let keys: Vec<ResourceKey> = entry.members.iter().copied().collect();
            members::add(conn, tenant, entry.key, &keys, 1)?;
            directory.entries.push(entry);
        }
        Ok(directory)
    }

    fn insert_user(&mut self, conn: &mut Conn, user: &UserPlan, number: usize) -> Result<(), Error> {
        let mut document = user.document.clone();
        // Letters in an order that is not that of the keys.
        document["userName"] = format!("{}u{number}", ["B", "a", "É", "c"][number * 7 % 4]).into();
        document["schemas"] = json!(["urn:ietf:params:scim:schemas:core:2.0:User"]);
        // One that is taken, or no name at all, is not set.
        let external_id = user.external_id.clone().filter(|id| !id.is_empty());
        let entry = self.insert(conn, "User", document, external_id, at(user.second, user.millisecond))?;
        self.entries.push(entry);
        Ok(())
    }

    fn insert_agent(&mut self, conn: &mut Conn, agent: &AgentPlan, number: usize) -> Result<(), Error> {
        let mut document = agent.document.clone();
        document["name"] = format!("{}u{number}", ["C", "é", "A", "b"][number * 7 % 4]).into();
        document["schemas"] = json!(["urn:ietf:params:scim:schemas:core:2.0:Agent"]);
        let external_id = agent.external_id.clone().filter(|id| !id.is_empty());
        let entry = self.insert(conn, "Agent", document, external_id, at(agent.second, 0))?;
        self.entries.push(entry);
        Ok(())
    }

    fn insert(
        &self,
        conn: &mut Conn,
        type_name: &str,
        document: Value,
        external_id: Option<String>,
        time: DateTime<Utc>,
    ) -> Result<Entry, Error> {
        let resource_type = registry().by_name(type_name).unwrap();
        let (id, document) = (mint(), document.as_object().unwrap().clone());
        let display = document.get("displayName").and_then(Value::as_str);
        let text = serde_json::to_string(&document).unwrap();
        let new =
            NewResource { id, type_name, connection: Some(self.connection), display, document: &text, created: time };
        let key = resources::insert(conn, self.tenant, &new)?;
        index::write(conn, self.tenant, resource_type, key, None, Some(&document))?;
        external_ids::set(conn, self.tenant, self.connection, type_name, key, external_id.as_deref())?;
        let type_name = type_name.to_owned();
        Ok(Entry { key, id, type_name, document, external_id, time, members: BTreeSet::new() })
    }

    pub fn any_user(&self, seed: u64) -> ResourceKey {
        let users: Vec<_> = self.entries.iter().filter(|entry| entry.type_name == "User").collect();
        users.get(seed as usize % users.len().max(1)).map_or(ResourceKey(0), |entry| entry.key)
    }

    pub fn add_user(&mut self, store: &Store, seed: u64) {
        let Some(plan) = self.plan.users.get(seed as usize % self.plan.users.len().max(1)).cloned() else { return };
        let number = 100 + self.entries.len() + (seed % 1_000) as usize;
        let empty = Directory { entries: vec![], plan: self.plan.clone(), ..*self };
        let entry = store.write::<_, Error>(move |conn| {
            let mut other = Directory { entries: vec![], plan: empty.plan.clone(), ..empty };
            other.insert_user(conn, &plan, number)?;
            Ok(other.entries.remove(0))
        });
        self.entries.push(entry.unwrap());
    }

    pub fn delete(&mut self, store: &Store, key: ResourceKey) -> Option<ResourceKey> {
        let at = self.entries.iter().position(|entry| entry.key == key && entry.type_name != "Group")?;
        self.entries.remove(at);
        let tenant = self.tenant;
        let deleted = store.write::<_, Error>(move |conn| {
            let Some(resource) = resources::by_keys(conn, tenant, &[key])?.pop() else { return Ok(()) };
            members::remove_everywhere(conn, tenant, key, 2)?;
            resources::delete(conn, tenant, &resource)
        });
        deleted.unwrap();
        Some(key)
    }

    pub fn ask<'q>(
        &'q self,
        resource_type: &'static ResourceType,
        filter: Option<&'q Bound>,
        sort: Option<Sort>,
        connected: bool,
    ) -> Question<'q> {
        let connection = connected.then_some(self.connection);
        Question { directory: self, query: Query { resource_type, filter, connection, base_url: BASE, sort } }
    }

    pub fn connection(&self) -> i64 {
        self.connection
    }

    /// A filter with `@n` replaced by the id of a resource, or by one that nothing has.
    pub fn named(&self, filter: &str) -> String {
        (0..16).rev().fold(filter.to_owned(), |text, n| {
            let id = self.entries.get(n).map_or_else(
                || if n % 2 == 0 { "nobody".to_owned() } else { "01939e7a-5b1c-7def-8abc-0123456789ab".to_owned() },
                |entry| entry.id.to_string(),
            );
            text.replace(&format!("@{n}"), &id)
        })
    }

    /// The whole view, made without the store.
    pub fn view(&self, entry: &Entry, connected: bool) -> Map<String, Value> {
        let mut view = entry.document.clone();
        let url = |entry: &Entry| format!("{BASE}/{}s/{}", entry.type_name, entry.id);
        let display = |entry: &Entry| entry.document.get("displayName").cloned().unwrap_or(Value::Null);
        view.insert("id".into(), entry.id.to_string().into());
        if let (Some(external_id), true) = (&entry.external_id, connected) {
            view.insert("externalId".into(), external_id.as_str().into());
        }
        let time = render_time(entry.time);
        let meta = json!({
            "resourceType": entry.type_name, "created": time, "lastModified": time,
            "location": url(entry), "version": "W/\"1\"",
        });
        view.insert("meta".into(), meta);
        if entry.type_name == "Group" {
            let members = self.entries.iter().filter(|other| entry.members.contains(&other.key));
            let member = |one: &Entry| json!({"value": one.id, "$ref": url(one), "type": one.type_name, "display": display(one)});
            view.insert("members".into(), members.map(member).collect());
        } else {
            let groups = self.entries.iter().filter(|one| one.type_name == "Group" && self.holds(one, entry.key));
            let kind = |group: &Entry| if group.members.contains(&entry.key) { "direct" } else { "indirect" };
            let group =
                |one: &Entry| json!({"value": one.id, "$ref": url(one), "type": kind(one), "display": display(one)});
            view.insert("groups".into(), groups.map(group).collect());
        }
        view
    }

    fn holds(&self, group: &Entry, key: ResourceKey) -> bool {
        let nested = self.entries.iter().filter(|other| group.members.contains(&other.key));
        group.members.contains(&key) || nested.into_iter().any(|inner| self.holds(inner, key))
    }
}

/// No value comes after every value; of the same value the first comes first, and the last in descending order, unless
/// it is a value that all of a type have.
pub fn in_order(mut found: Vec<(Option<String>, ResourceKey)>, descending: bool, is_fixed: bool) -> Vec<ResourceKey> {
    found.sort_by(|(a, a_key), (b, b_key)| {
        let (values, keys) = ((a.is_none(), a).cmp(&(b.is_none(), b)), a_key.cmp(b_key));
        let turn = |order: std::cmp::Ordering, turned: bool| if turned { order.reverse() } else { order };
        turn(values, descending).then(turn(keys, descending && a.is_some() && !is_fixed))
    });
    found.into_iter().map(|(_, key)| key).collect()
}

/// The text that a view is sorted by: its first 512 bytes count.
pub fn sort_text(by: AttrRef, view: &Map<String, Value>) -> Option<String> {
    let elements = match by.find(view)? {
        Value::Array(elements) => elements.clone(),
        other => vec![other.clone()],
    };
    let value = |element: &Value| {
        let value = match by.sub {
            Some(sub) => element.get(&sub.name)?,
            None => element,
        };
        Some(scalar(by.leaf(), value)?.index_text()?.into_owned())
    };
    let is_primary = |element: &&Value| element.get("primary") == Some(&Value::Bool(true));
    let primary = elements.iter().filter(is_primary).find_map(value);
    let mut text = primary.or_else(|| elements.iter().find_map(value))?;
    while text.len() > 512 {
        text.pop();
    }
    Some(text)
}
