//! One-row reads that come at the same time, gathered into one statement: a statement costs a server more than a row.
//!
//! Whoever finds nobody reading reads at once. Who comes meanwhile waits, and the first of those reads for all of them:
//! what is read is never older than the wish to know it, and nobody waits where nobody reads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::error::{Error, Result};

/// The most that one statement reads.
const MOST: usize = 64;

/// Reads of `V` by `K`.
pub(super) struct Gather<K, V>(Mutex<Queue<K, V>>);

/// Who waits while somebody reads.
struct Queue<K, V> {
    waiting: Vec<Waiting<K, V>>,
    is_reading: bool,
}

struct Waiting<K, V> {
    key: K,
    slot: Arc<Slot<K, V>>,
}

/// Where somebody waits.
struct Slot<K, V> {
    turn: Mutex<Option<Turn<K, V>>>,
    come: Condvar,
}

/// What ends waiting.
enum Turn<K, V> {
    /// Somebody else has read it.
    Told(Result<V>),
    /// To read for oneself and for others.
    Read(K, Vec<Waiting<K, V>>),
}

impl<K, V> Default for Gather<K, V> {
    fn default() -> Gather<K, V> {
        Gather(Mutex::new(Queue { waiting: vec![], is_reading: false }))
    }
}

impl<K, V> Gather<K, V> {
    /// Reads one. `read` gives a value for each of the keys, in their order; it may be called with the keys of others.
    ///
    /// # Errors
    /// What `read` gives, to everybody for whom it read; [`Error::Panicked`] if it panicked.
    pub(super) fn get(&self, key: K, read: impl Fn(&[K]) -> Result<Vec<V>>) -> Result<V> {
        let (own, others) = match self.begin(key) {
            Turn::Told(told) => return told,
            Turn::Read(own, others) => (own, others),
        };
        let (keys, slots): (Vec<K>, Vec<_>) = others.into_iter().map(|one| (one.key, one.slot)).unzip();
        let keys: Vec<K> = std::iter::once(own).chain(keys).collect();
        let read = catch_unwind(AssertUnwindSafe(|| read(&keys))).unwrap_or(Err(Error::Panicked));
        self.pass_on();
        let failed = read.as_ref().err().map(ToString::to_string);
        let mut values = read.map(Vec::into_iter);
        let mut next = |of_others: bool| match &mut values {
            Ok(values) => values.next().ok_or(Error::Panicked),
            Err(error) if !of_others => Err(std::mem::replace(error, Error::Panicked)),
            Err(_) => Err(Error::Unavailable(failed.clone().unwrap_or_default())),
        };
        let own = next(false);
        for slot in slots {
            slot.end(Turn::Told(next(true)));
        }
        own
    }

    /// Waits until somebody has read it, or until it is one's turn to read.
    fn begin(&self, key: K) -> Turn<K, V> {
        let slot = {
            let mut queue = self.queue();
            if !std::mem::replace(&mut queue.is_reading, true) {
                return Turn::Read(key, vec![]);
            }
            let slot = Arc::new(Slot { turn: Mutex::default(), come: Condvar::new() });
            queue.waiting.push(Waiting { key, slot: Arc::clone(&slot) });
            slot
        };
        let mut turn = slot.turn.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match turn.take() {
                Some(turn) => return turn,
                None => turn = slot.come.wait(turn).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Gives the turn to the first of those who wait.
    fn pass_on(&self) {
        let mut queue = self.queue();
        let count = queue.waiting.len().min(MOST);
        let mut batch = queue.waiting.drain(..count);
        match batch.next() {
            Some(first) => first.slot.end(Turn::Read(first.key, batch.collect())),
            None => {
                drop(batch);
                queue.is_reading = false;
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<K, V>> {
        // Nothing that holds the lock can leave it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Slot<K, V> {
    fn end(&self, turn: Turn<K, V>) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = Some(turn);
        self.come.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::thread;

    use super::*;

    /// Starts readers of 1, 2 and 3 while somebody reads 0; gives what each was told and the lists that were read.
    fn together(failing: usize) -> (Vec<String>, Vec<Vec<usize>>) {
        let (gather, lists) = (Gather::<usize, usize>::default(), Mutex::new(vec![]));
        let (begun, begins) = sync_channel(8);
        let (go, goes) = sync_channel::<()>(8);
        let goes = Mutex::new(goes);
        let read = |keys: &[usize]| {
            lists.lock().unwrap().push(keys.to_vec());
            begun.send(()).unwrap();
            goes.lock().unwrap().recv().unwrap();
            if keys.contains(&failing) {
                Err(Error::Refused("no".to_owned()))
            } else {
                Ok(keys.iter().map(|k| 10 * k).collect())
            }
        };
        let told = &|key| gather.get(key, read).map_or_else(|error| error.to_string(), |value| value.to_string());
        let answers = thread::scope(|scope| {
            let first = scope.spawn(|| told(0));
            begins.recv().unwrap();
            let others: Vec<_> = [1, 2, 3]
                .into_iter()
                .map(|key| {
                    let other = scope.spawn(move || told(key));
                    while gather.queue().waiting.len() < key {
                        thread::yield_now();
                    }
                    other
                })
                .collect();
            (0..2).for_each(|_| go.send(()).unwrap());
            std::iter::once(first).chain(others).map(|one| one.join().unwrap()).collect()
        });
        assert!(!gather.queue().is_reading);
        (answers, lists.into_inner().unwrap())
    }

    #[test]
    fn who_comes_while_somebody_reads_is_read_for_by_the_first_of_them() {
        let (answers, lists) = together(7);
        assert_eq!((answers.join(" ").as_str(), lists), ("0 10 20 30", vec![vec![0], vec![1, 2, 3]]));
    }

    #[test]
    fn a_failure_is_told_to_all_for_whom_it_was_read() {
        let (answers, _) = together(3);
        let refused = Error::Refused("no".to_owned()).to_string();
        let unavailable = Error::Unavailable(refused.clone()).to_string();
        assert_eq!(answers, ["0".to_owned(), refused, unavailable.clone(), unavailable]);
    }

    #[test]
    fn a_panic_leaves_nobody_waiting() {
        let gather = Gather::<usize, usize>::default();
        let outcome = gather.get(1, |_| panic!("it"));
        assert!(matches!(outcome, Err(Error::Panicked)));
        assert_eq!(gather.get(2, |keys| Ok(keys.to_vec())).unwrap(), 2);
    }
}
