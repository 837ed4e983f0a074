//! What the process is told by signals: TERM and INT to stop, the second time at once; HUP to read its configuration again.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Signals so far.
pub(super) struct Signals {
    counts: watch::Receiver<Counts>,
    seen: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    stops: u32,
    reloads: u32,
}

/// What the process is told.
#[must_use]
pub(super) enum Told {
    Stop,
    Reload,
}

impl Signals {
    /// Listens from now on: none of these signals ends the process by itself any more.
    pub(super) fn listen() -> Self {
        let (sender, counts) = watch::channel(Counts::default());
        for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
            let sender = sender.clone();
            count(kind, move || sender.send_modify(|counts| counts.stops += 1));
        }
        count(SignalKind::hangup(), move || {
            sender.send_modify(|counts| counts.reloads += 1)
        });
        Self {
            counts,
            seen: Counts::default(),
        }
    }

    /// Waits for what was not seen yet. To stop comes first; several HUPs are one.
    pub(super) async fn next(&mut self) -> Told {
        let seen = self.seen;
        // Listeners hold the sender for as long as the process runs.
        let waited = self
            .counts
            .wait_for(|counts| counts.stops > 0 || counts.reloads > seen.reloads)
            .await;
        let Ok(counts) = waited.map(|counts| *counts) else {
            return std::future::pending().await;
        };
        self.seen = counts;
        match counts.stops {
            0 => Told::Reload,
            _ => Told::Stop,
        }
    }

    /// Waits until the process is to end.
    pub(super) fn stop(&self) -> impl Future<Output = ()> + use<> {
        self.stops(1)
    }

    /// Waits until it is to end without draining.
    pub(super) fn stop_now(&self) -> impl Future<Output = ()> + use<> {
        self.stops(2)
    }

    fn stops(&self, times: u32) -> impl Future<Output = ()> + use<> {
        let mut counts = self.counts.clone();
        async move {
            let told = counts.wait_for(|counts| counts.stops >= times).await.is_ok();
            if !told {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.counts.borrow().stops > 0
    }
}

/// Counts a signal for as long as the process runs. One that cannot be listened to does what it does by default.
fn count(kind: SignalKind, mut told: impl FnMut() + Send + 'static) {
    match signal(kind) {
        Ok(mut signal) => {
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    told();
                }
            });
        }
        Err(error) => tracing::error!(%error, "a signal cannot be listened to"),
    }
}
