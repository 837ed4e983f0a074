//! A network that fails at random, as a seed says.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::super::relay::{Mode, Relay};

/// A network in trouble.
pub struct Trouble {
    end: oneshot::Sender<()>,
    task: JoinHandle<Past>,
}

/// What it did.
pub struct Past {
    /// The network.
    pub relay: Relay,
    /// Connections that were cut.
    pub cuts: usize,
    /// How often nothing went through.
    pub freezes: usize,
    /// How often nobody could connect.
    pub refusals: usize,
}

impl Trouble {
    /// Begins.
    pub fn start(relay: Relay, seed: u64) -> Self {
        let (end, mut ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut past = Past {
                relay,
                cuts: 0,
                freezes: 0,
                refusals: 0,
            };
            let between = |random: &mut fastrand::Rng| Duration::from_millis(random.u64(1000..6000));
            while timeout(between(&mut random), &mut ended).await.is_err() {
                past.strike(&mut random).await;
            }
            past
        });
        Self { end, task }
    }

    /// Ends, and tells.
    pub async fn end(self) -> Past {
        let _ = self.end.send(());
        self.task.await.unwrap()
    }
}

impl Past {
    async fn strike(&mut self, random: &mut fastrand::Rng) {
        let lasts = Duration::from_millis(random.u64(200..3000));
        match random.u32(..100) {
            0..60 => self.cuts += self.relay.cut(),
            60..85 => {
                self.freezes += 1;
                let modes = [Mode::Freeze, Mode::FreezeAnswers, Mode::FreezeRequests];
                self.relay.set(random.choice(modes).unwrap());
                sleep(lasts).await;
            }
            _ => {
                self.refusals += 1;
                self.relay.set(Mode::Refuse);
                self.cuts += self.relay.cut();
                sleep(lasts).await;
            }
        }
        self.relay.set(Mode::Pass);
    }
}
