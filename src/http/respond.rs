//! From what the service answers to an HTTP response; long answers are read while they are sent.

use std::pin::Pin;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LOCATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION, VARY,
};
use actix_web::{HttpResponse, web};
use futures_util::stream::{self, Stream};
use serde::Serialize;

use super::Shared;
use super::gzip::Packer;
use super::run::run;
use super::send_buffer::{Held, LONG_BYTES, SendBuffer};
use crate::domain::operation::Place;
use crate::service::body::Body;
use crate::service::{Error, Service};

const TOLERANCE: HeaderName = HeaderName::from_static("keyroll-tolerance");

/// The media type of SCIM (RFC 7644 §8.1).
pub(super) const SCIM_JSON: &str = "application/scim+json";

/// An answer before it is a response.
pub(super) struct Reply {
    status: u16,
    media_type: &'static str,
    headers: Vec<(HeaderName, String)>,
    body: Option<Content>,
}

/// Pieces that come as they come.
type Pieces = Pin<Box<dyn Stream<Item = Result<web::Bytes, actix_web::Error>> + Send>>;

enum Content {
    Body(Body),
    Packed(Body),
    Stream(Pieces),
}

impl Reply {
    /// An answer of SCIM.
    pub(super) fn scim(status: u16, body: Option<Body>) -> Reply {
        Reply { status, media_type: SCIM_JSON, headers: vec![], body: body.map(Content::Body) }
    }

    /// An answer of `/v1`. It may hold a secret: nobody caches it.
    pub(super) fn json(status: u16, value: &impl Serialize) -> Result<Reply, Error> {
        Ok(Reply { status, ..Reply::json_text(serde_json::to_string(value)?) })
    }

    /// The same from JSON that is text already.
    pub(super) fn json_text(text: String) -> Reply {
        let body = Some(Content::Body(Body::text(text)));
        let reply = Reply { status: 200, media_type: "application/json", headers: vec![], body };
        reply.with(CACHE_CONTROL, "no-store")
    }

    /// An answer that goes on until one side ends it.
    pub(super) fn stream(media_type: &'static str, pieces: Pieces) -> Reply {
        let body = Some(Content::Stream(pieces));
        Reply { status: 200, media_type, headers: vec![], body }.with(CACHE_CONTROL, "no-store")
    }

    /// An answer that is the same for everybody and changes seldom.
    pub(super) fn public(media_type: &'static str, value: &impl Serialize) -> Result<Reply, Error> {
        Ok(Reply::public_text(media_type, Some(serde_json::to_string(value)?)))
    }

    /// The same from text; 304 for whoever has it.
    pub(super) fn public_text(media_type: &'static str, text: Option<String>) -> Reply {
        Reply::kept(media_type, text.map(Body::text), "public, max-age=300")
    }

    /// An answer for this client alone, which may keep it and asks each time whether it is still good; 304
    /// if it is.
    pub(super) fn private(media_type: &'static str, body: Option<Body>) -> Reply {
        Reply::kept(media_type, body, "private, no-cache")
    }

    fn kept(media_type: &'static str, body: Option<Body>, how: &str) -> Reply {
        let status = if body.is_some() { 200 } else { 304 };
        Reply { status, media_type, headers: vec![], body: body.map(Content::Body) }.with(CACHE_CONTROL, how)
    }

    /// The same, packed for clients that want it so.
    pub(super) fn negotiated(media_type: &'static str, body: Option<Body>, packed: bool) -> Reply {
        let reply = Reply::private(media_type, body).with(VARY, "Accept-Encoding");
        match reply.body {
            Some(Content::Body(body)) if packed => {
                Reply { body: Some(Content::Packed(body)), ..reply }.with(CONTENT_ENCODING, "gzip")
            }
            body => Reply { body, ..reply },
        }
    }

    /// Adds the tag of what is sent.
    pub(super) fn tagged(self, etag: &str) -> Reply {
        self.with(ETAG, etag)
    }

    /// An answer without a body.
    pub(super) fn empty(status: u16) -> Reply {
        Reply { status, media_type: "", headers: vec![], body: None }
    }

    /// Adds a header; an empty value adds none.
    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Reply {
        let value = value.into();
        if !value.is_empty() {
            self.headers.push((name, value));
        }
        self
    }

