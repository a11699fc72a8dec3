//! Mappings are made, and become others under the same id.

use serde_json::{Value, json};

use super::super::world::{Mapping, Source};
use super::{KINDS, NAMES, Story, time};
use crate::support::app::*;

impl Story<'_> {
    fn source(&mut self) -> Option<Source> {
        let groups: Vec<String> = self.world.groups.keys().cloned().collect();
        let only_live = self.random.below(2) == 0;
        let people = self.world.people.keys().filter(|id| !only_live || self.world.is_live(id));
        let people: Vec<String> = people.cloned().collect();
        match self.random.below(8) {
            0 => self.pick(&groups).map(Source::GroupId),
            1 => Some(Source::GroupName(self.text(&NAMES).to_owned())),
            2 => {
                let called = self.world.groups.values().map(|group| group.external_id.clone());
                let called: Vec<String> = called.filter(|id| !id.is_empty()).collect();
                // Or what a group may be called later.
                Some(Source::GroupExternal(self.pick(&called).unwrap_or_else(|| "x".to_owned())))
            }
            3 => Some(Source::Rule(self.text(&KINDS[..2]).to_owned(), self.random.below(2) == 0)),
            4 => Some(Source::Asserted(self.text(&["A", "b"]).to_owned())),
            _ => {
                let until = (self.random.below(2) == 0).then(|| self.minute + 5);
                self.pick(&people).map(|id| Source::Person(id, until))
            }
        }
    }

    fn role_name(&mut self) -> Option<String> {
        let roles: Vec<String> = self.world.roles.keys().cloned().collect();
        self.pick(&roles)
    }

    fn mapping_body(&self, mapping: &Mapping) -> Value {
        let is_agent = |id: &String| self.everybody.iter().any(|(own, agent)| own == id && *agent);
        let source = match &mapping.source {
            Source::GroupId(id) => json!({"group": {"id": id}}),
            Source::GroupName(name) => json!({"group": {"displayName": name}}),
            Source::GroupExternal(value) => json!({"group": {"externalId": value}}),
            Source::Rule(kind, true) => json!({"rule": format!("userType eq {kind:?}")}),
            Source::Rule(kind, false) => json!({"rule": format!("not (userType eq {kind:?})")}),
            Source::Asserted(value) => json!({"asserted": {"attribute": "roles", "value": value}}),
            Source::Person(id, until) => json!({
                "person": {"type": if is_agent(id) { "agent" } else { "user" }, "id": id},
                "reason": "why",
                "expires_at": until.map(|until| time(until, 0)),
            }),
        };
        json!({"role": mapping.role, "source": source})
    }

    /// Whether no such mapping can be made, whatever others there are.
    fn is_refused(&self, mapping: &Mapping) -> bool {
        match &mapping.source {
            Source::GroupId(id) => !self.world.groups.contains_key(id),
            Source::Person(id, until) => {
                !self.world.people.contains_key(id) || until.is_some_and(|until| until <= self.minute)
            }
            Source::Asserted(_) => !self.world.roles[&mapping.role].assertable,
            _ => false,
        }
    }

    /// The one that gives the same role to the same: whether it stands in the way, or has run out.
    fn same(&self, id: &str, mapping: &Mapping) -> Option<(String, bool)> {
        let found = self.world.mappings.iter().find(|(own, other)| *own != id && is_same(mapping, other))?;
        let has_ended = matches!(found.1.source, Source::Person(_, Some(until)) if until <= self.minute);
        Some((found.0.clone(), has_ended))
    }

    pub(super) fn map(&mut self) {
        let Some(role) = self.role_name() else { return };
        let Some(source) = self.source() else { return };
        let mapping = Mapping { role, source };
        let answer = self.app.admin().post("/v1/mappings", self.mapping_body(&mapping));
        self.check_outcome("", mapping, &answer, 201);
    }

    /// Another role, another end, or others who get it.
    pub(super) fn remap(&mut self) {
        // Grants of persons have most to change, and are few.
        let of_persons = self.random.below(2) == 0;
        let wanted = |one: &Mapping| match &one.source {
            Source::Person(id, _) => self.world.is_live(id),
            _ => !of_persons,
        };
        let mappings = self.world.mappings.iter().filter(|(_, one)| wanted(one));
        let mappings: Vec<String> = mappings.map(|(id, _)| id.clone()).collect();
        let Some(id) = self.pick(&mappings) else { return };
        let before = self.world.mappings[&id].clone();
        let mut mapping = before.clone();
        match (self.random.below(4), &before.source) {
            (0, _) => mapping.role = self.role_name().unwrap_or(mapping.role),
            (1 | 2, Source::Person(id, until)) => {
                let later = (until.is_none() || self.random.below(2) == 0).then(|| self.minute + 5);
                mapping.source = Source::Person(id.clone(), later);
            }
            _ => mapping.source = self.source().unwrap_or(mapping.source),
        }
        let records = self.app.log().len();
        let answer = self.app.admin().put(&format!("/v1/mappings/{id}"), self.mapping_body(&mapping));
        if mapping == before {
            answer.expect(200);
            assert_eq!(self.app.log().len(), records, "nothing was changed");
            return;
        }
        let goes_on = is_same(&mapping, &before);
        if self.check_outcome(&id, mapping, &answer, 200) && !goes_on {
            self.replaced.push((id, self.minute));
        }
    }

    /// Holds an answer against what must come of a mapping, and keeps it; whether it is there now.
    fn check_outcome(&mut self, id: &str, mapping: Mapping, answer: &Answer, done: u16) -> bool {
        let same = self.same(id, &mapping);
        let expected = match &same {
            _ if self.is_refused(&mapping) => 422,
            Some((_, false)) => 409,
            _ => done,
        };
        assert_eq!(answer.status, expected, "minute {}, {mapping:?}: {answer}", self.minute);
        if expected != done {
            return false;
        }
        // It takes the place of one that ran out.
        if let Some((ended, _)) = same {
            self.world.mappings.remove(&ended);
        }
        self.world.mappings.insert(answer.id(), mapping);
        true
    }
}

/// Whether two mappings give the same role to the same.
fn is_same(one: &Mapping, other: &Mapping) -> bool {
    one.role == other.role
        && match (&one.source, &other.source) {
            (Source::Person(one, _), Source::Person(other, _)) => one == other,
            (Source::GroupName(one), Source::GroupName(other)) => one.eq_ignore_ascii_case(other),
            (Source::Asserted(one), Source::Asserted(other)) => one.eq_ignore_ascii_case(other),
            (one, other) => one == other,
        }
}
