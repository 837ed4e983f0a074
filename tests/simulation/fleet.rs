//! Workers, a broker, and what has been told: the flow of `pipeline.rs` and `service/`, cut into steps with one lasting effect each,
//! so that a crash between any two of them is a step of its own. Absent on purpose: bytes, fairness, delays; what is due later is due
//! whenever the simulation likes.

use std::cmp::Ordering;

use lazaret::blame::Judgement;
use lazaret::verdict::Status;

use super::law::{Law, Tally};
use super::ledger::{Claim, Claimed, Ending, Ledger, Living, Name, Row, Settled, Token};
use super::mutation::Mutation;
use super::step::Step;
use super::world::{Fate, Faults, Nature, World};

/// A message in the broker that is in nobody's hand. Messages come in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    pub job: u8,
    pub tries: u8,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fleet<L> {
    pub ledger: L,
    pub queue: Vec<Message>,
    pub workers: Vec<Process>,
    /// What may still go wrong.
    pub left: Faults,
    pub tally: Tally,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    pub name: Name,
    pub life: Life,
    /// It stood still for longer than its lease.
    pub lapsed: bool,
    pub hands: Vec<Hand>,
    /// Endings that the ledger could not take.
    pub unsettled: Vec<Ending>,
    /// Uploads whose claims were not answered.
    pub doubtful: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Life {
    Working,
    Draining,
    SignedOff,
    /// Gone without a word, and not buried yet.
    Wreck,
}

/// A job in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hand {
    pub job: u8,
    pub tries: u8,
    pub holder: Holder,
    pub at: At,
}

/// Who shall be told that the job was taken care of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    Broker,
    /// The broker has the message back: nobody waits for an acknowledgement.
    Nobody,
    Ledger,
}

/// What the next step of a hand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    /// Ask what is known of the job.
    Door,
    /// Claim its upload.
    Claim,
    /// Claim it once more, with nothing else in the room.
    Alone,
    /// Its child runs.
    Flying {
        token: Token,
        solo: bool,
        room: Room,
    },
    /// It has ended: write the report, or ask for the first one.
    Conclude(Status),
    Publish(Status, Then),
    /// Mark what the ledger keeps as ended.
    Close(Status),
    /// Have the ledger keep it.
    Park,
    /// Look whether the ledger keeps it now, or it has ended.
    Kept,
    /// Put a copy on the ladder.
    PutOff,
    Acknowledge,
}

/// What comes after its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Then {
    Close,
    Acknowledge,
}

/// Who else may run in the worker meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Room {
    Shared,
    Alone,
}

impl<L: Ledger> Fleet<L> {
    /// All jobs enqueued, and no worker yet.
    pub fn new(world: &World, ledger: L) -> Self {
        let queue = (0..world.jobs.len() as u8)
            .map(|job| Message { job, tries: 0 })
            .collect();
        Self {
            ledger,
            queue,
            workers: Vec::new(),
            left: world.faults,
            tally: Tally::new(world),
        }
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        let ended = |job: &Row| matches!(job, Row::Ended(_));
        self.queue.is_empty()
            && self.ledger.model().jobs.iter().all(ended)
            && self.ledger.model().runs.is_empty()
            && self.workers.iter().all(|process| process.is_idle())
    }

    /// Takes a step.
    pub fn take(&mut self, world: &World, step: Step) -> Result<(), Law> {
        match step {
            Step::Start => self.start(world),
            Step::Deliver { worker, message } => self.deliver(worker, message),
            Step::Adopt { worker, job } => self.adopt(world, worker, job),
            Step::Go { worker, hand } => self.go(world, worker, hand)?,
            Step::Beat { worker } => self.beat(world, worker)?,
            Step::Bury { worker } => self.bury(world, worker),
            Step::Crash { worker } => self.crash(world, worker),
            Step::Pause { worker } => self.pause(worker),
            Step::Redeliver { worker, hand } => self.redeliver(worker, hand),
            Step::Mishap { worker, hand, fate } => {
                self.left.mishaps -= 1;
                self.land(world, worker, hand, fate)?;
            }
            Step::Silence {
                worker,
                hand,
                committed,
            } => self.silence(world, worker, hand, committed)?,
            Step::Unheard {
                worker,
                hand,
                committed,
            } => self.unheard(world, worker, hand, committed),
            Step::Drain { worker } => self.drain(worker),
            Step::Release { worker, hand } => self.land(world, worker, hand, Fate::Released)?,
            Step::SignOff { worker } => self.sign_off(world, worker),
            Step::Exit { worker } => self.exit(worker),
        }
        self.queue.sort_unstable();
        self.workers.sort_unstable();
        for process in &mut self.workers {
            process.hands.sort_unstable();
        }
        Ok(())
    }

