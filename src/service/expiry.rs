//! Renditions that are too old or too many, dropped a few at a time: one shard after the other, the oldest first.
//!
//! Each worker goes round by itself, from a shard of its own choice: two that meet drop what the other has dropped, which is no error.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Service;
use crate::clock;
use crate::expiry::{Caps, SHARDS, shard, surplus};

/// How often a shard is looked at: all of them are in about 40 minutes.
const LOOK: Duration = Duration::from_secs(10);
/// Most objects that are dropped then.
const DROPPED: usize = 1000;

impl Service {
    /// Goes round. Ends at once where nothing is ever to be dropped.
    pub(super) async fn keep_renditions(self: Arc<Self>) {
        let Some(caps) = self.retention.of_a_shard() else {
            return;
        };
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let first = fastrand::u64(..SHARDS);
        for number in first.. {
            look.tick().await;
            let shard = shard(number);
            match self.expire(&shard, caps).await {
                Ok(0) => {}
                Ok(dropped) => tracing::info!(shard, dropped, "renditions expired"),
                Err(error) => tracing::warn!(shard, %error, "renditions could not be expired"),
            }
        }
    }

    async fn expire(&self, shard: &str, caps: Caps) -> io::Result<usize> {
        let store = &self.worker.stores.renditions;
        let kept = store.objects(shard).await?;
        let surplus = surplus(caps, kept, 0, clock::system_time());
        let mut dropped = 0;
        for object in surplus.into_iter().take(DROPPED) {
            store.remove(&object.key).await?;
            dropped += 1;
        }
        Ok(dropped)
    }
}
