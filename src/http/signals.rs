//! What the process is told by signals: to end at once, to finish what it has, or nothing of concern.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::signal::unix::{Signal, SignalKind, signal};
use actix_web::rt::time::sleep;
use futures_util::future::{Either, select};

use super::feed::Watch;
use super::listen::Own;

/// The thread that takes connections has put its work down by then; it tells nobody when.
const PAUSE: Duration = Duration::from_millis(100);

/// The signals, heeded from when this is made.
pub(super) struct Told {
    finish: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
}

impl Told {
    pub(super) fn listen() -> std::io::Result<Told> {
        Ok(Told {
            finish: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that ends the server. Nobody new is let in before those who are connected have to go: a
    /// client that is sent away once is not sent away twice.
    pub(super) fn heed(self, server: ServerHandle, own: Option<Own>, watch: Arc<Watch>) -> impl Future<Output = ()> {
        let Told { mut finish, mut interrupt, mut quit, mut hangup } = self;
        actix_web::rt::spawn(async move {
            while hangup.recv().await.is_some() {
                log::info!("SIGHUP: nothing is reloaded: settings are read at start, and TLS ends in the proxy");
            }
        });
        async move {
            let (finish, interrupt, quit) = (pin!(finish.recv()), pin!(interrupt.recv()), pin!(quit.recv()));
            let is_patient = matches!(select(finish, select(interrupt, quit)).await, Either::Left(_));
            // Those that wait for changes would outlast every answer that is under way.
            watch.stop();
            if is_patient {
                server.pause().await;
                sleep(PAUSE).await;
                if let Some(own) = &own {
                    own.close();
                }
            }
            server.stop(is_patient).await;
        }
    }
}
