//! How far a change that may take access away has come when it is answered: waited for once a request, by no thread and
//! over no connection of its own.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderName;
use actix_web::rt::time::{sleep, timeout};
use tokio::sync::oneshot;

use super::Shared;
use super::respond::Reply;
use super::run::now;
use crate::domain::operation::Surface;
use crate::service::nodes::{self, Beat, Propagation, Reach, Spreading};
use crate::service::{Error, Service};

/// What tells it where the answer has no member for it.
const PROPAGATION: HeaderName = HeaderName::from_static("keyroll-propagation");
/// How long it is waited for. Whoever does not know of the change then answers nothing from memory any more once 700 ms
/// have passed.
const WAIT: Duration = Duration::from_millis(500);
/// How often the others are looked at meanwhile.
const LOOK: Duration = Duration::from_millis(5);
/// How often a node looks whether another one asks: half of it is what an answer waits on average.
const BEAT: Duration = Duration::from_millis(25);
/// How often it looks whether it is still alone: whoever has joined meanwhile does not wait for it in vain.
const ALONE: Duration = Duration::from_millis(250);

/// Tells others that this node is there, and how far it has come, as long as the server runs.
pub(super) async fn beat(shared: Shared) {
    loop {
        // What keeps a beat from being told is told by who waits for the database.
        drop(told(&shared.service).await);
        sleep(if nodes::is_alone(&shared.service) { ALONE } else { BEAT }).await;
    }
}

/// The answer to a change with how far it has come, if it may have taken access away by a record (`reduced`): in a
/// member where it is an object of `/v1`, else in a header.
pub(super) async fn tell(shared: &Shared, surface: Surface, reduced: Option<i64>, reply: Reply) -> Reply {
    let Some(seq) = reduced else { return reply };
    let started = now();
    let mut spreading = shared.service.spread();
    // Those that did not answer in time are counted as they were known.
    if !spreading.reach().is_over {
        drop(timeout(WAIT, spread(&shared.service, &mut spreading)).await);
    }
    let Reach { nodes, acked, .. } = spreading.reach();
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let propagation = Propagation { seq, nodes, acked, ms };
    let in_header = |reply: Reply| reply.with(PROPAGATION, propagation.to_string());
    match surface {
        Surface::V1 => reply.with_member("propagation", &propagation).unwrap_or_else(in_header),
        _ => in_header(reply),
    }
}

/// Looks at the others until all that are there know of a change.
async fn spread(service: &Service, spreading: &mut Spreading) {
    loop {
        // Where no node can be asked now, the next look may find one.
        if told(service).await.is_ok_and(|beat| spreading.take(beat.as_deref()).is_over) {
            return;
        }
        sleep(LOOK).await;
    }
}

/// One beat of this node.
async fn told(service: &Service) -> Result<Option<Arc<Beat>>, Error> {
    let (hand_on, beat) = oneshot::channel();
    service.beat(move |beat| drop(hand_on.send(beat)));
    beat.await.map_err(Error::internal)?
}
