//! Notices: whoever has asked for it is told, over HTTP, when something goes wrong that somebody should know of.
//!
//! In: what the pipeline sees first: an upload convicted, a violation, the breaker, a worker lost. Out: deliveries, each one signed CloudEvent
//! with what was gathered ([`gather`]), posted ([`post`]) by a thread of their own ([`courier`]), and tried again ([`ladder`]). Whoever tells
//! never waits: what does not fit is counted, and the count is told.
//!
//! Absent on purpose: a memory. What was not delivered when the process ends is gone; the ledger and its audit trail have it all.

mod courier;
mod delivery;
mod gather;
mod ladder;
mod notice;
mod post;
mod secret;
mod sign;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::config::{ConfigError, NoticesConfig};
use crate::ledger::WorkerId;
use crate::vitals::Tally;

pub use delivery::TYPE;
pub use notice::{Kind, Turn, Upload, What};
pub use post::{Answer, Post};

use courier::{Courier, Desk, Hurry};
use delivery::Delivery;
use gather::Gathered;
use notice::Notice;

/// Where notices are handed in. Copies hand in at the same place.
#[derive(Clone, Default)]
pub struct Notices(Option<Arc<Open>>);

/// A place where notices are taken, and its thread; without this, the thread delivers what it has, and ends.
struct Open {
    on: BTreeSet<Kind>,
    desk: Arc<Desk>,
}

impl Notices {
    /// Nobody wants to be told.
    pub fn off() -> Self {
        Self::default()
    }

    /// Those that the configuration asks for. What becomes of them is counted. Nothing is connected yet.
    ///
    /// # Errors
    /// A secret or a CA that is missing or wrong; a process that may have no more threads.
    pub fn open(config: &NoticesConfig, tally: &Arc<Tally>) -> Result<Self, ConfigError> {
        let Some(post) = Post::new(config)? else {
            return Ok(Self::off());
        };
        let desk = Arc::new(Desk::new(config.digest));
        let courier = Courier {
            desk: Arc::clone(&desk),
            post,
            tally: Arc::clone(tally),
        };
        let spawned = thread::Builder::new()
            .name("notices".to_owned())
            .spawn(|| courier.run());
        spawned.map_err(|error: io::Error| ConfigError {
            place: "notices".to_owned(),
            problem: error.to_string(),
        })?;
        Ok(Self(Some(Arc::new(Open {
            on: config.on.clone(),
            desk,
        }))))
    }

    /// Whether anybody wants to be told of such a thing.
    pub fn wants(&self, kind: Kind) -> bool {
        self.0.as_ref().is_some_and(|open| open.on.contains(&kind))
    }

    /// Tells, where somebody wants to know. Waits for nothing.
    pub fn tell(&self, worker: &WorkerId, what: What) {
        if let Some(open) = &self.0
            && what.kind().is_some_and(|kind| open.on.contains(&kind))
        {
            open.desk.take(Notice::of(worker, what, clock::now()));
        }
    }

    /// Nothing more will come: what is there is delivered without waiting for more, and tried again as usual.
    pub fn close(&self) {
        if let Some(open) = &self.0 {
            open.desk.hurry(Hurry::NothingMore);
        }
    }

    /// The process ends: one try for what is there, and no more time than this for it.
    pub async fn farewell(&self, patience: Duration) {
        let Some(open) = &self.0 else { return };
        open.desk.hurry(Hurry::Now);
        let gone = async {
            while !open.desk.is_deserted() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(patience, gone).await.is_err() {
            tracing::error!("notices are still on their way, and are given up");
        }
    }
}

#[cfg(test)]
impl Notices {
    /// Nobody fetches these but a test.
    pub(crate) fn kept(on: &[Kind]) -> Self {
        Self(Some(Arc::new(Open {
            on: on.iter().copied().collect(),
            desk: Arc::new(Desk::new(Duration::from_secs(1))),
        })))
    }

    /// What was told so far, as it would be sent.
    pub(crate) fn told(&self) -> Vec<serde_json::Value> {
        let told = self.0.as_ref().map(|open| open.desk.peek()).unwrap_or_default();
        told.iter().map(|notice| serde_json::json!(notice)).collect()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.desk.hurry(Hurry::NothingMore);
    }
}

/// A delivery that only says that it came from here, to be tried by an operator.
pub fn trial(sender: &WorkerId) -> Trial {
    let mut gathered = Gathered::default();
    gathered.add(Notice::of(sender, What::Test, clock::now()), Duration::ZERO);
    Trial(Delivery::of(&gathered, clock::now()))
}

/// A delivery to try an address with.
pub struct Trial(Delivery);

impl Trial {
    /// Its id, as the receiver will see it.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Posts it, once. Blocks, for as long as one try may take.
    pub fn send(&self, post: &Post) -> Answer {
        post.send(&self.0, clock::unix_ms() / 1000)
    }
}
