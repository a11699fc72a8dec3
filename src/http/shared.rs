//! What every request shares, and what the HTTP side is told at its start.

use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipnet::IpNet;

use super::openapi::description::Description;
use super::send_buffer::SendBuffer;
use super::{failures, feed, reports};
use crate::service::Service;

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
    pub(super) service: Service,
    pub(super) settings: Arc<Settings>,
    /// Large bodies in memory at this moment.
    pub(super) large_bodies: Arc<AtomicUsize>,
    /// Room for answers that clients have yet to take.
    pub(super) send_buffer: SendBuffer,
    /// Who waits for changes.
    pub(super) watch: Arc<feed::Watch>,
    /// The description of the API, once somebody has asked for it.
    pub(super) description: Arc<OnceLock<Description>>,
    /// Requests without a key that works.
    pub(super) failures: Arc<failures::Failures>,
    /// Requests that report keys, by address.
    pub(super) reports: Arc<reports::Reports>,
    /// The path of the public URL, without a slash at its end.
    pub(super) prefix: Arc<str>,
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
            send_buffer: SendBuffer::default(),
            watch: Arc::default(),
            description: Arc::default(),
            failures: Arc::default(),
            reports: Arc::default(),
            prefix,
        }
    }

    /// Whether this peer may talk to the server: this machine, or a proxy that was named.
    pub(super) fn admits(&self, peer: Option<IpAddr>) -> bool {
        // In-process tests have no peer; a socket always has one.
        peer.is_none_or(|peer| peer.is_loopback() || self.settings.behind_proxy.iter().any(|net| net.contains(&peer)))
    }
}
