//! The model and a real ledger, in SQLite or in PostgreSQL, side by side: every transaction is made in both, and they must answer alike.
//!
//! Times are the ledger's own: where the simulation says that a lease is over, its clock is set ahead, and all that live renew theirs.

use std::any::Any;
use std::collections::HashMap;
use std::time::Duration;

use lazaret::blame::Scope;
use lazaret::config::PostgresConfig;
use lazaret::digest::Digest;
use lazaret::ledger::postgres::Postgres;
use lazaret::ledger::sqlite::Sqlite;
use lazaret::ledger::{self as real, Arrival, Attempt, Epoch, KeptJob, LEASE, Looks, WorkerId};
use lazaret::quarantine::Gate;
use lazaret::sandbox::outcome::Usage;
use lazaret::verdict::Status;
use serde_json::json;
use tokio::runtime::Runtime;

use super::law::report;
use super::ledger::{Claim, Claimed, Ending, Ledger, Living, Model, Name, Row, Settled, Token};
use super::world::{World, recipe_key};
use crate::postgres::Server;

/// Longer than a job is set back whose upload is running.
const A_WHILE: Duration = Duration::from_millis(2_100);

/// Both.
pub struct Twin<'a> {
    model: Model,
    store: &'a Store,
    /// What sets this run's rows apart.
    seed: u64,
    names: HashMap<Name, WorkerId>,
    started: u64,
    tokens: HashMap<Token, Attempt>,
    ahead: Duration,
    /// Transactions that were compared.
    pub compared: usize,
}

/// A real ledger.
pub struct Store {
    /// The same one by a clock that is ahead by so many milliseconds.
    ahead: Box<dyn Fn(i64) -> Box<dyn real::Ledger>>,
    runtime: Runtime,
    /// What it lies in.
    _place: Box<dyn Any>,
}

impl Store {
    /// A fresh one in a file: in memory where the host has a folder for that, for every commit is synced.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let runtime = runtime();
        let opened = runtime.block_on(Sqlite::open(&folder.path().join("ledger.sqlite")));
        let ledger = opened.unwrap();
        Self {
            ahead: Box::new(move |offset_ms| Box::new(ledger.clone().with_clock_offset(offset_ms))),
            runtime,
            _place: Box::new(folder),
        }
    }

    /// A fresh one on a server of its own.
    pub fn postgres() -> Self {
        let (runtime, server) = (runtime(), Server::start(&[]));
        let opened = runtime.block_on(async {
            let address = server.database().await.address();
            Postgres::open(&address, &PostgresConfig::default()).await
        });
        let ledger = opened.unwrap();
        Self {
            ahead: Box::new(move |offset_ms| Box::new(ledger.clone().with_clock_offset(offset_ms))),
            runtime,
            _place: Box::new(server),
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

impl<'a> Twin<'a> {
    /// A world in a ledger that may have seen others; none of them has left anything that runs or waits.
    pub fn new(world: &World, store: &'a Store, seed: u64, ahead: Duration) -> Self {
        Self {
            model: Model::new(world),
            store,
            seed,
            names: HashMap::new(),
            started: 0,
            tokens: HashMap::new(),
            ahead,
            compared: 0,
        }
    }

    /// How far the clock was set ahead.
    pub fn ahead(&self) -> Duration {
        self.ahead
    }

    /// What the next world in the same ledger must not find.
    pub fn leave_nothing_behind(self) {
        for worker in self.names.values() {
            self.wait(self.real().sign_off(worker)).unwrap();
        }
    }

    fn real(&self) -> Box<dyn real::Ledger> {
        (self.store.ahead)(self.ahead.as_millis() as i64)
    }

    fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.store.runtime.block_on(what)
    }

    fn id(&self, worker: Name) -> WorkerId {
        self.names[&worker].clone()
    }

    fn job(&self, job: u8) -> String {
        format!("{}-job-{job}", self.seed)
    }

    fn digest(&self, upload: u8) -> Digest {
        Digest::of(format!("{} {upload}", self.seed).as_bytes())
    }

    #[track_caller]
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, model: T, real: T) -> T {
        assert_eq!(model, real, "{what}: the model is left, the ledger right");
        self.compared += 1;
        model
    }

    /// Every entry, as both have it.
    #[track_caller]
    fn entries_are_the_same(&mut self) {
        for upload in 0..self.model.entries.len() as u8 {
            let dossier = self.wait(self.real().dossier(&self.digest(upload))).unwrap();
            let real = dossier.map(|dossier| {
                let entry = dossier.entry;
                let only = entry.recipe.filter(|_| entry.scope == Scope::Recipe);
                (entry.state, entry.reason, only)
            });
            let model = self.model.entry(upload);
            let model = model.map(|entry| (entry.state, entry.reason, entry.only.map(recipe_key)));
            self.same("entry", model, real);
        }
    }

    fn pass(&mut self, time: Duration, living: &[Living]) {
        self.ahead += time;
        let ledger = self.real();
        for Living { worker, jobs } in living {
            let id = self.id(*worker);
            let jobs: Vec<String> = jobs.iter().map(|job| self.job(*job)).collect();
            if self.model.signed_on.contains(worker) {
                self.wait(ledger.heartbeat(&id)).unwrap();
            }
            self.wait(ledger.hold(&id, &jobs)).unwrap();
        }
    }

    fn adopted(&mut self, worker: Name) -> Option<u8> {
        let adopted = self.wait(self.real().adopt(&self.id(worker), 1, &[])).unwrap();
        let job = adopted.into_iter().next()?.job;
        let (_, job) = job.rsplit_once('-').unwrap();
        Some(job.parse().unwrap())
    }
}

