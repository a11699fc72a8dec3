//! What SQLite itself can do: the rows of created users, inserted again into a copy of the database that
//! they were created in, committed in groups.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use keyroll::store::schema::{
    external_ids, log_heads, log_records, principals, resource_index, resources, unique_values,
};

/// Users that are committed together: as many as write at once, ten for each core (`BLOCKING_THREADS`).
fn group() -> usize {
    (10 * std::thread::available_parallelism().map_or(1, usize::from)).min(super::CONNECTIONS)
}

/// Users whose rows are read: more than are inserted in a few seconds.
const USERS: i64 = 40_000;

type Blob = Vec<u8>;
type Principal = (i64, Blob, String, bool, String, bool, bool, Option<i64>, Option<i64>, i64, Option<String>, i64);
type Resource = (i64, i64, Blob, String, Option<i64>, Option<String>, String, i64, i64, i64);
type Index = (i64, i32, String, i64, i32, bool, bool);
type Unique = (i64, String, Blob, i64);
type External = (i64, i64, i64, String, String);
type Record = (i64, i64, i64, String, String, String, Blob, Blob);

/// The rows that creating one user wrote.
struct Rows {
    principal: Principal,
    resource: Resource,
    index: Vec<Index>,
    unique: Vec<Unique>,
    external: Vec<External>,
    record: Record,
}

/// The database as it was before users were created in it.
pub(crate) struct Before {
    folder: tempfile::TempDir,
    last_key: i64,
    next_seq: i64,
}

impl Before {
    /// Copies a database that nobody writes to at this moment.
    pub(crate) fn copy(database: &Path) -> Before {
        let folder = tempfile::tempdir().expect("a folder");
        for end in ["", "-wal"] {
            let from = format!("{}{end}", database.display());
            std::fs::copy(from, folder.path().join(format!("raw.db{end}"))).expect("a copy");
        }
        let mut conn = open(&folder.path().join("raw.db"));
        let last_key = resources::table.select(diesel::dsl::max(resources::key)).first::<Option<i64>>(&mut conn);
        let next_seq = log_heads::table.select(log_heads::next_seq).first(&mut conn).expect("a log");
        Before { folder, last_key: last_key.expect("a key").unwrap_or(0), next_seq }
    }

    /// Users per second: the rows of the users that Keyroll created since are read into memory and inserted
    /// by prepared statements, so many users in each transaction as Keyroll has at once, with its settings.
    pub(crate) fn inserts_per_second(&self, database: &Path, seconds: u64) -> (f64, usize) {
        let rows = self.read(&mut open(database));
        let mut conn = open(&self.folder.path().join("raw.db"));
        let started = Instant::now();
        let end = started + Duration::from_secs(seconds);
        let mut done = 0usize;
        for group in rows.chunks(group()) {
            if Instant::now() > end {
                break;
            }
            conn.immediate_transaction(|conn| group.iter().try_for_each(|rows| insert(conn, rows))).expect("inserts");
            done += group.len();
        }
        (done as f64 / started.elapsed().as_secs_f64(), group())
    }

    fn read(&self, conn: &mut SqliteConnection) -> Vec<Rows> {
        let users: Vec<Resource> = resources::table
            .filter(resources::type_name.eq("User"))
            .filter(resources::key.gt(self.last_key))
            .order(resources::key)
            .limit(USERS)
            .load(conn)
            .expect("users");
        let records: Vec<Record> = log_records::table
            .filter(log_records::action.eq("user.created"))
            .filter(log_records::seq.ge(self.next_seq))
            .order(log_records::seq)
            .limit(USERS)
            .load(conn)
            .expect("records");
        let mut all = Vec::with_capacity(users.len());
        for (resource, record) in users.into_iter().zip(records) {
            let (key, id) = (resource.0, resource.2.clone());
            all.push(Rows {
                principal: principals::table.find((resource.1, id)).first(conn).expect("a principal"),
                index: resource_index::table.filter(resource_index::resource.eq(key)).load(conn).expect("index rows"),
                unique: unique_values::table.filter(unique_values::resource.eq(key)).load(conn).expect("unique values"),
                external: external_ids::table.filter(external_ids::resource.eq(key)).load(conn).expect("external ids"),
                resource,
                record,
            });
        }
        all
    }
}

fn open(path: &Path) -> SqliteConnection {
    let mut conn = SqliteConnection::establish(path.to_str().expect("a path")).expect("opens");
    conn.batch_execute(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=OFF; PRAGMA busy_timeout=10000; \
         PRAGMA wal_autocheckpoint=4000; PRAGMA temp_store=MEMORY;",
    )
    .expect("settings");
    conn
}

fn insert(conn: &mut SqliteConnection, rows: &Rows) -> QueryResult<()> {
    {
        use keyroll::store::schema::principals::columns::*;
        let p = &rows.principal;
        let values = (
            (tenant.eq(p.0), id.eq(&p.1), kind.eq(&p.2), local.eq(p.3), name.eq(&p.4), active.eq(p.5)),
            (admin_hold.eq(p.6), suspended_at.eq(p.7), deleted_at.eq(p.8), created_seq.eq(p.9), version.eq(p.11)),
        );
        diesel::insert_into(principals::table).values(values).execute(conn)?;
    }
    {
        use keyroll::store::schema::resources::columns::*;
        let r = &rows.resource;
        let values = (
            (key.eq(r.0), tenant.eq(r.1), id.eq(&r.2), type_name.eq(&r.3), connection.eq(r.4), display.eq(&r.5)),
            (document.eq(&r.6), version.eq(r.7), created.eq(r.8), modified.eq(r.9)),
        );
        diesel::insert_into(resources::table).values(values).execute(conn)?;
    }
    for i in &rows.index {
        use keyroll::store::schema::resource_index::columns::*;
        let values = (
            tenant.eq(i.0),
            path.eq(i.1),
            value.eq(&i.2),
            resource.eq(i.3),
            element.eq(i.4),
            is_primary.eq(i.5),
            cut.eq(i.6),
        );
        diesel::insert_into(resource_index::table).values(values).execute(conn)?;
    }
    for u in &rows.unique {
        use keyroll::store::schema::unique_values::columns::*;
        let values = (tenant.eq(u.0), scope.eq(&u.1), hash.eq(&u.2), resource.eq(u.3));
        diesel::insert_into(unique_values::table).values(values).execute(conn)?;
    }
    for e in &rows.external {
        use keyroll::store::schema::external_ids::columns::*;
        let values = (connection.eq(e.0), resource.eq(e.1), tenant.eq(e.2), type_name.eq(&e.3), value.eq(&e.4));
        diesel::insert_into(external_ids::table).values(values).execute(conn)?;
    }
    use keyroll::store::schema::log_records::columns::*;
    let l = &rows.record;
    let values = (
        (tenant.eq(l.0), seq.eq(l.1), time.eq(l.2), action.eq(&l.3)),
        (subject_kind.eq(&l.4), subject_id.eq(&l.5), bytes.eq(&l.6), hash.eq(&l.7)),
    );
    diesel::insert_into(log_records::table).values(values).execute(conn)?;
    Ok(())
}
