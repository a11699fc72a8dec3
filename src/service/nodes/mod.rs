//! The nodes of an installation: which there are, and how far a change has come among them.

mod spreading;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;

pub use self::spreading::{Propagation, Reach, Spreading};
use self::spreading::{WAITED_MILLIS, others};
use crate::domain::log::render_time;
use crate::domain::{Id, Operation};
use crate::service::{Context, Error, Service, caller};
use crate::store;
pub use crate::store::nodes::Beat;
use crate::store::nodes::{Member, Node};

/// Every node.
#[derive(Clone, Debug, Serialize)]
pub struct NodeList {
    /// They, by when they were started.
    pub nodes: Vec<NodeResponse>,
}

/// A node.
#[derive(Clone, Debug, Serialize)]
pub struct NodeResponse {
    /// Of its process alone.
    pub id: Id,
    /// Its version of Keyroll.
    pub version: String,
    /// The machine that it runs on.
    pub host: String,
    /// Where it listens.
    pub address: String,
    /// Whether it has given a sign of life within the last three seconds.
    pub status: NodeStatus,
    /// Since when it is there.
    pub started: String,
    /// Its last sign of life.
    pub last_seen: String,
    /// Transactions of the database server that had ended when it gave it.
    pub applied: i64,
    /// How many have ended since; signs of life are among them.
    pub behind: i64,
}

/// Whether a node gives signs of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    /// It does.
    Live,
    /// It does not: it answers nothing that it cannot know, and is not waited for.
    Silent,
}

/// Whether the last beat of this node has found nobody else.
pub fn is_alone(service: &Service) -> bool {
    service.inner.is_alone.load(Ordering::Acquire)
}

impl Service {
    /// Makes this process a node among others, which know of it from now on.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn join(&self, host: &str, address: &str) -> Result<(), Error> {
        let id = *self.inner.node.get_or_init(|| self.mint());
        let (host, address) = (host.to_owned(), address.to_owned());
        Ok(self.inner.store.join(Member { id, version: env!("CARGO_PKG_VERSION"), host, address })?)
    }

    /// Takes leave of the others.
    ///
    /// # Errors
    /// If the database cannot be written: then they count this node for a while.
    pub fn leave(&self) -> Result<(), Error> {
        let Some(id) = self.inner.node.get().copied().filter(|_| !self.is_embedded()) else { return Ok(()) };
        self.inner.store.write(move |conn| Ok(store::nodes::leave(conn, &id)?))
    }

    /// Asks the other nodes for a change that has been made. Whoever has come since the last beat, which found nobody,
    /// knows nothing from before.
    pub fn spread(&self) -> Spreading {
        let is_alone = is_alone(self);
        let last = Reach { nodes: 1, acked: 1, is_over: is_alone };
        let question = if is_alone { 0 } else { self.inner.store.ask_nodes() };
        Spreading { own: self.inner.node.get().copied(), question, number: None, last }
    }

    /// One beat of this node: who is there, and how far each has come. `then` is given it, perhaps on another thread,
    /// where it hands it on and does nothing else.
    pub fn beat(&self, then: impl FnOnce(Result<Option<Arc<Beat>>, Error>) + Send + 'static) {
        let service = self.clone();
        self.inner.store.tell_nodes(move |told| {
            if let Ok(Some(beat)) = &told {
                let own = service.inner.node.get();
                service.inner.is_alone.store(others(beat, own).next().is_none(), Ordering::Release);
            }
            then(told.map_err(Error::from));
        });
    }

    /// Every node, for the host.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn list_nodes(&self, context: &Context) -> Result<NodeList, Error> {
        let beat = caller::ask(self, context, Operation::NodeList, None, |conn| Ok(store::nodes::all(conn)?))?;
        let mut nodes = beat.nodes;
        nodes.sort_by_key(|node| (node.started, node.id));
        let shown = |node: Node| NodeResponse {
            status: if node.silent_millis < WAITED_MILLIS { NodeStatus::Live } else { NodeStatus::Silent },
            started: render_time(node.started),
            last_seen: render_time(node.seen),
            behind: (beat.ended - node.applied).max(0),
            applied: node.applied,
            id: node.id,
            version: node.version,
            host: node.host,
            address: node.address,
        };
        Ok(NodeList { nodes: nodes.into_iter().map(shown).collect() })
    }
}
