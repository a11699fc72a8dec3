//! Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::fmt::Write;
use std::time::{Duration, Instant};

use actix_web::http::header::HeaderName;
use actix_web::rt::time::timeout;
use actix_web::web::Bytes;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;

use super::reader::Reader;
use crate::http::respond::Reply;
use crate::http::run::now;
use crate::service::Error;
use crate::service::log::feed::Page;

/// The media type.
pub(super) const EVENT_STREAM: &str = "text/event-stream";
/// So often something is sent, so that neither side takes the other for gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Records in one piece of the stream. The next is read when the client has taken this one.
const PIECE: i64 = 100;
/// What a client that lost the stream waits before it comes back.
const RETRY: &str = "retry: 1000\n\n";
/// nginx must not collect events until a buffer is full.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Opens a stream. The first read tells whether the client may have one at all.
pub(super) async fn answer(mut reader: Reader) -> Result<Reply, Error> {
    let place = reader.watch.place()?;
    reader.count = PIECE;
    let first = reader.read().await?;
    let sent = first.items.len();
    let events = Events { reader, more: first.more, sent, begun: now(), why: "the client has gone", _place: place };
    let start = RETRY.to_owned() + &render(&first);
    let stream = stream::unfold((Some(start), Some(events)), |(start, events)| async move {
        match start {
            Some(start) => Some((Ok(Bytes::from(start)), (None, events))),
            None => events?.next().await.map(|(piece, events)| (piece, (None, events))),
        }
    });
    Ok(Reply::stream(EVENT_STREAM, Box::pin(stream)).with(BUFFERING, "no"))
}

/// An open stream.
struct Events {
    reader: Reader,
    more: bool,
    /// Changes that were handed over.
    sent: usize,
    begun: Instant,
    /// Why it ends, if it ends now.
    why: &'static str,
    _place: OwnedSemaphorePermit,
}

impl Drop for Events {
    /// The line about the request stood where the stream began.
    fn drop(&mut self) {
        let context = &self.reader.context;
        let key = context.caller.key().map(|holder| holder.credential.to_string());
        let (request, seconds) = (context.request.id.as_str(), self.begun.elapsed().as_secs());
        log::info!(request, key, seconds, events = self.sent, why = self.why; "a stream of changes has ended");
    }
}

impl Events {
    /// The next piece, and the stream behind it.
    async fn next(mut self) -> Option<(Result<Bytes, actix_web::Error>, Option<Events>)> {
        match self.piece().await {
            Ok(Some(piece)) => Some((Ok(Bytes::from(piece)), Some(self))),
            Ok(None) => {
                self.why = "the server stops";
                None
            }
            // The client learns why when it comes back.
            Err(error @ (Error::KeyRefused(_) | Error::Lacking(_) | Error::Forbidden(_))) => {
                self.why = if matches!(error, Error::KeyRefused(_)) { "the key has ended" } else { "the key may not" };
                None
            }
            Err(error) => {
                self.why = "it was cut off";
                let request = self.reader.context.request.id.as_str();
                log::error!(request; "a stream of changes was cut off: {}", error.causes());
                Some((Err(actix_web::error::ErrorInternalServerError("cut off")), None))
            }
        }
    }

    async fn piece(&mut self) -> Result<Option<String>, Error> {
        if self.reader.watch.is_stopping() {
            return Ok(None);
        }
        if !self.more {
            match timeout(HEARTBEAT, self.reader.news()).await {
                Ok(news) => {
                    if !news? {
                        return Ok(None);
                    }
                }
                Err(_) => return Ok(Some(":\n\n".to_owned())),
            }
        }
        let page = self.reader.read().await?;
        self.more = page.more;
        self.sent += page.items.len();
        Ok(Some(render(&page)))
    }
}

/// A page as events. Where the filter left nothing at its end, the client's last id moves on without an
/// event: it resumes behind what was looked at.
fn render(page: &Page) -> String {
    let mut text = String::new();
    for item in &page.items {
        // Writing to a String cannot fail.
        let _ = write!(text, "id: {}\nevent: {}\ndata: {}\n\n", item.seq, item.kind, item.json.get());
    }
    if page.items.last().is_none_or(|last| last.seq != page.next) {
        let _ = write!(text, "id: {}\n\n", page.next);
    }
    text
}
