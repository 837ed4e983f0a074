//! Which tenant is noisy, and how much of it moves aside. `[pure]`
//!
//! The rule, of the design: over 10 % of what is in flight and at least 30 messages, or over 10 % of recent processing time while others
//! wait. Taken at its word, everybody is noisy where fewer than ten tenants are at work. The reading here:
//!
//! - Nobody is noisy with fewer than [`LEAST`] messages in flight, by either half of the rule.
//! - A share is over 10 % *and* over twice what the other tenants have on average. Three equal tenants have 33 % each, and none is noisy.
//! - Somebody must be disturbed: others are in flight here, or messages may wait [behind](Behind) this worker's window, where nobody can
//!   see whose they are. A tenant that is alone with all it sent is not moved. One that fills the window, alone or not, hides who stands
//!   behind: there, over 10 % of what is in flight is enough.
//! - A tenant stays noisy for [`STAYS`] after it last was, so that it does not come back with each ebb.
//!
//! Of a noisy tenant, all messages move aside but the oldest [`kept`](Worker::kept). In: facts and the time since some start. Absent on
//! purpose: moving anything.

use std::collections::HashMap;
use std::time::Duration;

/// Fewest messages in flight of a noisy tenant.
pub const LEAST: usize = 30;
/// Share over which a tenant may be noisy: one in so many.
pub const ONE_IN: usize = 10;
/// How many times the others' average a share must be over.
pub const TIMES_OTHERS: usize = 2;
/// In so much time, processing time counts half.
pub const HALF_LIFE: Duration = Duration::from_secs(30);
/// How long a tenant stays noisy after it last was.
pub const STAYS: Duration = Duration::from_secs(60);
/// Tenants whose processing time is remembered, before those that used least are forgotten.
const TENANTS: usize = 4096;

/// What a worker holds of one tenant, beside what it holds of all. [`Window::flight_of`](super::window::Window::flight_of) counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// The tenant's messages that wait in its own flow, and could move aside.
    pub movable: usize,
    /// The tenant's messages that wait or are in hand.
    pub of_tenant: usize,
    /// All messages that wait or are in hand.
    pub of_all: usize,
    /// Tenants that these are of.
    pub tenants: usize,
}

/// The worker that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker {
    /// Most messages that it holds: its prefetch.
    pub window: usize,
    /// Most attempts at once.
    pub slots: usize,
    /// Whether more may wait in the lanes.
    pub behind: Behind,
}

/// What stands in the lanes behind a worker's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// Nothing: the window has room.
    Nothing,
    /// Perhaps something: the window is full.
    Perhaps,
}

/// What a tenant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Noisiness {
    /// Its messages stay where they are.
    Quiet,
    /// So many of its newest messages move aside now; perhaps none.
    Noisy {
        /// For [`Window::take_tenant`](super::window::Window::take_tenant): how many stay.
        keep: usize,
        /// How many go.
        excess: usize,
    },
}

/// Recent processing time of each tenant, and who was noisy lately.
#[derive(Debug, Default)]
pub struct Noise {
    used: HashMap<String, Decaying>,
    all: Decaying,
    noisy: HashMap<String, Duration>,
}

/// A sum of CPU milliseconds that halves with time.
#[derive(Debug, Clone, Copy, Default)]
struct Decaying {
    ms: f64,
    at: Duration,
}

impl Decaying {
    fn now(self, now: Duration) -> f64 {
        let elapsed = now.saturating_sub(self.at);
        self.ms * (-elapsed.div_duration_f64(HALF_LIFE)).exp2()
    }

    fn add(&mut self, ms: f64, now: Duration) {
        *self = Self {
            ms: self.now(now) + ms,
            at: now.max(self.at),
        };
    }
}

impl Worker {
    /// How many messages of a noisy tenant stay: enough that no slot waits for it.
    pub fn kept(&self) -> usize {
        (2 * self.slots).max(self.window / 10)
    }
}

