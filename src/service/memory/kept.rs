//! What the rooms above keep for themselves, and forget when memory forgets everything.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use crate::service::Service;

/// Something that is empty again once everything was forgotten: memory does not know who keeps it, so whoever looks
/// at it finds that out.
#[derive(Default)]
pub(in crate::service) struct Kept<T>(Mutex<Since<T>>);

#[derive(Default)]
struct Since<T> {
    /// How often everything had been forgotten when this began.
    forgotten: u64,
    kept: T,
}

impl<T: Default> Kept<T> {
    /// Looks at what is kept, or changes it, under its lock.
    pub(in crate::service) fn with<R>(&self, service: &Service, f: impl FnOnce(&mut T) -> R) -> R {
        // Whoever panicked with the lock left what is compared with the log like everything else.
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = service.inner.cache.forgotten.load(Ordering::Acquire);
        if since.forgotten != forgotten {
            *since = Since { forgotten, kept: T::default() };
        }
        f(&mut since.kept)
    }
}
