//! Answers that may be larger than memory: text, and member lists that are read while they are sent.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::catalogue::snapshot::Mappings;
use super::render::member;
use super::{Error, Service};
use crate::domain::TenantKey;
use crate::scim::project::Projection;
use crate::store::{self, ResourceKey, members::Member};

/// Members in one read: a short transaction each, so that a slow reader pins nothing (design §4).
pub(super) const CHUNK: i64 = 1_000;

/// An answer, in parts.
#[derive(Debug, Default)]
pub struct Body {
    parts: VecDeque<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Members(Box<Rest>),
    Mappings(Mappings),
}

/// The members of a group behind the first chunk.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) tenant: TenantKey,
    pub(super) group: ResourceKey,
    pub(super) after: ResourceKey,
    pub(super) projection: Projection,
}

impl Body {
    /// An answer that is one text.
    pub fn text(text: String) -> Body {
        Body { parts: VecDeque::from([Part::Text(text)]) }
    }

    pub(super) fn push(&mut self, text: &str) {
        match self.parts.back_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push_back(Part::Text(text.to_owned())),
        }
    }

    pub(super) fn push_rest(&mut self, rest: Rest) {
        self.parts.push_back(Part::Members(Box::new(rest)));
    }

    pub(super) fn push_mappings(&mut self, mappings: Mappings) {
        self.parts.push_back(Part::Mappings(mappings));
    }

    pub(super) fn append(&mut self, other: Body) {
        for part in other.parts {
            match part {
                Part::Text(text) => self.push(&text),
                rest => self.parts.push_back(rest),
            }
        }
    }

    /// The whole answer, if all of it is one text.
    pub(super) fn as_text(&self) -> Option<&str> {
        match (self.parts.front(), self.parts.len()) {
            (Some(Part::Text(text)), 1) => Some(text),
            _ => None,
        }
    }

    /// The whole answer, if all of it is text.
    ///
    /// # Errors
    /// Gives the body back if it must be streamed.
    pub fn into_text(mut self) -> Result<String, Body> {
        match (self.parts.pop_front(), self.parts.is_empty()) {
            (None, _) => Ok(String::new()),
            (Some(Part::Text(text)), true) => Ok(text),
            (Some(part), _) => {
                self.parts.push_front(part);
                Err(self)
            }
        }
    }

    /// The next piece of the answer; `None` at its end.
    ///
    /// # Errors
    /// If the store fails; the answer is then cut off.
    pub fn next_chunk(&mut self, service: &Service) -> Result<Option<String>, Error> {
        loop {
            match self.parts.pop_front() {
                None => return Ok(None),
                Some(Part::Text(text)) => return Ok(Some(text)),
                Some(Part::Mappings(mut mappings)) => {
                    let Some(text) = mappings.next_chunk()? else { continue };
                    self.parts.push_front(Part::Mappings(mappings));
                    return Ok(Some(text));
                }
                Some(Part::Members(rest)) => {
                    if let Some(text) = self.read_on(service, *rest)? {
                        return Ok(Some(text));
                    }
                }
            }
        }
    }

    fn read_on(&mut self, service: &Service, mut rest: Rest) -> Result<Option<String>, Error> {
        let members =
            service.read(|conn| Ok(store::members::page(conn, rest.tenant, rest.group, Some(rest.after), CHUNK)?))?;
        let Some(last) = members.last() else { return Ok(None) };
        let mut text = String::new();
        for one in &members {
            text.push(',');
            text.push_str(&service.member_text(one, &rest.projection)?);
        }
        if members.len() as i64 == CHUNK {
            rest.after = last.key;
            self.parts.push_front(Part::Members(Box::new(rest)));
        }
        Ok(Some(text))
    }
}

impl Service {
    /// One element of `members` as the projection shows it.
    pub(super) fn member_text(&self, one: &Member, projection: &Projection) -> Result<String, Error> {
        let element = member(self.scim_base_url(), one);
        if projection.is_default() {
            return Ok(serde_json::to_string(&element)?);
        }
        let mut document = Map::new();
        document.insert("members".to_owned(), Value::Array(vec![element]));
        projection.apply(&mut document);
        let element = document.get("members").and_then(Value::as_array).and_then(|members| members.first());
        Ok(element.map_or_else(|| Ok("{}".to_owned()), serde_json::to_string)?)
    }
}