impl Noise {
    /// An attempt of a tenant took so much CPU time.
    pub fn used(&mut self, tenant: &str, cpu_ms: u64, now: Duration) {
        if cpu_ms == 0 {
            return;
        }
        self.all.add(cpu_ms as f64, now);
        self.used.entry(tenant.to_owned()).or_default().add(cpu_ms as f64, now);
        if self.used.len() > TENANTS {
            self.forget_half(now);
        }
    }

    /// Judges a tenant now.
    pub fn judge(&mut self, tenant: &str, flight: Flight, worker: &Worker, now: Duration) -> Noisiness {
        if flight.of_tenant >= LEAST && (many(flight, worker.behind) || self.busy(tenant, flight, now)) {
            self.noisy.retain(|_, last| now.saturating_sub(*last) <= STAYS);
            self.noisy.insert(tenant.to_owned(), now);
        }
        match self.noisy.get(tenant) {
            Some(last) if now.saturating_sub(*last) <= STAYS => {
                let keep = worker.kept();
                let excess = flight.movable.saturating_sub(keep);
                Noisiness::Noisy { keep, excess }
            }
            _ => Noisiness::Quiet,
        }
    }

    /// Over its share of recent processing time, while others are in flight.
    fn busy(&self, tenant: &str, flight: Flight, now: Duration) -> bool {
        let used = self.used.get(tenant).map_or(0.0, |used| used.now(now));
        let all = self.all.now(now);
        flight.tenants > 1 && over(used, all, flight.tenants - 1)
    }

    /// Forgets the half of the tenants that used least of late.
    fn forget_half(&mut self, now: Duration) {
        let mut values: Vec<f64> = self.used.values().map(|used| used.now(now)).collect();
        let middle = values.len() / 2;
        let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
        let median = *median;
        self.used.retain(|_, used| used.now(now) > median);
    }
}

/// Over its share of what is in flight, while that may disturb others.
fn many(flight: Flight, behind: Behind) -> bool {
    match behind {
        Behind::Perhaps => flight.of_tenant * ONE_IN > flight.of_all,
        Behind::Nothing if flight.tenants > 1 => {
            over(flight.of_tenant as f64, flight.of_all as f64, flight.tenants - 1)
        }
        Behind::Nothing => false,
    }
}

