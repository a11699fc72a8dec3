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

/// How long nobody asks before it is asked all the same: a server that restarted knows of us only by a new session,
/// and whoever puts a backup in place must know of us.
const IDLE: Duration = Duration::from_secs(5);

/// Who waits for a number.
type Waiter = Box<dyn FnOnce(Result<i64>) + Send>;

pub(super) struct Looks {
    queue: Sender<Waiter>,
    asked: Asked,
}

/// When the question was asked that is on its way.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Option<Instant>>>);

impl Asked {
    fn at(&self) -> MutexGuard<'_, Option<Instant>> {
        // A time is there or it is not.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_overdue(&self) -> bool {
        self.at().is_some_and(|at| at.elapsed() >= PATIENCE)
    }
}

impl Looks {
    /// Starts the thread that asks; it ends with the last of what is returned.
    pub(super) fn start(ask: impl FnMut() -> Result<i64> + Send + 'static) -> Result<Looks> {
        let (queue, waiters) = channel();
        let asked = Asked::default();
        let own = asked.clone();
        std::thread::Builder::new()
            .name("keyroll-looks".to_owned())
            .spawn(move || run(&waiters, &own, ask))
            .map_err(|error| Error::Refused(format!("cannot start a thread: {error}")))?;
        Ok(Looks { queue, asked })
    }

    /// Gives the answer to a question that is not asked before now. `then` runs on the thread that asks: it
    /// hands the number on and does nothing else. While a question is overdue nobody queues up behind it.
    pub(super) fn tell(&self, then: impl FnOnce(Result<i64>) + Send + 'static) {
        if self.asked.is_overdue() {
            return then(Err(slow()));
        }
        if let Err(unsent) = self.queue.send(Box::new(then)) {
            (unsent.0)(Err(stopped()));
        }
    }

    /// Waits for the answer to a question that is not asked before now.
    pub(super) fn wait(&self) -> Result<i64> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.tell(move |number| drop(reply.send(number)));
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

fn run(queue: &Receiver<Waiter>, asked: &Asked, mut ask: impl FnMut() -> Result<i64>) {
    let mut many = false;
    loop {
        let first = match queue.recv_timeout(IDLE) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if many {
            pause();
        }
        let waiters: Vec<Waiter> = first.into_iter().chain(queue.try_iter()).collect();
        many = waiters.len() > 1;
        *asked.at() = Some(now());
        let told =
            catch_unwind(AssertUnwindSafe(&mut ask)).unwrap_or(Err(Error::Panicked)).map_err(|error| match error {
                Error::Unavailable(text) => text,
                other => other.to_string(),
            });
        *asked.at() = None;
        for waiter in waiters {
            waiter(told.clone().map_err(Error::Unavailable));
        }
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
        let asked = AtomicI64::new(0);
        let goes = Mutex::new(goes);
        let looks = Looks::start(move || {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            begun.send(()).unwrap();
            goes.lock().unwrap().recv().unwrap();
            Ok(number)
        })
        .unwrap();
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
        assert_eq!(*told.lock().unwrap(), [("first", 0), ("second", 1), ("third", 1), ("fourth", 2)]);
    }

    #[test]
    fn a_failure_is_told_to_everybody_who_waits() {
        let looks = Looks::start(|| Err(Error::Unavailable("gone".to_owned()))).unwrap();
        assert_eq!(looks.wait().unwrap_err().to_string(), Error::Unavailable("gone".to_owned()).to_string());
    }
}
