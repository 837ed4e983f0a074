//! What a worker holds and has not begun, and whose turn it is: deficit round robin in predicted CPU time. `[pure]`
//!
//! In: messages with their flow and tenant, and what each cost in the end. Out: the next one to begin. Each round gives every flow that
//! has something to run [`QUANTUM_MS`] of credit; beginning a message takes its tenant's predicted cost, its end corrects that to the real
//! one. Who may run at all is the caller's to say, each time: a flow that is held back keeps its place in the round and its credit, and
//! gets none for the time it was held. Asking commits to nothing; only a [`Turn`] is to be counted.
//!
//! A flow with nothing waiting and nothing in hand forgets its credit at once; its debt, at most [`DEBT_MS`], goes by a quantum a round.
//! Names come from messages, so memory is bounded: what is known of idle tenants is kept for the [`IDLE_TENANTS`] that became idle last.
//!
//! An operation costs O(log n) in the number of flows; `pick` also asks once for each flow that is held back, and passes
//! (cost ÷ quantum) times over each flow per message of it, rounds without a winner in one step.

mod account;
mod lane;
#[cfg(test)]
mod laws;

use std::collections::{HashMap, VecDeque};

use account::Accounts;
use lane::Lane;

use super::noise::Flight;

/// Credit of a flow per round, in milliseconds of CPU time.
pub const QUANTUM_MS: u64 = 100;
/// Predicted cost of a tenant's first message, in milliseconds of CPU time.
pub const FIRST_GUESS_MS: u64 = 100;
/// Most debt of a flow, in milliseconds of CPU time.
pub const DEBT_MS: u64 = 5_000;
/// Idle tenants of which cost and debt are remembered.
pub const IDLE_TENANTS: usize = 4096;
/// Most that one message counts for: an hour of CPU time, in milliseconds.
const COST_MS: u64 = 3_600_000;

/// What takes turns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Flow {
    /// A tenant's messages in the lanes.
    Tenant(String),
    /// A sideline, by its number; all tenants in it together.
    Sideline(u8),
}

/// Whether a tenant's next message may begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum May {
    /// It may.
    Run,
    /// Not now: rate, attempts in flight, probation.
    NotNow,
}

/// A message whose turn it is.
#[derive(Debug)]
#[must_use]
pub struct Turn<T> {
    /// The message.
    pub item: T,
    /// To be handed back at its end.
    pub receipt: Receipt,
}

/// What was taken from a flow for one message; goes back to [`Window::ended`], whatever became of the message.
#[derive(Debug)]
#[must_use]
pub struct Receipt {
    flow: Flow,
    tenant: String,
    predicted_ms: u64,
}

/// The messages that a worker holds and has not begun.
#[derive(Debug)]
pub struct Window<T> {
    lanes: HashMap<Flow, Lane<T>>,
    /// Flows in their order; every flow in which something waits, and some in which nothing waits any more.
    ring: VecDeque<Flow>,
    /// The flow in front has had this round's credit.
    granted: bool,
    /// Rounds so far, and flows that this one has still to pass.
    round: u64,
    to_pass: usize,
    accounts: Accounts,
    arrivals: u64,
}

/// What a visit to the flow in front found.
enum Visit {
    /// Its credit suffices for a message of this tenant.
    Ready(String),
    /// It would, after so many further rounds.
    Short(String, u64),
    /// Nothing that may run.
    Nothing,
}

impl Receipt {
    /// Whose message it is.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The flow that it came from.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// CPU time that was predicted for it, in milliseconds, at least 1.
    pub fn predicted_ms(&self) -> u64 {
        self.predicted_ms
    }
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            ring: VecDeque::new(),
            granted: false,
            round: 0,
            to_pass: 0,
            accounts: Accounts::default(),
            arrivals: 0,
        }
    }
}

