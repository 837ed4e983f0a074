//! The laws of the window, over any sequence of what may happen to it.

use proptest::prelude::*;

use super::*;

/// What may happen.
#[derive(Debug, Clone)]
enum Event {
    /// A message of this tenant comes, in its own flow or in a sideline.
    Push(u8, Option<u8>),
    /// A pick while the tenants of this mask are held back.
    Pick(u8),
    /// The message in hand at this place ends, at this cost.
    Ended(usize, u64),
    /// A tenant's newest go, but so many.
    Take(u8, usize),
    /// Every n-th message goes.
    Purge(u64),
    /// All go.
    Drain,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => (0..6u8, prop::option::of(0..2u8)).prop_map(|(tenant, side)| Event::Push(tenant, side)),
        6 => any::<u8>().prop_map(|held| Event::Pick(held & 0x3f)),
        3 => Just(Event::Pick(0)),
        6 => (0..8usize, 0..3000u64).prop_map(|(place, cost)| Event::Ended(place, cost)),
        1 => (0..6u8, 0..4usize).prop_map(|(tenant, keep)| Event::Take(tenant, keep)),
        1 => (2..5u64).prop_map(Event::Purge),
        1 => Just(Event::Drain),
    ];
    prop::collection::vec(event, 0..200)
}

/// A message in the model: its number, which is the order in which it came.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Message {
    number: u64,
    tenant: u8,
    side: Option<u8>,
}

impl Message {
    fn flow(self) -> Flow {
        self.side
            .map_or_else(|| Flow::Tenant(name(self.tenant)), Flow::Sideline)
    }
}

fn name(tenant: u8) -> String {
    format!("t{tenant}")
}

fn held(mask: u8, tenant: &str) -> May {
    let number: u8 = tenant[1..].parse().unwrap();
    if mask & (1 << number) == 0 {
        May::Run
    } else {
        May::NotNow
    }
}

/// The window and, beside it, the plainest list that obeys the same laws.
#[derive(Default)]
struct Both {
    window: Window<Message>,
    waiting: Vec<Message>,
    in_hand: Vec<Receipt>,
    pushed: u64,
}

impl Both {
    fn happens(&mut self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Push(tenant, side) => self.push(tenant, side),
            Event::Pick(mask) => self.pick(mask)?,
            Event::Ended(place, cost) if !self.in_hand.is_empty() => {
                let receipt = self.in_hand.swap_remove(place % self.in_hand.len());
                self.window.ended(receipt, cost);
            }
            Event::Ended(..) => {}
            Event::Take(tenant, keep) => self.take(tenant, keep)?,
            Event::Purge(nth) => {
                let gone = self.window.retain(|message| message.number % nth != 0);
                self.lost(&gone, |message| message.number % nth == 0)?;
            }
            Event::Drain => {
                let gone = self.window.take_all();
                self.lost(&gone, |_| true)?;
            }
        }
        self.counts_agree()
    }

    fn push(&mut self, tenant: u8, side: Option<u8>) {
        self.pushed += 1;
        let message = Message {
            number: self.pushed,
            tenant,
            side,
        };
        self.window.push(message.flow(), name(tenant), message);
        self.waiting.push(message);
    }

    fn pick(&mut self, mask: u8) -> Result<(), TestCaseError> {
        let may_run = |message: &Message| held(mask, &name(message.tenant)) == May::Run;
        let Some(turn) = self.window.pick(|tenant, _| held(mask, tenant)) else {
            // Work conserving.
            prop_assert!(!self.waiting.iter().any(may_run));
            return Ok(());
        };
        // First in, first out within the flow, among those that may run; so it was there, and only once.
        let same_flow = |message: &&Message| message.flow() == turn.item.flow() && may_run(message);
        prop_assert_eq!(self.waiting.iter().find(same_flow), Some(&turn.item));
        prop_assert_eq!(turn.receipt.tenant(), name(turn.item.tenant));
        prop_assert_eq!(turn.receipt.flow(), &turn.item.flow());
        self.waiting.retain(|message| *message != turn.item);
        self.in_hand.push(turn.receipt);
        Ok(())
    }

    fn take(&mut self, tenant: u8, keep: usize) -> Result<(), TestCaseError> {
        let gone = self.window.take_tenant(&name(tenant), keep);
        let own = self
            .waiting
            .iter()
            .filter(|message| message.flow() == Flow::Tenant(name(tenant)));
        let newest: Vec<u64> = own.skip(keep).map(|message| message.number).collect();
        self.lost(&gone, |message| newest.contains(&message.number))
    }

    /// What went is what should, in the order in which it came.
    fn lost(&mut self, gone: &[Message], should: impl Fn(&Message) -> bool) -> Result<(), TestCaseError> {
        let expected: Vec<Message> = self.waiting.iter().copied().filter(|message| should(message)).collect();
        prop_assert_eq!(gone, &expected[..]);
        self.waiting.retain(|message| !should(message));
        Ok(())
    }

    fn counts_agree(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.window.len(), self.waiting.len());
        prop_assert_eq!(self.window.in_hand(), self.in_hand.len());
        for tenant in 0..6 {
            let waiting = self.waiting.iter().filter(|message| message.tenant == tenant).count();
            let in_hand = self
                .in_hand
                .iter()
                .filter(|receipt| receipt.tenant() == name(tenant))
                .count();
            prop_assert_eq!(self.window.waiting_of(&name(tenant)), waiting);
            prop_assert_eq!(self.window.in_hand_of(&name(tenant)), in_hand);
        }
        Ok(())
    }
}

