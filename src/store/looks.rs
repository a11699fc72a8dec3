//! Request coalescing: one question to the server for everybody who waits for its answer.
//!
//! While a question is on its way, whoever comes waits for the next one: what it tells is never older than
//! the wish to know it. So the server is asked as often as it can answer, however many requests there are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::{Error, Result, SLOW};
use super::monotonic::now;

/// How long more are waited for where several came at once: each question costs the server as much as what it is
/// asked for costs here. After a question that one alone had asked, nobody waits.
const PAUSE: Duration = Duration::from_micros(100);

/// How long an answer is waited for: what is told later is too old to answer anybody by.
const PATIENCE: Duration = Duration::from_millis(700);

/// How long a question is on its way before its session is given up. A server that stands still ends no session, and
/// one that is gone without a word ends it late; another one may be the primary meanwhile.
const GIVE_UP: Duration = Duration::from_secs(2);

/// How many sessions that were given up may still be waited on: whoever is slow shall not be asked ever more often.
const GIVEN_UP_MAX: u32 = 4;

/// How long nobody asks before it is asked all the same: a server that restarted knows of us only by a new session,
/// and whoever puts a backup in place must know of us.
const IDLE: Duration = Duration::from_secs(5);

/// Who waits for an answer.
type Waiter<T> = Box<dyn FnOnce(Result<T>) + Send>;

/// Asks the server one question.
pub(super) type Ask<T> = Box<dyn FnMut() -> Result<T> + Send>;

/// Asks one question again and again.
pub(super) struct Looks<T> {
    queue: Sender<Waiter<T>>,
    shared: Arc<Shared<T>>,
}

/// What the threads that ask share: one that asks, and those whose question was given up.
struct Shared<T> {
    waiters: Mutex<Receiver<Waiter<T>>>,
    asked: Mutex<Asked>,
    /// Makes what asks over a session of its own.
    make: Box<dyn Fn() -> Ask<T> + Send + Sync>,
}

/// The question that is on its way.
#[derive(Default)]
struct Asked {
    at: Option<Instant>,
    /// The number of the thread that asks; those before it were given up.
    turn: u64,
    given_up: u32,
}

impl<T: Clone + Send + 'static> Shared<T> {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        // Nothing that holds the lock can leave it half-changed.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody should wait for the answer. If it is long overdue, another thread asks from now on.
    fn is_overdue(self: &Arc<Shared<T>>) -> bool {
        let mut asked = self.asked();
        let Some(since) = asked.at.map(|at| at.elapsed()) else { return false };
        if since >= GIVE_UP && asked.given_up < GIVEN_UP_MAX {
            let turn = asked.turn + 1;
            if self.ask_by(turn, (self.make)()).is_ok() {
                *asked = Asked { at: None, turn, given_up: asked.given_up + 1 };
            }
        }
        since >= PATIENCE
    }

    /// Starts a thread that asks.
    fn ask_by(self: &Arc<Shared<T>>, turn: u64, ask: Ask<T>) -> Result<()> {
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name("keyroll-looks".to_owned()).spawn(move || shared.run(turn, ask));
        thread.map(|_| ()).map_err(|error| Error::Refused(format!("cannot start a thread: {error}")))
    }
}

impl<T: Clone + Send + 'static> Looks<T> {
    /// Asks once, and starts the thread that goes on with it; it ends with what is returned.
    pub(super) fn start(make: impl Fn() -> Ask<T> + Send + Sync + 'static) -> Result<Looks<T>> {
        let mut ask = make();
        ask()?;
        Looks::start_with(ask, make)
    }

    /// The same without asking now: what it asks need not be told yet.
    pub(super) fn start_unasked(make: impl Fn() -> Ask<T> + Send + Sync + 'static) -> Result<Looks<T>> {
        Looks::start_with(make(), make)
    }

    fn start_with(ask: Ask<T>, make: impl Fn() -> Ask<T> + Send + Sync + 'static) -> Result<Looks<T>> {
        let (queue, waiters) = channel();
        let (waiters, asked) = (Mutex::new(waiters), Mutex::default());
        let shared = Arc::new(Shared { waiters, asked, make: Box::new(make) });
        shared.ask_by(0, ask)?;
        Ok(Looks { queue, shared })
    }

    /// Gives the answer to a question that is not asked before now. `then` runs on the thread that asks: it
    /// hands the answer on and does nothing else. While a question is overdue nobody queues up behind it.
    pub(super) fn tell(&self, then: impl FnOnce(Result<T>) + Send + 'static) {
        if self.shared.is_overdue() {
            return then(Err(slow()));
        }
        if let Err(unsent) = self.queue.send(Box::new(then)) {
            (unsent.0)(Err(stopped()));
        }
    }

    /// Waits for the answer to a question that is not asked before now.
    pub(super) fn wait(&self) -> Result<T> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.tell(move |told| drop(reply.send(told)));
        match answer.recv_timeout(PATIENCE) {
            Ok(told) => told,
            Err(RecvTimeoutError::Timeout) => Err(slow()),
            Err(RecvTimeoutError::Disconnected) => Err(stopped()),
        }
    }
}

