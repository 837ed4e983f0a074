//! What must hold in every state, and what is remembered on the way so that it can be told.

use lazaret::broker::Envelope;
use lazaret::event::Event;
use lazaret::quarantine::State;
use lazaret::verdict::{Notes, Report, Status};
use serde_json::Value;

use super::fleet::{At, Fleet, Holder, Process, Room};
use super::ledger::{Ledger, Name, Row};
use super::mutation::Mutation;
use super::world::{Nature, World};

/// Workers that a poison may take.
const LOSSES: u8 = 3;
/// Chance losses while it runs alone that convict an innocent: whoever looks cannot tell them from a poison's.
const MISFORTUNES: u8 = 2;

/// A promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// A digest has at most one running attempt in the ledger.
    OneFlight,
    /// One suspect runs at a time, and nothing beside it in its worker.
    SuspectsRunAlone,
    /// A job has one terminal state, for ever.
    EndsOnce,
    /// All that is told of a job has one event id.
    OneEventId,
    /// No good upload is convicted, but by two chance losses while it ran alone.
    NoInnocentConvicted,
    /// A poison takes at most three workers.
    ThreeLosses,
    /// A job is told, or kept by the ledger, or a message of it is in the broker.
    NothingLost,
    /// The outcome of an attempt that is not running any more changes nothing.
    FencedChangesNothing,
    /// A job ends as the nature of its upload asks for.
    RightVerdict,
    /// Whatever has happened, all jobs can still end: a poison's with its conviction.
    AlwaysCanFinish,
}

/// What happened so far, as far as laws ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tally {
    /// Workers that each upload took down.
    pub losses: Vec<u8>,
    /// Chance losses of each upload while it ran alone.
    pub misfortunes: Vec<u8>,
    /// Event ids told of each job.
    pub told: Vec<Vec<u64>>,
    /// Jobs whose terminal state changed.
    changed: bool,
}

impl Tally {
    pub fn new(world: &World) -> Self {
        Self {
            losses: vec![0; world.uploads.len()],
            misfortunes: vec![0; world.uploads.len()],
            told: vec![Vec::new(); world.jobs.len()],
            changed: false,
        }
    }

    pub fn lost_to(&mut self, upload: u8) {
        self.losses[usize::from(upload)] += 1;
    }

    pub fn struck_by_chance(&mut self, world: &World, alone: Option<u8>) {
        if let Some(job) = alone {
            self.misfortunes[usize::from(world.wish(job).upload)] += 1;
        }
    }

    pub fn ended(&mut self, before: Row, after: Row) {
        self.changed |= matches!(before, Row::Ended(_)) && before != after;
    }

    pub fn told(&mut self, world: &World, job: u8, worker: Name, status: Status) {
        let id = event_id(job, worker, status, world);
        let told = &mut self.told[usize::from(job)];
        if let Err(at) = told.binary_search(&id) {
            told.insert(at, id);
        }
    }
}

/// The id of the event, by the program's own rule.
fn event_id(job: u8, worker: Name, status: Status, world: &World) -> u64 {
    let job = match world.is(Mutation::IdsNameTheWorker) {
        true => format!("job-{job} of w{worker}"),
        false => format!("job-{job}"),
    };
    let report = report(&job, &format!("w{worker}"), status);
    let event = Event::of(report, &Envelope::default(), chrono::DateTime::UNIX_EPOCH);
    let digits: String = event.id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap()
}

pub fn report(job: &str, worker: &str, status: Status) -> Report {
    Report {
        job: job.to_owned(),
        tenant: "acme".to_owned(),
        status,
        reason: None,
        detail: None,
        repeat: false,
        sha256: None,
        bytes: None,
        format: None,
        width: None,
        height: None,
        frames: None,
        placeholder: None,
        info: None,
        renditions: Vec::new(),
        notes: Notes::NONE,
        cpu_ms: None,
        wall_ms: None,
        peak_memory_bytes: None,
        queued_ms: None,
        worker: worker.to_owned(),
        metadata: Value::Null,
    }
}

impl<L: Ledger> Fleet<L> {
    /// The first law that does not hold here.
    pub fn broken(&self, world: &World) -> Option<Law> {
        let laws = [
            (Law::OneFlight, self.one_flight()),
            (Law::SuspectsRunAlone, self.suspects_run_alone()),
            (Law::EndsOnce, !self.tally.changed),
            (Law::OneEventId, self.tally.told.iter().all(|ids| ids.len() <= 1)),
            (
                Law::ThreeLosses,
                self.tally.losses.iter().all(|losses| *losses <= LOSSES),
            ),
            (Law::NothingLost, self.nothing_lost(world)),
            (Law::NoInnocentConvicted, self.no_innocent_convicted(world)),
            (Law::RightVerdict, self.right_verdicts(world)),
        ];
        laws.into_iter().find(|(_, holds)| !holds).map(|(law, _)| law)
    }

    fn one_flight(&self) -> bool {
        let runs = &self.ledger.model().runs;
        runs.iter()
            .enumerate()
            .all(|(index, run)| runs[..index].iter().all(|other| other.upload != run.upload))
    }

    fn suspects_run_alone(&self) -> bool {
        let solos = self.ledger.model().runs.iter().filter(|run| run.solo).count();
        let keeps_room = |process: &Process| {
            let alone = |at: At| matches!(at, At::Flying { room: Room::Alone, .. });
            process.flying().count() <= 1 || !process.flying().any(|hand| alone(hand.at))
        };
        solos <= 1 && self.workers.iter().all(keeps_room)
    }

    fn nothing_lost(&self, world: &World) -> bool {
        (0..world.jobs.len() as u8).all(|job| {
            let held = |process: &Process| {
                let holds = |holder: Holder| holder == Holder::Broker;
                process.hands.iter().any(|hand| hand.job == job && holds(hand.holder))
            };
            !self.tally.told[usize::from(job)].is_empty()
                || matches!(self.ledger.model().row(job), Row::Waiting { .. })
                || self.queue.iter().any(|message| message.job == job)
                || self.workers.iter().any(held)
        })
    }

    fn no_innocent_convicted(&self, world: &World) -> bool {
        (0..world.uploads.len() as u8).all(|upload| {
            let convicted = self
                .ledger
                .model()
                .entry(upload)
                .is_some_and(|entry| entry.state == State::Quarantined);
            !convicted || !world.nature(upload).is_innocent() || self.was_unlucky(upload)
        })
    }

    fn was_unlucky(&self, upload: u8) -> bool {
        self.tally.misfortunes[usize::from(upload)] >= MISFORTUNES
    }

    fn right_verdicts(&self, world: &World) -> bool {
        (0..world.jobs.len() as u8).all(|job| {
            let wish = world.wish(job);
            let right = world.nature(wish.upload).verdict(wish.recipe);
            match self.ledger.model().row(job) {
                Row::Nothing | Row::Waiting { .. } => true,
                Row::Ended(Status::Failed) => world.ladder < lazaret::service::LADDER.len() as u8,
                Row::Ended(Status::Quarantined) if self.was_unlucky(wish.upload) => true,
                // One that trips with another recipe may be covered whole by then.
                Row::Ended(status) => status == right || is_covered(world.nature(wish.upload), status),
            }
        })
    }
}

/// An upload that is lost with a worker is covered whole, whatever the recipe.
fn is_covered(nature: Nature, status: Status) -> bool {
    nature == Nature::EncoderBomb && status == Status::Quarantined
}
