//! Where the service's work runs, and how long it is waited for.

use std::time::{Duration, Instant};

use actix_web::rt::time::timeout;
use actix_web::web;
use tokio::sync::oneshot;

use crate::domain::operation::Place;
use crate::service::directory::search::Turn;
use crate::service::{CommitVersion, Error, Interest, Service};

/// How long work on the database may take before its client is told so.
const WORK_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for what may be much (design §5: Bulk; a group of a hundred thousand members is as long in coming).
const LONG_WORK_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a search that no index answers waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(20);
/// How old what an answer is decided by may be when it leaves: from the moment in which the database was asked how
/// far it has come. The rest of the second (promise P4) is the way to the client.
pub(super) const AGE_MAX: Duration = Duration::from_millis(700);
/// How long it may take to find out who asks, and to answer what memory mostly answers.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// What is said when it takes longer.
pub(super) const SLOW: &str = "the database did not answer in time";

/// Runs the service's synchronous work where it belongs: short look-ups of the embedded database right
/// here, since a thread hop costs more than they do; everything else on the blocking pool.
#[expect(clippy::disallowed_methods, reason = "the home of the decision")]
pub(super) async fn run<T: Send + 'static>(
    service: &Service,
    place: Place,
    work: impl FnOnce(&Service) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    if place == Place::Inline && service.is_embedded() {
        return work(service);
    }
    let waiting = Waiting(Interest::default());
    let service = service.attended(waiting.0.clone());
    let time = if place == Place::Long { LONG_WORK_TIMEOUT } else { WORK_TIMEOUT };
    match timeout(time, web::block(move || work(&service))).await {
        Ok(done) => done.map_err(Error::internal)?,
        // The thread goes on with a change, which may yet be committed.
        Err(_) => Err(Error::Busy("the database did not answer in time: what was asked may yet be done")),
    }
}

/// Whoever waits for an answer; gone when the time is over, or the client.
struct Waiting(Interest);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.lose();
    }
}

/// Waits until it is a search's turn.
pub(super) async fn turn(service: &Service) -> Result<Turn, Error> {
    let (hand_on, turn) = oneshot::channel();
    service.wait_for_turn(move |turn| hand_on.send(turn));
    match timeout(TURN_TIMEOUT, turn).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(Error::Crowded),
    }
}

/// The same, by what the database has told already, if it was asked.
pub(super) async fn run_at<T: Send + 'static>(
    service: &Service,
    commit: Option<CommitVersion>,
    place: Place,
    work: impl FnOnce(&Service) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match commit {
        Some(commit) => run(&service.at_commit(commit), place, work).await,
        None => run(service, place, work).await,
    }
}

/// What the database tells about itself now.
pub(super) async fn commit_version(service: &Service) -> Result<CommitVersion, Error> {
    let (hand_on, commit) = oneshot::channel();
    service.ask_commit_version(move |commit| drop(hand_on.send(commit)));
    match timeout(AGE_MAX, commit).await {
        Ok(commit) => commit.map_err(Error::internal)?,
        Err(_) => Err(Error::Busy(SLOW)),
    }
}

#[expect(clippy::disallowed_methods, reason = "the home of the request timer")]
pub(super) fn now() -> Instant {
    Instant::now()
}
