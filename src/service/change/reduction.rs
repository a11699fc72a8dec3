//! Which changes may leave somebody with less than before: those whose answer tells how far they have come.

use serde_json::{Map, Value};

use crate::domain::log::{Entry, Outcome};
use crate::domain::principal::PrincipalKind;
use crate::service::Error;

/// Whether one of the entries may take access away, by what it says: one too many costs a moment, one too few leaves an
/// admin without the word that a key is dead everywhere. `reads_documents` tells whether roles hang on what documents
/// say.
pub(super) fn may_reduce(
    entries: &[Entry],
    renames: bool,
    reads_documents: impl FnOnce() -> Result<bool, Error>,
) -> Result<bool, Error> {
    if renames || entries.iter().any(reduces) {
        return Ok(true);
    }
    if entries.iter().any(rewrites) { reads_documents() } else { Ok(false) }
}

fn reduces(entry: &Entry) -> bool {
    if entry.outcome == Outcome::Failure {
        return false;
    }
    let is_of_catalogue = matches!(entry.subject.kind.as_str(), "api" | "role" | "mapping");
    match verb(entry) {
        "deleted" | "revoked" | "suspended" | "held" | "narrowed" | "rotated" | "retired" => true,
        "replaced" if is_of_catalogue => true,
        _ => ["removed", "orphaned"].iter().any(|name| entry.change.contains_key(*name)) || loses_sponsors(entry),
    }
}

/// An agent lives by its sponsors.
fn loses_sponsors(entry: &Entry) -> bool {
    let kind = PrincipalKind::parse(&entry.subject.kind).and_then(PrincipalKind::resource_type);
    let Some(sponsors) = kind.and_then(|kind| kind.sponsors) else { return false };
    verb(entry) != "created" && paths(&entry.change).iter().any(|path| path.as_str() == Some(&sponsors.name))
}

/// Whether a document says something else than before.
fn rewrites(entry: &Entry) -> bool {
    entry.outcome == Outcome::Success && verb(entry) != "created" && !paths(&entry.change).is_empty()
}

fn verb(entry: &Entry) -> &str {
    entry.action.rsplit('.').next().unwrap_or_default()
}

fn paths(change: &Map<String, Value>) -> &[Value] {
    change.get("paths").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_takes_nothing_away_keeps_nobody_waiting() {
        let of = |entry: Entry, reads| may_reduce(&[entry], false, || Ok(reads)).unwrap();
        let user = |action: &str| Entry::new(action, "user", "1");
        let titled = || user("user.patched").with("paths", json!(["title"]));
        for entry in [user("user.created").with("paths", json!(["userName"])), Entry::new("role.created", "role", "r")]
        {
            assert!(!of(entry.clone(), true), "{entry:?}");
        }
        assert!(!of(
            Entry::new("group.patched", "group", "1").with("added", json!(["2"])).with("paths", json!([])),
            true
        ));
        assert!(!of(user("principal.suspended").refused(), true));
        assert!(!of(titled(), false) && of(titled(), true) && may_reduce(&[titled()], true, || Ok(false)).unwrap());
        for entry in [
            user("principal.suspended"),
            user("principal.held"),
            user("user.deleted"),
            Entry::new("credential.revoked", "credential", "1"),
            Entry::new("mapping.replaced", "mapping", "1"),
            Entry::new("group.patched", "group", "1").with("removed", json!(["2"])),
            Entry::new("agent.replaced", "agent", "1").with("paths", json!(["owners"])),
        ] {
            assert!(of(entry.clone(), false), "{entry:?}");
        }
    }
}
