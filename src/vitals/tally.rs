//! What was counted since the process began. A configuration that takes over goes on counting where the last one stopped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::figures::{Counter, Family, Histogram, Scale};
use super::hours::Hours;
use super::untold::Untold;
use crate::blame::Judgement;
use crate::clock::{self, Stopwatch};
use crate::ledger::{Ending, Renews, Settled};
use crate::pipeline::Retry;
use crate::sandbox::outcome::Outcome;
use crate::verdict::{Reason, Report};

/// Bounds of CPU and wall times, in milliseconds.
const TIMES: [u64; 9] = [10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000];
/// Bounds of waiting times, in milliseconds.
const WAITS: [u64; 10] = [10, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000];
/// Bounds of memory, in bytes.
const MEMORY: [u64; 7] = [16 << 20, 32 << 20, 64 << 20, 128 << 20, 256 << 20, 512 << 20, 1 << 30];

/// Words of [`Retry`].
const RETRIES: [&str; 4] = ["strike", "attempt", "store", "ledger"];

/// What the listener is asked for, as it is counted.
pub const PATHS: [&str; 4] = ["livez", "readyz", "metrics", "other"];

/// Words of [`PATHS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Whether the process lives.
    Livez,
    /// Whether it takes work.
    Readyz,
    /// Its figures.
    Metrics,
    /// Nothing of these.
    Other,
}

/// What was counted.
#[derive(Debug)]
pub struct Tally {
    /// Runs since the process began.
    pub clock: Stopwatch,
    /// When the worker's runtime turned last, in milliseconds of the clock.
    turned_ms: AtomicU64,
    /// Jobs that ended: as converted, and by reason. Run for them, and answered from memory.
    jobs: [Vec<Counter>; 2],
    /// The same jobs, hour by hour.
    pub hours: Hours,
    /// Those of them that the ledger has not counted yet.
    pub untold: Untold,
    /// From enqueueing to the start of work.
    pub waits: Histogram,
    /// Attempts that ended.
    pub attempts: Family,
    /// Their CPU time.
    pub cpu: Histogram,
    /// Their wall time.
    pub wall: Histogram,
    /// Their peak memory.
    pub memory: Histogram,
    /// Uploads that attempts read.
    pub upload_bytes: Counter,
    /// Strikes by reason.
    strikes: Vec<Counter>,
    /// Convictions by reason.
    convictions: Vec<Counter>,
    /// Attempts that tried again what was decided under another epoch.
    pub renewals: Family,
    /// Attempts whose worker was lost, as this one found.
    pub lost: Counter,
    /// Jobs that are tried again.
    pub retries: Family,
    /// Conversions of what is known to be good, by result.
    pub controls: Family,
    /// What became of notices.
    pub notices: Family,
    /// Spans that ended, by what became of them on the way to a collector.
    pub spans: Family,
    /// Requests by what they asked for.
    requests: Vec<Counter>,
    /// Connections that were closed for newer ones.
    pub evicted: Counter,
}

impl Tally {
    pub(super) fn new() -> Self {
        let by_reason = || Reason::ALL.iter().map(|_| Counter::default()).collect::<Vec<_>>();
        let by_end = || (0..=Reason::ALL.len()).map(|_| Counter::default()).collect::<Vec<_>>();
        Self {
            clock: Stopwatch::start(),
            turned_ms: AtomicU64::new(0),
            jobs: [by_end(), by_end()],
            hours: Hours::default(),
            untold: Untold::default(),
            waits: Histogram::of(Scale::Milliseconds, &WAITS),
            attempts: Family::of(&Outcome::WORDS),
            cpu: Histogram::of(Scale::Milliseconds, &TIMES),
            wall: Histogram::of(Scale::Milliseconds, &TIMES),
            memory: Histogram::of(Scale::Bytes, &MEMORY),
            upload_bytes: Counter::default(),
            strikes: by_reason(),
            convictions: by_reason(),
            renewals: Family::of(&Outcome::WORDS),
            lost: Counter::default(),
            retries: Family::of(&RETRIES),
            controls: Family::of(&["converted", "failed", "unclear"]),
            notices: Family::of(&["sent", "counted", "failed"]),
            spans: Family::of(&["sent", "failed", "dropped"]),
            requests: PATHS.iter().map(|_| Counter::default()).collect(),
            evicted: Counter::default(),
        }
    }

    /// The worker's runtime turns.
    pub fn turns(&self) {
        self.turned_ms.store(self.clock.elapsed_ms(), Ordering::Relaxed);
    }

