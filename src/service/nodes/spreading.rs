//! How far a change has come among the nodes.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::Id;
use crate::store::nodes::{Beat, Node};

/// A node that has been silent for so long is not waited for, in milliseconds.
pub(super) const WAITED_MILLIS: i64 = 3_000;
/// After this a node that is silent is no longer counted, in milliseconds: it has ended without taking leave.
const COUNTED_MILLIS: i64 = 60_000;

/// How far a change that may take access away has come when it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Propagation {
    /// The number of its last record.
    pub seq: i64,
    /// How many nodes there are; one that has been silent for a minute has ended.
    pub nodes: usize,
    /// How many of them decide by it whatever they are asked from now on. What they were asked before is answered within
    /// 700 ms, and those that are left over answer nothing once they cannot know of it.
    pub acked: usize,
    /// How long that was waited for, in milliseconds.
    pub ms: u64,
}

impl fmt::Display for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Propagation { seq, nodes, acked, ms } = self;
        write!(f, "seq={seq}, nodes={nodes}, acked={acked}, ms={ms}")
    }
}

/// A change on its way to the other nodes.
#[derive(Debug)]
pub struct Spreading {
    pub(super) own: Option<Id>,
    pub(super) question: u64,
    /// Up to where a node must have come to know of it.
    pub(super) number: Option<i64>,
    pub(super) last: Reach,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// See [`Propagation::nodes`].
    pub nodes: usize,
    /// See [`Propagation::acked`].
    pub acked: usize,
    /// Whether nobody is left who is waited for.
    pub is_over: bool,
}

impl Spreading {
    /// Takes in what the last beat has told; nothing where there are no other nodes.
    pub fn take(&mut self, beat: Option<&Beat>) -> Reach {
        let Some(beat) = beat else {
            self.last.is_over = true;
            return self.last;
        };
        if beat.asked.question >= self.question {
            self.number.get_or_insert(beat.asked.number);
        }
        let others: Vec<&Node> = others(beat, self.own.as_ref()).collect();
        let knows = |node: &&&Node| self.number.is_some_and(|number| node.applied >= number);
        let acked = 1 + others.iter().filter(knows).count();
        let is_waited_for = |node: &&Node| node.silent_millis < WAITED_MILLIS && !knows(&node);
        let is_over = self.number.is_some() && !others.iter().any(is_waited_for);
        self.last = Reach { nodes: 1 + others.len(), acked, is_over };
        self.last
    }

    /// How far it has come as far as is known.
    pub fn reach(&self) -> Reach {
        self.last
    }
}

/// The nodes beside one's own that are there, or have ended without a word a moment ago.
pub(super) fn others<'b>(beat: &'b Beat, own: Option<&Id>) -> impl Iterator<Item = &'b Node> {
    beat.nodes.iter().filter(move |node| Some(&node.id) != own && node.silent_millis < COUNTED_MILLIS)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::store::nodes::Asked;

    fn node(id: u8, silent_millis: i64, applied: i64) -> Node {
        let (host, address, version) = (String::new(), String::new(), String::new());
        let (started, seen) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH);
        Node { id: Id::from_bytes(&[id; 16]).unwrap(), version, host, address, started, seen, silent_millis, applied }
    }

    fn beat(question: u64, number: i64, nodes: &[Node]) -> Beat {
        Beat { ended: 99, asked: Asked { question, number }, nodes: nodes.to_vec() }
    }

    #[test]
    fn a_change_is_waited_for_until_all_that_live_know_of_it() {
        let last = Reach { nodes: 1, acked: 1, is_over: false };
        let mut spreading = Spreading { own: Id::from_bytes(&[1; 16]), question: 2, number: None, last };
        let mut reach = |beat: &Beat| {
            let Reach { nodes, acked, is_over } = spreading.take(Some(beat));
            (nodes, acked, is_over)
        };
        let own = node(1, 0, 5);
        // What others have come to counts once they were asked after the change.
        assert_eq!(reach(&beat(1, 7, &[own.clone(), node(2, 0, 90)])), (2, 1, false));
        assert_eq!(reach(&beat(2, 10, &[own.clone(), node(2, 0, 9), node(3, 0, 10)])), (3, 2, false));
        // A later question asks for more than this one needs.
        assert_eq!(reach(&beat(3, 20, &[own.clone(), node(2, 0, 10), node(3, 0, 10)])), (3, 3, true));
        // The silent are counted for a while, and not waited for.
        assert_eq!(reach(&beat(3, 20, &[own.clone(), node(2, 3_000, 9), node(3, 59_999, 9)])), (3, 1, true));
        assert_eq!(reach(&beat(3, 20, &[own.clone(), node(2, 2_999, 9), node(3, 60_000, 9)])), (2, 1, false));
        assert_eq!(spreading.take(None), Reach { nodes: 2, acked: 1, is_over: true });
    }
}
