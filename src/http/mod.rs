//! HTTP: extract, call the service, render. No rules and no SQL are here.
//!
//! `routes` finds the operation in the table of them; `handle` is the one path that every
//! request takes: request id → peer → key → rate → body → operation → answer → one line in the log.

mod auth;
mod authzen;
mod conditions;
mod connections;
mod error;
mod extract;
mod failures;
mod feed;
mod gzip;
mod handle;
mod line;
mod listen;
mod minutes;
mod open;
mod operations;
mod origin;
mod ready;
mod respond;
mod routes;
mod scim;
mod signals;
mod snapshot;
mod unread;
mod unsent;
mod v1;

use std::net::IpAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::rt::signal::unix::{SignalKind, signal};
use actix_web::rt::time::timeout;
use actix_web::{App, HttpServer, web};
use ipnet::IpNet;
use tokio::sync::oneshot;

use self::connections::Connections;
pub use self::listen::{Listening, listen};
use crate::domain::operation::Place;
use crate::service::directory::search::Turn;
use crate::service::{Error, Interest, Service, Told};

/// What the HTTP side needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Worker threads; 0 is one per core.
    pub workers: usize,
    /// The proxies that may connect; empty means that only this machine may.
    pub behind_proxy: Vec<IpNet>,
    /// A client that takes nothing of its answer for so long is cut off.
    pub stall: Duration,
    /// How long the body of a request may be in coming.
    pub body: Duration,
    /// The same for a job of many operations (RFC 7644 §3.7).
    pub job: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        let (body, job) = (Duration::from_secs(30), Duration::from_secs(60));
        Settings { workers: 0, behind_proxy: vec![], stall: Duration::from_secs(30), body, job }
    }
}

/// What every request shares.
#[derive(Clone)]
pub struct Shared {
    service: Service,
    settings: Arc<Settings>,
    /// Large bodies in memory at this moment.
    large_bodies: Arc<AtomicUsize>,
    /// Room for answers that clients have yet to take.
    unsent: unsent::Room,
    /// Who waits for changes.
    watch: Arc<feed::Watch>,
    /// Requests without a key that works.
    failures: Arc<failures::Failures>,
    /// The path of the public URL, without a slash at its end.
    prefix: Arc<str>,
}

impl Shared {
    /// The state of an application.
    pub fn new(service: Service, settings: Settings) -> Shared {
        let url = &service.settings().public_url;
        let place = url.split_once("://").map_or(url.as_str(), |(_, place)| place);
        let prefix = place.find('/').and_then(|at| place.get(at..)).unwrap_or_default().trim_end_matches('/').into();
        Shared {
            service,
            settings: Arc::new(settings),
            large_bodies: Arc::default(),
            unsent: unsent::Room::default(),
            watch: Arc::default(),
            failures: Arc::default(),
            prefix,
        }
    }

    /// Whether this peer may talk to the server: this machine, or a proxy that was named.
    fn admits(&self, peer: Option<IpAddr>) -> bool {
        // In-process tests have no peer; a socket always has one.
        peer.is_none_or(|peer| peer.is_loopback() || self.settings.behind_proxy.iter().any(|net| net.contains(&peer)))
    }
}

