//! What a plan may not do: read a table from end to end, or all of a tenant, for a statement that is about few rows.

use serde_json::Value;

use super::indexes::Indexes;

/// What names a part of a tenant that grows with it. A statement that is found by these alone goes through
/// everything that the tenant has of a kind: a page of a list may, since it stops; what is asked for each of many
/// rows, and what changes something, may not.
pub const WIDE: [&str; 3] = ["tenant", "type", "path"];

/// What reads all of something on purpose: how its statement begins, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("INSERT INTO tenants", "SQLite names where other tables refer to it, and goes to none of them"),
    ("FROM catalogue WHERE tenant = ", "a policy is made of every role and mapping, and then kept"),
    ("ORDER BY log_records.seq DESC LIMIT", "the newest records, in order, which ends with the page"),
    ("ORDER BY r.id", "a list in the order of ids, of whatever type, which ends with the page"),
    (
        "DELETE FROM resource_index WHERE ((resource_index.tenant = ",
        "a schema file names a path no more: when a server starts",
    ),
    ("DELETE FROM resource_index WHERE (resource_index.path = ", "a test's own, of an index that it spoils"),
    ("UPDATE resource_index SET path = ", "a test's own, of an index that it spoils"),
    ("SELECT index_paths.key FROM index_paths WHERE (index_paths.path = ", "a test's own, of paths that it spoils"),
    ("DELETE FROM worker_cursors WHERE job = ", "a row for each log: when a backup is put back"),
    ("principals.direct_grant IS NOT NULL", "grants of a version without mappings: when a server starts"),
];

/// Tables of which there are few rows, whatever the directory holds; the last is diesel's own.
const SMALL: [&str; 3] = ["connections", "log_heads", "__diesel_schema_migrations"];

fn is_excepted(text: &str) -> bool {
    let text = text.replace(['`', '"'], "");
    EXCEPTIONS.iter().any(|(part, _)| text.contains(part))
}

fn is_change(text: &str) -> bool {
    text.starts_with("DELETE") || text.starts_with("UPDATE")
}

/// Whether a search by these columns reads too much; `repeated` if it is made for each of many rows.
fn judge(text: &str, place: &str, columns: &[String], repeated: bool) -> Option<String> {
    let wide = |n: usize| columns.iter().all(|column| WIDE[..n].contains(&column.as_str()));
    if columns.is_empty() {
        Some(format!("{place} is read whole"))
    } else if wide(1) {
        Some(format!("{place} is searched by tenant alone"))
    } else if wide(3) && (repeated || is_change(text)) {
        Some(format!("{place} is searched by {} again and again, or for a change", columns.join(", ")))
    } else {
        None
    }
}

/// A line of `EXPLAIN QUERY PLAN`.
pub struct Step {
    pub id: i32,
    pub parent: i32,
    pub detail: String,
}

/// What is wrong with a plan of SQLite.
pub fn sqlite_offence(text: &str, steps: &[Step]) -> Option<String> {
    if is_excepted(text) {
        return None;
    }
    steps.iter().find_map(|step| {
        let mut words = step.detail.split(' ');
        let (verb, name) = (words.next()?, words.next()?);
        let columns: Vec<String> = match verb {
            "SCAN" | "SEARCH" if is_small(text, name) || !is_table(text, name) => return None,
            "SCAN" => vec![],
            "SEARCH" => searched(&step.detail),
            _ => return None,
        };
        judge(text, name, &columns, is_repeated(steps, step))
    })
}

fn is_small(text: &str, name: &str) -> bool {
    let named = |table: &str| format!("{text} ").contains(&format!("{table} {name} "));
    SMALL.iter().any(|table| *table == name || named(table))
}

/// Whether a name in a plan is one of the tables, rather than a list or a subquery.
fn is_table(text: &str, name: &str) -> bool {
    const TABLES: [&str; 20] = [
        "catalogue",
        "connections",
        "counters",
        "credentials",
        "external_ids",
        "index_paths",
        "installation",
        "log_heads",
        "log_records",
        "memberships",
        "principal_history",
        "principals",
        "resource_history",
        "resource_index",
        "resources",
        "revocation_notes",
        "subject_keys",
        "tenants",
        "worker_cursors",
        "worker_leases",
    ];
    let text = text.replace('`', "");
    let named = |table: &str| {
        ["", "AS "].iter().any(|word| {
            text.contains(&format!("{table} {word}{name} "))
                || text.contains(&format!("{table} {word}{name})"))
                || text.ends_with(&format!("{table} {word}{name}"))
        })
    };
    TABLES.iter().any(|table| *table == name || named(table))
}

/// `SEARCH r USING INDEX x (tenant=? AND type=? AND key>?)`.
fn searched(detail: &str) -> Vec<String> {
    let Some((_, terms)) = detail.rsplit_once('(') else { return vec![] };
    let column = |term: &str| term.split(['=', '<', '>']).next().unwrap_or_default().trim().to_owned();
    terms.trim_end_matches(')').split(" AND ").map(column).collect()
}

/// Whether a step is done for each row of another: behind it in a join, or in a subquery or climb of its own.
fn is_repeated(steps: &[Step], step: &Step) -> bool {
    let parent = steps.iter().find(|other| other.id == step.parent);
    let turns = |step: &Step| step.detail.starts_with("CORRELATED") || step.detail == "RECURSIVE STEP";
    let joins = |other: &Step| {
        let reads = other.detail.starts_with("SCAN") || other.detail.starts_with("SEARCH");
        other.parent == step.parent && other.id < step.id && reads
    };
    let above = parent.is_some_and(|parent| turns(parent) || is_repeated(steps, parent));
    let reads = step.detail.starts_with("SCAN") || step.detail.starts_with("SEARCH");
    above || (reads && steps.iter().any(joins))
}

