//! Responses that are ready before the body of the request was read to its end.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::ConnectionType;
use actix_web::{HttpResponse, web};
use futures_util::StreamExt;
use futures_util::future::poll_immediate;

/// An answer, and the rest of the body of its request.
///
/// Of a body in chunks that nobody holds any more, actix-http waits for the last one, for ever. While
/// somebody holds it, it closes the connection [`super::DISCONNECT_TIMEOUT`] behind the answer, as it does
/// behind the refusal of a body whose length was said.
struct Unread {
    body: BoxBody,
    _rest: web::Payload,
}

impl MessageBody for Unread {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<web::Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// Ends the connection behind an answer if the request's body is not at its end.
pub(super) async fn close(response: HttpResponse, mut rest: web::Payload) -> HttpResponse {
    if matches!(poll_immediate(rest.next()).await, Some(None)) {
        return response;
    }
    let mut response = response.map_body(|_, body| BoxBody::new(Unread { body, _rest: rest }));
    response.head_mut().set_connection_type(ConnectionType::Close);
    response
}
