//! What happens in a story: people, groups and roles come, change and go.

use serde_json::{Value, json};

use super::super::world::{Access, Group, Person, Role, texts};
use super::{KINDS, Losses, NAMES, Story, id_of, pages};
use crate::support::app::*;

impl Story<'_> {
    /// How a story begins: what follows at random would often find nobody to concern.
    pub fn begin(&mut self) {
        match self.minute / 3 {
            0 | 1 => self.join(),
            2 => self.agent(),
            3 => self.role(),
            4 => self.group(),
            5 | 7 => self.members(),
            _ => self.map(),
        }
    }

    pub fn step(&mut self) {
        match self.random.below(25) {
            0 | 1 => self.join(),
            2 => self.agent(),
            3 | 4 => self.change_person(),
            5 => self.hold(),
            6 => self.leave(),
            7 => self.group(),
            8..=10 => self.members(),
            11 => self.rename(),
            12 => self.drop_group(),
            13 => self.role(),
            14 => self.change_role(),
            15..=18 => self.map(),
            19..=22 => self.remap(),
            _ => self.unmap(),
        }
    }

    fn join(&mut self) {
        let (name, user_type) = (self.name("user"), self.text(&KINDS).to_owned());
        let mut body = user(&format!("{name}@example.com"));
        if !user_type.is_empty() {
            body = and(body, json!({"userType": user_type}));
        }
        let id = self.app.idp().post("/Users", body).expect(201).id();
        self.everybody.push((id.clone(), false));
        self.world.people.insert(id, Person { active: true, user_type, ..Person::default() });
    }

    fn agent(&mut self) {
        let users = self.people(false);
        let (name, owner) = (self.name("agent"), self.pick(&users));
        let owners: Vec<Value> = owner.iter().map(|id| json!({"value": id})).collect();
        let id = self.app.idp().post("/Agents", and(agent(&name), json!({"owners": owners}))).expect(201).id();
        self.everybody.push((id.clone(), true));
        let owners = owner.into_iter().collect();
        self.world.people.insert(id, Person { agent: true, active: true, owners, ..Person::default() });
    }

    fn change_person(&mut self) {
        let everybody: Vec<String> = self.world.people.keys().cloned().collect();
        let Some(id) = self.pick(&everybody) else { return };
        let mut person = self.world.people[&id].clone();
        let path = if person.agent { format!("/Agents/{id}") } else { format!("/Users/{id}") };
        let body = match self.random.below(4) {
            0 => {
                person.active = !person.active;
                replace("active", person.active)
            }
            1 if !person.agent => {
                person.user_type = self.text(&KINDS[..2]).to_owned();
                replace("userType", person.user_type.clone())
            }
            2 if person.agent => {
                let users = self.people(false);
                person.owners = self.pick(&users).into_iter().collect();
                let owners: Vec<Value> = person.owners.iter().map(|id| json!({"value": id})).collect();
                replace("owners", owners)
            }
            _ => {
                person.asserted =
                    if person.asserted.is_empty() { vec![self.text(&["a", "B"]).to_owned()] } else { vec![] };
                let roles: Vec<Value> = person.asserted.iter().map(|value| json!({"value": value})).collect();
                replace("roles", roles)
            }
        };
        self.app.idp().patch(&path, body).expect(200);
        self.world.people.insert(id, person);
    }

    fn hold(&mut self) {
        let users = self.people(false);
        let Some(id) = self.pick(&users) else { return };
        let person = self.world.people.get_mut(&id).unwrap();
        person.held = !person.held;
        let verb = if person.held { "suspend" } else { "activate" };
        self.app.admin().post(&format!("/v1/users/{id}/{verb}"), json!({})).expect(200);
    }

    fn leave(&mut self) {
        let everybody: Vec<String> = self.world.people.keys().cloned().collect();
        let Some(id) = self.pick(&everybody) else { return };
        let person = self.world.people.remove(&id).unwrap();
        let list = if person.agent { "Agents" } else { "Users" };
        self.app.idp().delete(&format!("/{list}/{id}")).expect(204);
        self.world.groups.values_mut().for_each(|group| group.members.retain(|member| *member != id));
        self.world.people.values_mut().for_each(|person| person.owners.retain(|owner| *owner != id));
    }

    fn group(&mut self) {
        // A name that no other group of the connection has.
        let free = NAMES.iter().find(|name| !self.world.groups.values().any(|g| g.name.eq_ignore_ascii_case(name)));
        let name = free.map_or_else(|| self.name("group"), |name| (*name).to_owned());
        // Several may be called the same.
        let external_id = "x";
        let body = and(group(&name, &[]), json!({"externalId": external_id}));
        let id = self.app.idp().post("/Groups", body).expect(201).id();
        self.world.groups.insert(id, Group { name, external_id: external_id.to_owned(), ..Group::default() });
    }

    fn members(&mut self) {
        let groups: Vec<String> = self.world.groups.keys().cloned().collect();
        let all: Vec<String> = self.world.people.keys().chain(self.world.groups.keys()).cloned().collect();
        let (Some(outer), Some(member)) = (self.pick(&groups), self.pick(&all)) else { return };
        let is_cycle = self.world.groups.contains_key(&member) && self.world.is_inside(&outer, &member);
        let path = format!("/Groups/{outer}");
        if self.world.groups[&outer].members.contains(&member) {
            self.app.idp().patch(&path, remove(&format!("members[value eq \"{member}\"]"))).expect(200);
            self.world.groups.get_mut(&outer).unwrap().members.remove(&member);
        } else if is_cycle {
            self.app.idp().patch(&path, add("members", json!([{"value": member}]))).scim_error(400, "invalidValue");
        } else {
            self.app.idp().patch(&path, add("members", json!([{"value": member}]))).expect(200);
            self.world.groups.get_mut(&outer).unwrap().members.insert(member);
        }
    }

    fn rename(&mut self) {
        let groups: Vec<String> = self.world.groups.keys().cloned().collect();
        let Some(id) = self.pick(&groups) else { return };
        let path = format!("/Groups/{id}");
        if self.random.below(2) == 0 {
            let free = NAMES.iter().find(|name| !self.world.groups.values().any(|g| g.name.eq_ignore_ascii_case(name)));
            let name = free.map_or_else(|| self.name("group"), |name| (*name).to_owned());
            self.app.idp().patch(&path, replace("displayName", name.clone())).expect(200);
            self.world.groups.get_mut(&id).unwrap().name = name;
        } else {
            let value = self.name("x");
            self.app.idp().patch(&path, replace("externalId", value.clone())).expect(200);
            self.world.groups.get_mut(&id).unwrap().external_id = value;
        }
    }

    fn drop_group(&mut self) {
        let groups: Vec<String> = self.world.groups.keys().cloned().collect();
        let Some(id) = self.pick(&groups) else { return };
        self.app.idp().delete(&format!("/Groups/{id}")).expect(204);
        self.world.groups.remove(&id);
        self.world.groups.values_mut().for_each(|group| group.members.retain(|member| *member != id));
    }

    fn body_of(name: &str, role: &Role) -> Value {
        let assertable: &[&str] = if role.assertable { &["default"] } else { &[] };
        json!({"name": name, "permissions": [role.permission], "includes": role.includes, "assertable_by": assertable})
    }

    fn role(&mut self) {
        let name = self.name("role");
        let others: Vec<String> = self.world.roles.keys().cloned().collect();
        let includes = self.pick(&others).filter(|_| self.random.below(2) == 0).into_iter().collect();
        let assertable = self.random.below(2) == 0;
        let role = Role { permission: format!("app:{name}:read"), includes, assertable };
        self.app.admin().post("/v1/roles", Self::body_of(&name, &role)).expect(201);
        self.world.roles.insert(name, role);
    }

    fn change_role(&mut self) {
        let names: Vec<String> = self.world.roles.keys().cloned().collect();
        let (Some(name), Some(other)) = (self.pick(&names), self.pick(&names)) else { return };
        let mut role = self.world.roles[&name].clone();
        let mut refused = false;
        match self.random.below(3) {
            0 => role.permission = format!("app:{name}:{}", self.text(&["read", "write"])),
            1 => role.assertable = !role.assertable,
            _ if role.includes.contains(&other) => {
                role.includes.remove(&other);
            }
            _ => {
                refused = self.world.reaches(&other, &name);
                role.includes.insert(other);
            }
        }
        let answer = self.app.admin().put(&format!("/v1/roles/{name}"), Self::body_of(&name, &role));
        if refused {
            answer.problem(422, "invalid");
        } else {
            answer.expect(200);
            self.world.roles.insert(name, role);
        }
    }

    fn unmap(&mut self) {
        let mappings: Vec<String> = self.world.mappings.keys().cloned().collect();
        let Some(id) = self.pick(&mappings) else { return };
        let everybody: Vec<String> = self.world.people.keys().cloned().collect();
        let held =
            |story: &Self| -> Vec<Access> { everybody.iter().map(|id| story.world.access(id, story.minute)).collect() };
        let before = held(self);
        let records = self.app.log().len();
        let (path, count) = (format!("/v1/mappings/{id}"), self.random.below(4) + 1);
        let foretold =
            pages(self.app, &format!("{path}?dry_run=true"), "losses", count, |path| self.app.admin().delete(path));
        assert_eq!(self.app.log().len(), records);
        self.app.admin().delete(&path).expect(204);
        self.world.mappings.remove(&id);
        let mut expected = Losses::new();
        for ((id, before), after) in everybody.iter().zip(before).zip(held(self)) {
            let roles: Vec<String> = before.keys().filter(|role| !after.contains_key(*role)).cloned().collect();
            let kept = self.world.permissions(&after);
            let permissions = self.world.permissions(&before).into_iter().filter(|one| !kept.contains(one)).collect();
            if !roles.is_empty() {
                expected.insert(id.clone(), (roles, permissions));
            }
        }
        let found = foretold.iter().map(|loss| (id_of(loss), (texts(&loss["roles"]), texts(&loss["permissions"]))));
        assert_eq!(found.collect::<Losses>(), expected, "minute {}, {path}", self.minute);
        assert_eq!(foretold.len(), expected.len(), "somebody twice");
    }
}