impl<T> Window<T> {
    /// An empty window.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a message in, last in its flow.
    pub fn push(&mut self, flow: Flow, tenant: String, item: T) {
        self.accounts.waits(&tenant);
        self.arrivals += 1;
        let lane = self.lanes.entry(flow.clone()).or_default();
        lane.wake(self.round);
        lane.push(tenant, self.arrivals, item);
        if !lane.in_ring {
            lane.in_ring = true;
            self.ring.push_back(flow);
        }
        self.forget_idle();
    }

    /// The message whose turn it is, among those that may run; `None` only where none may. It is in hand until it has [ended](Self::ended).
    pub fn pick(&mut self, mut may_run: impl FnMut(&str, &Flow) -> May) -> Option<Turn<T>> {
        let round = self.round;
        let mut short = Vec::new();
        for _ in 0..self.ring.len() {
            match self.visit(&mut may_run) {
                Visit::Ready(tenant) => return self.begin(&tenant),
                Visit::Short(tenant, rounds) => {
                    short.extend(self.ring.front().cloned().map(|flow| (flow, tenant, rounds)))
                }
                Visit::Nothing => {}
            }
            self.pass();
        }
        let turn = self.skip_rounds(short);
        if turn.is_none() {
            // Nobody was served: no round for the debt of the idle either.
            self.round = round;
        }
        turn
    }

    /// Looks at the flow in front and gives it this round's credit, where that is what it lacks.
    fn visit(&mut self, may_run: &mut impl FnMut(&str, &Flow) -> May) -> Visit {
        let Some((flow, lane)) = self
            .ring
            .front()
            .and_then(|flow| Some((flow, self.lanes.get_mut(flow)?)))
        else {
            return Visit::Nothing;
        };
        let Some(tenant) = lane.first(|tenant| may_run(tenant, flow)) else {
            return Visit::Nothing;
        };
        let cost = signed(self.accounts.predicted_ms(&tenant));
        if lane.credit < cost && !self.granted {
            lane.credit += signed(QUANTUM_MS);
            self.granted = true;
        }
        match u64::try_from(cost - lane.credit) {
            Err(_) | Ok(0) => Visit::Ready(tenant),
            Ok(missing) => Visit::Short(tenant, missing.div_ceil(QUANTUM_MS)),
        }
    }

    /// Goes on to the next flow; one in which nothing waits leaves the ring.
    fn pass(&mut self) {
        self.granted = false;
        if self.to_pass <= 1 {
            self.round += 1;
            self.to_pass = self.ring.len();
        } else {
            self.to_pass -= 1;
        }
        if let Some(flow) = self.ring.pop_front() {
            match self.lanes.get_mut(&flow) {
                Some(lane) if lane.is_empty() => lane.in_ring = false,
                Some(_) => self.ring.push_back(flow),
                None => {}
            }
        }
    }

    /// After a round in which nobody's credit sufficed: as many rounds more as the first winner needs, in one step.
    fn skip_rounds(&mut self, short: Vec<(Flow, String, u64)>) -> Option<Turn<T>> {
        let rounds = short.iter().map(|(.., rounds)| *rounds).min()?;
        let winner = short.iter().position(|(.., needs)| *needs == rounds)?;
        for (index, (flow, ..)) in short.iter().enumerate() {
            // In the last of these rounds, those behind the winner are still to be visited.
            let had = if index <= winner { rounds } else { rounds - 1 };
            if let Some(lane) = self.lanes.get_mut(flow) {
                lane.credit += signed(had * QUANTUM_MS);
            }
        }
        let (flow, tenant, _) = short.into_iter().nth(winner)?;
        let place = self.ring.iter().position(|other| *other == flow)?;
        self.ring.rotate_left(place);
        self.round += rounds - 1;
        self.granted = true;
        self.begin(&tenant)
    }

