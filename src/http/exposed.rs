//! `POST /v1/exposed-credentials`: what nobody needs a key for, and nobody learns anything from.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::rt::time::sleep;

use super::call::{Call, run};
use super::respond::Reply;
use super::run::now;
use super::v1::read_body;
use super::{Shared, origin};
use crate::service::Error;

/// An answer leaves after a multiple of this, so that its time does not tell whether a key was among the texts.
const PACE: Duration = Duration::from_millis(250);

/// Takes texts that somebody found.
pub(super) async fn answer(request: &HttpRequest, shared: &Shared, call: Call) -> Result<Reply, Error> {
    let started = now();
    shared.reports.count(origin::of(request, shared), shared.service.monotonic())?;
    let reply = run(shared, call, None, |service, call| {
        let request = call.open.as_ref().ok_or_else(|| Error::internal("nobody is asked who it is here"))?;
        Reply::json(202, &service.expose_keys(request, &read_body(call)?)?)
    });
    let reply = reply.await?;
    sleep(rest(started.elapsed())).await;
    Ok(reply)
}

/// How long it is until the next multiple of [`PACE`].
fn rest(elapsed: Duration) -> Duration {
    let over = elapsed.as_nanos() % PACE.as_nanos();
    PACE - Duration::from_nanos(u64::try_from(over).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_at_a_pace() {
        for (elapsed, expected) in [(0, 250), (1, 249), (249, 1), (250, 250), (730, 20)] {
            assert_eq!(rest(Duration::from_millis(elapsed)), Duration::from_millis(expected), "{elapsed}");
        }
    }
}
