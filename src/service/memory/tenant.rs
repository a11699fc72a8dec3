//! How far the log of each tenant was followed, and what everything remembered of it depends on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache as Bounded;

use crate::domain::TenantKey;
use crate::domain::log::Head;
use crate::domain::principal::PrincipalKind;
use crate::service::memory::past::Past;
use crate::service::memory::{Cache, Stamp};

/// How long a turn is waited for. Whoever has it may wait for a server that stands still, while another one has taken
/// over.
const TURN_MAX: Duration = Duration::from_secs(2);

/// Tenants whose logs are followed. One that nobody asks for leaves room for another.
pub(in crate::service::memory) const TENANTS_MAX: usize = 4_096;

/// The tenants that are followed.
pub(in crate::service::memory) struct Tenants {
    known: Bounded<TenantKey, Arc<Tenant>>,
    /// How often the database was found to be another than before.
    worlds: AtomicU64,
    /// The last commit that anybody was told of.
    newest: Mutex<Option<i64>>,
}

/// One tenant.
pub(in crate::service::memory) struct Tenant {
    state: Mutex<State>,
    /// Who has it reads what has changed.
    turn: Mutex<Holder>,
    freed: Condvar,
}

/// Whose turn it is.
#[derive(Default)]
struct Holder {
    since: Option<Duration>,
    /// The number of the turn; those before it are over.
    number: u64,
}

/// The turn to read what has changed in a tenant.
pub(in crate::service::memory) struct Turn<'t> {
    tenant: &'t Tenant,
    number: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut holder = self.tenant.holder();
        if holder.number == self.number {
            holder.since = None;
            self.tenant.freed.notify_one();
        }
    }
}

/// What is known of a tenant. Its numbers are [`Cache::next_number`]'s.
pub(in crate::service::memory) struct State {
    /// The commit up to which everything remembered is true.
    pub(in crate::service::memory) version: Option<i64>,
    /// Which database that was in: see [`Tenants::worlds`].
    pub(in crate::service::memory) world: u64,
    /// Where the log ended when it was last read.
    pub(in crate::service::memory) end: Option<Head>,
    /// The last records before it.
    pub(in crate::service::memory) past: Past,
    /// When that was.
    pub(in crate::service::memory) followed_at: u64,
    /// Moves when everything is forgotten.
    pub(in crate::service::memory) life: u64,
    /// Moves with each change of a group: a user's document shows the groups it is in.
    pub(in crate::service::memory) groups: u64,
    /// Moves with each change of a user's liveness: agents live by their sponsors.
    pub(in crate::service::memory) lives: u64,
}

/// What access depends on beside the principal itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::service::memory) struct Inputs {
    policy_epoch: i64,
    groups: u64,
    /// Of agents alone.
    lives: u64,
}

impl State {
    fn new(cache: &Cache) -> State {
        let number = cache.next_number();
        State {
            version: None,
            world: 0,
            end: None,
            past: Past::default(),
            followed_at: number,
            life: number,
            groups: number,
            lives: number,
        }
    }

    /// Forgets everything of the tenant.
    pub(in crate::service::memory) fn forget(&mut self, cache: &Cache) {
        let number = cache.next_number();
        (self.life, self.groups, self.lives) = (number, number, number);
    }

    /// Whether nothing that was read since a stamp can have been overtaken by what is followed already.
    pub(in crate::service::memory) fn is_unmoved_since(&self, stamp: Stamp) -> bool {
        self.followed_at <= stamp.at
    }

    pub(in crate::service::memory) fn inputs(&self, kind: PrincipalKind) -> Inputs {
        Inputs {
            policy_epoch: self.end.as_ref().map_or(0, |end| end.policy_epoch),
            groups: self.groups,
            lives: if kind == PrincipalKind::Agent { self.lives } else { 0 },
        }
    }
}

impl Tenant {
    fn new(cache: &Cache) -> Tenant {
        Tenant { state: Mutex::new(State::new(cache)), turn: Mutex::default(), freed: Condvar::new() }
    }

