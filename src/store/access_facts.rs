//! What the access of some principals hangs on, read by one statement: so it is of one moment without a
//! transaction, and costs a server of PostgreSQL one answer instead of eight.

use std::collections::{HashMap, HashSet};

use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text};

use super::connection::{Bind, CHUNK, Conn, LISTED, List};
use super::error::{Error, Result};
use super::nesting::LISTS;
use super::staged::{EXTERNAL_IDS, MEMBERSHIPS, Op, PRINCIPALS, RESOURCES, Table};
use super::types::Column;
use super::{principals, resources};
use crate::domain::facts::{Edge, GroupFacts};
use crate::domain::{Id, Principal, TenantKey};

/// Some principals, and what is around them.
#[derive(Clone, Debug, Default)]
pub struct AccessFacts {
    /// The state of roles and mappings at that moment: see [`crate::domain::log::Head::policy_epoch`].
    pub policy_epoch: i64,
    /// The principals, each with the record that made it.
    pub principals: Vec<(Principal, i64)>,
    /// Their resources.
    pub resources: Vec<Own>,
    /// By member: the groups of the principals, the groups around these, and so on.
    pub edges: HashMap<i64, Vec<Edge>>,
    /// These groups by key.
    pub groups: HashMap<i64, GroupFacts>,
}

/// A principal's resource.
#[derive(Clone, Debug)]
pub struct Own {
    /// Its surrogate key.
    pub key: i64,
    /// Its id.
    pub id: Id,
    /// Its JSON.
    pub document: String,
    /// The name of the connection that owns it.
    pub connection: Option<String>,
}

/// How much of the groups is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Groups {
    /// Nothing.
    None,
    /// What they are called.
    Names,
    /// What connections call them, too.
    ExternalIds,
}

// Every part has the columns of the first. UNION in a climb drops what was seen already, so it ends even in a
// circle; the plus hides the tenant from SQLite's planner (see `resources::by_keys`).
const OWN: &str = "WITH RECURSIVE own AS (SELECT r.key, r.id, r.document, c.name FROM ";
const NAMED: &str = " LEFT JOIN connections c ON c.key = r.connection";
const FIRST: &str = "), up (member, grp, since) AS (SELECT m.member_key, m.group_key, m.from_seq FROM own ";
const OWN_LISTS: &str = "m.member_key = own.key AND m.until_seq IS NULL AND m.tenant = ?";
const UP: &str = " UNION SELECT m.member_key, m.group_key, m.from_seq FROM up ";
const HEAD: &str = ") SELECT 0, policy_epoch, CAST(NULL AS bigint), CAST(NULL AS bigint), CAST(NULL AS bytea), \
     CAST(NULL AS text), CAST(NULL AS text), CAST(NULL AS boolean), CAST(NULL AS boolean), CAST(NULL AS boolean) \
     FROM log_heads WHERE tenant = ? \
     UNION ALL SELECT 1, key, NULL, NULL, id, document, name, NULL, NULL, NULL FROM own \
     UNION ALL SELECT 2, p.created_seq, p.suspended_at, p.deleted_at, p.id, p.kind, p.name, p.local, p.active, \
     p.admin_hold ";
const GROUPS: &str = " UNION ALL SELECT 3, up.member, up.grp, up.since, g.id, g.display, NULL, NULL, NULL, NULL \
     FROM up ";
const CALLED: &str = " UNION ALL SELECT 4, e.resource, NULL, NULL, NULL, e.value, NULL, NULL, NULL, NULL \
     FROM (SELECT DISTINCT grp FROM up) AS reached ";

type Sql = (
    Integer,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<Binary>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Bool>,
    Nullable<Bool>,
    Nullable<Bool>,
);
type Row = (
    i32,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<String>,
    Option<String>,
    Option<bool>,
    Option<bool>,
    Option<bool>,
);

/// The part with the groups of members.
const EDGE: i32 = 3;

/// Of so many principals one statement reads all.
pub const AT_ONCE: usize = CHUNK;

