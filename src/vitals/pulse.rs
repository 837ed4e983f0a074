//! A part that is asked again and again: when it answered last, and for how long it has been silent.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::figures::Counter;
use crate::clock::Stopwatch;
use crate::health::Sign;

/// The answers of a part.
#[derive(Debug)]
pub struct Pulse {
    clock: Stopwatch,
    last: Mutex<Last>,
    failures: Counter,
}

/// Times are those of the clock.
#[derive(Debug, Clone, Default)]
struct Last {
    asked: Option<Duration>,
    answered: Option<Duration>,
    took: Duration,
    failed: Option<String>,
}

impl Pulse {
    pub(super) fn new(clock: Stopwatch) -> Self {
        Self {
            clock,
            last: Mutex::default(),
            failures: Counter::default(),
        }
    }

    /// Asks, and notes that it was asked and what came of it. The lock is not held meanwhile.
    pub async fn of<T, E: Display>(&self, answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let asked = self.clock.elapsed();
        self.lock().asked = Some(asked);
        let answer = answer.await;
        let now = self.clock.elapsed();
        let failed = answer.as_ref().err().map(ToString::to_string);
        let mut last = self.lock();
        last.asked = None;
        match failed {
            None => {
                (last.answered, last.took, last.failed) = (Some(now), now.saturating_sub(asked), None);
            }
            failed => {
                last.failed = failed;
                self.failures.one();
            }
        }
        answer
    }

    /// How it is now.
    pub fn sign(&self) -> Sign {
        let last = self.lock().clone();
        let now = self.clock.elapsed();
        let ago = |at: Duration| now.saturating_sub(at);
        Sign {
            waiting: last.asked.map(ago),
            answered_ago: last.answered.map(ago),
            took: last.took,
            failed: last.failed,
        }
    }

    /// How often it answered that something is wrong.
    pub fn failures(&self) -> u64 {
        self.failures.so_far()
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_an_error_and_a_silence_are_told_apart() {
        let pulse = Pulse::new(Stopwatch::start());
        let sign = pulse.sign();
        assert_eq!((sign.waiting, sign.answered_ago, sign.failed), (None, None, None));

        pulse.of(async { Ok::<_, String>(()) }).await.unwrap();
        assert!(pulse.sign().answered_ago.is_some());

        pulse.of(async { Err::<(), _>("full") }).await.unwrap_err();
        let sign = pulse.sign();
        assert_eq!((sign.failed.as_deref(), pulse.failures()), (Some("full"), 1));
        assert!(sign.answered_ago.is_some(), "the last good answer is remembered");

        let asked = pulse.of(std::future::pending::<Result<(), String>>());
        let silent = tokio::time::timeout(Duration::from_millis(10), asked).await;
        assert!(silent.is_err() && pulse.sign().waiting.unwrap() >= Duration::from_millis(10));
    }
}
