//! One drill: behind all its guards, behind each of them alone, and with none.

use std::time::Duration;

use bytesize::ByteSize;
use lazaret::sandbox::drill::Drill;
use lazaret::sandbox::layers::{Held, Layer};
use lazaret::sandbox::limits::Limits;
use lazaret::sandbox::outcome::{End, Outcome};
use lazaret::sandbox::protocol::{FromChild, Task};
use lazaret::sandbox::{Attempted, Watch};
use lazaret::verdict::Reason;
use serde::{Deserialize, Serialize};

use super::effect::Effect;
use super::mode;
use crate::sandbox::bench::{Bench, children, converted, escaped, story, ticks, wait_for};

/// What keeps a drill in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    Layer(Layer),
    /// The supervisor's own watch.
    Supervisor,
    /// The counting allocator.
    Allocator,
}

/// What a drill must come to behind its guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Must {
    /// The filter kills it in the call.
    Violate,
    /// This limit trips.
    Trip(Reason),
    /// Out of wall time, whether the host was quiet or busy.
    RunOutOfTime,
    /// The call fails with an error.
    Fail,
    /// It counts as a crash.
    Crash,
    /// It counts as killed by the host.
    BeKilled,
}

/// How it is shown that the drill would get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    /// With none of its guards it does.
    Guards,
    /// The same; but a host may refuse it all the same, with an error.
    GuardsIfTheHostLets,
    /// What guards is no layer: the honest counterpart gets through in the same way.
    Honest(Drill),
    /// No guard is in the way of anything: it is only to be told apart.
    Nothing,
}

/// One row of the matrix.
pub struct Row {
    pub drill: Drill,
    pub what: &'static str,
    pub guards: &'static [Guard],
    pub must: Must,
    pub without: Without,
    pub limits: fn(&mut Limits),
}

/// What came of it in one mode.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tried {
    pub what: String,
    /// Outcome behind all guards.
    pub outcome: String,
    /// Guards that hold it alone.
    pub held_by: Vec<String>,
    /// Guards that this host or user does not have.
    pub absent: Vec<String>,
    pub without: String,
    /// What is not as it must be.
    pub wrong: Option<String>,
}

impl Tried {
    pub fn wrong(&self) -> Option<String> {
        Some(format!("{}: {}", self.what, self.wrong.as_ref()?))
    }
}

/// One attempt at a drill.
struct Attempt {
    attempted: Attempted,
    /// It did what it must not.
    got_through: bool,
    /// A guard that should have been up was not.
    absent: bool,
}

impl Guard {
    pub fn name(self) -> String {
        match self {
            Self::Layer(layer) => layer.name().to_owned(),
            Self::Supervisor => "supervisor".to_owned(),
            Self::Allocator => "allocator".to_owned(),
        }
    }
}

impl Row {
    /// Tries it in every way.
    pub async fn try_all(&self) -> Tried {
        let guarded = self.attempt(self.guards).await;
        let mut wrong = Vec::new();
        if guarded.got_through || !self.is_as_it_must(&guarded.attempted) {
            wrong.push(format!("behind its guards: {}", story(&guarded.attempted)));
        }
        let (mut held_by, mut absent) = (Vec::new(), Vec::new());
        for guard in self.guards {
            let alone = self.attempt(&[*guard]).await;
            match (alone.absent, alone.got_through) {
                (true, _) => absent.push(guard.name()),
                (false, false) => held_by.push(guard.name()),
                (false, true) => {}
            }
        }
        let without = self.try_without(&mut wrong).await;
        Tried {
            what: self.what.to_owned(),
            outcome: word(&guarded.attempted),
            held_by,
            absent,
            without,
            wrong: (!wrong.is_empty()).then(|| wrong.join("\n")),
        }
    }

    async fn try_without(&self, wrong: &mut Vec<String>) -> String {
        match self.without {
            Without::Guards | Without::GuardsIfTheHostLets => {
                let unguarded = self.attempt(&[]).await;
                match (&unguarded.attempted.drilled, self.without) {
                    _ if unguarded.got_through => return "yes".to_owned(),
                    (Some(FromChild::Held(why)), Without::GuardsIfTheHostLets) => {
                        return format!("not provable here: {why}");
                    }
                    _ => wrong.push(format!("without its guards: {}", story(&unguarded.attempted))),
                }
                "no".to_owned()
            }
            Without::Honest(honest) => {
                let attempted = bench(self).drill(honest).await;
                if !converted(&attempted) {
                    wrong.push(format!("its honest counterpart: {}", story(&attempted)));
                }
                "its counterpart converts".to_owned()
            }
            Without::Nothing => "nothing to get past".to_owned(),
        }
    }