/// What is around some principals, as it is now. Of more than [`AT_ONCE`] it is of one moment in a transaction
/// alone.
///
/// # Errors
/// If the database cannot be read.
pub fn read(conn: &mut Conn, tenant: TenantKey, ids: &[Id], groups: Groups) -> Result<AccessFacts> {
    let mut found = match ids {
        [id] => of_one(conn, tenant, *id, groups)?,
        ids => gathered(conn, tenant, ids, groups)?,
    };
    if found.apply_staged(conn, tenant, ids, groups) {
        return Ok(found);
    }
    conn.settled().map_err(Error::from)?;
    gathered(conn, tenant, ids, groups)
}

/// What was read ahead of one principal.
struct Around {
    groups: Groups,
    found: AccessFacts,
}

/// Where others of this round may live or not as well, what is around all of them is read at once.
fn of_one(conn: &mut Conn, tenant: TenantKey, id: Id, groups: Groups) -> Result<AccessFacts> {
    let together = conn.unit.ahead.take_lives(id);
    if together.len() > 1 {
        let all = gathered(conn, tenant, &together, groups)?;
        for one in &together {
            conn.unit.ahead.put(*one, Around { groups, found: all.about(*one) });
        }
    }
    match conn.unit.ahead.get::<Around>(id).filter(|around| around.groups == groups) {
        Some(around) => Ok(around.found.clone()),
        None => gathered(conn, tenant, &[id], groups),
    }
}

fn gathered(conn: &mut Conn, tenant: TenantKey, ids: &[Id], groups: Groups) -> Result<AccessFacts> {
    let mut found = AccessFacts::default();
    for ids in ids.chunks(AT_ONCE) {
        let mut called = vec![];
        // Two chunks of principals may climb through the same groups: the first tells all that is around one.
        let climbed: HashSet<i64> = found.edges.keys().copied().collect();
        for row in statement(conn, tenant, ids, groups)? {
            if !(row.0 == EDGE && row.1.is_some_and(|member| climbed.contains(&member))) {
                called.extend(found.take(row)?);
            }
        }
        // Behind the groups, in whatever order the parts come.
        called.into_iter().for_each(|(group, value)| found.called(group, value));
    }
    Ok(found)
}

fn statement(conn: &mut Conn, tenant: TenantKey, ids: &[Id], groups: Groups) -> Result<Vec<Row>> {
    let own = || Bind::Int(tenant.0);
    // A single one by itself: that much shorter is the commonest statement of all.
    let (resources, principals) = match ids {
        [_] => ("resources r".to_owned(), "FROM principals p WHERE p.tenant = ? AND p.id = ?".to_owned()),
        _ => {
            let rows = conn.each("resources", "r", "r.tenant = ? AND r.id = list.value");
            let principals = conn.each("principals", "p", "p.tenant = ? AND p.id = list.value");
            (
                format!("(SELECT r.key, r.id, r.document, r.connection {LISTED}{rows}) AS r"),
                format!("{LISTED}{principals}"),
            )
        }
    };
    let which = || match ids {
        [id] => [own(), Bind::Bytes(id.as_bytes())],
        ids => [Bind::List(List::ids(ids)), own()],
    };
    let (mut sql, mut binds) = ([OWN, &resources, NAMED].concat(), which().into());
    if ids.len() == 1 {
        sql.push_str(" WHERE r.tenant = ? AND r.id = ?");
    }
    if groups >= Groups::Names {
        let first = conn.each("memberships", "m", OWN_LISTS);
        sql.extend([FIRST, &first, UP, &conn.each("memberships", "m", LISTS)]);
        Vec::push(&mut binds, own());
    }
    sql.extend([HEAD, &principals]);
    binds.push(own());
    binds.extend(which());
    if groups >= Groups::Names {
        sql.extend([GROUPS, &conn.each("resources", "g", "g.key = up.grp AND +g.tenant = ?")]);
        binds.push(own());
    }
    if groups >= Groups::ExternalIds {
        let called = conn.each("external_ids", "e", "e.resource = reached.grp AND +e.tenant = ?");
        sql.extend([CALLED, &called]);
        binds.push(own());
    }
    conn.load_unsettled::<Sql, Row>(&sql, &binds)
}