/// The application, the same for the server and for tests.
pub fn app(
    shared: Shared,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = actix_web::Error, InitError = ()>,
> {
    App::new().app_data(web::Data::new(shared)).default_service(web::to(routes::dispatch))
}

/// Serves until a signal ends it; then what was accepted is finished. `ready` is called once signals are heeded
/// and requests are about to be taken.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve(listening: Listening, service: Service, settings: Settings, ready: impl FnOnce()) -> std::io::Result<()> {
    let workers = settings.workers;
    let stall = settings.stall;
    let shared = Shared::new(service, settings);
    let (watch, failures) = (Arc::clone(&shared.watch), Arc::clone(&shared.failures));
    let workers = if workers > 0 { workers } else { std::thread::available_parallelism().map_or(1, NonZero::get) };
    let (connections, per_worker) = Connections::new(workers, stall);
    let connections = Arc::new(connections);
    actix_web::rt::System::new().block_on(async move {
        // A file that may not grow any more is an error of the write, as a full disk is, and not the end of the server:
        // the signal is taken from the system, and nothing waits for it.
        drop(signal(SignalKind::from_raw(SIGXFSZ))?);
        let told = signals::Told::listen()?;
        actix_web::rt::spawn(minutes::pass(shared.clone()));
        let (listener, own) = listening.into_parts()?;
        let gate = shared.clone();
        let running = HttpServer::new(move || app(shared.clone()))
            .on_connect(move |stream, kept| connections.enter(stream, kept, |peer| gate.admits(Some(peer))))
            .workers(workers)
            .max_connections(per_worker)
            .worker_max_blocking_threads(BLOCKING_THREADS)
            .client_request_timeout(HEADER_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            // The last piece of a long answer would wait until the client has acknowledged the one before, which
            // clients put off for 40 ms.
            .tcp_nodelay(true)
            .disable_signals()
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .listen(listener)?
            .run();
        actix_web::rt::spawn(told.heed(running.handle(), own, watch));
        ready();
        let served = running.await;
        failures.take_all().into_iter().for_each(minutes::tell_failures);
        served
    })
}

/// The signal to who writes beyond the limit of a file's size, on Linux (MIPS excepted) and macOS.
const SIGXFSZ: i32 = 25;
/// Threads of each worker for work that blocks: as many writes as one commit can well take together, and
/// few enough that their stacks and heaps stay small.
const BLOCKING_THREADS: usize = 10;
/// How long work on the database may take before its client is told so.
const WORK_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for what may be much (design §5: Bulk; a group of a hundred thousand members is as long in coming).
const LONG_WORK_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a search that no index answers waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(20);
/// How old what an answer is decided by may be when it leaves: from the moment in which the database was asked how
/// far it has come. The rest of the second (promise P4) is the way to the client.
const AGE_MAX: Duration = Duration::from_millis(700);
/// How long it may take to find out who asks, and to answer what memory mostly answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// What is said when it takes longer.
const SLOW: &str = "the database did not answer in time";
/// How long a client may take to send its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that is being closed may take to take leave, and how long a client that was answered
/// before it had sent everything may go on sending.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long requests that were accepted may take once the server is told to stop.
const SHUTDOWN_SECONDS: u64 = 60;

/// Runs the service's synchronous work where it belongs: short look-ups of the embedded database right
/// here, since a thread hop costs more than they do; everything else on the blocking pool.
#[expect(clippy::disallowed_methods, reason = "the home of the decision")]
async fn run<T: Send + 'static>(
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
async fn turn(service: &Service) -> Result<Turn, Error> {
    let (hand_on, turn) = oneshot::channel();
    service.wait_for_turn(move |turn| hand_on.send(turn));
    match timeout(TURN_TIMEOUT, turn).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(Error::Crowded),
    }
}

/// The same for a question that memory may answer by what the database has told: that is tried first, right here.
async fn recall<T: Send + 'static>(
    service: &Service,
    told: Option<Told>,
    otherwise: Place,
    work: impl Fn(&Service) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let Some(told) = told else { return run(service, otherwise, work).await };
    match work(&service.recalling(told)) {
        Err(Error::NotRemembered) => run(&service.informed(told), otherwise, work).await,
        done => done,
    }
}

/// What the database tells about itself now.
async fn look(service: &Service) -> Result<Told, Error> {
    let (hand_on, told) = oneshot::channel();
    service.inquire(move |told| drop(hand_on.send(told)));
    match timeout(AGE_MAX, told).await {
        Ok(told) => told.map_err(Error::internal)?,
        Err(_) => Err(Error::Busy(SLOW)),
    }
}
