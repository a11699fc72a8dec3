//! Filters as SQL.
//!
//! [`bounds`] turns a filter into two conditions that the index can answer: one that every match meets
//! (upper) and one that only matches meet (lower). Where they are the same, the index decides alone; what
//! lies between them is decided by [`crate::scim::filter::matches`]. Two bounds, since the opposite of a
//! condition that is merely wide would be merely narrow: `not` swaps them.
//!
//! [`plan`] picks what the database starts from, [`sql`] and [`keys`] write it down.

mod bounds;
mod cond;
mod elements;
mod keys;
mod plan;
mod sql;
mod terms;
mod values;

pub(in crate::store) use self::cond::{Cond, Leaf, RowTest, Test};
pub(in crate::store) use self::plan::{Plan, RANK_MANY, RANK_VALUE, rank};
pub(in crate::store) use self::sql::{EXISTS_END, Scope, Sql};