    /// One attempt with only these of its guards.
    async fn attempt(&self, up: &[Guard]) -> Attempt {
        let off = |guard: Guard| self.guards.contains(&guard) && !up.contains(&guard);
        let layers: Vec<Layer> = Layer::ALL
            .into_iter()
            .filter(|layer| off(Guard::Layer(*layer)))
            .collect();
        let mut bench = bench(self).without(&layers);
        if off(Guard::Allocator) {
            bench = bench.limited(|limits| limits.memory = ByteSize::mib(1200));
        }
        let watch = if off(Guard::Supervisor) {
            Watch::KernelOnly
        } else {
            Watch::Both
        };
        let upload = bench.upload(b"");
        let mut effect = Effect::of(self.drill, &upload);
        let task = Task::Drill(self.drill);
        let attempted = tokio::select! {
            attempted = bench.attempt(&upload, task, watch) => attempted,
            () = self.release_late(&bench) => unreachable!("it waits for ever"),
        };
        let seen = effect.happened(&attempted, bench.sandbox.limits.output.as_u64());
        let absent = up.iter().any(|guard| is_absent(*guard, &attempted));
        Attempt {
            got_through: self.got_through(&attempted, seen),
            attempted,
            absent,
        }
    }

    /// A drill that is never done is released when every timer had its time.
    async fn release_late(&self, bench: &Bench) {
        match self.drill {
            Drill::Spin => {
                wait_for("a child that has burnt too much", || {
                    children(std::process::id())
                        .into_iter()
                        .find(|pid| ticks(*pid) > MORE_TICKS_THAN_ANY_LIMIT)
                })
                .await;
            }
            _ => tokio::time::sleep(LONGER_THAN_ANY_TIMER).await,
        }
        if self.is_endless() {
            bench.release.send_replace(true);
        }
        std::future::pending().await
    }

    fn is_endless(&self) -> bool {
        matches!(self.drill, Drill::Sleep | Drill::Spin | Drill::StopItself)
    }

    fn got_through(&self, attempted: &Attempted, seen: Option<bool>) -> bool {
        let outlived = self.is_endless() && attempted.outcome == Outcome::Released;
        // It became another program, which ends well and has nothing to say.
        let became = self.drill == Drill::Exec && attempted.facts.end == End::Exited(0) && attempted.drilled.is_none();
        let said = escaped(attempted) || outlived || became;
        match seen {
            Some(seen) => {
                assert_eq!(
                    seen,
                    said && seen,
                    "{}: seen, and not told: {}",
                    self.what,
                    story(attempted)
                );
                seen
            }
            None => said || converted(attempted),
        }
    }

    fn is_as_it_must(&self, attempted: &Attempted) -> bool {
        match (self.must, &attempted.outcome) {
            (Must::Violate, Outcome::Violation) => attempted.drilled.is_none(),
            (Must::Trip(reason), Outcome::Tripped(trip)) => trip.reason == reason,
            (Must::RunOutOfTime, Outcome::Tripped(trip)) => trip.reason == Reason::Wall,
            (Must::RunOutOfTime, Outcome::Starved) => true,
            (Must::Fail, Outcome::Crashed(_)) => matches!(attempted.drilled, Some(FromChild::Held(_))),
            (Must::Crash, Outcome::Crashed(_)) => true,
            (Must::BeKilled, Outcome::Killed) => true,
            _ => false,
        }
    }
}

/// Past the timer of wall time that [`rows`](super::rows) set.
pub const LONGER_THAN_ANY_TIMER: Duration = Duration::from_millis(3_500);
/// Past the kernel's limit on CPU time, 2 s, which is behind the timer; hundredths of a second.
const MORE_TICKS_THAN_ANY_LIMIT: u64 = 260;

fn bench(row: &Row) -> Bench {
    let mut bench = Bench::new().limited(row.limits);
    bench.sandbox.program = mode::program();
    bench
}

fn is_absent(guard: Guard, attempted: &Attempted) -> bool {
    let Guard::Layer(layer) = guard else { return false };
    let report = attempted.layers.iter().find(|report| report.layer == layer);
    report.is_some_and(|report| matches!(report.held, Held::No(_) | Held::NotApplicable(_)))
}

fn word(attempted: &Attempted) -> String {
    match (&attempted.outcome, &attempted.drilled) {
        (Outcome::Tripped(trip), _) => format!("tripped {:?}", trip.reason).to_lowercase(),
        (Outcome::Starved, _) => "tripped wall".to_owned(),
        (Outcome::Crashed(_), Some(FromChild::Held(why))) => format!("refused: {why}"),
        (outcome, _) => outcome.word().to_owned(),
    }
}
