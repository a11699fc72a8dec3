//! The beat of a node: over a session of its own it renews its row, answers others, and learns how far they are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::error::{Error, OUTDATED, Result};
use super::looks::Looks;
use super::monotonic;
use super::nodes::{self, Asked, Beat, Member};
use super::session::{Server, Session};

/// What its session sets beside: who waits longer has been given up by those who wait for it.
const SETTINGS: &str = "SET statement_timeout = '2s';";

pub(super) struct Pulse {
    beats: Looks<Arc<Beat>>,
    questions: Arc<Questions>,
}

/// What this node wants to know of the others.
#[derive(Default)]
struct Questions {
    /// The number of the last question that somebody had.
    wanted: AtomicU64,
    asked: Mutex<Asked>,
}

impl Questions {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        // It is written whole.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn beat(&self, session: &mut Session, own: &Member, begun: Instant) -> Result<Arc<Beat>> {
        let wanted = self.wanted.load(Ordering::Acquire);
        let asks = wanted > self.asked().question;
        let mut beat = nodes::beat(&mut session.conn, own, begun.elapsed(), asks)?;
        let mut asked = self.asked();
        // One that was given up for another may end late.
        if asks && wanted > asked.question {
            *asked = Asked { question: wanted, number: beat.ended };
        }
        beat.asked = *asked;
        Ok(Arc::new(beat))
    }
}

impl Pulse {
    /// Makes a node of this process, from the first beat on that the database takes.
    pub(super) fn start(server: &Server, own: Member) -> Result<Pulse> {
        let questions = Arc::<Questions>::default();
        let (server, asked, begun) = (server.beside(SETTINGS), Arc::clone(&questions), monotonic::now());
        let beats = Looks::start_unasked(move || {
            let (server, own, asked, mut session) = (server.beside(SETTINGS), own.clone(), Arc::clone(&asked), None);
            Box::new(move || {
                let join = |session: &mut Session| nodes::join(&mut session.conn, &own);
                let beat = |session: &mut Session| {
                    let told = asked.beat(session, &own, begun);
                    // What was changed meanwhile may be what every statement stands on.
                    if matches!(&told, Err(Error::Unavailable(why)) if why == OUTDATED) {
                        server.give_up(session);
                    }
                    told
                };
                server.ask_over(&mut session, join, beat)
            })
        })?;
        // The others know of it before it answers anybody, if they can.
        if let Err(error) = beats.wait() {
            log::warn!("this node cannot tell others yet that it is there: {error}");
        }
        Ok(Pulse { beats, questions })
    }

    /// See [`super::Store::ask_nodes`].
    pub(super) fn ask(&self) -> u64 {
        self.questions.wanted.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// See [`super::Store::tell_nodes`].
    pub(super) fn tell(&self, then: impl FnOnce(Result<Arc<Beat>>) + Send + 'static) {
        self.beats.tell(then);
    }
}