    fn process(&mut self, worker: Name) -> &mut Process {
        let found = self.workers.iter_mut().find(|process| process.name == worker);
        found.unwrap()
    }

    fn start(&mut self, _: &World) {
        let speaks_of = |name: Name| {
            let model = self.ledger.model();
            let owns = |row: &Row| matches!(row, Row::Waiting { owner: Some(owner), .. } if *owner == name);
            self.workers.iter().any(|process| process.name == name)
                || model.runs.iter().any(|run| run.worker == name)
                || model.jobs.iter().any(owns)
        };
        let name = (0..).find(|name| !speaks_of(*name)).unwrap();
        self.ledger.start(name);
        self.workers.push(Process {
            name,
            life: Life::Working,
            lapsed: false,
            hands: Vec::new(),
            unsettled: Vec::new(),
            doubtful: Vec::new(),
        });
    }

    fn deliver(&mut self, worker: Name, message: Message) {
        let at = self.queue.iter().position(|waiting| *waiting == message).unwrap();
        self.queue.remove(at);
        self.process(worker).hands.push(Hand {
            job: message.job,
            tries: message.tries,
            holder: Holder::Broker,
            at: At::Door,
        });
    }

    fn adopt(&mut self, world: &World, worker: Name, wished: u8) {
        let living = self.living();
        let job = self.ledger.adopt(world, worker, wished, &living);
        let Row::Waiting { tries, .. } = self.ledger.model().row(job) else {
            unreachable!("only what waits is adopted")
        };
        self.process(worker).hands.push(Hand {
            job,
            tries,
            holder: Holder::Ledger,
            at: At::Door,
        });
    }

    /// What the hand does next, where nothing disturbs it.
    fn go(&mut self, world: &World, worker: Name, index: usize) -> Result<(), Law> {
        let hand = self.process(worker).hands[index];
        match hand.at {
            At::Door => self.door(worker, index),
            At::Claim | At::Alone => self.claim(world, worker, index),
            At::Flying { .. } => match world
                .nature(world.wish(hand.job).upload)
                .fate(world.wish(hand.job).recipe)
            {
                Some(fate) => self.land(world, worker, index, fate)?,
                None => self.killed_by(world, worker, hand.job),
            },
            At::Conclude(status) => self.conclude(world, worker, index, status),
            At::Publish(status, then) => self.publish(world, worker, index, status, then),
            At::Close(status) => {
                self.end(world, hand.job, status);
                self.then(worker, index, At::Acknowledge);
            }
            At::Park => {
                self.ledger.park(world, hand.job, hand.tries);
                let looks = hand.holder == Holder::Broker && !world.is(Mutation::KeptIsNotLookedAt);
                self.then(worker, index, if looks { At::Kept } else { At::Acknowledge });
            }
            At::Kept => match self.ledger.arrival(hand.job) {
                Row::Ended(status) => self.then(worker, index, At::Publish(status, Then::Acknowledge)),
                Row::Nothing | Row::Waiting { .. } => self.then(worker, index, At::Acknowledge),
            },
            At::PutOff => {
                let (job, tries) = (hand.job, hand.tries + 1);
                self.queue.push(Message { job, tries });
                self.then(worker, index, At::Acknowledge);
            }
            At::Acknowledge => self.let_go(worker, index),
        }
        Ok(())
    }

    fn then(&mut self, worker: Name, index: usize, at: At) {
        let hand = &mut self.process(worker).hands[index];
        hand.at = at;
        // The ledger needs no acknowledgement.
        if at == At::Acknowledge && hand.holder != Holder::Broker {
            self.let_go(worker, index);
        }
    }

    fn let_go(&mut self, worker: Name, index: usize) {
        self.process(worker).hands.remove(index);
    }

    /// It comes again: from the broker, or from the ledger.
    fn interrupt(&mut self, worker: Name, index: usize) {
        let hand = self.process(worker).hands.remove(index);
        self.give_back(&hand);
    }

    fn give_back(&mut self, hand: &Hand) {
        if hand.holder == Holder::Broker {
            let Hand { job, tries, .. } = *hand;
            self.queue.push(Message { job, tries });
        }
    }