    /// How long ago it did so last.
    pub fn turned_ago(&self) -> Duration {
        let turned = Duration::from_millis(self.turned_ms.load(Ordering::Relaxed));
        self.clock.elapsed().saturating_sub(turned)
    }

    /// A job has ended with this report.
    pub fn job_ended(&self, report: &Report) {
        let end = report.reason.map_or(0, |reason| reason as usize + 1);
        if let Some(count) = self.jobs[usize::from(report.repeat)].get(end) {
            count.one();
        }
        self.hours.ended(clock::unix_ms(), report.status);
        self.untold.ended(report.status);
        if let Some(waited) = report.queued_ms {
            self.waits.saw(waited);
        }
    }

    /// Jobs that ended, by reason (none: converted), run or answered from memory.
    pub fn jobs(&self) -> impl Iterator<Item = (Option<Reason>, Ran, u64)> + '_ {
        let ends = || [None].into_iter().chain(Reason::ALL.map(Some));
        let [run, known] = &self.jobs;
        let told = |counts: &'_ [Counter], ran| {
            let counts = counts.iter().map(Counter::so_far).collect::<Vec<_>>();
            ends().zip(counts).map(move |(end, count)| (end, ran, count))
        };
        told(run, Ran::Now).chain(told(known, Ran::Before))
    }

    /// An attempt has ended, and was settled.
    pub fn attempt_ended(&self, ending: &Ending, settled: &Settled, renews: Option<Renews>) {
        self.attempts.one(ending.outcome.word());
        if renews.is_some() {
            self.renewals.one(ending.outcome.word());
        }
        self.cpu.saw(ending.usage.cpu_ms);
        self.wall.saw(ending.usage.wall_ms);
        self.memory.saw(ending.usage.peak_memory_bytes);
        self.upload_bytes.add(ending.looks.bytes);
        let (strike, conviction) = match settled {
            Settled::Judged(Judgement::Strike(reason)) => (Some(*reason), None),
            // What stays in quarantine was convicted before.
            Settled::Judged(Judgement::Convict(reason)) => {
                (Some(*reason), Some(*reason).filter(|_| renews != Some(Renews::Entry)))
            }
            _ => (None, None),
        };
        count(&self.strikes, strike);
        count(&self.convictions, conviction);
    }

    /// Attempts of lost workers were judged.
    pub fn attempts_lost(&self, judgements: impl Iterator<Item = Judgement>) {
        for judgement in judgements {
            self.lost.one();
            if let Judgement::Strike(reason) | Judgement::Convict(reason) = judgement {
                count(&self.strikes, Some(reason));
            }
            if let Judgement::Convict(reason) = judgement {
                count(&self.convictions, Some(reason));
            }
        }
    }

    /// Strikes, by those reasons that there can be.
    pub fn strikes(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        held(&self.strikes)
    }

    /// Convictions, by those reasons that there can be.
    pub fn convictions(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        held(&self.convictions)
    }

    /// A job is tried again.
    pub fn retried(&self, retry: &Retry) {
        self.retries.one(match retry {
            Retry::Strike(_) => "strike",
            Retry::Attempt(_) => "attempt",
            Retry::Store(_) => "store",
            Retry::Ledger(_) => "ledger",
        });
    }

    /// Somebody asked for something.
    pub fn asked_for(&self, path: Path) {
        if let Some(count) = self.requests.get(path as usize) {
            count.one();
        }
    }

    /// Requests by what they asked for.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        PATHS.into_iter().zip(self.requests.iter().map(Counter::so_far))
    }
}

/// When the attempt behind a job's end was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// For this job, if there was one at all.
    Now,
    /// For an earlier one: the answer was known.
    Before,
}

impl Ran {
    /// Its word: whether the answer was known.
    pub fn word(self) -> &'static str {
        match self {
            Self::Now => "no",
            Self::Before => "yes",
        }
    }
}

fn count(counts: &[Counter], reason: Option<Reason>) {
    if let Some(count) = reason.and_then(|reason| counts.get(reason as usize)) {
        count.one();
    }
}

fn held(counts: &[Counter]) -> impl Iterator<Item = (Reason, u64)> + '_ {
    let all = Reason::ALL.into_iter().zip(counts.iter().map(Counter::so_far));
    // Nobody is struck for being on the list.
    all.filter(|(reason, _)| reason.status() == crate::verdict::Status::Quarantined && *reason != Reason::Listed)
}