/// What is wrong with a plan of PostgreSQL, in the form of `EXPLAIN (FORMAT JSON)`.
pub fn postgres_offence(text: &str, plan: &Value, indexes: &Indexes) -> Option<String> {
    if is_excepted(text) { None } else { node(text, plan, indexes, false) }
}

fn node(text: &str, plan: &Value, indexes: &Indexes, repeated: bool) -> Option<String> {
    let kind = plan["Node Type"].as_str().unwrap_or_default();
    let place = plan["Alias"].as_str().or(plan["Relation Name"].as_str()).unwrap_or("?");
    let found = match kind {
        _ if plan["Relation Name"].as_str().is_some_and(|name| SMALL.contains(&name)) => None,
        "Seq Scan" => judge(text, place, &[], repeated),
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => {
            let gone_by = indexes.gone_by(plan);
            let missed = || {
                let better = indexes.missed(plan, &gone_by)?;
                Some(format!("{place} is searched by {}, and not by {better}", gone_by.join(", ")))
            };
            judge(text, place, &gone_by, repeated).or_else(missed)
        }
        // What a page would stop at is read to the end first.
        "Sort" | "Incremental Sort" => walked(plan, indexes)
            .map(|place| format!("{place} is searched by what is wide, and then sorted by {}", plan["Sort Key"])),
        // Each row of one side against each of the other.
        "Nested Loop" if plan.get("Join Filter").is_some() && !is_looked_up(&plan["Plans"][1]) => {
            Some(format!("rows are compared with rows: {}", plan["Join Filter"]))
        }
        // Both sides are read whole, and how large they are nobody knows.
        "Hash Join" | "Merge Join" if !is_list_join(plan) => Some(format!("a {kind}")),
        _ => None,
    };
    found.or_else(|| {
        let parts = plan["Plans"].as_array()?;
        parts.iter().enumerate().find_map(|(n, part)| {
            let turns = match (kind, part["Parent Relationship"].as_str()) {
                ("Nested Loop", Some("Inner")) => true,
                ("Recursive Union", _) => n == 1,
                (_, Some("SubPlan")) => {
                    let name = part["Subplan Name"].as_str().unwrap_or_default();
                    !name.starts_with("CTE") && !is_hashed(plan, name)
                }
                _ => false,
            };
            node(text, part, indexes, repeated || turns)
        })
    })
}

/// What is walked through as a whole for the rows of a plan, if anything is.
fn walked(plan: &Value, indexes: &Indexes) -> Option<String> {
    plan["Plans"].as_array()?.iter().find_map(|part| {
        let name = part["Relation Name"].as_str().unwrap_or_default();
        let is_asked = matches!(part["Parent Relationship"].as_str(), Some("SubPlan" | "InitPlan"));
        if is_asked || SMALL.contains(&name) {
            return None;
        }
        let is_search = part["Node Type"].as_str().is_some_and(|kind| kind.starts_with("Index"));
        if is_search && indexes.gone_by(part).iter().all(|column| WIDE.contains(&column.as_str())) {
            return part["Alias"].as_str().map(str::to_owned);
        }
        walked(part, indexes)
    })
}

/// Whether the rows of a subquery are found once, and then looked up.
fn is_hashed(plan: &Value, name: &str) -> bool {
    let hashed = format!("hashed {name}");
    plan.as_object().into_iter().flat_map(|plan| plan.values()).any(|value| {
        value.as_str().is_some_and(|text| {
            let after = |(at, _): (usize, &str)| text[at + hashed.len()..].chars().next();
            text.match_indices(&hashed).any(|found| !after(found).is_some_and(|next| next.is_ascii_digit()))
        })
    })
}

/// Whether a side of a join is found by an index, or small.
fn is_looked_up(plan: &Value) -> bool {
    let text = plan.to_string();
    text.contains("Index Cond") || SMALL.iter().any(|name| text.contains(&format!("\"Relation Name\":\"{name}\"")))
}

/// Whether a join reads only what the statement itself lists or has found.
fn is_list_join(plan: &Value) -> bool {
    let text = plan.to_string();
    !text.contains("Relation Name")
}

/// `((tenant = $1) AND (resource_index.path = $2) AND (ROW(value, key) > ROW('x'::text, $3)))`; of a pair the first.
pub fn compared(cond: &str) -> Vec<String> {
    let column = |term: &str| {
        let term = term.trim_start_matches('(').trim_start_matches("ROW(");
        let term = term.split([' ', ',']).next().unwrap_or_default();
        term.rsplit('.').next().unwrap_or_default().to_owned()
    };
    if cond.is_empty() { vec![] } else { cond.split(" AND ").map(column).collect() }
}

/// A plan for people.
pub fn outline(plan: &Value) -> String {
    fn line(plan: &Value, depth: usize, into: &mut String) {
        let text = |name: &str| plan[name].as_str().map(|text| format!(" {text}")).unwrap_or_default();
        *into += &"  ".repeat(depth);
        *into += plan["Node Type"].as_str().unwrap_or_default();
        ["Alias", "Index Name", "Index Cond", "Join Filter", "Hash Cond", "Subplan Name"]
            .iter()
            .for_each(|name| *into += &text(name));
        into.push('\n');
        plan["Plans"].as_array().into_iter().flatten().for_each(|part| line(part, depth + 1, into));
    }
    let mut into = String::new();
    line(plan, 0, &mut into);
    into
}
