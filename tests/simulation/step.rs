//! What may happen next.

use std::fmt;

use super::fleet::{At, Fleet, Hand, Holder, Life, Message, Process, Room};
use super::ledger::{Claim, Claimed, Ledger, Name, Row, Token};
use super::mutation::Mutation;
use super::world::{Fate, World};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A worker starts.
    Start,
    /// The broker delivers.
    Deliver { worker: Name, message: Message },
    /// A worker takes over a job that waits in the ledger.
    Adopt { worker: Name, job: u8 },
    /// A hand does what comes next.
    Go { worker: Name, hand: usize },
    /// A worker's heartbeat, where it has something to say.
    Beat { worker: Name },
    /// Somebody buries the worker.
    Bury { worker: Name },
    /// A running attempt is ended by a drain.
    Release { worker: Name, hand: usize },
    /// A draining worker signs off.
    SignOff { worker: Name },
    /// A worker that has signed off is gone.
    Exit { worker: Name },

    /// A worker is killed by chance.
    Crash { worker: Name },
    /// A worker stands still for longer than its lease.
    Pause { worker: Name },
    /// A message that is in hand is delivered again.
    Redeliver { worker: Name, hand: usize },
    /// An attempt ends otherwise than its upload's nature is.
    Mishap { worker: Name, hand: usize, fate: Fate },
    /// The ledger does not answer when an attempt is to be settled.
    Silence { worker: Name, hand: usize, committed: bool },
    /// The ledger does not answer a claim.
    Unheard { worker: Name, hand: usize, committed: bool },
    /// A worker is told to stop.
    Drain { worker: Name },
}

impl Step {
    /// Whether it is something that goes wrong by chance, and not the way on.
    pub fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Crash { .. }
                | Self::Pause { .. }
                | Self::Redeliver { .. }
                | Self::Mishap { .. }
                | Self::Silence { .. }
                | Self::Unheard { .. }
                | Self::Drain { .. }
        )
    }
}

impl<L: Ledger> Fleet<L> {
    /// Every step that may be taken now.
    pub fn steps(&self, world: &World) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.workers.iter().filter(|process| process.is_up()).count() < world.workers {
            steps.push(Step::Start);
        }
        for process in &self.workers {
            self.burials(world, process, &mut steps);
            if process.life != Life::Wreck {
                self.takings(world, process, &mut steps);
                self.ways_on(world, process, &mut steps);
                self.faults(world, process, &mut steps);
            }
        }
        steps
    }

    fn burials(&self, world: &World, process: &Process, steps: &mut Vec<Step>) {
        let worker = process.name;
        let somebody = self.workers.iter().any(|other| other.is_up() && other.name != worker);
        let known = self.ledger.model().signed_on.contains(&worker);
        let over = process.life == Life::Wreck || (process.lapsed && !world.one_host && known);
        if somebody && over {
            steps.push(Step::Bury { worker });
        }
    }

    fn takings(&self, world: &World, process: &Process, steps: &mut Vec<Step>) {
        let worker = process.name;
        if process.life != Life::Working || process.hands.len() >= world.hands {
            return;
        }
        let mut last = None;
        for message in &self.queue {
            if last.replace(*message) != Some(*message) {
                let message = *message;
                steps.push(Step::Deliver { worker, message });
            }
        }
        let jobs = 0..world.jobs.len() as u8;
        steps.extend(
            jobs.filter(|job| self.may_be_adopted(world, *job))
                .map(|job| Step::Adopt { worker, job }),
        );
    }

    /// Whether a job waits, its upload does not run, and no worker has it in hand.
    pub fn may_be_adopted(&self, world: &World, job: u8) -> bool {
        let Row::Waiting { owner, .. } = self.ledger.model().row(job) else {
            return false;
        };
        !self.ledger.model().is_running(world.wish(job).upload)
            && owner.is_none_or(|owner| !self.is_held_by(job, owner))
    }

    fn is_held_by(&self, job: u8, owner: Name) -> bool {
        let holds = |hand: &Hand| hand.job == job && hand.holder == Holder::Ledger;
        self.workers.iter().any(|process| {
            let renews = process.life != Life::Wreck && !process.lapsed;
            process.name == owner && renews && process.hands.iter().any(holds)
        })
    }

    fn ways_on(&self, world: &World, process: &Process, steps: &mut Vec<Step>) {
        let worker = process.name;
        for (index, hand) in process.hands.iter().enumerate() {
            let same = index > 0 && process.hands[index - 1] == *hand;
            if !same && self.may_go(world, process, hand) {
                steps.push(Step::Go { worker, hand: index });
            }
            if process.life != Life::Working && matches!(hand.at, At::Flying { .. }) {
                steps.push(Step::Release { worker, hand: index });
            }
        }
        let signed_on = self.ledger.model().signed_on.contains(&worker);
        if process.life != Life::SignedOff && (!signed_on || process.lapsed || process.owes()) {
            steps.push(Step::Beat { worker });
        }
        if process.life == Life::Draining && process.unsettled.is_empty() && process.flying().next().is_none() {
            steps.push(Step::SignOff { worker });
        }
        if process.life == Life::SignedOff {
            steps.push(Step::Exit { worker });
        }
    }

    fn may_go(&self, world: &World, process: &Process, hand: &Hand) -> bool {
        match hand.at {
            // One at a time works on a job in a process.
            At::Door => !process
                .hands
                .iter()
                .any(|other| other.job == hand.job && other.at != At::Door),
            At::Claim => self.may_claim(world, process, hand),
            At::Alone => {
                let empty = process.flying().next().is_none() || world.is(Mutation::SoloBesideOthers);
                let written = process.unsettled.is_empty() || world.is(Mutation::SoloBesideUnsettled);
                empty && written && process.doubtful.is_empty()
            }
            _ => true,
        }
    }

    /// Whether there is a seat, where one is needed.
    fn may_claim(&self, world: &World, process: &Process, hand: &Hand) -> bool {
        let needs_seat = self.would_run(world, process, hand);
        let keeps_room = |hand: &Hand| matches!(hand.at, At::Flying { room: Room::Alone, .. });
        let free = process.flying().count() < world.slots && !process.flying().any(keeps_room);
        !needs_seat || free || world.is(Mutation::SoloBesideOthers)
    }

    fn would_run(&self, world: &World, process: &Process, hand: &Hand) -> bool {
        let claim = Claim {
            job: hand.job,
            worker: process.name,
            alone: false,
            fresh: Token::MAX,
        };
        matches!(self.ledger.model().look(world, &claim), Claimed::Run { .. })
    }

    fn faults(&self, world: &World, process: &Process, steps: &mut Vec<Step>) {
        let (worker, left) = (process.name, self.left);
        if left.crashes > 0 {
            steps.push(Step::Crash { worker });
        }
        if left.pauses > 0 && !process.lapsed && process.life == Life::Working {
            steps.push(Step::Pause { worker });
        }
        if left.drains > 0 && process.life == Life::Working {
            steps.push(Step::Drain { worker });
        }
        for (hand, held) in process.hands.iter().enumerate() {
            if left.redeliveries > 0 && held.holder == Holder::Broker {
                steps.push(Step::Redeliver { worker, hand });
            }
            // It is claimed where there is a seat, and only then can the answer be lost.
            let claims = self.would_run(world, process, held) && self.may_claim(world, process, held);
            if left.unheard > 0 && held.at == At::Claim && claims {
                let when = [false, true];
                steps.extend(when.map(|committed| Step::Unheard {
                    worker,
                    hand,
                    committed,
                }));
            }
            if !matches!(held.at, At::Flying { .. }) {
                continue;
            }
            if left.mishaps > 0 {
                let fates = [Fate::Starved, Fate::SickHost];
                steps.extend(fates.map(|fate| Step::Mishap { worker, hand, fate }));
            }
            let wish = world.wish(held.job);
            let tells = world.nature(wish.upload).fate(wish.recipe).is_some();
            if left.silences > 0 && tells {
                let when = [false, true];
                steps.extend(when.map(|committed| Step::Silence {
                    worker,
                    hand,
                    committed,
                }));
            }
        }
    }
}

