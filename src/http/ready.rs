//! `GET /readyz`: whether requests can be served, told within two seconds whatever the database does.

use actix_web::http::header::RETRY_AFTER;
use actix_web::rt::time::timeout;

use super::Shared;
use super::call::Call;
use super::parameters::FOR;
use super::respond::Reply;
use super::run::{ANSWER_TIMEOUT, SLOW, run};
use crate::domain::operation::Place;
use crate::service::{ENDLESS, Error, Readiness, ReadyStatus, Service, Trouble};

/// Answers 200 or 503; `?for=reads` asks for no more than verification needs.
pub(super) async fn answer(shared: &Shared, call: &Call) -> Result<Reply, Error> {
    let for_reads = FOR.word(&call.request)?.is_some();
    let reads = trouble(shared, Service::trouble_reading, SLOW).await?;
    let writes = match reads {
        None if !for_reads => trouble(shared, Service::trouble_writing, ENDLESS).await?,
        // Where nothing can be read, nothing is written either.
        _ => reads,
    };
    let found = Readiness::new(reads, writes, shared.service.warnings());
    match found.status {
        ReadyStatus::Ready => Reply::json(200, &found),
        ReadyStatus::Unready => Ok(Reply::json(503, &found)?.with(RETRY_AFTER, "1")),
    }
}

/// What is in the way, and `slow` if that is not known in time.
async fn trouble(
    shared: &Shared,
    find: fn(&Service) -> Option<Trouble>,
    slow: &'static str,
) -> Result<Option<Trouble>, Error> {
    let asked = run(&shared.service, Place::Blocking, move |service| Ok(find(service)));
    timeout(ANSWER_TIMEOUT, asked).await.unwrap_or(Ok(Some(slow.into())))
}
