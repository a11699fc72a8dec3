//! What is in the catalogue and not in a file: it stays, or goes with `prune`.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::domain::mapping::Source;
use crate::domain::policy::Mapped;
use crate::domain::{Api, Id, Mapping, Policy, Role, TenantKey};
use crate::service::Error;
use crate::service::apply::File;
use crate::service::apply::response::LeftItem;
use crate::service::catalogue::items::Item;
use crate::service::catalogue::mappings;
use crate::store::{self, Conn};

/// The command whose mappings a file speaks for.
const APPLY: &str = "apply";

/// What a file does not name, built-in things and the mapping that is the way back in aside.
#[derive(Default)]
pub(in crate::service::apply) struct Left {
    pub(in crate::service::apply) mappings: Vec<(Mapped, Stays)>,
    pub(in crate::service::apply) roles: Vec<(String, Stays)>,
    pub(in crate::service::apply) apis: Vec<(String, Stays)>,
}

/// Why something stays even if what the file does not name goes; `None` if nothing holds it.
pub(in crate::service::apply) type Stays = Option<String>;

impl Left {
    /// Looks for it in the catalogue `before`; `after` has what the file says of apis and roles in it. `asked` are the
    /// file's mappings, `named` those that are there already. With `force`, mappings that were made on the host by
    /// other commands do not stay for that reason.
    pub(in crate::service::apply) fn find(
        (conn, tenant): (&mut Conn, TenantKey),
        (before, after): (&Policy, &Policy),
        file: &File,
        (asked, named): (&[(String, Source)], &HashSet<Id>),
        force: bool,
    ) -> Result<Left, Error> {
        let mut left = Left::default();
        let rest: Vec<&Mapped> = before.mappings().filter(|one| !named.contains(&one.mapping.id)).collect();
        let host = made_on_host(conn, tenant, &rest)?;
        // Who needs each role.
        let mut users: HashMap<&str, String> = HashMap::new();
        let mut need = |role: &str, user: String| {
            for gain in after.gains(role) {
                users.entry(&gain.role).or_insert_with(|| user.clone());
            }
        };
        for one in rest {
            let by_hand = !force && host.contains(&one.mapping.id);
            if mappings::check_way_back(conn, tenant, &one.mapping).is_ok() {
                let stays = by_hand.then(|| "it was made on the host, so only --force removes it".to_owned());
                left.mappings.push((one.clone(), stays));
            }
            if by_hand {
                need(&one.mapping.role, format!("mapping {} gives it", one.mapping.id));
            }
        }
        asked.iter().for_each(|(role, _)| need(role, "a mapping of the file gives it".to_owned()));
        let own = file.roles.iter().map(|draft| draft.role.name.as_str());
        own.clone().for_each(|role| need(role, format!("role {role} includes it")));
        let own: HashSet<&str> = own.collect();
        for name in before.roles().keys().filter(|name| !own.contains(name.as_str())) {
            if Role::check_not_built_in(name).is_ok() {
                left.roles.push((name.clone(), users.get(name.as_str()).cloned()));
            }
        }
        left.find_apis(after, file);
        Ok(left)
    }

    /// An api stays that a role which stays uses.
    fn find_apis(&mut self, after: &Policy, file: &File) {
        let gone: HashSet<&str> = self.roles.iter().filter(|one| one.1.is_none()).map(|one| one.0.as_str()).collect();
        let mut users: HashMap<&str, String> = HashMap::new();
        for role in after.roles().values().filter(|role| !gone.contains(role.name.as_str())) {
            for permission in role.permissions.iter() {
                users.entry(permission.api()).or_insert_with(|| format!("role {} uses it", role.name));
            }
        }
        let own: HashSet<&str> = file.apis.iter().map(|api| api.name.as_str()).collect();
        for name in after.apis().keys().filter(|name| !own.contains(name.as_str())) {
            if Api::check_not_built_in(name).is_ok() {
                self.apis.push((name.clone(), users.get(name.as_str()).cloned()));
            }
        }
    }

    /// Takes out what nothing holds.
    pub(in crate::service::apply) fn take(&mut self) -> Left {
        fn take<T>(list: &mut Vec<(T, Stays)>) -> Vec<(T, Stays)> {
            let (gone, kept) = std::mem::take(list).into_iter().partition(|one| one.1.is_none());
            *list = kept;
            gone
        }
        Left { mappings: take(&mut self.mappings), roles: take(&mut self.roles), apis: take(&mut self.apis) }
    }

    /// As it is told: what each is, and why `prune` leaves it.
    pub(in crate::service::apply) fn told(self) -> Vec<LeftItem> {
        let Left { mappings, roles, apis } = self;
        let apis = apis.into_iter().map(|(name, stays)| LeftItem::Api { name, stays });
        let roles = roles.into_iter().map(|(name, stays)| LeftItem::Role { name, stays });
        let mappings = mappings.into_iter().map(|(one, stays)| {
            let Mapping { id, role, source, .. } = one.mapping;
            LeftItem::Mapping { id, role, source, stays }
        });
        apis.chain(roles).chain(mappings).collect()
    }
}

/// Those of some mappings that a command on the host made what they are, other than `apply`.
fn made_on_host(conn: &mut Conn, tenant: TenantKey, mapped: &[&Mapped]) -> Result<HashSet<Id>, Error> {
    let seqs: Vec<i64> = mapped.iter().map(|one| one.from_seq).collect();
    let mut by_hand = HashSet::new();
    for record in store::log::many(conn, tenant, &seqs)? {
        let record: Value = serde_json::from_slice(&record.bytes)?;
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if text("/actor/type") == "host" && text("/request/route") != APPLY {
            by_hand.extend(Id::parse(text("/subject/id")));
        }
    }
    Ok(by_hand)
}
