//! The send buffer: what of responses waits in memory until slow clients have read it, bounded for all of them together.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::service::Error;

/// A shorter answer is not counted: the kernel takes it at once.
pub(super) const LONG_BYTES: usize = 64 << 10;
/// So much is handed to a connection at a time: what it is handed, it copies.
const SLICE_BYTES: usize = 64 << 10;
/// Room is given in units, each enough for a piece of an answer.
const UNIT_BYTES: usize = 256 << 10;
const UNITS: usize = 512;
const TOO_MUCH: Error = Error::Busy("too many long answers are not taken by their clients: try again");

/// Room for answers.
#[derive(Clone)]
pub(super) struct SendBuffer(Arc<Semaphore>);

impl Default for SendBuffer {
    fn default() -> SendBuffer {
        SendBuffer(Arc::new(Semaphore::new(UNITS)))
    }
}

impl SendBuffer {
    /// Holds an answer until it is taken.
    ///
    /// # Errors
    /// 503 if there is no room for it, and it may be refused; otherwise it waits.
    pub(super) async fn hold(&self, text: String, may_refuse: bool) -> Result<Held, Error> {
        let (room, units) = (Arc::clone(&self.0), units(text.len()));
        let room = match may_refuse {
            true => room.try_acquire_many_owned(units).map_err(|_| TOO_MUCH)?,
            false => room.acquire_many_owned(units).await.map_err(Error::internal)?,
        };
        Ok(Held::new(text.into_bytes(), room))
    }

    /// Waits for room for a piece.
    pub(super) async fn wait(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.0).acquire_owned().await.map_err(Error::internal)
    }

    /// Makes room for a piece that turned out to be longer.
    ///
    /// # Errors
    /// If there is none: waiting would keep the piece in memory.
    pub(super) fn widen(&self, room: &mut OwnedSemaphorePermit, bytes: usize) -> Result<(), Error> {
        let more = units(bytes).saturating_sub(1);
        if more > 0 {
            room.merge(Arc::clone(&self.0).try_acquire_many_owned(more).map_err(|_| TOO_MUCH)?);
        }
        Ok(())
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES).clamp(1, UNITS)).unwrap_or(1)
}

/// Bytes that wait, and their room.
pub(super) struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Held {
    pub(super) fn new(bytes: Vec<u8>, room: OwnedSemaphorePermit) -> Held {
        Held { bytes: bytes.into(), _room: room }
    }

    /// The next bytes to send; `None` at the end.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let bytes = self.bytes.split_to(self.bytes.len().min(SLICE_BYTES));
        (!bytes.is_empty()).then_some(bytes)
    }
}

impl MessageBody for Held {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.len() as u64)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.get_mut().next().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn long_answers_have_room_for_so_many_bytes_together() {
        let room = SendBuffer::default();
        let hold = |may_refuse| room.hold("n".repeat(16 << 20), may_refuse).now_or_never();
        let mut held: Vec<Held> = (0..8).map(|_| hold(true).unwrap().unwrap()).collect();
        let refused = hold(true).unwrap().err().unwrap();
        assert!(hold(false).is_none());
        assert_eq!(refused.to_string(), TOO_MUCH.to_string());
        // Whoever takes an answer makes room for another one.
        let mut first = held.pop().unwrap();
        let mut taken = 0;
        while let Some(slice) = first.next() {
            assert!(slice.len() <= SLICE_BYTES);
            taken += slice.len();
        }
        assert_eq!(taken, 16 << 20);
        drop(first);
        assert!(hold(false).is_some_and(|held| held.is_ok()));
    }
}
