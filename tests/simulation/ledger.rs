//! The ledger, reduced to what its transactions decide. Judgements and gates are the program's own rules; what is modelled is which
//! rows a transaction reads and writes. [`twin`](super::twin) holds this model against the real stores, answer by answer.

use std::time::Duration;

use lazaret::blame::{self, Judgement, Scope, Strike};
use lazaret::quarantine::{Gate, State};
use lazaret::verdict::{Reason, Status};

use super::mutation::Mutation;
use super::world::{Fate, World, recipe_key};

/// A worker's name. Names are used again only when nothing speaks of their first bearer any more.
pub type Name = u8;
/// An attempt, and its fencing token; used again as names are.
pub type Token = u8;

/// An entry of the quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    pub state: State,
    pub reason: Reason,
    /// The recipe, where the entry covers no other.
    pub only: Option<u8>,
    /// Strikes since it was last let go.
    pub strikes: Vec<Reason>,
}

/// An attempt that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run {
    pub token: Token,
    pub upload: u8,
    pub recipe: u8,
    pub worker: Name,
    pub solo: bool,
}

/// What the ledger knows of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Row {
    Nothing,
    Waiting { owner: Option<Name>, tries: u8 },
    Ended(Status),
}

/// Asks to run an upload.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    pub job: u8,
    pub worker: Name,
    pub alone: bool,
    /// The token of the attempt, if there is to be one.
    pub fresh: Token,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    Listed,
    Known(Status),
    Busy,
    MustBeAlone,
    Run {
        solo: bool,
    },
    /// The worker was taken for lost.
    NotSignedOn,
}

/// What became of an ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Judged(Judgement),
    Fenced,
}

/// The end of an attempt, to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ending {
    pub token: Token,
    pub job: u8,
    pub fate: Fate,
}

/// A worker that renews its lease, and the jobs of the ledger that it has in hand.
#[derive(Debug)]
pub struct Living {
    pub worker: Name,
    pub jobs: Vec<u8>,
}

/// The transactions that workers make.
pub trait Ledger {
    fn model(&self) -> &Model;
    /// A process with a name of its own signs on.
    fn start(&mut self, worker: Name) {
        self.sign_on(worker);
    }
    /// The heartbeat; a worker that was taken for lost signs on again.
    fn sign_on(&mut self, worker: Name);
    fn sign_off(&mut self, world: &World, worker: Name);
    /// The worker's end is certain: nobody holds its lock.
    fn bury(&mut self, world: &World, worker: Name);
    /// The worker's lease is over.
    fn bury_lapsed(&mut self, world: &World, worker: Name) {
        self.bury(world, worker);
    }
    fn arrival(&mut self, job: u8) -> Row;
    fn claim(&mut self, world: &World, claim: &Claim) -> Claimed;
    /// Releases what runs of an upload for a worker that never heard of it.
    fn disown(&mut self, worker: Name, upload: u8);
    fn settle(&mut self, world: &World, ending: &Ending) -> Settled;
    fn park(&mut self, world: &World, job: u8, tries: u8);
    /// Takes over a job that waits: the one that is wished for, or another one that waits as well.
    fn adopt(&mut self, world: &World, worker: Name, wished: u8, living: &[Living]) -> u8;
    /// More time passes than a lease, and these renew theirs.
    fn lease_passes(&mut self, _living: &[Living]) {}
    /// Ends a job whose message is in hand, unless the ledger keeps it: `None` then.
    fn end_unless_kept(&mut self, world: &World, job: u8, status: Status) -> Option<Status>;
    /// Ends a job; returns the status that counts.
    fn end(&mut self, world: &World, job: u8, status: Status) -> Status;
}

/// The model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Model {
    pub entries: Vec<Option<Entry>>,
    /// What is remembered of each upload, by recipe.
    pub results: Vec<[Option<Status>; 2]>,
    pub runs: Vec<Run>,
    pub jobs: Vec<Row>,
    pub signed_on: Vec<Name>,
}

impl Model {
    pub fn new(world: &World) -> Self {
        Self {
            entries: vec![None; world.uploads.len()],
            results: vec![[None; 2]; world.uploads.len()],
            runs: Vec::new(),
            jobs: vec![Row::Nothing; world.jobs.len()],
            signed_on: Vec::new(),
        }
    }

    pub fn entry(&self, upload: u8) -> Option<&Entry> {
        self.entries[usize::from(upload)].as_ref()
    }

    pub fn row(&self, job: u8) -> Row {
        self.jobs[usize::from(job)]
    }

    pub fn is_running(&self, upload: u8) -> bool {
        self.runs.iter().any(|run| run.upload == upload)
    }