impl Process {
    /// Whether it has something to tell the ledger.
    fn owes(&self) -> bool {
        !self.unsettled.is_empty() || !self.doubtful.is_empty()
    }

    pub fn is_up(&self) -> bool {
        self.life != Life::Wreck
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => write!(f, "a worker starts"),
            Self::Deliver { worker, message } => {
                write!(f, "w{worker} is handed job {} (try {})", message.job, message.tries)
            }
            Self::Adopt { worker, job } => write!(f, "w{worker} adopts job {job}"),
            Self::Go { worker, hand } => write!(f, "w{worker} goes on with hand {hand}"),
            Self::Beat { worker } => write!(f, "w{worker} renews its lease"),
            Self::Bury { worker } => write!(f, "w{worker} is buried"),
            Self::Release { worker, hand } => write!(f, "w{worker} releases hand {hand}"),
            Self::SignOff { worker } => write!(f, "w{worker} signs off"),
            Self::Exit { worker } => write!(f, "w{worker} exits"),
            Self::Crash { worker } => write!(f, "! w{worker} is killed by chance"),
            Self::Pause { worker } => write!(f, "! w{worker} stands still for longer than its lease"),
            Self::Redeliver { worker, hand } => {
                write!(f, "! the message in hand {hand} of w{worker} is delivered again")
            }
            Self::Mishap { worker, hand, fate } => write!(f, "! hand {hand} of w{worker} ends as {fate:?}"),
            Self::Silence {
                worker,
                hand,
                committed,
            } => {
                let when = if *committed { "after" } else { "before" };
                write!(
                    f,
                    "! the ledger fails {when} it takes the ending of hand {hand} of w{worker}"
                )
            }
            Self::Unheard {
                worker,
                hand,
                committed,
            } => {
                let what = if *committed { "an attempt" } else { "nothing" };
                write!(
                    f,
                    "! w{worker} is not told that its claim for hand {hand} came to {what}"
                )
            }
            Self::Drain { worker } => write!(f, "! w{worker} is told to stop"),
        }
    }
}