fn slow() -> Error {
    Error::Unavailable(SLOW.to_owned())
}

fn stopped() -> Error {
    Error::Unavailable("nobody asks the server any more".to_owned())
}

impl<T: Clone + Send + 'static> Shared<T> {
    fn run(&self, turn: u64, mut ask: Ask<T>) {
        let mut many = false;
        loop {
            let Some(waiters) = self.next(many) else { return };
            many = waiters.len() > 1;
            self.asked().at = Some(now());
            let told = catch_unwind(AssertUnwindSafe(&mut ask)).unwrap_or(Err(Error::Panicked));
            let mut asked = self.asked();
            let is_current = asked.turn == turn;
            if is_current {
                asked.at = None;
            } else {
                asked.given_up = asked.given_up.saturating_sub(1);
            }
            drop(asked);
            // Whoever was told by the next thread meanwhile knows of later commits.
            let told = if is_current { told } else { Err(slow()) };
            let told = told.map_err(|error| match error {
                Error::Unavailable(text) => text,
                other => other.to_string(),
            });
            for waiter in waiters {
                waiter(told.clone().map_err(Error::Unavailable));
            }
            if !is_current {
                return;
            }
        }
    }

    /// Everybody who waits; nobody after a while in which nobody came, and `None` if nobody can come any more.
    fn next(&self, many: bool) -> Option<Vec<Waiter<T>>> {
        let queue = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        let first = match queue.recv_timeout(IDLE) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        if many {
            pause();
        }
        Some(first.into_iter().chain(queue.try_iter()).collect())
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever comes meanwhile is what it waits for")]
fn pause() {
    std::thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::sync::mpsc::sync_channel;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn who_comes_during_a_question_waits_for_the_next() {
        let (begun, begins) = sync_channel(8);
        let (go, goes) = sync_channel::<()>(8);
        let (asked, goes) = (Arc::new(AtomicI64::new(0)), Arc::new(Mutex::new(goes)));
        go.send(()).unwrap();
        let looks = Looks::start(move || {
            let (begun, asked, goes) = (begun.clone(), Arc::clone(&asked), Arc::clone(&goes));
            Box::new(move || {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                begun.send(()).unwrap();
                goes.lock().unwrap().recv().unwrap();
                Ok(number)
            })
        })
        .unwrap();
        begins.recv().unwrap();
        let told = Arc::new(Mutex::new(vec![]));
        let (all, done) = sync_channel(8);
        let ask = |name: &'static str| {
            let (told, all) = (Arc::clone(&told), all.clone());
            looks.tell(move |number| {
                told.lock().unwrap().push((name, number.unwrap()));
                all.send(()).unwrap();
            });
        };
        ask("first");
        begins.recv().unwrap();
        ask("second");
        ask("third");
        go.send(()).unwrap();
        begins.recv().unwrap();
        ask("fourth");
        go.send(()).unwrap();
        begins.recv().unwrap();
        go.send(()).unwrap();
        (0..4).for_each(|_| done.recv().unwrap());
        assert_eq!(*told.lock().unwrap(), [("first", 1), ("second", 2), ("third", 2), ("fourth", 3)]);
    }

    #[test]
    fn a_failure_is_told_to_everybody_who_waits() {
        let first = Arc::new(AtomicI64::new(0));
        let looks = Looks::start(move || {
            let first = Arc::clone(&first);
            let gone = || Error::Unavailable("gone".to_owned());
            Box::new(move || if first.fetch_add(1, Ordering::SeqCst) == 0 { Ok(0) } else { Err(gone()) })
        })
        .unwrap();
        assert_eq!(looks.wait().unwrap_err().to_string(), Error::Unavailable("gone".to_owned()).to_string());
    }

    #[test]
    fn a_question_that_nobody_answers_is_given_up_and_its_answer_told_to_nobody() {
        let made = AtomicI64::new(0);
        let (late, lates) = sync_channel(1);
        let (resume, resumes) = sync_channel::<()>(1);
        let resumes = Arc::new(Mutex::new(resumes));
        let looks = Looks::start(move || {
            let (maker, resumes) = (made.fetch_add(1, Ordering::SeqCst), Arc::clone(&resumes));
            let mut asked = 0;
            Box::new(move || {
                asked += 1;
                // The server stands still after the first question.
                if maker == 0 && asked > 1 {
                    resumes.lock().unwrap().recv().unwrap();
                }
                Ok(10 * maker + asked)
            })
        })
        .unwrap();
        looks.tell(move |number| late.send(number.is_err()).unwrap());
        let begun = now();
        let told = loop {
            match looks.wait() {
                Ok(number) => break number,
                Err(error) => assert_eq!(error.to_string(), slow().to_string()),
            }
            assert!(begun.elapsed() < 5 * GIVE_UP, "it is never given up");
            let _ = lates.recv_timeout(PATIENCE / 10);
        };
        assert_eq!(told, 11, "by the session that was made for it");
        assert!(begun.elapsed() >= GIVE_UP);
        resume.send(()).unwrap();
        assert_eq!(lates.recv(), Ok(true));
        assert_eq!(looks.wait().unwrap(), 12);
        assert_eq!(looks.shared.asked().given_up, 0);
    }
}