    fn door(&mut self, worker: Name, index: usize) {
        let hand = self.process(worker).hands[index];
        let kept = hand.holder == Holder::Ledger;
        match self.ledger.arrival(hand.job) {
            Row::Waiting { .. } if kept => self.then(worker, index, At::Claim),
            Row::Nothing | Row::Ended(_) if kept => self.let_go(worker, index),
            Row::Nothing => self.then(worker, index, At::Claim),
            Row::Waiting { .. } => self.then(worker, index, At::Acknowledge),
            Row::Ended(status) => self.then(worker, index, At::Publish(status, Then::Acknowledge)),
        }
    }

    fn claim(&mut self, world: &World, worker: Name, index: usize) {
        let fresh = self.fresh_token();
        let hand = self.process(worker).hands[index];
        let alone = hand.at == At::Alone;
        let in_doubt = self.process(worker).doubtful.contains(&world.wish(hand.job).upload);
        if in_doubt && !world.is(Mutation::DoubtIsIgnored) {
            return self.wait(world, worker, index);
        }
        let claim = Claim {
            job: hand.job,
            worker,
            alone,
            fresh,
        };
        match self.ledger.claim(world, &claim) {
            Claimed::Listed => self.then(worker, index, At::Conclude(Status::Quarantined)),
            Claimed::Known(status) => self.then(worker, index, At::Conclude(status)),
            Claimed::Busy => self.wait(world, worker, index),
            Claimed::MustBeAlone => self.then(worker, index, At::Alone),
            Claimed::NotSignedOn => self.interrupt(worker, index),
            Claimed::Run { solo } => {
                let room = if alone { Room::Alone } else { Room::Shared };
                let token = fresh;
                self.then(worker, index, At::Flying { token, solo, room });
            }
        }
    }

    /// A token that nobody speaks of.
    fn fresh_token(&self) -> Token {
        let spoken_of = |token: Token| {
            let flies = |hand: &Hand| matches!(hand.at, At::Flying { token: of, .. } if of == token);
            let holds = |process: &Process| {
                process.hands.iter().any(flies) || process.unsettled.iter().any(|ending| ending.token == token)
            };
            self.workers.iter().any(holds) || self.ledger.model().runs.iter().any(|run| run.token == token)
        };
        (0..).find(|token| !spoken_of(*token)).unwrap()
    }

    fn wait(&mut self, world: &World, worker: Name, index: usize) {
        if world.is(Mutation::AcknowledgedBeforeKept) {
            self.acknowledge_early(worker, index);
        }
        self.then(worker, index, At::Park);
    }

    fn acknowledge_early(&mut self, worker: Name, index: usize) {
        let holder = &mut self.process(worker).hands[index].holder;
        if *holder == Holder::Broker {
            *holder = Holder::Nobody;
        }
    }

    /// The child has ended, and its worker tells the ledger.
    fn land(&mut self, world: &World, worker: Name, index: usize, fate: Fate) -> Result<(), Law> {
        let hand = self.process(worker).hands[index];
        let At::Flying { token, .. } = hand.at else {
            unreachable!("only what flies lands")
        };
        let ending = Ending {
            token,
            job: hand.job,
            fate,
        };
        match self.settle(world, &ending)? {
            Settled::Judged(Judgement::Clear) => self.then(worker, index, At::Conclude(Status::Converted)),
            Settled::Judged(Judgement::Remember) => self.then(worker, index, At::Conclude(Status::Rejected)),
            Settled::Judged(Judgement::Convict(_)) => self.then(worker, index, At::Conclude(Status::Quarantined)),
            Settled::Judged(Judgement::Strike(_)) => self.wait(world, worker, index),
            Settled::Judged(Judgement::Retry) if fate == Fate::Released => self.wait(world, worker, index),
            Settled::Judged(Judgement::Retry | Judgement::SickHost) | Settled::Fenced => {
                self.try_again(world, worker, index);
            }
        }
        Ok(())
    }

    fn settle(&mut self, world: &World, ending: &Ending) -> Result<Settled, Law> {
        let model = self.ledger.model();
        let fenced = !model.runs.iter().any(|run| run.token == ending.token);
        let before = fenced.then(|| model.clone());
        let settled = self.ledger.settle(world, ending);
        match before {
            Some(before) if before != *self.ledger.model() => Err(Law::FencedChangesNothing),
            _ => Ok(settled),
        }
    }

    fn try_again(&mut self, world: &World, worker: Name, index: usize) {
        let hand = &mut self.process(worker).hands[index];
        if hand.tries >= world.ladder {
            return self.then(worker, index, At::Conclude(Status::Failed));
        }
        if hand.holder == Holder::Ledger {
            hand.tries += 1;
            return self.then(worker, index, At::Park);
        }
        if world.is(Mutation::AcknowledgedBeforePutOff) {
            self.acknowledge_early(worker, index);
        }
        self.then(worker, index, At::PutOff);
    }

