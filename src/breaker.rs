//! The breaker: whether a rise of trips is the uploads' doing, or our own. `[pure]`
//!
//! A build that is slow, a limit set too low, a host that lies: each makes honest uploads trip, and every one of them would be convicted. So
//! where trips rise, a worker converts a control set again, of images that are known to be good. Where they pass at their usual cost, the
//! convictions stand: an attacker's bombs cannot open the breaker. Where they fail, it opens: the worker takes nothing more until they pass,
//! and what it convicted meanwhile is let go.
//!
//! In: ended attempts and the time since some start. Out: whether to look. Absent on purpose: converting anything.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use crate::digest::Digest;

/// Attempts count for so long.
pub const WINDOW: Duration = Duration::from_secs(300);
/// Fewest distinct uploads that say anything.
pub const LEAST: usize = 20;
/// Share of them that trips, in percent, over which the control set is converted.
pub const PERCENT: usize = 20;
/// Most uploads of one tenant that count.
pub const MOST_OF_A_TENANT: usize = 5;
/// How long a control set that passed is believed.
pub const BELIEVED: Duration = Duration::from_secs(60);
/// Ended attempts that are remembered; older ones are forgotten first.
const MOST_REMEMBERED: usize = 4096;

/// What an ended attempt says about the rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It counts against its upload.
    Tripped,
    /// It does not.
    Well,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Look {
    /// Nothing.
    Calm,
    /// Convert the control set again.
    Again,
}

/// Ended attempts of late.
#[derive(Debug, Default)]
pub struct Watch {
    ended: VecDeque<Ended>,
    passed: Option<Duration>,
}

#[derive(Debug)]
struct Ended {
    at: Duration,
    digest: Digest,
    tenant: String,
    seen: Seen,
}

impl Watch {
    /// Notes an ended attempt; `now` is the time since some start.
    pub fn note(&mut self, digest: Digest, tenant: &str, seen: Seen, now: Duration) -> Look {
        self.forget(now);
        self.ended.push_back(Ended {
            at: now,
            digest,
            tenant: tenant.to_owned(),
            seen,
        });
        let believed = self.passed.is_some_and(|passed| now < passed + BELIEVED);
        // What went well raises nothing.
        if seen == Seen::Tripped && !believed && self.has_risen() {
            Look::Again
        } else {
            Look::Calm
        }
    }

    /// The control set passed.
    pub fn passed(&mut self, now: Duration) {
        self.passed = Some(now);
    }

    /// The control set failed: what tripped until now says nothing against it, and is forgotten here. Returns it, each upload once.
    pub fn failed(&mut self) -> Vec<Digest> {
        let tripped = std::mem::take(self).ended.into_iter();
        let tripped: HashSet<Digest> = tripped
            .filter(|ended| ended.seen == Seen::Tripped)
            .map(|ended| ended.digest)
            .collect();
        tripped.into_iter().collect()
    }

    fn forget(&mut self, now: Duration) {
        while self.ended.len() >= MOST_REMEMBERED || self.ended.front().is_some_and(|first| first.at + WINDOW <= now) {
            self.ended.pop_front();
        }
    }

    fn has_risen(&self) -> bool {
        // A tenant's trips count before what went well with it: five bombs are not hidden behind five photos.
        let mut tripped = HashSet::new();
        let mut of_tenant: HashMap<&str, usize> = HashMap::new();
        self.count(Seen::Tripped, &mut tripped, &mut of_tenant);
        let trips = tripped.len();
        self.count(Seen::Well, &mut tripped, &mut of_tenant);
        let all = tripped.len();
        all >= LEAST && trips * 100 > all * PERCENT
    }

    fn count<'a>(&'a self, seen: Seen, digests: &mut HashSet<&'a Digest>, of_tenant: &mut HashMap<&'a str, usize>) {
        for ended in self.ended.iter().filter(|ended| ended.seen == seen) {
            let count = of_tenant.entry(&ended.tenant).or_default();
            if *count < MOST_OF_A_TENANT && digests.insert(&ended.digest) {
                *count += 1;
            }
        }
    }
}

/// Whether a control image that converted did so at its usual cost: up to four times the CPU time, and a quarter of a second more, because
/// what costs milliseconds varies.
pub fn is_usual(cpu_ms: u64, usual_ms: u64) -> bool {
    cpu_ms <= usual_ms.saturating_mul(4).max(usual_ms.saturating_add(250))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A watch that saw so many uploads go well, of a tenant each.
    fn after(well: usize) -> Watch {
        let mut watch = Watch::default();
        for number in 0..well {
            let look = watch.note(digest(number), &format!("quiet-{number}"), Seen::Well, at(0));
            assert_eq!(look, Look::Calm);
        }
        watch
    }

    #[test]
    fn one_tenants_bombs_do_not_raise_it() {
        let mut watch = after(20);
        for number in 0..500 {
            assert_eq!(
                watch.note(digest(1000 + number), "bomber", Seen::Tripped, at(1)),
                Look::Calm
            );
        }
    }

    #[test]
    fn trips_of_many_tenants_do() {
        let mut watch = after(16);
        // 4 of 20 are 20 %, and the rule says over 20 %.
        for number in 0..4 {
            let tenant = format!("t{number}");
            assert_eq!(
                watch.note(digest(100 + number), &tenant, Seen::Tripped, at(1)),
                Look::Calm
            );
        }
        assert_eq!(watch.note(digest(200), "t5", Seen::Tripped, at(1)), Look::Again);
    }

    #[test]
    fn few_uploads_say_nothing() {
        let mut watch = Watch::default();
        for number in 0..LEAST - 1 {
            let look = watch.note(digest(number), &format!("t{number}"), Seen::Tripped, at(1));
            assert_eq!(look, Look::Calm, "{number}");
        }
        assert_eq!(watch.note(digest(LEAST), "other", Seen::Tripped, at(1)), Look::Again);
    }

    #[test]
    fn the_same_upload_counts_once() {
        let mut watch = after(18);
        for number in 0..50 {
            let look = watch.note(digest(77), &format!("t{number}"), Seen::Tripped, at(1));
            assert_eq!(look, Look::Calm);
        }
    }

    #[test]
    fn a_set_that_passed_is_believed_for_a_while_and_what_is_old_is_forgotten() {
        let mut watch = after(10);
        let trip = |watch: &mut Watch, number: usize, now| {
            watch.note(digest(100 + number), &format!("t{number}"), Seen::Tripped, now)
        };
        let looks: Vec<Look> = (0..10).map(|number| trip(&mut watch, number, at(1))).collect();
        assert_eq!(looks[9], Look::Again);
        watch.passed(at(1));
        assert_eq!(trip(&mut watch, 10, at(60)), Look::Calm);
        assert_eq!(trip(&mut watch, 11, at(61)), Look::Again);
        // What stood for the rise is out of the window.
        assert_eq!(trip(&mut watch, 12, at(301)), Look::Calm);
        assert_eq!(watch.failed().len(), 3, "those of the last five minutes");
        assert_eq!(trip(&mut watch, 13, at(302)), Look::Calm);
    }

    #[test]
    fn the_usual_cost_has_room_for_noise() {
        assert!(is_usual(250, 0) && is_usual(258, 8) && is_usual(4000, 1000));
        assert!(!is_usual(259, 8) && !is_usual(4001, 1000));
    }
}