fn of_real(claimed: &real::Claimed) -> Claimed {
    match claimed {
        real::Claimed::Listed(_) => Claimed::Listed,
        real::Claimed::Known(known) => Claimed::Known(known.status),
        real::Claimed::Busy => Claimed::Busy,
        real::Claimed::MustBeAlone => Claimed::MustBeAlone,
        real::Claimed::Run(attempt) => Claimed::Run {
            solo: attempt.gate == Gate::Solo,
        },
        real::Claimed::TenantFull => panic!("no tenant has a bound here"),
    }
}

impl Ledger for Twin<'_> {
    fn model(&self) -> &Model {
        &self.model
    }

    fn start(&mut self, worker: Name) {
        self.started += 1;
        let id = WorkerId(format!("{}-w{}", self.seed, self.started));
        self.wait(self.real().sign_on(&id, "host", "build-1", &[])).unwrap();
        self.names.insert(worker, id);
        self.model.sign_on(worker);
    }

    fn sign_on(&mut self, worker: Name) {
        let (ledger, id) = (self.real(), self.id(worker));
        let known = self.wait(ledger.heartbeat(&id)).is_ok();
        let known = self.same("heartbeat", self.model.signed_on.contains(&worker), known);
        if !known {
            self.wait(ledger.sign_on(&id, "host", "build-1", &[])).unwrap();
        }
        self.model.sign_on(worker);
    }

    fn sign_off(&mut self, world: &World, worker: Name) {
        self.wait(self.real().sign_off(&self.id(worker))).unwrap();
        self.model.sign_off(world, worker);
    }

    fn bury(&mut self, world: &World, worker: Name) {
        let lost = self.wait(self.real().bury(&self.id(worker))).unwrap();
        let runs = self.model.runs.iter().filter(|run| run.worker == worker).count();
        self.same("bury", runs, lost.len());
        self.model.bury(world, worker);
        self.entries_are_the_same();
    }

    fn bury_lapsed(&mut self, world: &World, worker: Name) {
        // Those that are gone are buried in a step of their own.
        let others = self.names.iter().filter(|(name, _)| **name != worker);
        let others: Vec<WorkerId> = others.map(|(_, id)| id.clone()).collect();
        // Whoever buries lives.
        let (ledger, living) = (self.real(), WorkerId(format!("{}-living", self.seed)));
        self.wait(ledger.sign_on(&living, "host", "build-1", &[])).unwrap();
        let burials = self.wait(ledger.bury_expired(&living, &others)).unwrap();
        self.wait(ledger.sign_off(&living)).unwrap();
        let lost = burials.iter().map(|burial| burial.lost.len()).sum();
        let runs = self.model.runs.iter().filter(|run| run.worker == worker).count();
        self.same("bury by lease", runs, lost);
        self.model.bury(world, worker);
        self.entries_are_the_same();
    }

    fn arrival(&mut self, job: u8) -> Row {
        let real = self.wait(self.real().arrival(&self.job(job))).unwrap();
        let model = self.model.row(job);
        let words = |row: Row| match row {
            Row::Nothing => "new".to_owned(),
            Row::Waiting { .. } => "waiting".to_owned(),
            Row::Ended(status) => format!("{status:?}"),
        };
        let real = match real {
            Arrival::New => "new".to_owned(),
            Arrival::Waiting(_) => "waiting".to_owned(),
            Arrival::Ended(report) => format!("{:?}", report.status),
        };
        self.same("arrival", words(model), real);
        model
    }

    fn claim(&mut self, world: &World, claim: &Claim) -> Claimed {
        let wish = world.wish(claim.job);
        let asked = real::Claim {
            digest: self.digest(wish.upload),
            recipe: recipe_key(wish.recipe),
            epoch: Epoch {
                build: "build-1".to_owned(),
                limits: "00112233aabbccdd".to_owned(),
            },
            worker: self.id(claim.worker),
            tenant: format!("{}-acme", self.seed),
            name: "cat.jpg".to_owned(),
            job: self.job(claim.job),
            alone: claim.alone,
            most_in_flight: None,
            renewals: 2,
        };
        let ledger = self.real();
        // Looking first, as the flow does, gives the same answer wherever nothing is to be recorded.
        let looked = self.wait(ledger.ask(&asked)).unwrap().as_ref().map(of_real);
        let model = self.model.look(world, claim);
        let model = Some(model).filter(|model| !matches!(model, Claimed::Run { .. } | Claimed::NotSignedOn));
        self.same("ask", model, looked);

        let real = self.wait(ledger.claim(&asked));
        if let Ok(real::Claimed::Run(attempt)) = &real {
            self.tokens.insert(claim.fresh, *attempt);
        }
        let real = real.as_ref().map_or(Claimed::NotSignedOn, of_real);
        let model = self.model.claim(world, claim);
        self.same("claim", model, real)
    }

    fn disown(&mut self, worker: Name, upload: u8) {
        let runs = &self.model.runs;
        let runs = runs.iter().any(|run| (run.worker, run.upload) == (worker, upload));
        let disowned = self.wait(self.real().disown(&self.id(worker), &self.digest(upload)));
        self.same("disown", runs, disowned.unwrap().is_some());
        self.model.disown(worker, upload);
    }

    fn settle(&mut self, world: &World, ending: &Ending) -> Settled {
        let written = real::Ending {
            attempt: self.tokens[&ending.token],
            outcome: ending.fate.outcome(),
            phase: ending.fate.phase(),
            usage: Usage::default(),
            control: ending.fate.control(),
            looks: Looks::default(),
            renditions: Vec::new(),
            specimen: None,
            evidence: json!({}),
        };
        let real = match self.wait(self.real().settle(&written)).unwrap() {
            real::Settled::Judged(judgement) => Settled::Judged(judgement),
            real::Settled::Fenced => Settled::Fenced,
        };
        let model = self.model.settle(world, ending);
        self.same("settle", model, real);
        self.entries_are_the_same();
        model
    }

    fn park(&mut self, world: &World, job: u8, tries: u8) {
        let kept = KeptJob {
            job: self.job(job),
            tenant: "acme".to_owned(),
            message: json!({}),
            tries: u32::from(tries),
        };
        let digest = self.digest(world.wish(job).upload);
        self.wait(self.real().park(&kept, Some(&digest), Duration::ZERO))
            .unwrap();
        self.model.park(world, job, tries);
    }

    fn adopt(&mut self, world: &World, worker: Name, wished: u8, living: &[Living]) -> u8 {
        self.pass(A_WHILE, living);
        let job = self.adopted(worker).unwrap_or_else(|| {
            // Somebody has it who does not renew: it is anybody's when that lease is over.
            assert!(
                !self.model.free(world, wished),
                "job {wished} is free, and the ledger does not give it"
            );
            self.lease_passes(living);
            self.adopted(worker).unwrap()
        });
        let held = living.iter().any(|living| {
            let owns = matches!(self.model.row(job), Row::Waiting { owner, .. } if owner == Some(living.worker));
            owns && living.jobs.contains(&job)
        });
        let waits = matches!(self.model.row(job), Row::Waiting { .. });
        let runs = self.model.is_running(world.wish(job).upload);
        self.same("adopt", (true, false, false), (waits, held, runs));
        self.model.adopt(world, worker, job, living)
    }

    fn lease_passes(&mut self, living: &[Living]) {
        for _ in 0..3 {
            self.pass(LEASE / 2, living);
        }
    }

    fn end_unless_kept(&mut self, world: &World, job: u8, status: Status) -> Option<Status> {
        let told = report(&self.job(job), "w", status);
        let real = self.wait(self.real().end_unless_kept(&told)).unwrap();
        let model = self.model.end_unless_kept(world, job, status);
        self.same("end unless kept", model, real.map(|report| report.status))
    }

    fn end(&mut self, world: &World, job: u8, status: Status) -> Status {
        let told = report(&self.job(job), "w", status);
        let real = self.wait(self.real().end(&told)).unwrap().status;
        let model = self.model.end(world, job, status);
        self.same("end", model, real)
    }
}