/// Over one in ten of all, and over twice what the others have on average.
fn over(own: f64, all: f64, others: usize) -> bool {
    own * ONE_IN as f64 > all && own * others as f64 > TIMES_OTHERS as f64 * (all - own).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1000);
    const ROOM: Worker = Worker {
        window: 400,
        slots: 2,
        behind: Behind::Nothing,
    };
    const FULL: Worker = Worker {
        behind: Behind::Perhaps,
        ..ROOM
    };

    fn flight(of_tenant: usize, of_all: usize, tenants: usize) -> Flight {
        Flight {
            movable: of_tenant,
            of_tenant,
            of_all,
            tenants,
        }
    }

    fn is_noisy(noise: &mut Noise, flight: Flight, worker: &Worker) -> bool {
        noise.judge("t", flight, worker, START) != Noisiness::Quiet
    }

    fn noisy(flight: Flight, worker: &Worker) -> bool {
        is_noisy(&mut Noise::default(), flight, worker)
    }

    #[test]
    fn thirty_messages_and_not_one_less() {
        assert!(noisy(flight(30, 40, 5), &ROOM));
        assert!(!noisy(flight(29, 40, 5), &ROOM));
    }

    #[test]
    fn over_a_tenth_and_not_a_tenth() {
        // Twenty others share the rest: ten times less each.
        assert!(noisy(flight(41, 400, 40), &ROOM));
        assert!(!noisy(flight(40, 400, 40), &ROOM));
        assert!(noisy(flight(41, 400, 40), &FULL));
        assert!(!noisy(flight(40, 400, 40), &FULL));
    }

    #[test]
    fn over_twice_what_others_have() {
        // Three others with 20 each on average.
        assert!(noisy(flight(41, 101, 4), &ROOM));
        assert!(!noisy(flight(40, 100, 4), &ROOM));
        assert!(!noisy(flight(100, 300, 3), &ROOM), "three equal tenants");
    }

    #[test]
    fn alone_it_is_noisy_only_where_somebody_may_stand_behind() {
        assert!(!noisy(flight(300, 300, 1), &ROOM));
        assert!(noisy(flight(400, 400, 1), &FULL));
    }

    #[test]
    fn processing_time_counts_while_others_are_there() {
        let shares = |own, other| {
            let mut noise = Noise::default();
            noise.used("t", own, START);
            for number in 0..20 {
                noise.used(&format!("other{number}"), other, START);
            }
            noise
        };
        // 30 of 400 messages are not many; 111 of 1,111 ms and 21 tenants are.
        let few = flight(30, 400, 21);
        assert!(is_noisy(&mut shares(112, 50), few, &ROOM));
        assert!(!is_noisy(&mut shares(111, 50), few, &ROOM), "a tenth: 111 of 1,111 ms");
        assert!(!is_noisy(&mut shares(112, 50), flight(29, 400, 21), &ROOM));
        assert!(
            !is_noisy(&mut shares(112, 0), flight(40, 40, 1), &ROOM),
            "nobody else is there"
        );
        assert!(
            !is_noisy(&mut shares(50, 50), flight(30, 400, 3), &ROOM),
            "not over a tenth"
        );
    }

    #[test]
    fn processing_time_is_forgotten_by_halves() {
        let mut noise = Noise::default();
        noise.used("t", 1000, START);
        let later = START + HALF_LIFE;
        assert!((noise.used["t"].now(later) - 500.0).abs() < 1e-6);
        assert!((noise.used["t"].now(later + HALF_LIFE) - 250.0).abs() < 1e-6);
        for _ in 0..20 {
            noise.used("other", 100, later + 10 * HALF_LIFE);
        }
        let flight = flight(30, 400, 2);
        assert_eq!(
            noise.judge("t", flight, &ROOM, later + 10 * HALF_LIFE),
            Noisiness::Quiet
        );
    }

    #[test]
    fn it_stays_noisy_for_a_minute() {
        let mut noise = Noise::default();
        let quiet = flight(20, 40, 5);
        let loud = flight(39, 40, 2);
        assert_eq!(noise.judge("t", quiet, &ROOM, START), Noisiness::Quiet);
        assert_ne!(noise.judge("t", loud, &ROOM, START), Noisiness::Quiet);
        assert_ne!(noise.judge("t", quiet, &ROOM, START + STAYS), Noisiness::Quiet);
        assert_eq!(
            noise.judge("t", quiet, &ROOM, START + STAYS + Duration::from_millis(1)),
            Noisiness::Quiet
        );
    }

    #[test]
    fn what_is_not_needed_to_keep_the_slots_busy_moves() {
        let excess = |movable, window, slots| {
            let worker = Worker {
                window,
                slots,
                behind: Behind::Perhaps,
            };
            let flight = Flight {
                movable,
                ..flight(60, 64, 3)
            };
            Noise::default().judge("t", flight, &worker, START)
        };
        assert_eq!(excess(60, 64, 2), Noisiness::Noisy { keep: 6, excess: 54 });
        assert_eq!(excess(60, 64, 16), Noisiness::Noisy { keep: 32, excess: 28 });
        assert_eq!(excess(5, 64, 2), Noisiness::Noisy { keep: 6, excess: 0 });
    }

    #[test]
    fn what_is_known_is_bounded() {
        let mut noise = Noise::default();
        for number in 0..3 * TENANTS {
            noise.used(&format!("made-up-{number}"), 1 + number as u64 % 7, START);
        }
        noise.used("loud", 1_000_000, START);
        for number in 0..3 * TENANTS {
            noise.used(&format!("made-up-again-{number}"), 1 + number as u64 % 7, START);
        }
        assert!(noise.used.len() <= TENANTS);
        assert!(noise.used.contains_key("loud"));
    }
}
