//! What pieces of work of one round will look up, read for all of them by few statements: a database server is asked
//! once a round, not once for each row of each.
//!
//! It is as good as a look-up at its time: the log of the tenant is locked, so nobody else changes what is here, and it
//! is forgotten as soon as this transaction writes anything. What waits to be written is laid over it like over whatever
//! else was read past it.

use std::any::{Any, TypeId};
use std::collections::HashMap;

use crate::domain::Id;
use crate::store::types::ResourceKey;

/// A resource that a piece of work will look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// Its id.
    pub id: Id,
    /// The key of the connection whose externalId is wanted, if any is.
    pub connection: Option<i64>,
    /// Whether it may come to life by the work, or cease to live: then what is around it is wanted, too.
    pub lives: bool,
    /// Those of whom it will be asked whether they are its members.
    pub members: Vec<Id>,
}

/// What a resource is kept under: its id, or its surrogate key.
pub(in crate::store) trait Place: Copy {
    /// As a number.
    fn number(self) -> u128;
}

impl Place for Id {
    fn number(self) -> u128 {
        u128::from_be_bytes(*self.as_bytes())
    }
}

impl Place for ResourceKey {
    fn number(self) -> u128 {
        self.0.unsigned_abs().into()
    }
}

/// What was read ahead, and what is yet to be.
#[derive(Default)]
pub(in crate::store) struct Ahead {
    wanted: Vec<Foreseen>,
    lives: Vec<Id>,
    found: HashMap<(TypeId, u128), Box<dyn Any + Send>>,
}

impl Ahead {
    /// Notes what will be looked up.
    pub(in crate::store) fn want(&mut self, foreseen: &[Foreseen]) {
        self.wanted.extend_from_slice(foreseen);
    }

    /// What has yet to be read; whoever takes it reads it.
    pub(in crate::store) fn take_wanted(&mut self) -> Vec<Foreseen> {
        std::mem::take(&mut self.wanted)
    }

    /// Notes of whom it was read what may live or not.
    pub(in crate::store) fn want_lives(&mut self, ids: impl Iterator<Item = Id>) {
        self.lives.extend(ids);
    }

    /// Those around whom nothing was read yet, if this is one of them.
    pub(in crate::store) fn take_lives(&mut self, id: Id) -> Vec<Id> {
        if self.lives.contains(&id) { std::mem::take(&mut self.lives) } else { vec![] }
    }

    /// What was read of a resource.
    pub(in crate::store) fn get<T: Any>(&self, of: impl Place) -> Option<&T> {
        self.found.get(&(TypeId::of::<T>(), of.number()))?.downcast_ref()
    }

    /// Keeps what was read of a resource.
    pub(in crate::store) fn put<T: Any + Send>(&mut self, of: impl Place, found: T) {
        self.found.insert((TypeId::of::<T>(), of.number()), Box::new(found));
    }

    /// Forgets all of it: it may have been written over.
    pub(in crate::store) fn forget(&mut self) {
        *self = Ahead::default();
    }
}
