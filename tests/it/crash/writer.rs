//! A client: what it chooses to write, how it asks for it, and what it notes once that is acknowledged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use serde_json::{Value, json};

use super::{GROUPS, Journal, PEOPLE_PER_CLIENT, Person, Write, id_of};
use crate::support::random::Random;
use crate::support::server::{Client, Keys, PATCH, USER};

pub struct Writer<'w> {
    idp: Client,
    admin: Client,
    groups: &'w [String],
    random: Random,
}

impl<'w> Writer<'w> {
    pub fn new(address: std::net::SocketAddr, keys: &Keys, groups: &'w [String], seed: u64) -> Writer<'w> {
        let (idp, admin) = (Client::new(address, &keys.provisioning), Client::new(address, &keys.admin));
        Writer { idp, admin, groups, random: Random(seed + 1) }
    }

    pub fn write(mut self, mut journal: Journal, acknowledge: &Sender<()>) -> Journal {
        static NAMES: AtomicU64 = AtomicU64::new(0);
        loop {
            let few = journal.people.len() < PEOPLE_PER_CLIENT;
            let at = if few && self.random.below(3) == 0 || journal.people.is_empty() {
                let name = format!("Person.{}", NAMES.fetch_add(1, Ordering::Relaxed));
                journal.people.push(Person::new(name));
                journal.people.len() - 1
            } else {
                self.random.below(journal.people.len())
            };
            let person = &mut journal.people[at];
            let write = self.choose(person, few);
            person.in_flight = Some(write.clone());
            if self.perform(person, &write).is_none() {
                return journal;
            }
            person.in_flight = None;
            person.changed_by(&write).for_each(|group| journal.changes[group] += 1);
            if write == Write::Delete {
                journal.gone.push(journal.people.swap_remove(at));
            }
            *journal.kinds.entry(write.kind()).or_default() += 1;
            let _ = acknowledge.send(());
        }
    }

    fn choose(&mut self, person: &Person, few: bool) -> Write {
        if person.id.is_empty() {
            return Write::Create;
        }
        let group = self.random.below(GROUPS);
        match self.random.below(12) {
            0 | 1 if !few => Write::Delete,
            2 | 3 => {
                if person.active {
                    Write::Suspend
                } else {
                    Write::Activate
                }
            }
            4 if person.active && person.keys.len() < 3 => Write::Issue,
            5..=8 => {
                if person.groups.contains(&group) {
                    Write::Leave(group)
                } else {
                    Write::Join(group)
                }
            }
            _ => Write::Rename(format!("nick {}", self.random.next())),
        }
    }

    /// Sends the request; when it is acknowledged the person is as it was told. `None` when the server died.
    fn perform(&mut self, person: &mut Person, write: &Write) -> Option<()> {
        let path = format!("/scim/v2/Users/{}", person.id);
        let patch = |operation: Value| json!({"schemas": [PATCH], "Operations": [operation]}).to_string();
        let (client, method, path, body) = match write {
            Write::Create => {
                let body = json!({"schemas": [USER], "userName": person.name, "nickName": person.nick});
                (&self.idp, "POST", "/scim/v2/Users".to_owned(), body.to_string())
            }
            Write::Rename(nick) => {
                (&self.idp, "PATCH", path, patch(json!({"op": "replace", "path": "nickName", "value": nick})))
            }
            Write::Suspend | Write::Activate => {
                let active = *write == Write::Activate;
                (&self.idp, "PATCH", path, patch(json!({"op": "replace", "path": "active", "value": active})))
            }
            Write::Join(group) => {
                let operation = json!({"op": "add", "path": "members", "value": [{"value": person.id}]});
                (&self.idp, "PATCH", format!("/scim/v2/Groups/{}", self.groups[*group]), patch(operation))
            }
            Write::Leave(group) => {
                let operation = json!({"op": "remove", "path": format!("members[value eq \"{}\"]", person.id)});
                (&self.idp, "PATCH", format!("/scim/v2/Groups/{}", self.groups[*group]), patch(operation))
            }
            Write::Issue => {
                let body = json!({"owner": {"type": "user", "id": person.id}, "name": "storm"});
                (&self.admin, "POST", "/v1/keys".to_owned(), body.to_string())
            }
            Write::Delete => (&self.idp, "DELETE", path, String::new()),
        };
        let answer = client.send(method, &path, &[], body).ok()?;
        assert!((200..300).contains(&answer.status), "{write:?} of {person:?}: {answer:?}");
        match write {
            Write::Create => person.id = id_of(&answer.json()),
            Write::Issue => person.keys.push(answer.json()["key"].as_str().unwrap().to_owned()),
            _ => {}
        }
        person.become_after(write);
        if matches!(write, Write::Create | Write::Rename(_) | Write::Suspend | Write::Activate) {
            assert_eq!(answer.version(), person.version, "{write:?}: {answer:?}");
        }
        Some(())
    }
}
