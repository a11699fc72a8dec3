//! `GET /v1/changes`: the log from a position on, by long-poll or as a stream of events.
//!
//! Whoever waits holds a place and nothing else: no thread, no connection to the database.

mod events;
mod reader;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT;
use actix_web::rt::time::timeout;

pub(super) use watch::Watch;

use self::reader::Reader;
use super::Shared;
use super::call::Call;
use super::parameters::{AFTER, COUNT_OF_CHANGES, KIND, WAIT, WAIT_SECONDS};
use super::respond::Reply;
use crate::service::Error;
use crate::service::log::feed::{Kinds, PAGE_MAX, Page, START};

/// Answers a request for changes.
pub(super) async fn answer(request: &HttpRequest, shared: &Shared, call: Call) -> Result<Reply, Error> {
    let head = &call.request;
    let mut reader = Reader {
        service: shared.service.clone(),
        watch: Arc::clone(&shared.watch),
        context: call.context()?.clone(),
        kinds: Kinds::parse(KIND.texts(head))?,
        after: position(AFTER.name, AFTER.text(head))?.unwrap_or(START),
        count: COUNT_OF_CHANGES.number(head)?.unwrap_or(PAGE_MAX),
    };
    let wait = WAIT.number(head)?.unwrap_or(WAIT_SECONDS as u64);
    if wants_events(request) {
        let sent = request.headers().get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
        reader.after = position("Last-Event-ID", sent)?.unwrap_or(reader.after);
        return events::answer(reader).await;
    }
    let page = poll(reader, Duration::from_secs(wait)).await?;
    Reply::json(200, &page.list())
}

fn position(name: &str, text: Option<&str>) -> Result<Option<i64>, Error> {
    let number = text.map(|text| text.parse::<i64>().ok().filter(|number| *number >= START).ok_or(()));
    number.transpose().map_err(|()| Error::Malformed(format!("{name}: expected the number of a change")))
}

fn wants_events(request: &HttpRequest) -> bool {
    let lists = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    let kind = |range: &str| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    lists.flat_map(|list| list.split(',')).any(|range| kind(range) == events::EVENT_STREAM)
}

/// The changes that are there, or the first that come while the client waits.
async fn poll(mut reader: Reader, wait: Duration) -> Result<Page, Error> {
    let mut page = reader.read().await?;
    if !page.items.is_empty() || wait.is_zero() {
        return Ok(page);
    }
    let _place = reader.watch.place()?;
    let rest = async {
        while page.items.is_empty() && (page.more || reader.news().await?) {
            page = reader.read().await?;
        }
        Ok::<_, Error>(())
    };
    // When the time is up, what was looked at meanwhile still counts: the page says how far that was.
    if let Ok(ended) = timeout(wait, rest).await {
        ended?;
    }
    Ok(page)
}
