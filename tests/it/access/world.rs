//! A directory with roles and mappings, held in plain lists, and access computed from it by brute force.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::app::Answer;

/// Everything that access depends on.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub people: BTreeMap<String, Person>,
    pub groups: BTreeMap<String, Group>,
    pub roles: BTreeMap<String, Role>,
    pub mappings: BTreeMap<String, Mapping>,
}

#[derive(Clone, Debug, Default)]
pub struct Person {
    pub agent: bool,
    pub active: bool,
    pub held: bool,
    pub user_type: String,
    pub asserted: Vec<String>,
    /// Of agents.
    pub owners: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Group {
    pub name: String,
    pub external_id: String,
    pub members: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Role {
    pub permission: String,
    pub includes: BTreeSet<String>,
    pub assertable: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    pub role: String,
    pub source: Source,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    GroupId(String),
    GroupName(String),
    GroupExternal(String),
    /// Whether `userType` is, or is not, this.
    Rule(String, bool),
    Asserted(String),
    Person(String, Option<i64>),
}

impl Source {
    /// What kind of source it is.
    pub fn name(&self) -> &'static str {
        match self {
            Source::GroupId(_) => "group id",
            Source::GroupName(_) => "group name",
            Source::GroupExternal(_) => "group externalId",
            Source::Rule(..) => "rule",
            Source::Asserted(_) => "asserted",
            Source::Person(..) => "person",
        }
    }
}

/// Why somebody holds a role: the mapping, the including roles, the groups.
pub type Why = (String, Vec<String>, Vec<String>);

/// The reasons for each role.
pub type Access = BTreeMap<String, BTreeSet<Why>>;

impl World {
    /// Whether somebody may act.
    pub fn is_live(&self, id: &str) -> bool {
        let Some(person) = self.people.get(id) else { return false };
        let sponsored = || person.owners.iter().any(|owner| self.is_live(owner));
        person.active && !person.held && (!person.agent || sponsored())
    }

    /// What somebody holds at a minute.
    pub fn access(&self, id: &str, minute: i64) -> Access {
        let mut access = Access::new();
        if !self.is_live(id) {
            return access;
        }
        for (name, mapping) in &self.mappings {
            for path in self.ways_of(mapping, id, minute) {
                self.gain(&mut access, &mapping.role, &mut vec![], &(name.clone(), path));
            }
        }
        access
    }

    /// Whether a mapping names a group.
    pub fn means(&self, mapping: &Mapping, id: &str, group: &Group) -> bool {
        match &mapping.source {
            Source::GroupId(own) => own == id,
            Source::GroupName(name) => group.name.eq_ignore_ascii_case(name),
            Source::GroupExternal(own) => !own.is_empty() && group.external_id == *own,
            _ => false,
        }
    }

    /// The ways by which a mapping applies to somebody or to a group, live or not: by itself, or through groups.
    pub fn ways_of(&self, mapping: &Mapping, id: &str, minute: i64) -> Vec<Vec<String>> {
        let person = self.people.get(id);
        let alone = match (&mapping.source, person) {
            (Source::Rule(kind, is), Some(person)) => {
                !person.agent && person.user_type.eq_ignore_ascii_case(kind) == *is
            }
            (Source::Asserted(value), Some(person)) => {
                let may = self.roles[&mapping.role].assertable;
                may && person.asserted.iter().any(|own| own.eq_ignore_ascii_case(value))
            }
            (Source::Person(own, until), Some(_)) => own == id && until.is_none_or(|until| minute < until),
            _ => return self.paths(|key, group| self.means(mapping, key, group), id),
        };
        if alone { vec![vec![]] } else { vec![] }
    }

    fn gain(&self, access: &mut Access, role: &str, via: &mut Vec<String>, why: &(String, Vec<String>)) {
        access.entry(role.to_owned()).or_default().insert((why.0.clone(), via.clone(), why.1.clone()));
        via.push(role.to_owned());
        for inner in &self.roles[role].includes {
            self.gain(access, inner, via, why);
        }
        via.pop();
    }

    /// Every way down from the groups that are meant to a member.
    fn paths(&self, is_meant: impl Fn(&str, &Group) -> bool, member: &str) -> Vec<Vec<String>> {
        let meant = self.groups.iter().filter(|(key, group)| is_meant(key, group));
        meant.flat_map(|(key, _)| self.down(key, member)).collect()
    }

    fn down(&self, group: &str, member: &str) -> Vec<Vec<String>> {
        let mut found = vec![];
        for inner in &self.groups[group].members {
            if inner == member {
                found.push(vec![group.to_owned()]);
            } else if self.groups.contains_key(inner) {
                let rest = self.down(inner, member).into_iter();
                found.extend(rest.map(|rest| [vec![group.to_owned()], rest].concat()));
            }
        }
        found
    }

    /// Whether a group is inside another one, or is it.
    pub fn is_inside(&self, inner: &str, outer: &str) -> bool {
        inner == outer
            || self.groups[outer].members.iter().any(|m| self.groups.contains_key(m) && self.is_inside(inner, m))
    }

    /// Whether a role reaches another one, or is it.
    pub fn reaches(&self, outer: &str, inner: &str) -> bool {
        inner == outer || self.roles[outer].includes.iter().any(|next| self.reaches(next, inner))
    }

    /// The permissions of an access.
    pub fn permissions(&self, access: &Access) -> Vec<String> {
        let all: BTreeSet<String> = access.keys().map(|role| self.roles[role].permission.clone()).collect();
        all.into_iter().collect()
    }
}

/// What an answer of `/access` says, with the time since which each reason holds.
pub fn read(answer: &Answer) -> BTreeMap<String, BTreeMap<Why, String>> {
    let roles = answer["roles"].as_array().unwrap().iter();
    let mut access = BTreeMap::new();
    for role in roles {
        access.insert(role["role"].as_str().unwrap().to_owned(), reasons(&role["reasons"]));
    }
    access
}

/// A list of reasons, with the time since which each holds.
pub fn reasons(list: &Value) -> BTreeMap<Why, String> {
    let mut reasons = BTreeMap::new();
    for reason in list.as_array().unwrap() {
        let steps = reason["path"].as_array().into_iter().flatten();
        let path: Vec<String> = steps.map(|step| step["id"].as_str().unwrap().to_owned()).collect();
        if reason["source"] == json!("group") {
            assert_eq!(reason["direct"], json!(path.len() == 1), "{reason}");
        }
        let why = (reason["mapping"].as_str().unwrap().to_owned(), texts(&reason["via"]), path);
        let since = reason["since"].as_str().unwrap().to_owned();
        assert_eq!(reasons.insert(why, since), None, "twice: {reason}");
    }
    reasons
}

/// A list of texts; none if there is no list.
pub fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}
