//! Jobs that wait in the ledger: copies of what is running, suspects, retries that the broker has no place for.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{ADOPTED_MOST, Holder, Interrupted, Item, Kept, Service};
use crate::broker::Envelope;
use crate::ledger::{Arrival, KeptJob};
use crate::traces;

/// How often jobs that wait in the ledger are looked for.
const ADOPT_EVERY: Duration = Duration::from_millis(250);

impl Service {
    /// Takes jobs that wait in the ledger.
    pub(super) async fn adopt(self: Arc<Self>) {
        loop {
            let _ = timeout(ADOPT_EVERY, self.settled.notified()).await;
            if self.ready().await.is_none() {
                return;
            }
            // No more than can be taken in hand now: the others are anybody's.
            let free = u32::try_from(self.adopted.available_permits()).unwrap_or(ADOPTED_MOST);
            if free == 0 {
                continue;
            }
            let kept_out = self.tenancy().kept_out();
            match self.worker.ledger.adopt(&self.worker.id, free, &kept_out).await {
                Ok(kept) => {
                    for job in kept {
                        self.adopt_one(job).await;
                    }
                }
                Err(error) => self.interrupted(&error.into()),
            }
        }
    }

    async fn adopt_one(self: &Arc<Self>, job: KeptJob) {
        let Ok(place) = Arc::clone(&self.adopted).acquire_owned().await else {
            return;
        };
        let service = Arc::clone(self);
        tokio::spawn(async move {
            match service.look_at_kept(job, place).await {
                // The tenant of what was purged may be kept out: it would have no turn.
                Ok(Some(item)) if service.is_turned_away(&item) => drop(service.work_on(item).await),
                Ok(Some(item)) => service.let_in(item),
                Ok(None) => {}
                // It is anybody's again when its lease is over.
                Err(interrupted) => service.interrupted(&interrupted),
            }
        });
    }

    async fn look_at_kept(
        self: &Arc<Self>,
        job: KeptJob,
        place: tokio::sync::OwnedSemaphorePermit,
    ) -> Result<Option<Item>, Interrupted> {
        let at_work = self.begin(&job.job).await;
        self.kept().insert(job.job.clone());
        if !matches!(self.worker.ledger.arrival(&job.job).await?, Arrival::Waiting(_)) {
            return Ok(None);
        }
        match serde_json::from_value::<Kept>(job.message) {
            Ok(mut kept) => Ok(Some(Item {
                span: traces::held(
                    self.broker.system(),
                    &self.worker.id,
                    &job.job,
                    &job.tenant,
                    &mut kept.envelope,
                ),
                job: kept.job,
                digest: kept.digest,
                envelope: kept.envelope,
                tries: job.tries,
                holder: Holder::Ledger,
                _at_work: at_work,
                _present: self.came(&job.tenant),
                _place: place,
            })),
            Err(error) => {
                // Somebody edited the row: its sender is told all the same.
                let (id, why) = (job.job, format!("the ledger's row cannot be read: {error}"));
                tracing::error!(job = id, %error, "a waiting job cannot be read from the ledger");
                let report = self.worker.unreadable(&id, &job.tenant, &why);
                self.publish(report.clone(), &Envelope::default()).await?;
                self.worker.ledger.end(&report).await?;
                Ok(None)
            }
        }
    }
}
