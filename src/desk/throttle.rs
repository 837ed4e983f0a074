//! Logins that fail: after a few, whoever goes on trying waits, longer each time. `[pure]`
//!
//! Counted by address and by name. A name's count waits for five minutes at most: whoever fails on purpose under somebody else's
//! name does not lock them out for longer than that.

use std::collections::HashMap;
use std::time::Duration;

/// Failures that cost nothing.
const FREE: u32 = 5;
/// Longest wait.
const LONGEST: Duration = Duration::from_secs(300);
/// How long failures are remembered after the last one.
const REMEMBERED: Duration = Duration::from_secs(900);
/// Most keys that are remembered; the oldest go.
const MOST: usize = 10_000;

/// Failures so far.
#[derive(Debug, Default)]
pub struct Throttle(HashMap<String, Failures>);

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Duration,
}

impl Throttle {
    /// How long whoever has one of these keys must wait before the next try; none: it may try.
    pub fn wait(&self, keys: &[String], now: Duration) -> Option<Duration> {
        let waits = keys.iter().filter_map(|key| self.0.get(key)?.wait(now));
        waits.max()
    }

    /// A try has failed.
    pub fn failed(&mut self, keys: &[String], now: Duration) {
        self.0
            .retain(|_, failures| now.saturating_sub(failures.last) < REMEMBERED);
        while self.0.len() + keys.len() > MOST {
            let oldest = self.0.iter().min_by_key(|(_, failures)| failures.last);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.0.remove(&oldest);
        }
        for key in keys {
            let failures = self.0.entry(key.clone()).or_insert(Failures { count: 0, last: now });
            *failures = Failures {
                count: failures.count.saturating_add(1),
                last: now,
            };
        }
    }

    /// A try has succeeded: what came before is forgiven.
    pub fn succeeded(&mut self, keys: &[String]) {
        for key in keys {
            self.0.remove(key);
        }
    }
}

impl Failures {
    fn wait(self, now: Duration) -> Option<Duration> {
        let over = self.count.checked_sub(FREE)?;
        let pause = Duration::from_secs(1 << over.min(16)).min(LONGEST);
        let until = self.last + pause;
        until.checked_sub(now).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn keys(key: &str) -> Vec<String> {
        vec![key.to_owned()]
    }

    #[test]
    fn the_first_failures_cost_nothing_and_then_the_waits_double() {
        let mut throttle = Throttle::default();
        let mut waits = Vec::new();
        for _ in 0..20 {
            throttle.failed(&keys("a"), SECOND);
            waits.push(throttle.wait(&keys("a"), SECOND).map_or(0, |wait| wait.as_secs()));
        }
        assert_eq!(waits[..9], [0, 0, 0, 0, 1, 2, 4, 8, 16]);
        assert_eq!(waits[19], LONGEST.as_secs());
        assert_eq!(throttle.wait(&keys("a"), SECOND + LONGEST), None);
        assert_eq!(throttle.wait(&keys("b"), SECOND), None);
        throttle.succeeded(&keys("a"));
        assert_eq!(throttle.wait(&keys("a"), SECOND), None);
    }

    #[test]
    fn any_of_several_keys_makes_wait_and_memory_is_bounded() {
        let mut throttle = Throttle::default();
        for _ in 0..9 {
            throttle.failed(&keys("address"), SECOND);
        }
        assert!(
            throttle
                .wait(&["name".to_owned(), "address".to_owned()], SECOND)
                .is_some()
        );
        for n in 0..MOST as u32 + 10 {
            throttle.failed(&keys(&n.to_string()), SECOND * 2);
        }
        assert!(throttle.0.len() <= MOST && throttle.wait(&keys("address"), SECOND).is_none());
    }
}
