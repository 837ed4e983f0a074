//! What is simulated: uploads and their natures, jobs, how many workers, and how much may go wrong.

use lazaret::blame::Control;
use lazaret::recipe::RecipeKey;
use lazaret::sandbox::outcome::{Outcome, Trip};
use lazaret::sandbox::protocol::Phase;
use lazaret::verdict::{Exceeded, Reason, Refusal, Status};

use super::mutation::Mutation;

/// What an upload does to whoever runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Converts.
    Good,
    /// Refused by the child.
    Corrupt,
    /// Trips a limit: exact evidence.
    Bomb,
    /// Trips in the encoder, with recipe 1 only.
    EncoderBomb,
    /// Its child crashes: two strikes.
    Crasher,
    /// Its worker dies.
    Poison,
    /// Every worker of the host dies.
    HostKiller,
}

/// One job.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    pub upload: u8,
    pub recipe: u8,
}

/// How much may go wrong, and of what kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A worker is killed by chance, whatever it does.
    pub crashes: u8,
    /// A worker stands still for longer than its lease, and goes on.
    pub pauses: u8,
    /// The broker delivers a message again while it is in hand.
    pub redeliveries: u8,
    /// An attempt starves, or its host is sick.
    pub mishaps: u8,
    /// A worker is told to stop.
    pub drains: u8,
    /// The ledger fails when an attempt is to be settled: before the commit, or after.
    pub silences: u8,
    /// A worker is not told what its claim came to: nothing, or a recorded attempt.
    pub unheard: u8,
}

/// A world.
#[derive(Debug, Clone)]
pub struct World {
    pub name: &'static str,
    pub uploads: Vec<Nature>,
    pub jobs: Vec<Wish>,
    pub workers: usize,
    /// Attempts at once in a worker.
    pub slots: usize,
    /// Jobs in hand at once in a worker.
    pub hands: usize,
    /// Whether all workers see each other's locks: nobody who lives is buried then.
    pub one_host: bool,
    /// Tries after which a job ends `failed`.
    pub ladder: u8,
    pub faults: Faults,
    pub mutation: Option<Mutation>,
}

impl World {
    /// One job for each upload, two workers on one host with two slots, and nothing that goes wrong by chance.
    pub fn of(name: &'static str, uploads: &[Nature]) -> Self {
        Self {
            name,
            uploads: uploads.to_vec(),
            jobs: (0..uploads.len() as u8)
                .map(|upload| Wish { upload, recipe: 0 })
                .collect(),
            workers: 2,
            slots: 2,
            hands: 2,
            one_host: true,
            ladder: lazaret::service::LADDER.len() as u8,
            faults: Faults::default(),
            mutation: None,
        }
    }

    /// One more job.
    pub fn and(mut self, upload: u8, recipe: u8) -> Self {
        self.jobs.push(Wish { upload, recipe });
        self
    }

    pub fn with(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    pub fn mutated(mut self, mutation: Mutation) -> Self {
        self.mutation = Some(mutation);
        self
    }

    pub fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub fn nature(&self, upload: u8) -> Nature {
        self.uploads[usize::from(upload)]
    }

    pub fn wish(&self, job: u8) -> Wish {
        self.jobs[usize::from(job)]
    }
}

impl Nature {
    /// What must become of a job for this upload.
    pub fn verdict(self, recipe: u8) -> Status {
        match self {
            Self::Good => Status::Converted,
            Self::Corrupt => Status::Rejected,
            Self::EncoderBomb if recipe == 0 => Status::Converted,
            Self::EncoderBomb | Self::Bomb | Self::Crasher | Self::Poison | Self::HostKiller => Status::Quarantined,
        }
    }

    pub fn is_innocent(self) -> bool {
        matches!(self, Self::Good | Self::Corrupt)
    }

    /// How an attempt ends that nothing disturbs; `None` where its worker does not live to tell.
    pub fn fate(self, recipe: u8) -> Option<Fate> {
        match self {
            Self::Good => Some(Fate::Converted),
            Self::EncoderBomb if recipe == 0 => Some(Fate::Converted),
            Self::EncoderBomb => Some(Fate::TrippedEncoding),
            Self::Corrupt => Some(Fate::Refused),
            Self::Bomb => Some(Fate::Tripped),
            Self::Crasher => Some(Fate::Crashed),
            Self::Poison | Self::HostKiller => None,
        }
    }
}

/// How an attempt ended, as its worker tells the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    Converted,
    Refused,
    Tripped,
    TrippedEncoding,
    Crashed,
    /// It crashed, and so does the control image.
    SickHost,
    Starved,
    /// Ended by a drain.
    Released,
}

impl Fate {
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Converted => Outcome::Converted(Vec::new()),
            Self::Refused => Outcome::Refused(Refusal::new(Reason::Corrupt, "")),
            Self::Tripped | Self::TrippedEncoding => Outcome::Tripped(Trip {
                reason: Reason::Memory,
                exceeded: Exceeded {
                    limit: String::new(),
                    seen: 2,
                    allowed: 1,
                },
            }),
            Self::Crashed | Self::SickHost => Outcome::Crashed(String::new()),
            Self::Starved => Outcome::Starved,
            Self::Released => Outcome::Released,
        }
    }

    pub fn control(self) -> Control {
        match self {
            Self::Crashed => Control::Converted,
            Self::SickHost => Control::Failed,
            _ => Control::NotRun,
        }
    }

    pub fn phase(self) -> Phase {
        match self {
            Self::TrippedEncoding => Phase::Encode,
            _ => Phase::Decode,
        }
    }
}

/// The key of a recipe.
pub fn recipe_key(recipe: u8) -> RecipeKey {
    RecipeKey(if recipe == 0 { "thumb" } else { "large" }.to_owned())
}
