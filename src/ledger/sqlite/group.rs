//! Small writes of concurrent callers, committed together: one wait for the disk for all of them.
//!
//! A caller puts its write into the queue. Where nobody leads, a task is started that does: it takes the write lock, then all that
//! is queued, writes it in one transaction, answers, and looks again. So nobody waits for company, and company gathers while
//! the disk is busy. A caller is answered only when its write is on the disk. Where a statement fails, the whole is
//! rolled back and each write is done by itself: what fails then is its own caller's alone.
//!
//! Absent on purpose: order among callers of one moment, and a size at which a batch is full: callers wait for their answers, so
//! there are never more than there are jobs in hand.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Sqlite;
use super::fault::Fault;
use super::session::Session;
use super::small::{self, Answer, End, Park};
use crate::digest::Digest;
use crate::ledger::{ByClaim, LedgerError};
use crate::verdict::Report;

/// What waits to be written, shared by all callers of one file.
#[derive(Clone, Default)]
pub(super) struct Group(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    batch: Batch,
    leader: Leader,
}

/// Whether a task takes care of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Leader {
    #[default]
    Nobody,
    Works,
}

/// One caller's write.
pub(super) struct Ask<I, O> {
    pub(super) input: I,
    /// What it is told once the transaction is committed.
    pub(super) answer: Option<O>,
    reply: oneshot::Sender<Result<O, LedgerError>>,
}

/// Writes of one transaction, by kind.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) answers: Vec<Ask<Answer, ByClaim>>,
    pub(super) ends: Vec<Ask<End, Option<Report>>>,
    pub(super) repeats: Vec<Ask<Digest, ()>>,
    pub(super) parks: Vec<Ask<Park, ()>>,
}

impl Sqlite {
    /// Does a small write together with those of other callers.
    pub(super) async fn together<I, O>(
        &self,
        kind: impl FnOnce(&mut Batch) -> &mut Vec<Ask<I, O>>,
        input: I,
    ) -> Result<O, LedgerError> {
        let (reply, answered) = oneshot::channel();
        let ask = Ask {
            input,
            answer: None,
            reply,
        };
        if self.group.push(kind, ask) == Leader::Nobody {
            tokio::spawn(lead(self.clone()));
        }
        answered.await.unwrap_or_else(|_| {
            Err(self.failed(Fault::Request(
                "a write was given up: the program is ending, or its leader panicked".to_owned(),
            )))
        })
    }
}

impl Group {
    /// Queues a write; returns who led until now. From now on somebody does.
    fn push<I, O>(&self, kind: impl FnOnce(&mut Batch) -> &mut Vec<Ask<I, O>>, ask: Ask<I, O>) -> Leader {
        let mut queue = self.lock();
        kind(&mut queue.batch).push(ask);
        mem::replace(&mut queue.leader, Leader::Works)
    }

    /// Whether there is anything left for the leader; where there is not, nobody leads any more.
    fn next(&self) -> Leader {
        let mut queue = self.lock();
        if queue.batch.is_empty() {
            queue.leader = Leader::Nobody;
        }
        queue.leader
    }

    fn take(&self) -> Batch {
        mem::take(&mut self.lock().batch)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that panics is done while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A leader that ends in the middle leaves nobody waiting: what is queued is dropped, which its callers notice.
struct Lead {
    group: Group,
    leader: Leader,
}

impl Drop for Lead {
    fn drop(&mut self) {
        if self.leader == Leader::Works {
            *self.group.lock() = Queue::default();
        }
    }
}

async fn lead(ledger: Sqlite) {
    let mut lead = Lead {
        group: ledger.group.clone(),
        leader: Leader::Works,
    };
    loop {
        lead.leader = lead.group.next();
        if lead.leader == Leader::Nobody {
            return;
        }
        // The lock first: while it is waited for, more is queued.
        let session = ledger.write().await;
        let batch = lead.group.take();
        match session {
            Ok(session) => write(&ledger, session, batch).await,
            Err(error) => batch.refuse(&error),
        }
    }
}

async fn write(ledger: &Sqlite, session: Session, batch: Batch) {
    let Err(batch) = attempt(ledger, session, batch).await else {
        return;
    };
    for one in batch.apart() {
        match ledger.write().await {
            Ok(session) => drop(attempt(ledger, session, one).await),
            Err(error) => one.refuse(&error),
        }
    }
}

/// Writes a batch and answers its callers. Gives it back, and nothing is written, where one of several cannot be done.
async fn attempt(ledger: &Sqlite, mut session: Session, mut batch: Batch) -> Result<(), Batch> {
    let done = small::write(&mut session, &mut batch).await;
    if done.is_err() && batch.len() > 1 {
        return Err(batch);
    }
    match ledger.end_with(session, done).await {
        Ok(()) => batch.reply(),
        Err(error) => batch.refuse(&error),
    }
    Ok(())
}

impl Batch {
    fn len(&self) -> usize {
        self.answers.len() + self.ends.len() + self.repeats.len() + self.parks.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells every caller what became of its write.
    fn reply(self) {
        self.answers.into_iter().for_each(Ask::reply);
        self.ends.into_iter().for_each(Ask::reply);
        self.repeats.into_iter().for_each(Ask::reply);
        self.parks.into_iter().for_each(Ask::reply);
    }

    /// Tells every caller that nothing was written.
    fn refuse(self, error: &LedgerError) {
        self.answers.into_iter().for_each(|ask| ask.refuse(error));
        self.ends.into_iter().for_each(|ask| ask.refuse(error));
        self.repeats.into_iter().for_each(|ask| ask.refuse(error));
        self.parks.into_iter().for_each(|ask| ask.refuse(error));
    }

    /// A batch for each of its writes.
    fn apart(self) -> Vec<Self> {
        let mut all = Vec::with_capacity(self.len());
        all.extend(self.answers.into_iter().map(|ask| Self {
            answers: vec![ask.again()],
            ..Self::default()
        }));
        all.extend(self.ends.into_iter().map(|ask| Self {
            ends: vec![ask.again()],
            ..Self::default()
        }));
        all.extend(self.repeats.into_iter().map(|ask| Self {
            repeats: vec![ask.again()],
            ..Self::default()
        }));
        all.extend(self.parks.into_iter().map(|ask| Self {
            parks: vec![ask.again()],
            ..Self::default()
        }));
        all
    }
}

impl<I, O> Ask<I, O> {
    fn again(self) -> Self {
        Self { answer: None, ..self }
    }

    // A caller that does not wait any more does not need to know.
    fn reply(self) {
        if let Some(answer) = self.answer {
            let _ = self.reply.send(Ok(answer));
        }
    }

    fn refuse(self, error: &LedgerError) {
        let _ = self.reply.send(Err(error.clone()));
    }
}