    /// Begins a message of the flow in front.
    fn begin(&mut self, tenant: &str) -> Option<Turn<T>> {
        let flow = self.ring.front()?.clone();
        let lane = self.lanes.get_mut(&flow)?;
        let item = lane.pop(tenant)?;
        let predicted_ms = self.accounts.predicted_ms(tenant);
        lane.credit -= signed(predicted_ms);
        lane.in_hand += 1;
        self.accounts.begins(tenant);
        if lane.is_empty() {
            self.pass();
        }
        Some(Turn {
            item,
            receipt: Receipt {
                flow,
                tenant: tenant.to_owned(),
                predicted_ms,
            },
        })
    }

    /// A message has ended, or will not be begun after all; `cpu_ms` is the CPU time it took, 0 where nothing had to be run.
    pub fn ended(&mut self, receipt: Receipt, cpu_ms: u64) {
        let real_ms = cpu_ms.min(COST_MS);
        self.accounts.ends(&receipt.tenant, real_ms);
        if let Some(lane) = self.lanes.get_mut(&receipt.flow) {
            lane.in_hand = lane.in_hand.saturating_sub(1);
            let corrected = lane.credit + signed(receipt.predicted_ms) - signed(real_ms);
            lane.credit = corrected.max(-signed(DEBT_MS));
            lane.settle(self.round);
        }
        self.forget_idle();
    }

    /// Takes a tenant's newest messages out of its own flow, oldest of them first; the `keep` oldest stay.
    pub fn take_tenant(&mut self, tenant: &str, keep: usize) -> Vec<T> {
        let Some(lane) = self.lanes.get_mut(&Flow::Tenant(tenant.to_owned())) else {
            return Vec::new();
        };
        let taken = lane.take_newest(tenant, keep);
        lane.settle(self.round);
        self.accounts.leave(tenant, taken.len());
        self.forget_idle();
        taken
    }

    /// Takes all messages out, in the order in which they came.
    pub fn take_all(&mut self) -> Vec<T> {
        self.retain(|_| false)
    }

    /// Keeps the messages for which `keep` holds; gives back the others, in the order in which they came.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for lane in self.lanes.values_mut() {
            for (arrival, tenant, item) in lane.retain(&mut keep) {
                self.accounts.leave(&tenant, 1);
                taken.push((arrival, item));
            }
            lane.settle(self.round);
        }
        self.forget_idle();
        taken.sort_unstable_by_key(|(arrival, _)| *arrival);
        taken.into_iter().map(|(_, item)| item).collect()
    }

    /// Messages that wait.
    pub fn len(&self) -> usize {
        self.accounts.waiting
    }

    /// True where none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages in hand.
    pub fn in_hand(&self) -> usize {
        self.accounts.in_hand
    }

    /// A tenant's messages that wait, in whatever flow.
    pub fn waiting_of(&self, tenant: &str) -> usize {
        self.accounts.waiting_of(tenant)
    }

    /// A tenant's messages in hand, from whatever flow.
    pub fn in_hand_of(&self, tenant: &str) -> usize {
        self.accounts.in_hand_of(tenant)
    }

    /// What the noisy rule asks about a tenant.
    pub fn flight_of(&self, tenant: &str) -> Flight {
        let own = self.lanes.get(&Flow::Tenant(tenant.to_owned()));
        Flight {
            movable: own.map_or(0, |lane| lane.waiting_of(tenant)),
            of_tenant: self.waiting_of(tenant) + self.in_hand_of(tenant),
            of_all: self.len() + self.in_hand(),
            tenants: self.accounts.active(),
        }
    }

    /// Drops what is known of tenants that have been idle for longest, where too many are.
    fn forget_idle(&mut self) {
        while let Some(tenant) = self.accounts.forget_one() {
            let flow = Flow::Tenant(tenant);
            if self.lanes.remove(&flow).is_some_and(|lane| lane.in_ring) {
                // Emptied by other means than its turn, and not visited since.
                self.granted &= self.ring.front() != Some(&flow);
                self.ring.retain(|other| *other != flow);
            }
        }
    }
}

/// Milliseconds as credit: nothing here comes near the bound.
fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