    /// What a claim would be answered; writes nothing.
    pub fn look(&self, world: &World, claim: &Claim) -> Claimed {
        let wish = world.wish(claim.job);
        let gate = self
            .entry(wish.upload)
            .map_or(Gate::Open, |entry| entry.gate(wish.recipe));
        if gate == Gate::Closed {
            return Claimed::Listed;
        }
        if let Some(status) = self.results[usize::from(wish.upload)][usize::from(wish.recipe)] {
            return Claimed::Known(status);
        }
        if self.is_running(wish.upload) && !world.is(Mutation::CopiesRunToo) {
            return Claimed::Busy;
        }
        let solo = gate == Gate::Solo;
        if solo && self.runs.iter().any(|run| run.solo) && !world.is(Mutation::ManySolos) {
            return Claimed::Busy;
        }
        if solo && !claim.alone {
            return Claimed::MustBeAlone;
        }
        if !self.signed_on.contains(&claim.worker) {
            return Claimed::NotSignedOn;
        }
        Claimed::Run { solo }
    }

    /// Jobs that wait for anybody; those that are some worker's own are not among them.
    pub fn free(&self, world: &World, job: u8) -> bool {
        matches!(self.row(job), Row::Waiting { owner: None, .. }) && !self.is_running(world.wish(job).upload)
    }

    fn press(&mut self, run: &Run, judgement: Judgement, reason: Reason, scope: Scope) {
        let convict = matches!(judgement, Judgement::Convict(_));
        let only = (scope == Scope::Recipe).then_some(run.recipe);
        let entry = &mut self.entries[usize::from(run.upload)];
        match entry {
            Some(entry) if matches!(entry.state, State::Quarantined | State::Confirmed) => {
                let other = entry.only != Some(run.recipe) || scope == Scope::Upload;
                if convict && entry.only.is_some() && other {
                    entry.only = None;
                }
                entry.strikes.push(reason);
            }
            _ => {
                let mut strikes = entry.take().map_or_else(Vec::new, |entry| entry.strikes);
                strikes.push(reason);
                let state = if convict { State::Quarantined } else { State::Suspected };
                *entry = Some(Entry {
                    state,
                    reason,
                    only,
                    strikes,
                });
            }
        }
    }

    fn suspect(&mut self, upload: u8) {
        let entry = &mut self.entries[usize::from(upload)];
        let before = entry.as_ref().map(|entry| entry.state);
        if matches!(before, None | Some(State::Released | State::Expired)) {
            let strikes = entry.take().map_or_else(Vec::new, |entry| entry.strikes);
            *entry = Some(Entry {
                state: State::Suspected,
                reason: Reason::WorkerLoss,
                only: None,
                strikes,
            });
        }
    }

    /// It ended in order: a suspicion is cleared, and its strikes with it.
    fn clear(&mut self, upload: u8) {
        if let Some(entry) = &mut self.entries[usize::from(upload)]
            && entry.state == State::Suspected
        {
            entry.state = State::Released;
            entry.strikes.clear();
        }
    }

    fn counted(&self, upload: u8) -> Vec<Strike> {
        let reasons = self.entry(upload).map_or(&[][..], |entry| &entry.strikes);
        let strike = |reason: &Reason| Strike {
            reason: *reason,
            age: Duration::ZERO,
        };
        reasons.iter().map(strike).collect()
    }

    fn write(&mut self, world: &World, run: &Run, fate: Fate) -> Judgement {
        let earlier = self.counted(run.upload);
        let control = match world.is(Mutation::ControlIsIgnored) {
            true => blame::Control::Converted,
            false => fate.control(),
        };
        let judgement = blame::judge(&fate.outcome(), &earlier, control);
        let judgement = match judgement {
            Judgement::Strike(reason) if world.is(Mutation::OneStrikeConvicts) => Judgement::Convict(reason),
            judgement => judgement,
        };
        let result = &mut self.results[usize::from(run.upload)][usize::from(run.recipe)];
        match judgement {
            Judgement::Clear | Judgement::Remember => {
                let converted = judgement == Judgement::Clear;
                *result = Some(if converted { Status::Converted } else { Status::Rejected });
                self.clear(run.upload);
            }
            Judgement::Strike(reason) | Judgement::Convict(reason) => {
                // Crashes cover the upload whatever the phase; no fate here crashes in the encoder.
                self.press(run, judgement, reason, Scope::of(fate.phase()));
            }
            Judgement::Retry | Judgement::SickHost => {}
        }
        judgement
    }

