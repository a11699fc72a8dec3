//! The page of a list, read and rendered while it is sent.
//!
//! A search finds the keys of a page; documents are read a piece at a time, each in a short read of its own.
//! What is deleted meanwhile is left out, and what is changed is shown as it is by then: a list is no snapshot.

use crate::domain::Id;
use crate::scim::ResourceType;
use crate::scim::message::{List, SearchRequest};
use crate::scim::project::Projection;
use crate::service::body::{Body, PIECE_BYTES, Rest};
use crate::service::directory::render;
use crate::service::directory::render::Views;
use crate::service::directory::search::{Part, Results};
use crate::service::{Context, Error, Service};
use crate::store::resources::{Resource, first_by_keys};
use crate::store::{Conn, ResourceKey};

/// Resources that are read at once.
const ROWS: usize = 128;
/// The same if each shows rows of its own.
const ROWS_WITH_ROWS: usize = 16;

/// The resources of a page that are still to be sent.
#[derive(Debug)]
struct Listing {
    context: Context,
    /// The types of the page, and what is shown of each.
    shown: Vec<(&'static ResourceType, Projection)>,
    keys: Vec<ResourceKey>,
    /// How many of the keys have had their turn.
    at: usize,
    /// How many resources were there to be shown.
    count: usize,
    /// The last of them, with its version.
    last: Option<(Id, i64)>,
    is_ended: bool,
}

/// Resources that were read and rendered.
struct More {
    body: Body,
    /// Of how many keys.
    used: usize,
    count: usize,
    last: Option<(Id, i64)>,
}

/// The page as an answer. If it is of a single resource: which one, and its version.
pub(in crate::service::directory::search) fn list(
    service: &Service,
    context: &Context,
    request: &SearchRequest,
    parts: Vec<Part>,
    mut results: Results,
) -> Result<(Body, Option<(Id, i64)>), Error> {
    let mut listing = Listing {
        context: context.clone(),
        shown: parts.into_iter().map(|part| (part.resource_type, part.projection)).collect(),
        keys: std::mem::take(&mut results.keys),
        at: 0,
        count: 0,
        last: None,
        is_ended: false,
    };
    let first = listing.piece(service)?;
    let is_whole = listing.is_at_end();
    let (head, tail) = results.frame(request, is_whole.then_some(listing.count));
    let mut body = Body::text(head);
    body.append(first);
    let only = listing.last.filter(|_| listing.keys.len() == 1);
    if is_whole {
        body.push(tail);
    } else {
        body.push_rest(Box::new(listing));
    }
    Ok((body, only))
}

impl Rest for Listing {
    fn next(&mut self, service: &Service) -> Result<Option<Body>, Error> {
        if self.is_ended {
            return Ok(None);
        }
        let mut body = self.piece(service)?;
        if self.is_at_end() {
            self.is_ended = true;
            body.push(&List::tail(self.count));
        }
        Ok(Some(body))
    }
}

impl Listing {
    fn is_at_end(&self) -> bool {
        self.at >= self.keys.len()
    }

    /// The next resources: as many as make a piece, or all that are left.
    fn piece(&mut self, service: &Service) -> Result<Body, Error> {
        let mut body = Body::default();
        while !self.is_at_end() && !body.is_piece() {
            let more = service.read(|conn| self.read_on(service, conn))?;
            self.at += more.used;
            self.count += more.count;
            self.last = more.last.or(self.last);
            body.append(more.body);
        }
        Ok(body)
    }

    /// Changes nothing: what a lost session takes away is read again.
    fn read_on(&self, service: &Service, conn: &mut Conn) -> Result<More, Error> {
        let shows_rows =
            |(one, projection): &(&ResourceType, Projection)| one.rows.is_some_and(|rows| projection.wants(&rows.name));
        let rows = if self.shown.iter().any(shows_rows) { ROWS_WITH_ROWS } else { ROWS };
        let keys = self.keys.get(self.at..).unwrap_or_default();
        let keys = keys.get(..rows).unwrap_or(keys);
        let (found, mut used) = first_by_keys(conn, self.context.caller.tenant.key, keys, PIECE_BYTES)?;
        let (turns, by_type) = self.by_type(found);
        let mut views: Vec<Views> = Vec::with_capacity(by_type.len());
        for ((one, projection), resources) in self.shown.iter().zip(&by_type) {
            views.push(match resources.as_slice() {
                [] => Views::default(),
                some => render::views(service, conn, &self.context, one, some, projection)?,
            });
        }
        let mut next: Vec<_> = by_type.iter().map(|resources| resources.iter()).collect();
        let (mut body, mut count, mut last) = (Body::default(), 0, None);
        for turn in turns {
            let resource = next.get_mut(turn).and_then(Iterator::next);
            let (Some(resource), Some(views), Some((one, projection))) =
                (resource, views.get(turn), self.shown.get(turn))
            else {
                continue;
            };
            if self.count + count > 0 {
                body.push(",");
            }
            body.append(render::render(service, conn, &self.context, one, views, resource, projection)?);
            count += 1;
            last = Some((resource.id, resource.version));
            // Rows can make much of little: what is behind them is read again when they are sent.
            if body.is_piece() {
                let shown = keys.iter().position(|key| *key == resource.key);
                used = shown.map_or(used, |at| at + 1);
                break;
            }
        }
        Ok(More { body, used, count, last })
    }

    /// Resources by type, so that what they show is read set-wise, with their order: whose turn it is.
    fn by_type(&self, found: Vec<Resource>) -> (Vec<usize>, Vec<Vec<Resource>>) {
        let mut by_type: Vec<Vec<Resource>> = self.shown.iter().map(|_| vec![]).collect();
        let mut turns = Vec::with_capacity(found.len());
        for resource in found {
            let turn = self.shown.iter().position(|(one, _)| one.name == resource.type_name);
            if let Some((turn, resources)) = turn.and_then(|turn| Some((turn, by_type.get_mut(turn)?))) {
                resources.push(resource);
                turns.push(turn);
            }
        }
        (turns, by_type)
    }
}