    fn conclude(&mut self, world: &World, worker: Name, index: usize, status: Status) {
        let hand = self.process(worker).hands[index];
        let (first, then) = match hand.holder {
            Holder::Ledger => match self.ledger.arrival(hand.job) {
                Row::Ended(first) => (first, Then::Close),
                Row::Nothing | Row::Waiting { .. } => (status, Then::Close),
            },
            Holder::Broker | Holder::Nobody => match self.end_unless_kept(world, hand.job, status) {
                Some(first) => (first, Then::Acknowledge),
                None => (status, Then::Close),
            },
        };
        if world.is(Mutation::AcknowledgedBeforePublished) {
            self.acknowledge_early(worker, index);
        }
        if hand.holder == Holder::Ledger && world.is(Mutation::EndedBeforePublished) {
            self.end(world, hand.job, first);
        }
        self.then(worker, index, At::Publish(first, then));
    }

    fn end_unless_kept(&mut self, world: &World, job: u8, status: Status) -> Option<Status> {
        let before = self.ledger.model().row(job);
        let first = self.ledger.end_unless_kept(world, job, status);
        self.tally.ended(before, self.ledger.model().row(job));
        first
    }

    fn end(&mut self, world: &World, job: u8, status: Status) -> Status {
        let before = self.ledger.model().row(job);
        let first = self.ledger.end(world, job, status);
        self.tally.ended(before, self.ledger.model().row(job));
        first
    }

    fn publish(&mut self, world: &World, worker: Name, index: usize, status: Status, then: Then) {
        let hand = self.process(worker).hands[index];
        self.tally.told(world, hand.job, worker, status);
        let next = match then {
            Then::Close => At::Close(status),
            Then::Acknowledge => At::Acknowledge,
        };
        self.then(worker, index, next);
    }

    /// The upload takes its worker down, or all workers of the host.
    fn killed_by(&mut self, world: &World, worker: Name, job: u8) {
        let upload = world.wish(job).upload;
        self.tally.lost_to(upload);
        let all = world.nature(upload) == Nature::HostKiller;
        let dies = |process: &Process| process.life != Life::Wreck && (all || process.name == worker);
        let dying: Vec<Name> = self
            .workers
            .iter()
            .filter(|process| dies(process))
            .map(|process| process.name)
            .collect();
        for name in dying {
            self.dies(name);
        }
    }

    /// Messages in hand are the broker's again; what was in memory is gone.
    fn dies(&mut self, worker: Name) {
        let process = self.process(worker);
        let hands = std::mem::take(&mut process.hands);
        process.unsettled.clear();
        process.doubtful.clear();
        // One that has signed off left nothing behind that could be buried.
        if process.life == Life::SignedOff {
            self.workers.retain(|process| process.name != worker);
        } else {
            process.life = Life::Wreck;
        }
        for hand in &hands {
            self.give_back(hand);
        }
    }

    fn crash(&mut self, world: &World, worker: Name) {
        self.left.crashes -= 1;
        let alone = self.process(worker).alone();
        self.tally.struck_by_chance(world, alone);
        self.dies(worker);
    }

    fn pause(&mut self, worker: Name) {
        self.left.pauses -= 1;
        self.process(worker).lapsed = true;
        let living = self.living();
        self.ledger.lease_passes(&living);
    }

    /// Those who renew their leases.
    fn living(&self) -> Vec<Living> {
        let renews = |process: &&Process| process.life != Life::Wreck && !process.lapsed;
        let kept = |process: &Process| {
            let kept = process.hands.iter().filter(|hand| hand.holder == Holder::Ledger);
            kept.map(|hand| hand.job).collect()
        };
        let living = self.workers.iter().filter(renews);
        living
            .map(|process| Living {
                worker: process.name,
                jobs: kept(process),
            })
            .collect()
    }

    fn bury(&mut self, world: &World, worker: Name) {
        let process = self.process(worker);
        if process.life == Life::Wreck {
            self.ledger.bury(world, worker);
            self.workers.retain(|process| process.name != worker);
        } else {
            let alone = process.alone();
            self.tally.struck_by_chance(world, alone);
            self.ledger.bury_lapsed(world, worker);
        }
    }

    /// The heartbeat: a lease, or a new one, what could not be written before, and what was never heard of.
    fn beat(&mut self, world: &World, worker: Name) -> Result<(), Law> {
        let process = self.process(worker);
        process.lapsed = false;
        let unsettled = std::mem::take(&mut process.unsettled);
        self.ledger.sign_on(worker);
        for ending in unsettled {
            let _ = self.settle(world, &ending)?;
        }
        self.release_unheard(world, worker);
        Ok(())
    }

