//! The thread that delivers, and the desk where it is handed what to deliver.
//!
//! Whoever hands in holds a lock for as long as it takes to put one notice away, and never while anything is sent. Who waits for whom: nobody waits
//! for the thread; it waits for notices, for the time that lies between deliveries, and for receivers, each of them bounded.
#![forbid(unsafe_code)]

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::delivery::Delivery;
use super::gather::Gathered;
use super::ladder::{self, Next};
use super::notice::Notice;
use super::post::Post;
use crate::clock::{self, Stopwatch};
use crate::vitals::Tally;

/// Where notices wait.
pub(super) struct Desk {
    clock: Stopwatch,
    digest: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    gathered: Gathered,
    hurry: Hurry,
    /// The thread is gone.
    deserted: bool,
}

/// What keeps the thread from waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Hurry {
    /// Nothing.
    #[default]
    None,
    /// Nothing more will come: it delivers what is there, and ends.
    NothingMore,
    /// The process ends: the same, with one try.
    Now,
}

/// Who delivers.
pub(super) struct Courier {
    pub(super) desk: Arc<Desk>,
    pub(super) post: Post,
    pub(super) tally: Arc<Tally>,
}

impl Desk {
    pub(super) fn new(digest: Duration) -> Self {
        Self {
            clock: Stopwatch::start(),
            digest,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Puts a notice to the others.
    pub(super) fn take(&self, notice: Notice) {
        let now = self.clock.elapsed();
        self.lock().gathered.add(notice, now);
        self.changed.notify_all();
    }

    /// Hurries the thread, more than before or not at all.
    pub(super) fn hurry(&self, hurry: Hurry) {
        let mut state = self.lock();
        state.hurry = state.hurry.max(hurry);
        drop(state);
        self.changed.notify_all();
    }

    #[cfg(test)]
    pub(super) fn peek(&self) -> Vec<Notice> {
        self.lock().gathered.told.clone()
    }

    /// Whether the thread is gone.
    pub(super) fn is_deserted(&self) -> bool {
        self.lock().deserted
    }

    /// Waits until there is something to deliver; nothing where nothing more will come.
    fn next(&self, last: Option<Duration>) -> Option<Gathered> {
        let mut state = self.lock();
        loop {
            let now = self.clock.elapsed();
            let due = state.gathered.due(last, self.digest);
            state = match (due, state.hurry) {
                (Some(due), Hurry::None) if now < due => self.wait(state, due - now),
                (Some(_), _) => return Some(std::mem::take(&mut state.gathered)),
                (None, Hurry::None) => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                (None, _) => return None,
            };
        }
    }

    /// Waits so long, but not where the process ends.
    fn pause(&self, pause: Duration) {
        let since = self.clock.elapsed();
        let mut state = self.lock();
        while state.hurry < Hurry::Now {
            let Some(left) = pause.checked_sub(self.clock.elapsed().saturating_sub(since)) else {
                return;
            };
            state = self.wait(state, left);
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves notices that are still true.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Courier {
    /// Delivers until nothing more comes.
    pub(super) fn run(self) {
        let mut last = None;
        while let Some(gathered) = self.desk.next(last) {
            last = Some(self.desk.clock.elapsed());
            self.deliver(&gathered);
        }
        self.desk.lock().deserted = true;
    }

    /// Tries until it has arrived or is given up.
    fn deliver(&self, gathered: &Gathered) {
        let delivery = Delivery::of(gathered, clock::now());
        let (to, notices) = (self.post.address(), gathered.count());
        for tries in 1.. {
            let last_try = self.desk.lock().hurry == Hurry::Now;
            let answer = self.post.send(&delivery, clock::unix_ms() / 1000);
            match ladder::after(tries, &answer, fastrand::f64()) {
                Next::Done => {
                    self.tally.notices.more("sent", gathered.told.len() as u64);
                    self.tally.notices.more("counted", gathered.omitted());
                    tracing::info!(%to, delivery = delivery.id, notices, tries, "notices delivered");
                    return;
                }
                Next::Again(pause) if !last_try => {
                    let again_s = pause.as_secs();
                    tracing::warn!(%to, delivery = delivery.id, notices, tries, %answer, again_s, "notices are not taken");
                    self.desk.pause(pause);
                }
                Next::Again(_) | Next::GiveUp => {
                    tracing::error!(%to, delivery = delivery.id, notices, tries, %answer, "notices are given up");
                    self.tally.notices.more("failed", notices);
                    self.desk.lock().gathered.undelivered += gathered.undelivered + notices;
                    return;
                }
            }
        }
    }
}
