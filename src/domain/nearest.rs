//! The nearest miss: which role would give a principal what it lacks, and which mapping would give the role.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::facts::Facts;
use super::mapping::Source;
use super::permission::{Permission, Permissions};
use super::policy::{Mapped, Policy};
use super::principal::PrincipalKind;

/// How many mappings are named.
pub const WAYS_MAX: usize = 10;

/// A role that a principal would need, and how it could come to it.
#[derive(Debug)]
pub struct Nearest<'p> {
    /// The role.
    pub role: &'p str,
    /// The mappings that would give it, groups first.
    pub ways: Vec<&'p Mapped>,
    /// Whether there are more of them than are named.
    pub truncated: bool,
}

/// The role with the least beyond a permission, of those that give it; `None` if no role does. Of equal ones
/// a role that some mapping could give this principal is nearer.
pub fn nearest<'p>(policy: &'p Policy, facts: &Facts, permission: &'p Permission) -> Option<Nearest<'p>> {
    let open: Vec<&Mapped> = policy.mappings().filter(|one| is_open_to(policy, one, facts)).collect();
    let reached: HashSet<&str> =
        open.iter().flat_map(|one| policy.gains(&one.mapping.role)).map(|gain| gain.role.as_str()).collect();
    let width = widths(policy);
    let distance = |role: &str| (width(role), Reverse(reached.contains(role)));
    let role = policy.roles_with(permission).min_by_key(|role| (distance(role), *role))?;
    let gives = |one: &&Mapped| policy.gains(&one.mapping.role).iter().any(|gain| gain.role == role);
    let mut ways: Vec<&Mapped> = open.into_iter().filter(gives).collect();
    ways.sort_by_key(|one| rank(&one.mapping.source));
    let truncated = ways.len() > WAYS_MAX;
    ways.truncate(WAYS_MAX);
    Some(Nearest { role, ways, truncated })
}

/// The role with the least beyond a permission, of those that give it, whoever could come to it.
pub fn least<'p>(policy: &'p Policy, permission: &'p Permission) -> Option<&'p str> {
    let width = widths(policy);
    policy.roles_with(permission).min_by_key(|role| (width(role), *role))
}

/// How much each role gives.
fn widths(policy: &Policy) -> impl Fn(&str) -> (usize, usize, usize) {
    let registered: Vec<Permission> = policy.apis().values().flat_map(|api| api.permissions()).collect();
    move |role| policy.permissions(role).map_or((0, 0, 0), |all| width(all, &registered))
}

/// How much a role gives: registered permissions, then patterns, which reach what is registered later.
fn width(all: &Permissions, registered: &[Permission]) -> (usize, usize, usize) {
    let covered = registered.iter().filter(|one| all.cover(one)).count();
    (covered, all.iter().filter(|own| !own.is_single()).count(), all.iter().count())
}

/// Whether a mapping could come to apply to a principal. One to a person is about that person alone.
fn is_open_to(policy: &Policy, mapped: &Mapped, facts: &Facts) -> bool {
    let Some(resource) = &facts.resource else { return false };
    match &mapped.mapping.source {
        Source::Group { .. } => true,
        Source::Rule { .. } => facts.kind == PrincipalKind::User && mapped.rule.is_some(),
        Source::Asserted { .. } => {
            let role = policy.roles().get(&mapped.mapping.role);
            let connection = resource.connection.as_ref();
            connection.is_some_and(|name| role.is_some_and(|role| role.assertable_by.contains(name)))
        }
        Source::Person { .. } => false,
    }
}

fn rank(source: &Source) -> u8 {
    match source {
        Source::Group { .. } => 0,
        Source::Rule { .. } => 1,
        Source::Asserted { .. } => 2,
        Source::Person { .. } => 3,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::domain::facts::ResourceFacts;
    use crate::domain::{Api, Id, Mapping, Role};

    const ID: &str = "01939e7a-5b1c-7def-8abc-0123456789a";

    fn policy(sources: &[(&str, serde_json::Value)]) -> Policy {
        let api = json!({"name": "billing", "permissions": [
            {"name": "invoices:read"}, {"name": "invoices:write"}, {"name": "accounts:read"}]});
        let api: Api = serde_json::from_value(api).unwrap();
        let role = |name: &str, permissions: &[&str], includes: &[&str]| -> Role {
            let role = json!({"name": name, "permissions": permissions, "includes": includes,
                "assertable_by": ["default"]});
            serde_json::from_value(role).unwrap()
        };
        let roles = vec![
            role("admin", &["billing:*:*"], &[]),
            role("clerk", &["billing:invoices:write"], &["viewer"]),
            role("reader", &["billing:invoices:read"], &[]),
            role("viewer", &["billing:invoices:read"], &[]),
        ];
        let mappings = sources.iter().enumerate().map(|(n, (role, source))| {
            let id = Id::parse(&format!("{ID}{n:x}")).unwrap();
            let source = serde_json::from_value(source.clone()).unwrap();
            (Mapping::new(id, role, source), 0)
        });
        Policy::new(vec![api], roles, mappings.collect())
    }

    fn person(kind: PrincipalKind, connection: &str) -> Facts {
        let connection = Some(connection.to_owned());
        let resource = Some(ResourceFacts { key: 1, document: Map::new(), connection });
        Facts { id: Id::parse(&format!("{ID}f")).unwrap(), kind, live: true, live_since: 0, resource }
    }

    /// The role, the roles of the mappings that lead to it, and their sources.
    fn check(sources: &[(&str, serde_json::Value)], facts: &Facts, permission: &str, expected: &str) {
        let (policy, permission) = (policy(sources), Permission::parse(permission).unwrap());
        let found = nearest(&policy, facts, &permission).map_or_else(String::new, |nearest| {
            let ways = nearest.ways.iter().map(|one| format!(" {}:{}", one.mapping.source.name(), one.mapping.role));
            format!("{}{}", nearest.role, ways.collect::<String>())
        });
        assert_eq!(found, expected, "{sources:?}");
    }

    #[test]
    fn the_least_role_and_groups_first() {
        let group = json!({"group": {"displayName": "x"}});
        let rule = json!({"rule": "title pr"});
        let asserted = json!({"asserted": {"attribute": "roles", "value": "x"}});
        let other = json!({"person": {"type": "user", "id": format!("{ID}e")}, "reason": "r"});
        let user = person(PrincipalKind::User, "default");
        let read = "billing:invoices:read";
        // Of two equal roles the one that can be had; a wide one never before a narrow one.
        check(&[], &user, read, "reader");
        check(&[("viewer", group.clone())], &user, read, "viewer group:viewer");
        check(&[("admin", group.clone())], &user, read, "reader");
        check(&[("admin", group.clone())], &user, "billing:accounts:read", "admin group:admin");
        check(&[("clerk", group.clone())], &user, read, "viewer group:clerk");
        check(&[("viewer", other)], &user, read, "reader");
        check(&[], &user, "other:x:y", "");
        let all = [("viewer", asserted), ("viewer", rule), ("viewer", group)];
        check(&all, &user, read, "viewer group:viewer rule:viewer asserted:viewer");
        // No rule is about agents, and not every connection may assert the role.
        check(&all, &person(PrincipalKind::Agent, "okta"), read, "viewer group:viewer");
        // A local principal is in no group and has no document.
        check(&all, &Facts { resource: None, ..user }, read, "reader");
    }
}
