//! `GET /readyz`: whether requests can be served, told in a second whatever the database does.

use actix_web::http::header::RETRY_AFTER;
use actix_web::rt::time::timeout;

use super::Shared;
use super::call::Call;
use super::respond::Reply;
use super::run::{ANSWER_TIMEOUT, SLOW, run};
use crate::domain::operation::Place;
use crate::service::{Error, Readiness};

/// Answers 200 or 503; `?for=reads` asks for no more than verification needs.
pub(super) async fn answer(shared: &Shared, call: &Call) -> Result<Reply, Error> {
    let for_reads = match call.request.parameter("for") {
        None => false,
        Some("reads") => true,
        Some(_) => return Err(Error::Malformed("for: expected reads".to_owned())),
    };
    let asked = run(&shared.service, Place::Blocking, move |service| Ok(service.readiness(for_reads)));
    let found = match timeout(ANSWER_TIMEOUT, asked).await {
        Ok(found) => found?,
        Err(_) => Readiness::nothing(SLOW),
    };
    let ready = found.reads.is_none() && found.writes.is_none();
    let reply = Reply::json(if ready { 200 } else { 503 }, &found.to_json())?;
    Ok(if ready { reply } else { reply.with(RETRY_AFTER, "1") })
}
