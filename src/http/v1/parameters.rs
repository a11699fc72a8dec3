//! The query parameters that `/v1` looks at.

use std::collections::HashSet;

use crate::domain::Operation;
use crate::http::extract::Head;
use crate::service::Error;

/// Refuses parameters that nobody looks at, and one that is there twice: a misspelt `at` would answer for the
/// present, a misspelt `kind` with everything.
///
/// # Errors
/// 400, naming the parameter.
pub(in crate::http) fn check(operation: Operation, head: &Head) -> Result<(), Error> {
    let (known, mut seen) = (known(operation), HashSet::new());
    for (name, _) in &head.query {
        if !known.contains(&name.as_str()) {
            return Err(Error::Malformed(format!("{name}: no parameter of this")));
        }
        if !seen.insert(name) && name != KIND {
            return Err(Error::Malformed(format!("{name}: is there twice")));
        }
    }
    Ok(())
}

/// What changes are filtered by; several are either of them.
const KIND: &str = "kind";

fn known(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::KeyList => &["owner", "class", "status", "expires_before", "count", "cursor"],
        Operation::UserList | Operation::AgentList => &["count", "cursor"],
        Operation::RoleHolders => &["at", "count", "cursor"],
        Operation::UserAccess | Operation::AgentAccess => &["at"],
        Operation::MappingList => &["form"],
        Operation::MappingDelete => &["dry_run", "count", "cursor"],
        Operation::Changes => &["after", KIND, "count", "wait"],
        _ => &[],
    }
}