impl AccessFacts {
    /// What of it is about one of the principals: all that can be reached from its resource.
    fn about(&self, id: Id) -> AccessFacts {
        let principals = self.principals.iter().filter(|(principal, _)| principal.id == id).cloned().collect();
        let resources: Vec<Own> = self.resources.iter().filter(|own| own.id == id).cloned().collect();
        let mut found =
            AccessFacts { policy_epoch: self.policy_epoch, principals, resources, ..AccessFacts::default() };
        let mut members: Vec<i64> = found.resources.iter().map(|own| own.key).collect();
        while let Some(member) = members.pop() {
            let Some(edges) = self.edges.get(&member).filter(|_| !found.edges.contains_key(&member)) else { continue };
            for Edge { group, .. } in edges {
                members.push(*group);
                found.groups.extend(self.groups.get(group).map(|facts| (*group, facts.clone())));
            }
            found.edges.insert(member, edges.clone());
        }
        found
    }

    /// Looks past what waits to be written, and puts in what a change of somebody has staged of them; gives whether that is
    /// all that waits and matters here.
    fn apply_staged(&mut self, conn: &Conn, tenant: TenantKey, ids: &[Id], groups: Groups) -> bool {
        let is_new = |(found, table): (usize, &Table)| found < ids.len() && conn.waits_in(table);
        let place = |key: i64| [key.into(), tenant.0.into()];
        let is_called = groups >= Groups::ExternalIds && conn.waits_in(&EXTERNAL_IDS);
        if is_called
            || conn.waits_in(&MEMBERSHIPS)
            || [(self.resources.len(), &RESOURCES), (self.principals.len(), &PRINCIPALS)].into_iter().any(is_new)
            || self.groups.keys().any(|group| conn.staged(&RESOURCES, &place(*group)).is_some())
        {
            return false;
        }
        let rows = self.resources.iter_mut().all(|own| match conn.staged(&RESOURCES, &place(own.key)) {
            None => true,
            Some(Op::Update(row)) => resources::staged_document(row).map(|document| own.document = document).is_some(),
            Some(_) => false,
        });
        rows && self.principals.iter_mut().all(|(principal, _)| {
            match conn.staged(&PRINCIPALS, &[tenant.0.into(), principal.id.as_bytes()[..].into()]) {
                None => true,
                Some(Op::Update(row)) => principals::apply_staged(principal, row).is_some(),
                Some(_) => false,
            }
        })
    }

    /// Takes one row in; what a connection calls a group is given back.
    fn take(
        &mut self,
        (part, a, b, c, id, text, name, local, active, admin_hold): Row,
    ) -> Result<Option<(i64, String)>> {
        let own_id = || Column("resources", "id").id(id.as_deref().unwrap_or_default());
        match (part, a, text) {
            (0, Some(policy_epoch), _) => self.policy_epoch = policy_epoch,
            (1, Some(key), Some(document)) => {
                self.resources.push(Own { key, id: own_id()?, document, connection: name });
            }
            (2, Some(created_seq), Some(kind)) => {
                let row = principals::Row {
                    id: id.unwrap_or_default(),
                    kind,
                    local: local.unwrap_or_default(),
                    name: name.unwrap_or_default(),
                    active: active.unwrap_or_default(),
                    admin_hold: admin_hold.unwrap_or_default(),
                    suspended_at: b,
                    deleted_at: c,
                };
                self.principals.push((row.into_domain()?, created_seq));
            }
            (EDGE, Some(member), display) => self.edge(member, b.unwrap_or(0), c.unwrap_or(0), own_id()?, display),
            (4, Some(group), Some(value)) => return Ok(Some((group, value))),
            _ => return Err(Error::corrupt("log_heads", "policy_epoch", "a part is incomplete")),
        }
        Ok(None)
    }

    fn edge(&mut self, member: i64, group: i64, from_seq: i64, id: Id, display: Option<String>) {
        self.edges.entry(member).or_default().push(Edge { group, from_seq });
        let facts = || GroupFacts { key: group, id, display, external_ids: vec![] };
        self.groups.entry(group).or_insert_with(facts);
    }

    fn called(&mut self, group: i64, value: String) {
        if let Some(group) = self.groups.get_mut(&group)
            && !group.external_ids.contains(&value)
        {
            group.external_ids.push(value);
        }
    }
}