    /// Adds a member to an object.
    ///
    /// # Errors
    /// The same answer, if it is none.
    pub(super) fn with_member(self, name: &str, value: &impl Serialize) -> Result<Reply, Reply> {
        let Some(Content::Body(body)) = self.body else { return Err(self) };
        let body = match (body.into_text(), serde_json::to_string(value)) {
            (Ok(mut text), Ok(member)) if text.len() > 2 && text.ends_with('}') => {
                text.truncate(text.len() - 1);
                text.push_str(&format!(",\"{name}\":{member}}}"));
                Body::text(text)
            }
            (Ok(text), _) => return Err(Reply { body: Some(Content::Body(Body::text(text))), ..self }),
            (Err(body), _) => return Err(Reply { body: Some(Content::Body(body)), ..self }),
        };
        Ok(Reply { body: Some(Content::Body(body)), ..self })
    }

    /// Adds what every answer about one resource carries.
    pub(super) fn about(self, location: &str, etag: &str, tolerances: String) -> Reply {
        let name = if self.status == 201 { LOCATION } else { CONTENT_LOCATION };
        self.with(name, location).with(ETAG, etag).with(TOLERANCE, tolerances)
    }

    /// Adds the tolerances that a request needed.
    pub(super) fn tolerating(self, tolerances: String) -> Reply {
        self.with(TOLERANCE, tolerances)
    }

    /// The response. Of a read (`may_refuse`) a long answer is refused while too much waits to be taken by
    /// clients; what was done is not denied: its answer waits its turn.
    ///
    /// # Errors
    /// 503 if there is no room.
    pub(super) async fn into_response(self, shared: &Shared, may_refuse: bool) -> Result<HttpResponse, Error> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut builder = HttpResponse::build(status);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                builder.insert_header((name, value));
            }
        }
        let Some(body) = self.body else { return Ok(builder.finish()) };
        builder.insert_header((CONTENT_TYPE, HeaderValue::from_static(self.media_type)));
        let body = match body {
            Content::Body(body) => body,
            Content::Packed(body) => return Ok(builder.streaming(pieces(shared, body, Some(Packer::new())))),
            Content::Stream(pieces) => return Ok(builder.streaming(pieces)),
        };
        Ok(match body.into_text() {
            Ok(text) if text.len() < LONG_BYTES => builder.body(text),
            Ok(text) => builder.body(shared.send_buffer.hold(text, may_refuse).await?),
            Err(body) => builder.streaming(pieces(shared, body, None)),
        })
    }
}

/// The pieces of a long answer, each read when the one before has been taken. If one cannot be read, the
/// connection is cut: half an answer must not look like a whole one.
fn pieces(
    shared: &Shared,
    body: Body,
    packer: Option<Packer>,
) -> impl Stream<Item = Result<web::Bytes, actix_web::Error>> + use<> {
    let (service, buffer) = (shared.service.clone(), shared.send_buffer.clone());
    let start = (None, Some((body, packer)));
    stream::unfold(start, move |(held, rest): (Option<Held>, Option<Unsent>)| {
        let (service, buffer) = (service.clone(), buffer.clone());
        async move {
            if let Some(mut held) = held
                && let Some(slice) = held.next()
            {
                return Some((Ok(slice), (Some(held), rest)));
            }
            match next_piece(&service, &buffer, rest?).await {
                Ok((mut held, rest)) => held.next().map(|slice| (Ok(slice), (Some(held), rest))),
                Err(error) => {
                    log::error!("an answer was cut off: {}", error.causes());
                    Some((Err(actix_web::error::ErrorInternalServerError("cut off")), (None, None)))
                }
            }
        }
    })
}

/// What of an answer is still to be read, and what packs it.
type Unsent = (Body, Option<Packer>);

/// The next piece and what is left; an empty one at the end. Who waits for room has nothing in memory yet.
async fn next_piece(service: &Service, buffer: &SendBuffer, rest: Unsent) -> Result<(Held, Option<Unsent>), Error> {
    let mut room = buffer.wait().await?;
    let (piece, rest) = run(service, Place::Blocking, move |service| read_piece(service, rest)).await?;
    buffer.widen(&mut room, piece.len())?;
    Ok((Held::new(piece, room), rest))
}

fn read_piece(service: &Service, (mut body, mut packer): Unsent) -> Result<(Vec<u8>, Option<Unsent>), Error> {
    while let Some(text) = body.next_chunk(service)? {
        let piece = match &mut packer {
            Some(packer) => packer.pack(&text)?,
            None => text.into_bytes(),
        };
        if !piece.is_empty() {
            return Ok((piece, Some((body, packer))));
        }
    }
    Ok((packer.map_or_else(|| Ok(vec![]), Packer::finish)?, None))
}