    fn lose_alone(&mut self, world: &World, run: &Run) {
        let judgement = match blame::judge_solo_loss(&self.counted(run.upload)) {
            Judgement::Strike(reason) if world.is(Mutation::OneStrikeConvicts) => Judgement::Convict(reason),
            judgement => judgement,
        };
        self.press(run, judgement, Reason::WorkerLoss, Scope::Upload);
    }

    fn leave(&mut self, worker: Name) {
        self.signed_on.retain(|name| *name != worker);
        for row in &mut self.jobs {
            if let Row::Waiting { owner, .. } = row
                && *owner == Some(worker)
            {
                *owner = None;
            }
        }
    }
}

impl Entry {
    /// The program's own rule.
    pub fn gate(&self, asked: u8) -> Gate {
        let scope = if self.only.is_some() {
            Scope::Recipe
        } else {
            Scope::Upload
        };
        let listed = self.only.map(recipe_key);
        self.state.gate(scope, listed.as_ref(), &recipe_key(asked))
    }
}

impl Ledger for Model {
    fn model(&self) -> &Model {
        self
    }

    fn sign_on(&mut self, worker: Name) {
        if !self.signed_on.contains(&worker) {
            self.signed_on.push(worker);
            self.signed_on.sort_unstable();
        }
    }

    fn sign_off(&mut self, _: &World, worker: Name) {
        self.runs.retain(|run| run.worker != worker);
        self.leave(worker);
    }

    fn bury(&mut self, world: &World, worker: Name) {
        if world.is(Mutation::BurialForgetsRuns) {
            return self.leave(worker);
        }
        let (lost, others): (Vec<Run>, Vec<Run>) = self.runs.iter().partition(|run| run.worker == worker);
        self.runs = others;
        for run in &lost {
            let alone = run.solo && lost.len() == 1;
            if alone {
                self.lose_alone(world, run);
            } else if world.is(Mutation::CompanyIsConvicted) {
                let reason = Reason::WorkerLoss;
                self.press(run, Judgement::Convict(reason), reason, Scope::Upload);
            } else if !world.is(Mutation::NobodyIsSuspected) {
                self.suspect(run.upload);
            }
        }
        self.leave(worker);
    }

    fn arrival(&mut self, job: u8) -> Row {
        self.row(job)
    }

    fn claim(&mut self, world: &World, claim: &Claim) -> Claimed {
        let claimed = self.look(world, claim);
        if let Claimed::Run { solo } = claimed
            && !world.is(Mutation::SpawnedBeforeItIsRecorded)
        {
            let wish = world.wish(claim.job);
            self.runs.push(Run {
                token: claim.fresh,
                upload: wish.upload,
                recipe: wish.recipe,
                worker: claim.worker,
                solo,
            });
            self.runs.sort_unstable();
        }
        claimed
    }

    fn disown(&mut self, worker: Name, upload: u8) {
        self.runs.retain(|run| (run.worker, run.upload) != (worker, upload));
    }

    fn settle(&mut self, world: &World, ending: &Ending) -> Settled {
        let wish = world.wish(ending.job);
        match self.runs.iter().position(|run| run.token == ending.token) {
            Some(at) => {
                let run = self.runs.remove(at);
                Settled::Judged(self.write(world, &run, ending.fate))
            }
            None if world.is(Mutation::LateOutcomesCount) || world.is(Mutation::SpawnedBeforeItIsRecorded) => {
                let run = Run {
                    token: ending.token,
                    upload: wish.upload,
                    recipe: wish.recipe,
                    worker: Name::MAX,
                    solo: false,
                };
                Settled::Judged(self.write(world, &run, ending.fate))
            }
            None => Settled::Fenced,
        }
    }

    fn park(&mut self, _: &World, job: u8, tries: u8) {
        let row = &mut self.jobs[usize::from(job)];
        if !matches!(row, Row::Ended(_)) {
            *row = Row::Waiting { owner: None, tries };
        }
    }

    fn adopt(&mut self, _: &World, worker: Name, wished: u8, _: &[Living]) -> u8 {
        if let Row::Waiting { owner, .. } = &mut self.jobs[usize::from(wished)] {
            *owner = Some(worker);
        }
        wished
    }

    fn end_unless_kept(&mut self, world: &World, job: u8, status: Status) -> Option<Status> {
        let kept = matches!(self.row(job), Row::Waiting { .. }) && !world.is(Mutation::KeptIsEndedUntold);
        (!kept).then(|| self.end(world, job, status))
    }

    fn end(&mut self, world: &World, job: u8, status: Status) -> Status {
        let row = &mut self.jobs[usize::from(job)];
        match row {
            Row::Ended(first) if !world.is(Mutation::TheLastReportCounts) => *first,
            _ => {
                *row = Row::Ended(status);
                status
            }
        }
    }
}
