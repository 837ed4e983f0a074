//! Places for attempts: as many slots as configured, in a room that an attempt has beside others or for itself alone.
//!
//! Whoever's child has ended makes way for the next one before it writes what came of it: a disk takes milliseconds for each of a
//! handful of files, which no processor need wait for. As many write at one time as run, no more, so that a slow disk holds up the
//! slots in the end, instead of piling up output in memory.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, Semaphore};

/// All places of a worker.
pub(super) struct Seats {
    slots: Arc<Semaphore>,
    /// Those that have made way.
    desks: Arc<Semaphore>,
    room: Arc<RwLock<()>>,
}

/// A place to run an attempt: one of the slots, or the whole worker. Given back when dropped.
pub(super) struct Seat {
    place: Place,
    desks: Arc<Semaphore>,
}

/// The right to be in the room. Held, not read.
enum Place {
    /// Beside others: with a slot, or a desk by now.
    Beside(
        Option<OwnedSemaphorePermit>,
        #[expect(dead_code, reason = "held, not read")] OwnedRwLockReadGuard<()>,
    ),
    Alone(#[expect(dead_code, reason = "held, not read")] OwnedRwLockWriteGuard<()>),
}

impl Seats {
    /// So many slots, at least one.
    pub(super) fn new(slots: usize) -> Self {
        let places = || Arc::new(Semaphore::new(slots.max(1)));
        Self {
            slots: places(),
            desks: places(),
            room: Arc::default(),
        }
    }

    /// Waits for a slot.
    pub(super) async fn beside_others(&self) -> Seat {
        // The semaphores are never closed: there is always a place to wait for.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        let room = Arc::clone(&self.room).read_owned().await;
        self.seat(Place::Beside(slot, room))
    }

    /// Waits until nothing else runs in this worker, nor is being written, and keeps it so.
    pub(super) async fn alone(&self) -> Seat {
        let room = Arc::clone(&self.room).write_owned().await;
        self.seat(Place::Alone(room))
    }

    fn seat(&self, place: Place) -> Seat {
        Seat {
            place,
            desks: Arc::clone(&self.desks),
        }
    }
}

impl Seat {
    /// No child runs here any more: the slot is the next one's, once fewer write than there are slots.
    pub(super) async fn make_way(&mut self) {
        if let Place::Beside(permit, _) = &mut self.place {
            *permit = Arc::clone(&self.desks).acquire_owned().await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::{Context, Poll};

    use super::*;

    /// What is there at once; `None` if it has to be waited for.
    async fn at_once<T>(wait: impl Future<Output = T>) -> Option<T> {
        let mut wait = Box::pin(wait);
        let look = |context: &mut Context<'_>| match wait.as_mut().poll(context) {
            Poll::Ready(there) => Poll::Ready(Some(there)),
            Poll::Pending => Poll::Ready(None),
        };
        poll_fn(look).await
    }

    #[tokio::test]
    async fn the_next_one_runs_while_the_last_one_is_written() {
        let seats = Seats::new(1);
        let mut first = seats.beside_others().await;
        assert!(at_once(seats.beside_others()).await.is_none());
        first.make_way().await;
        let mut second = at_once(seats.beside_others()).await.unwrap();
        // As many write as run: the slot is held until the first one is written.
        assert!(at_once(second.make_way()).await.is_none());
        assert!(at_once(seats.beside_others()).await.is_none());
        drop(first);
        assert!(at_once(second.make_way()).await.is_some());
        assert!(at_once(seats.beside_others()).await.is_some());
    }

    #[tokio::test]
    async fn alone_means_that_nothing_is_being_written_either() {
        let seats = Seats::new(2);
        let mut first = seats.beside_others().await;
        first.make_way().await;
        assert!(at_once(seats.alone()).await.is_none());
        drop(first);
        let alone = at_once(seats.alone()).await.unwrap();
        assert!(at_once(seats.beside_others()).await.is_none());
        drop(alone);
        assert!(at_once(seats.beside_others()).await.is_some());
    }
}
