//! Writes of which only a part may be made: what takes away is carried out, and what may not be is left out.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Story, is_allowed};
use crate::support::app::*;

impl Story<'_> {
    /// Says who answers for an agent.
    pub fn answer(&mut self, id: &str, owner: Option<String>) {
        if self.world.people[id].owners.iter().any(|old| Some(old) != owner.as_ref()) {
            // Most stay for a while, so that some come back.
            if self.random.below(3) == 0 {
                self.answer_otherwise(id, owner);
            }
            return;
        }
        let owners: Vec<String> = owner.into_iter().collect();
        let values: Vec<Value> = owners.iter().map(|id| json!({"value": id})).collect();
        self.write("PATCH", &format!("/Agents/{id}"), replace("owners", values), |world, id| {
            world.people.get_mut(&id).unwrap().owners = owners;
        });
    }

    /// Takes an agent's owners away, and asks for more: what may not be is left out, and the rest is carried out.
    fn answer_otherwise(&mut self, id: &str, owner: Option<String>) {
        let role = self.text(&["a", "b"]);
        let made = |asserts: bool, answers: bool| {
            let mut world = self.world.clone();
            let agent = world.people.get_mut(id).unwrap();
            agent.asserted = if asserts { vec![role.clone()] } else { vec![] };
            agent.owners.retain(|old| Some(old) == owner.as_ref());
            if answers {
                agent.owners = owner.clone().into_iter().collect();
            }
            world
        };
        let asserts = is_allowed(&self.world, &made(true, false));
        let answers = is_allowed(&self.world, &made(asserts, true));
        let after = made(asserts, answers);
        let owners: Vec<Value> = owner.iter().map(|id| json!({"value": id})).collect();
        let body = patch(json!([{"op": "replace", "value": {"roles": [{"value": role}], "owners": owners}}]));
        let answer = self.app.idp().patch(&format!("/Agents/{id}"), body.clone());
        assert_eq!(answer.status, 200, "{body}: {answer}\n{:#?}", self.world);
        let values = |name: &str| -> Vec<String> {
            let list = answer[name].as_array().cloned().unwrap_or_default();
            list.iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect()
        };
        let expected = &after.people[id];
        assert_eq!(values("roles"), expected.asserted, "{body}\n{:#?}", self.world);
        assert_eq!(values("owners"), Vec::from_iter(expected.owners.clone()), "{body}\n{:#?}", self.world);
        assert_eq!(answer.header("keyroll-tolerance").is_empty(), asserts && answers, "{body}\n{:#?}", self.world);
        assert!(is_allowed(&self.world, &after));
        self.answered += u32::from(!asserts || !answers);
        self.world = after;
    }

    /// Takes somebody out, and asks for more: what may not be is left out, and the rest is carried out.
    pub fn swap(&mut self) {
        let Some(outer) = self.pick(self.world.groups.clone().into_keys()) else { return };
        let Some(leaver) = self.pick(self.world.groups[&outer].members.clone().into_iter()) else { return };
        let all = self.world.people.clone().into_keys().chain(self.world.groups.clone().into_keys());
        let Some(joiner) = self.pick(all) else { return };
        let is_circle = self.world.groups.contains_key(&joiner) && self.world.is_inside(&outer, &joiner);
        if is_circle || self.world.groups[&outer].members.contains(&joiner) {
            return;
        }
        self.made += 1;
        let (name, renames) = (format!("Group{}", self.made), self.random.below(3) > 0);
        let made = |rename: bool, joins: bool| {
            let mut world = self.world.clone();
            let group = world.groups.get_mut(&outer).unwrap();
            group.members.remove(&leaver);
            if rename {
                group.name.clone_from(&name);
            }
            if joins {
                group.members.insert(joiner.clone());
            }
            world
        };
        let rename = renames && is_allowed(&self.world, &made(true, false));
        let joins = is_allowed(&self.world, &made(rename, true));
        let after = made(rename, joins);
        let mut operations = vec![
            json!({"op": "add", "path": "members", "value": [{"value": joiner}]}),
            json!({"op": "remove", "path": format!("members[value eq \"{leaver}\"]")}),
        ];
        if renames {
            operations.push(json!({"op": "replace", "path": "displayName", "value": name}));
        }
        let answer = self.app.idp().patch(&format!("/Groups/{outer}"), patch(json!(operations)));
        assert_eq!(answer.status, 200, "{operations:?}: {answer}\n{:#?}", self.world);
        let shown: BTreeSet<String> = answer.members().into_iter().map(str::to_owned).collect();
        assert_eq!(shown, after.groups[&outer].members, "{operations:?}\n{:#?}", self.world);
        assert_eq!(answer["displayName"], json!(after.groups[&outer].name), "{operations:?}");
        assert_eq!(answer.header("keyroll-tolerance").is_empty(), joins && rename == renames, "{operations:?}");
        assert!(is_allowed(&self.world, &after));
        self.reduced += u32::from(!joins || rename != renames);
        self.world = after;
    }
}