    fn release_unheard(&mut self, world: &World, worker: Name) {
        let process = self.process(worker);
        let doubtful = std::mem::take(&mut process.doubtful);
        let known =
            |hand: &Hand, upload: u8| world.wish(hand.job).upload == upload && !world.is(Mutation::DoubtIsIgnored);
        let flies = |upload: u8| process.flying().any(|hand| known(hand, upload));
        let unknown: Vec<u8> = doubtful.into_iter().filter(|upload| !flies(*upload)).collect();
        for upload in unknown {
            self.ledger.disown(worker, upload);
        }
    }

    /// The connection was lost: the message is delivered again, and whoever has it goes on.
    fn redeliver(&mut self, worker: Name, index: usize) {
        self.left.redeliveries -= 1;
        let hand = self.process(worker).hands[index];
        self.give_back(&hand);
        self.process(worker).hands[index].holder = Holder::Nobody;
    }

    /// The ledger fails when the attempt is to be settled; the ending is kept, and the job comes again.
    fn silence(&mut self, world: &World, worker: Name, index: usize, committed: bool) -> Result<(), Law> {
        self.left.silences -= 1;
        let hand = self.process(worker).hands[index];
        let (At::Flying { token, .. }, wish) = (hand.at, world.wish(hand.job)) else {
            unreachable!("only what flies lands")
        };
        let fate = world.nature(wish.upload).fate(wish.recipe).unwrap();
        let ending = Ending {
            token,
            job: hand.job,
            fate,
        };
        if committed {
            let _ = self.settle(world, &ending)?;
        }
        if !world.is(Mutation::EndingsAreForgotten) {
            self.process(worker).unsettled.push(ending);
        }
        self.interrupt(worker, index);
        Ok(())
    }

    /// The ledger fails when an upload is claimed; the job comes again.
    fn unheard(&mut self, world: &World, worker: Name, index: usize, committed: bool) {
        self.left.unheard -= 1;
        let upload = world.wish(self.process(worker).hands[index].job).upload;
        if committed {
            self.claim(world, worker, index);
        }
        self.interrupt(worker, index);
        let doubtful = &mut self.process(worker).doubtful;
        if !world.is(Mutation::UnheardIsForgotten) && !doubtful.contains(&upload) {
            doubtful.push(upload);
            doubtful.sort_unstable();
        }
    }

    fn drain(&mut self, worker: Name) {
        self.left.drains -= 1;
        self.process(worker).life = Life::Draining;
    }

    fn sign_off(&mut self, world: &World, worker: Name) {
        self.process(worker).life = Life::SignedOff;
        self.ledger.sign_off(world, worker);
    }

    fn exit(&mut self, worker: Name) {
        self.dies(worker);
    }
}

impl At {
    /// Any order will do, as long as it is one: states that differ in nothing else are one state.
    fn rank(self) -> (u8, u8, bool, Room) {
        let plain = |stage: u8, value: u8| (stage, value, false, Room::Shared);
        match self {
            Self::Door => plain(0, 0),
            Self::Claim => plain(1, 0),
            Self::Alone => plain(2, 0),
            Self::Flying { token, solo, room } => (3, token, solo, room),
            Self::Conclude(status) => plain(4, status as u8),
            Self::Publish(status, Then::Acknowledge) => plain(5, status as u8),
            Self::Publish(status, Then::Close) => plain(10, status as u8),
            Self::Kept => plain(11, 0),
            Self::Close(status) => plain(6, status as u8),
            Self::Park => plain(7, 0),
            Self::PutOff => plain(8, 0),
            Self::Acknowledge => plain(9, 0),
        }
    }
}

impl Ord for At {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Process {
    pub fn flying(&self) -> impl Iterator<Item = &Hand> {
        self.hands.iter().filter(|hand| matches!(hand.at, At::Flying { .. }))
    }

    /// The job whose attempt runs here as a suspect's, with nothing beside it.
    pub fn alone(&self) -> Option<u8> {
        let mut flying = self.flying();
        match (flying.next(), flying.next()) {
            (Some(hand), None) if matches!(hand.at, At::Flying { solo: true, .. }) => Some(hand.job),
            _ => None,
        }
    }

    fn is_idle(&self) -> bool {
        self.life == Life::Working
            && !self.lapsed
            && self.hands.is_empty()
            && self.unsettled.is_empty()
            && self.doubtful.is_empty()
    }
}
