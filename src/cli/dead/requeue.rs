//! A dead letter goes back, where it can.
//!
//! Before a job that failed goes back, the ledger forgets its end; otherwise the old verdict would be told again. A job that has a verdict
//! other than `failed` stays as it is.

use std::collections::BTreeMap;

use super::Force;
use crate::broker::dead::{DeadLetter, DeadLetters};
use crate::cli::Failure;
use crate::event;
use crate::job::Job;
use crate::ledger::{Arrival, Ledger, Reopened};
use crate::recipe::Recipe;

/// What a message needs to be a job.
pub(super) struct Requeuer<'a> {
    pub(super) ledger: &'a dyn Ledger,
    pub(super) presets: &'a BTreeMap<String, Recipe>,
    pub(super) stores: &'a [&'a str],
    pub(super) force: Force,
}

/// What became of a letter.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Done {
    /// As was asked for.
    Well,
    /// It stays where it is, for this reason.
    Left(String),
}

impl Requeuer<'_> {
    /// Puts one letter back where it can be.
    pub(super) async fn requeue(&self, round: &mut dyn DeadLetters, letter: &DeadLetter) -> Result<Done, Failure> {
        let Some(body) = &letter.body else {
            return Ok(Done::Left("it is no message at all".to_owned()));
        };
        let why_not = match Job::parse(body, self.presets, self.stores) {
            Ok(job) => self.reopen(&job.job, &job.tenant).await?,
            Err(error) => WhyNot::Unless(format!("it is no job: {error}")),
        };
        let left = match (why_not, self.force) {
            (WhyNot::Never(why), _) => why,
            (WhyNot::Unless(why), Force::No) => format!("{why}; --force puts it back all the same"),
            (WhyNot::Unless(_), Force::Yes) | (WhyNot::Nothing, _) => {
                round.requeue(letter).await.map_err(Failure::other)?;
                return Ok(Done::Well);
            }
        };
        Ok(Done::Left(left))
    }

    /// Has the ledger forget the job's end, where it is this tenant's and failed.
    async fn reopen(&self, job: &str, tenant: &str) -> Result<WhyNot, Failure> {
        let owner = match self.ledger.arrival(job).await.map_err(Failure::other)? {
            Arrival::New => None,
            Arrival::Waiting(owner) => Some(owner),
            Arrival::Ended(report) => Some(report.tenant),
        };
        if owner.is_some_and(|owner| owner != tenant) {
            return Ok(WhyNot::Never("its id belongs to a job of another tenant".to_owned()));
        }
        Ok(match self.ledger.reopen(job).await.map_err(Failure::other)? {
            Reopened::Reopened | Reopened::Unknown => WhyNot::Nothing,
            Reopened::NotEnded => WhyNot::Never("its job waits in the ledger, and is tried again by itself".to_owned()),
            Reopened::EndedOtherwise(status) => {
                WhyNot::Unless(format!("its job ended {} meanwhile", event::word(status)))
            }
        })
    }
}

/// What keeps a letter from going back.
enum WhyNot {
    Nothing,
    Unless(String),
    Never(String),
}
