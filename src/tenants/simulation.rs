//! The flood of S2, simulated millisecond by millisecond: 140,000 messages of one tenant, then twenty quiet ones that send a job a second.
//!
//! Once first in, first out; once with window, noisy rule and sideline. The sideline is a queue of its own that one flow serves; a message
//! being moved still counts as held, as it is acknowledged only once its copy is confirmed.

use std::collections::VecDeque;
use std::time::Duration;

use super::noise::{Behind, Noise, Noisiness, Worker};
use super::window::{Flow, May, Receipt, Window};

const FLOOD: usize = 140_000;
const QUIET: usize = 20;
/// How long quiet tenants send.
const SENDING_MS: u64 = 600_000;
const COST_MS: u64 = 20;
const SLOTS: usize = 2;
const WINDOW: usize = 64;
/// Messages of the sideline that a worker holds.
const SIDE_WINDOW: usize = 8;
/// 10,000 messages a second.
const MOVED_PER_MS: usize = 10;

/// Tenant 0 floods.
#[derive(Debug, Clone, Copy)]
struct Message {
    tenant: usize,
    sent_ms: u64,
    cost_ms: u64,
}

fn name(tenant: usize) -> String {
    format!("t{tenant}")
}

/// Decides what a worker begins next.
trait Policy {
    /// A millisecond passes: takes messages from the lane.
    fn tick(&mut self, lane: &mut VecDeque<Message>, now_ms: u64);
    fn begin(&mut self) -> Option<(Message, Option<Receipt>)>;
    fn ended(&mut self, message: Message, receipt: Option<Receipt>, now_ms: u64);
}

#[derive(Default)]
struct Fifo(VecDeque<Message>);

impl Policy for Fifo {
    fn tick(&mut self, lane: &mut VecDeque<Message>, _now_ms: u64) {
        let room = WINDOW.saturating_sub(self.0.len()).min(lane.len());
        self.0.extend(lane.drain(..room));
    }

    fn begin(&mut self) -> Option<(Message, Option<Receipt>)> {
        Some((self.0.pop_front()?, None))
    }

    fn ended(&mut self, _message: Message, _receipt: Option<Receipt>, _now_ms: u64) {}
}

#[derive(Default)]
struct Fair {
    window: Window<Message>,
    noise: Noise,
    moving: VecDeque<Message>,
    sideline: VecDeque<Message>,
    /// Of the sideline, in the window.
    of_sideline: usize,
}

impl Fair {
    fn held(&self) -> usize {
        self.window.len() + self.window.in_hand() + self.moving.len() - self.of_sideline
    }

    fn judge(&mut self, tenant: usize, now_ms: u64) {
        let worker = Worker {
            window: WINDOW,
            slots: SLOTS,
            behind: if self.held() < WINDOW {
                Behind::Nothing
            } else {
                Behind::Perhaps
            },
        };
        let flight = self.window.flight_of(&name(tenant));
        let now = Duration::from_millis(now_ms);
        if let Noisiness::Noisy { keep, .. } = self.noise.judge(&name(tenant), flight, &worker, now) {
            self.moving.extend(self.window.take_tenant(&name(tenant), keep));
        }
    }
}

impl Policy for Fair {
    fn tick(&mut self, lane: &mut VecDeque<Message>, now_ms: u64) {
        let landed = MOVED_PER_MS.min(self.moving.len());
        self.sideline.extend(self.moving.drain(..landed));
        while self.of_sideline < SIDE_WINDOW
            && let Some(message) = self.sideline.pop_front()
        {
            self.of_sideline += 1;
            self.window.push(Flow::Sideline(0), name(message.tenant), message);
        }
        let mut came = [false; QUIET + 1];
        while self.held() < WINDOW
            && let Some(message) = lane.pop_front()
        {
            came[message.tenant] = true;
            self.window
                .push(Flow::Tenant(name(message.tenant)), name(message.tenant), message);
        }
        for tenant in (0..=QUIET).filter(|tenant| came[*tenant]) {
            self.judge(tenant, now_ms);
        }
    }

    fn begin(&mut self) -> Option<(Message, Option<Receipt>)> {
        let turn = self.window.pick(|_, _| May::Run)?;
        Some((turn.item, Some(turn.receipt)))
    }

    fn ended(&mut self, message: Message, receipt: Option<Receipt>, now_ms: u64) {
        let receipt = receipt.unwrap();
        self.of_sideline -= usize::from(*receipt.flow() == Flow::Sideline(0));
        self.noise
            .used(receipt.tenant(), message.cost_ms, Duration::from_millis(now_ms));
        self.window.ended(receipt, message.cost_ms);
    }
}

