//! The clock that nobody sets: how old knowledge is.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "the age of knowledge, by a clock that nobody sets")]
pub(super) fn now() -> Instant {
    Instant::now()
}
