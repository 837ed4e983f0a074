//! Small writes of concurrent callers, committed together: one wait for the disk for all of them.
//!
//! A caller puts its write into the queue. Where nobody leads, a task is started that does: it takes the write lock, then all that
//! is queued, writes it in one transaction (or one for each kind, see [`Writers`]), answers, and looks again. So nobody waits for company, and company gathers while
//! the disk is busy. A caller is answered only when its write is on the disk. Where a statement fails, the whole is
//! rolled back and each write is done by itself: what fails then is its own caller's alone.
//!
//! Absent on purpose: order among callers of one moment, and a size at which a batch is full: callers wait for their answers, so
//! there are never more than there are jobs in hand.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::small::{self, Answer, End, Park, Repeat};
use super::{AGAIN, Books};
use crate::ledger::engine::{Engine, Fault, Session, Writers};
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
    pub(super) repeats: Vec<Ask<Repeat, ()>>,
    pub(super) parks: Vec<Ask<Park, ()>>,
}

#[expect(private_bounds, reason = "which databases there are is not for others to add to")]
impl<E: Engine> Books<E> {
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
            Err(self.engine.failed(Fault::Request(
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

async fn lead<E: Engine>(books: Books<E>) {
    let mut lead = Lead {
        group: books.group.clone(),
        leader: Leader::Works,
    };
    loop {
        lead.leader = lead.group.next();
        if lead.leader == Leader::Nobody {
            return;
        }
        // The connection first: while it is waited for, more is queued.
        let session = books.engine.write(&[]).await;
        let batch = lead.group.take();
        match session {
            Ok(session) => write(&books, session, batch).await,
            Err(fault) => batch.refuse(&books.engine.failed(fault)),
        }
    }
}

/// What became of a batch.
enum Written {
    /// Its callers are answered.
    Answered,
    /// Nothing is written: one of several cannot be done.
    NotTogether(Batch),
    /// Nothing is written, and no transaction can be begun now. Its callers are told so.
    Unreachable(LedgerError),
}

async fn write<E: Engine>(books: &Books<E>, session: Session, batch: Batch) {
    let mut session = Some(session);
    let mut parts: VecDeque<Batch> = batch.parts(E::WRITERS).into();
    while let Some(part) = parts.pop_front() {
        match attempt(books, session.take(), part).await {
            Written::Answered => {}
            Written::NotTogether(part) => part.apart().into_iter().for_each(|one| parts.push_front(one)),
            // Each would wait for as long, and for nothing.
            Written::Unreachable(error) => parts.drain(..).for_each(|part| part.refuse(&error)),
        }
    }
}

/// Writes a batch in one transaction, and answers its callers.
async fn attempt<E: Engine>(books: &Books<E>, mut open: Option<Session>, mut batch: Batch) -> Written {
    let mut again = 0;
    loop {
        let session = match open.take() {
            Some(session) => session,
            None => match books.engine.write(&[]).await {
                Ok(session) => session,
                Err(fault) => {
                    let error = books.engine.failed(fault);
                    batch.refuse(&error);
                    return Written::Unreachable(error);
                }
            },
        };
        match commit(session, &mut batch).await {
            Ok(()) => batch.reply(),
            Err(fault) if again < AGAIN && books.engine.may_succeed_again(&fault) => {
                again += 1;
                continue;
            }
            Err(fault) if batch.len() > 1 && fault.is_of_a_statement() => return Written::NotTogether(batch),
            Err(fault) => batch.refuse(&books.engine.failed(fault)),
        }
        return Written::Answered;
    }
}

async fn commit(mut session: Session, batch: &mut Batch) -> Result<(), Fault> {
    let done = small::write(&mut session, batch).await;
    session.end_with(done).await
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

    /// What may be written by one transaction. Where several write at a time, a transaction touches jobs in one statement only.
    fn parts(self, writers: Writers) -> Vec<Self> {
        let parts = match writers {
            Writers::One => vec![self],
            Writers::Many => vec![
                Self {
                    repeats: self.repeats,
                    answers: self.answers,
                    ..Self::default()
                },
                Self {
                    ends: self.ends,
                    ..Self::default()
                },
                Self {
                    parks: self.parks,
                    ..Self::default()
                },
            ],
        };
        parts.into_iter().filter(|part| !part.is_empty()).collect()
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
