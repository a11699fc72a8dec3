//! Answers that may be larger than memory: text, and what is read while it is sent.

use std::collections::VecDeque;
use std::fmt;

use serde_json::{Map, Value, json};

use crate::domain::TenantKey;
use crate::scim::attribute::Attribute;
use crate::scim::project::Projection;
use crate::service::{Error, Service, registry};
use crate::store::{self, ResourceKey, members::Member};

/// Members in one read: a short transaction each, so that a slow reader pins nothing (design §4).
pub(in crate::service) const CHUNK: i64 = 1_000;

/// So many bytes make a piece: longer answers are read while they are sent.
pub(in crate::service) const PIECE_BYTES: usize = 1 << 17;

/// An answer, in parts.
#[derive(Debug, Default)]
pub struct Body {
    parts: VecDeque<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Rest(Box<dyn Rest>),
}

/// What of an answer is still to be read.
pub(in crate::service) trait Rest: fmt::Debug + Send {
    /// What comes next, not much more than a piece; `None` at the end.
    fn next(&mut self, service: &Service) -> Result<Option<Body>, Error>;
}

/// The members of a group behind the first chunk.
#[derive(Debug)]
pub(in crate::service) struct Members {
    /// The attribute that they are the values of.
    pub(in crate::service) rows: &'static Attribute,
    pub(in crate::service) tenant: TenantKey,
    pub(in crate::service) group: ResourceKey,
    /// The last that was sent; `None` once all were.
    pub(in crate::service) after: Option<ResourceKey>,
    pub(in crate::service) projection: Projection,
    /// Whether any member stands before.
    pub(in crate::service) begun: bool,
}

impl Body {
    /// An answer that is one text.
    pub fn text(text: String) -> Body {
        Body { parts: VecDeque::from([Part::Text(text)]) }
    }

    /// An answer whose middle comes from elsewhere. What makes up to a piece is read at once.
    pub(in crate::service) fn framed(
        service: &Service,
        head: String,
        mut middle: impl Rest + 'static,
        tail: &str,
    ) -> Result<Body, Error> {
        let mut body = Body::text(head);
        loop {
            match middle.next(service)? {
                Some(more) => body.append(more),
                None => break,
            }
            if body.is_piece() {
                body.push_rest(Box::new(middle));
                break;
            }
        }
        body.push(tail);
        Ok(body)
    }

    pub(in crate::service) fn push(&mut self, text: &str) {
        match self.parts.back_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push_back(Part::Text(text.to_owned())),
        }
    }

    pub(in crate::service) fn push_rest(&mut self, rest: Box<dyn Rest>) {
        self.parts.push_back(Part::Rest(rest));
    }

    pub(in crate::service) fn append(&mut self, other: Body) {
        for part in other.parts {
            match part {
                // What is a piece by itself is not copied, and neither is the first text of all.
                Part::Text(text) if self.parts.is_empty() || text.len() >= PIECE_BYTES => {
                    self.parts.push_back(Part::Text(text));
                }
                Part::Text(text) => self.push(&text),
                rest => self.parts.push_back(rest),
            }
        }
    }

    /// Whether it is long enough to be sent before more of it is read.
    pub(in crate::service) fn is_piece(&self) -> bool {
        let mut bytes = 0;
        self.parts.iter().any(|part| match part {
            Part::Text(text) => {
                bytes += text.len();
                bytes >= PIECE_BYTES
            }
            Part::Rest(_) => true,
        })
    }

    /// The whole answer, if all of it is one text.
    pub(in crate::service) fn as_text(&self) -> Option<&str> {
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
                Some(Part::Text(text)) if text.is_empty() => {}
                Some(Part::Text(text)) => return Ok(Some(text)),
                Some(Part::Rest(mut rest)) => {
                    let Some(more) = rest.next(service)? else { continue };
                    self.parts.push_front(Part::Rest(rest));
                    for part in more.parts.into_iter().rev() {
                        self.parts.push_front(part);
                    }
                }
            }
        }
    }
}

impl Rest for Members {
    fn next(&mut self, service: &Service) -> Result<Option<Body>, Error> {
        let Some(after) = self.after else { return Ok(None) };
        let members =
            service.read(|conn| Ok(store::members::page(conn, self.tenant, self.group, Some(after), CHUNK)?))?;
        let mut text = String::new();
        for one in &members {
            let Some(element) = member_text(service, self.rows, one, &self.projection)? else { continue };
            text.push_str(if std::mem::replace(&mut self.begun, true) { "," } else { "" });
            text.push_str(&element);
        }
        if text.is_empty() {
            // Without a byte to send, the next ones would be read before anybody is seen to go on reading: a blank says
            // nothing in JSON.
            text.push(' ');
        }
        self.after = members.last().filter(|_| members.len() as i64 == CHUNK).map(|last| last.key);
        Ok(Some(Body::text(text)))
    }
}

/// One element of a list of members as the projection shows it; `None` if nothing of it is shown.
pub(in crate::service) fn member_text(
    service: &Service,
    rows: &Attribute,
    one: &Member,
    projection: &Projection,
) -> Result<Option<String>, Error> {
    let element = member(service.scim_base_url(), one);
    if projection.is_default() {
        return Ok(Some(serde_json::to_string(&element)?));
    }
    let mut document = Map::new();
    document.insert(rows.name.clone(), Value::Array(vec![element]));
    projection.apply(&mut document);
    let element = document.get(&rows.name).and_then(Value::as_array).and_then(|members| members.first());
    Ok(element.map(serde_json::to_string).transpose()?)
}

/// One element of a list of members; the type is what the id names, whatever the client said.
pub(in crate::service) fn member(base: &str, one: &Member) -> Value {
    let endpoint = registry().endpoint_of(&one.type_name);
    let mut element = json!({
        "value": one.id,
        "$ref": format!("{base}{endpoint}/{}", one.id),
        "type": one.type_name,
    });
    if let (Some(display), Some(element)) = (&one.display, element.as_object_mut()) {
        element.insert("display".to_owned(), display.as_str().into());
    }
    element
}
