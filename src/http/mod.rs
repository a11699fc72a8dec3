//! HTTP: extract, call the service, render. No rules and no SQL are here.
//!
//! `routes` finds the operation in the table of them; `handle` is the one path that every
//! request takes: request id → peer → key → rate → body → operation → answer → one line in the log.

mod absent;
mod auth;
mod authzen;
mod call;
mod conditions;
mod connections;
mod early_response;
mod error;
mod exposed;
mod extract;
mod failures;
mod feed;
mod gzip;
mod handle;
mod line;
mod listen;
mod minutes;
mod open;
mod openapi;
mod operations;
mod origin;
mod parameters;
mod propagation;
mod ready;
mod reports;
mod request_id;
mod respond;
mod routes;
mod run;
mod scim;
mod send_buffer;
mod shared;
mod signals;
mod snapshot;
mod target;
mod v1;
mod wording;

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::rt::signal::unix::{SignalKind, signal};
use actix_web::{App, HttpServer, web};

use self::connections::Connections;
pub use self::listen::{Listening, listen};
pub use self::shared::{Settings, Shared};
use crate::service::Service;

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
        actix_web::rt::spawn(minutes::stand_still());
        if shared.service.is_embedded() {
            actix_web::rt::spawn(minutes::write_back(shared.clone()));
        } else {
            actix_web::rt::spawn(propagation::beat(shared.clone()));
        }
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
/// How long a client may take to send its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that is being closed may take to take leave, and how long a client that was answered
/// before it had sent everything may go on sending.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long requests that were accepted may take once the server is told to stop.
const SHUTDOWN_SECONDS: u64 = 60;