/// What came of it.
#[derive(Debug)]
struct Told {
    /// Wait of quiet tenants, in milliseconds, that 99 % of their jobs were within.
    p99_ms: u64,
    /// Jain's index over all tenants of what each got of its max-min fair share, while quiet tenants sent.
    jain: f64,
}

/// All messages of the quiet tenants in the order in which they are sent.
fn quiet_messages(seed: u64) -> VecDeque<Message> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut messages: Vec<Message> = (1..=QUIET)
        .flat_map(|tenant| {
            (random.u64(1..1000)..SENDING_MS)
                .step_by(1000)
                .map(move |sent_ms| (tenant, sent_ms))
        })
        .map(|(tenant, sent_ms)| Message {
            tenant,
            sent_ms,
            cost_ms: 0,
        })
        .collect();
    messages.sort_by_key(|message| (message.sent_ms, message.tenant));
    let costs = std::iter::repeat_with(|| random.u64(COST_MS / 2..=COST_MS * 3 / 2));
    messages
        .iter()
        .zip(costs)
        .map(|(message, cost_ms)| Message { cost_ms, ..*message })
        .collect()
}

fn simulate(mut policy: impl Policy, seed: u64) -> Told {
    let flood = Message {
        tenant: 0,
        sent_ms: 0,
        cost_ms: COST_MS,
    };
    let mut lane: VecDeque<Message> = std::iter::repeat_n(flood, FLOOD).collect();
    let mut to_send = quiet_messages(seed);
    let demand = cpu_by_tenant(to_send.iter());
    let mut quiet_left = to_send.len();
    let mut running: Vec<(u64, Message, Option<Receipt>)> = Vec::new();
    let (mut waits, mut served) = (Vec::new(), [0u64; QUIET + 1]);
    let mut now_ms = 0;
    while quiet_left > 0 {
        while to_send.front().is_some_and(|message| message.sent_ms <= now_ms) {
            lane.extend(to_send.pop_front());
        }
        for (_, message, receipt) in running.extract_if(.., |(until_ms, ..)| *until_ms <= now_ms) {
            quiet_left -= usize::from(message.tenant != 0);
            if now_ms < SENDING_MS {
                served[message.tenant] += message.cost_ms;
            }
            policy.ended(message, receipt, now_ms);
        }
        policy.tick(&mut lane, now_ms);
        while running.len() < SLOTS
            && let Some((message, receipt)) = policy.begin()
        {
            if message.tenant != 0 {
                waits.push(now_ms - message.sent_ms);
            }
            running.push((now_ms + message.cost_ms, message, receipt));
        }
        now_ms += 1;
    }
    waits.sort_unstable();
    Told {
        p99_ms: waits[waits.len() * 99 / 100],
        jain: jain(&served, &demand),
    }
}

fn cpu_by_tenant<'a>(messages: impl Iterator<Item = &'a Message>) -> [u64; QUIET + 1] {
    messages.fold([0; QUIET + 1], |mut sum, message| {
        sum[message.tenant] += message.cost_ms;
        sum
    })
}

/// Quiet tenants ask for less than an equal share, so max-min fairness gives them all they ask for, and the flood the rest.
fn jain(served: &[u64], demand: &[u64]) -> f64 {
    let all = SENDING_MS * SLOTS as u64;
    let rest = all - demand[1..].iter().sum::<u64>();
    assert!(demand[1..].iter().all(|demand| demand * served.len() as u64 <= all));
    let entitled = std::iter::once(rest).chain(demand[1..].iter().copied());
    let got: Vec<f64> = served
        .iter()
        .zip(entitled)
        .map(|(got, entitled)| *got as f64 / entitled as f64)
        .collect();
    let sum: f64 = got.iter().sum();
    sum * sum / (got.len() as f64 * got.iter().map(|share| share * share).sum::<f64>())
}

#[test]
fn quiet_tenants_do_not_notice_a_flood() {
    for seed in [1, 2] {
        let fifo = simulate(Fifo::default(), seed);
        let fair = simulate(Fair::default(), seed);
        println!("first in, first out: {fifo:?}; fair: {fair:?}");
        assert!(fair.p99_ms * 50 <= fifo.p99_ms, "{fair:?} {fifo:?}");
        assert!(fair.jain > 0.95 && fifo.jain < 0.1, "{fair:?} {fifo:?}");
    }
}