/// Runs one message of each flow alone, many times, so that predictions are the real costs and nobody has credit or debt.
fn learned(costs: &[u64]) -> Window<usize> {
    let mut window = Window::new();
    for (tenant, cost) in costs.iter().enumerate() {
        for _ in 0..60 {
            window.push(Flow::Tenant(tenant.to_string()), tenant.to_string(), tenant);
            let turn = window.pick(|_, _| May::Run).unwrap();
            window.ended(turn.receipt, *cost);
        }
    }
    window
}

fn fill(window: &mut Window<usize>, tenants: usize, each: usize) {
    for _ in 0..each {
        for tenant in 0..tenants {
            window.push(Flow::Tenant(tenant.to_string()), tenant.to_string(), tenant);
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_and_whoever_may_run_is_served_in_order(events in events()) {
        let mut both = Both::default();
        for event in events {
            both.happens(event)?;
        }
        let rest = both.window.take_all();
        prop_assert_eq!(rest, both.waiting);
    }

    #[test]
    fn service_keeps_within_a_quantum_and_a_cost_of_the_fair_share(
        costs in prop::collection::vec(1..400u64, 2..12),
        picks in 1..300usize,
    ) {
        let mut window = learned(&costs);
        fill(&mut window, costs.len(), picks);
        let mut served = vec![0; costs.len()];
        for _ in 0..picks {
            let turn = window.pick(|_, _| May::Run).unwrap();
            served[turn.item] += costs[turn.item];
            window.ended(turn.receipt, costs[turn.item]);
        }
        let fair = served.iter().sum::<u64>() / costs.len() as u64;
        let bound = QUANTUM_MS + costs.iter().max().unwrap();
        prop_assert!(served.iter().all(|served| served.abs_diff(fair) <= bound), "{served:?}, {bound}");
    }

    #[test]
    fn what_costs_more_than_predicted_is_corrected(costs in prop::collection::vec(20..2000u64, 2..6)) {
        // Nobody has learned anything: every first guess is wrong. Nobody runs out of messages either.
        let mut window = Window::new();
        fill(&mut window, costs.len(), 1200);
        let mut served = vec![0; costs.len()];
        while served.iter().sum::<u64>() < 40_000 {
            let turn = window.pick(|_, _| May::Run).unwrap();
            served[turn.item] += costs[turn.item];
            window.ended(turn.receipt, costs[turn.item]);
        }
        let fair = served.iter().sum::<u64>() / costs.len() as u64;
        let bound = QUANTUM_MS + 2 * costs.iter().max().unwrap();
        prop_assert!(served.iter().all(|served| served.abs_diff(fair) <= bound), "{served:?}, {bound}");
    }
}

#[test]
fn of_a_thousand_tenants_none_waits_for_a_second_turn_of_another() {
    let mut window = Window::new();
    fill(&mut window, 1000, 3);
    let mut first: Vec<usize> = (0..1000).map(|_| window.pick(|_, _| May::Run).unwrap().item).collect();
    first.sort_unstable();
    assert!(first.into_iter().eq(0..1000));
}

#[test]
fn a_sideline_takes_turns_as_one_tenant() {
    let mut window = Window::new();
    for number in 0..300 {
        window.push(Flow::Sideline(3), format!("noisy{}", number % 3), "side");
        window.push(Flow::Tenant("quiet".to_owned()), "quiet".to_owned(), "quiet");
    }
    let side = (0..300)
        .filter(|_| window.pick(|_, _| May::Run).unwrap().item == "side")
        .count();
    assert_eq!(side, 150);
}

#[test]
fn time_held_back_earns_nothing_and_costs_no_credit() {
    let mut window = learned(&[10, 10]);
    fill(&mut window, 2, 1000);
    let only_the_second = |tenant: &str, _: &Flow| if tenant == "1" { May::Run } else { May::NotNow };
    let run = |window: &mut Window<usize>, may: &dyn Fn(&str, &Flow) -> May| {
        let turn = window.pick(may).unwrap();
        window.ended(turn.receipt, 10);
        turn.item
    };
    for _ in 0..500 {
        assert_eq!(run(&mut window, &only_the_second), 1);
    }
    let of_the_first = (0..200).filter(|_| run(&mut window, &|_, _| May::Run) == 0).count();
    assert!((90..=110).contains(&of_the_first), "{of_the_first}");
}

#[test]
fn debt_is_bounded_and_paid_by_the_rounds_of_others() {
    let mut window = learned(&[10, 100]);
    let push = |window: &mut Window<usize>, tenant: usize| {
        window.push(Flow::Tenant(tenant.to_string()), tenant.to_string(), tenant);
    };
    push(&mut window, 0);
    let turn = window.pick(|_, _| May::Run).unwrap();
    window.ended(turn.receipt, u64::MAX);
    assert_eq!(window.lanes[&Flow::Tenant("0".to_owned())].credit, -(DEBT_MS as i64));
    for _ in 0..DEBT_MS / QUANTUM_MS + 1 {
        push(&mut window, 1);
        let turn = window.pick(|_, _| May::Run).unwrap();
        window.ended(turn.receipt, 100);
    }
    push(&mut window, 0);
    assert_eq!(window.lanes[&Flow::Tenant("0".to_owned())].credit, 0);
}

#[test]
fn what_is_known_of_idle_tenants_is_bounded() {
    let mut window = Window::new();
    for number in 0..3 * IDLE_TENANTS {
        let tenant = format!("made-up-{number}");
        window.push(Flow::Tenant(tenant.clone()), tenant, number);
        match window.pick(|_, _| May::Run) {
            Some(turn) if number % 2 == 0 => window.ended(turn.receipt, 1),
            Some(turn) => {
                window.ended(turn.receipt, 1);
                window.push(Flow::Tenant("taken".to_owned()), "taken".to_owned(), number);
                assert_eq!(window.take_tenant("taken", 0).len(), 1);
            }
            None => panic!("nothing to run"),
        }
    }
    assert!(window.lanes.len() <= IDLE_TENANTS + 1, "{}", window.lanes.len());
    assert!(window.ring.len() <= IDLE_TENANTS + 1, "{}", window.ring.len());
}

#[test]
fn a_flow_forgotten_while_in_the_ring_is_there_once_when_it_comes_back() {
    let mut window = Window::new();
    let push = |window: &mut Window<usize>, tenant: String| window.push(Flow::Tenant(tenant.clone()), tenant, 0);
    for _ in 0..2 {
        for number in 0..=IDLE_TENANTS {
            push(&mut window, number.to_string());
            assert_eq!(window.take_tenant(&number.to_string(), 0).len(), 1);
        }
    }
    push(&mut window, "0".to_owned());
    let places = window
        .ring
        .iter()
        .filter(|flow| **flow == Flow::Tenant("0".to_owned()))
        .count();
    assert_eq!(places, 1);
}