    pub(in crate::service::memory) fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked with the lock left entries that the next commit checks like any other.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Not under the lock of the state: who answers from it on a thread that serves others waits for no read. It is
    /// there so that each change is read once; two that read it at the same time do no harm.
    pub(in crate::service::memory) fn turn(&self, monotonic: impl Fn() -> Duration) -> Turn<'_> {
        let mut holder = self.holder();
        let rest = |since| TURN_MAX.checked_sub(monotonic().saturating_sub(since)).filter(|rest| !rest.is_zero());
        while let Some(rest) = holder.since.and_then(rest) {
            holder = self.freed.wait_timeout(holder, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        *holder = Holder { since: Some(monotonic()), number: holder.number + 1 };
        Turn { tenant: self, number: holder.number }
    }

    fn holder(&self) -> MutexGuard<'_, Holder> {
        // It is written whole.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Tenants {
    fn default() -> Tenants {
        Tenants { known: Bounded::new(TENANTS_MAX), worlds: AtomicU64::new(0), newest: Mutex::default() }
    }
}

impl Tenants {
    /// A tenant that is followed, or will be.
    pub(in crate::service::memory) fn of(&self, cache: &Cache, tenant: TenantKey) -> Arc<Tenant> {
        if let Some(known) = self.known.get(&tenant) {
            return known;
        }
        let new = Arc::new(Tenant::new(cache));
        let made = self.known.get_or_insert_with(&tenant, || Ok::<_, ()>(Arc::clone(&new)));
        made.unwrap_or(new)
    }

    /// Looks at a tenant, if it is followed.
    pub(in crate::service::memory) fn with<R>(&self, tenant: TenantKey, f: impl FnOnce(&State) -> R) -> Option<R> {
        Some(f(&self.known.get(&tenant)?.state()))
    }

    /// Those that are followed.
    pub(in crate::service::memory) fn known(&self) -> Vec<TenantKey> {
        self.known.iter().map(|(tenant, _)| tenant).collect()
    }

    /// The last commit that anybody was told of.
    pub(in crate::service::memory) fn newest(&self) -> Option<i64> {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the number of a commit that the database told; `before` was known when it was asked. A number that is
    /// smaller than that is not of this world: the database was put back. Gives the world that it is of.
    pub(in crate::service::memory) fn learn(&self, before: Option<i64>, version: i64) -> u64 {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_put_back = before.is_some_and(|before| version < before) && newest.is_some_and(|known| version < known);
        if is_put_back {
            self.worlds.fetch_add(1, Ordering::AcqRel);
        }
        // Another request may have asked later and been here earlier.
        if is_put_back || newest.is_none_or(|known| version > known) {
            *newest = Some(version);
        }
        self.worlds.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_waited_for_and_given_up_when_it_does_not_end() {
        let tenant = Tenant::new(&Cache::default());
        let first = tenant.turn(|| Duration::ZERO);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| tenant.turn(|| TURN_MAX / 2).number);
            drop(first);
            assert_eq!(second.join().unwrap(), 2);
        });
        let hung = tenant.turn(|| Duration::ZERO);
        let next = tenant.turn(|| TURN_MAX);
        assert_eq!((hung.number, next.number), (3, 4));
        // It ends at last, and is nobody's any more.
        drop(hung);
        assert_eq!(tenant.holder().since, Some(TURN_MAX));
        drop(next);
        assert_eq!(tenant.holder().since, None);
    }

    #[test]
    fn a_smaller_number_than_was_known_is_of_another_world() {
        let tenants = Tenants::default();
        assert_eq!((tenants.learn(None, 7), tenants.newest()), (0, Some(7)));
        assert_eq!((tenants.learn(Some(7), 7), tenants.newest()), (0, Some(7)));
        assert_eq!((tenants.learn(Some(7), 9), tenants.newest()), (0, Some(9)));
        // Asked at 7, overtaken by one who was told 9.
        assert_eq!((tenants.learn(Some(7), 8), tenants.newest()), (0, Some(9)));
        assert_eq!((tenants.learn(Some(9), 7), tenants.newest()), (1, Some(7)));
        // Who was told the same beside it finds the other world already.
        assert_eq!((tenants.learn(Some(9), 7), tenants.newest()), (1, Some(7)));
        assert_eq!((tenants.learn(Some(7), 8), tenants.newest()), (1, Some(8)));
    }
}
