//! Whose turn it is: interactive jobs before bulk ones, but for one turn in [`BULK_TURN`].

use std::collections::HashMap;
use std::sync::Arc;

use super::tenancy::Tenancy;
use super::{Holder, Item, Service};
use crate::broker::Lane;
use crate::tenants::window::{Flow, Receipt, Window};

/// One turn in so many is offered to the bulk lane first: it must not starve.
const BULK_TURN: u64 = 8;

/// Jobs that have been let in and not begun.
#[derive(Default)]
pub(super) struct Turns {
    interactive: Window<Item>,
    bulk: Window<Item>,
    count: u64,
    /// How many jobs of each tenant wait.
    tenants: HashMap<String, usize>,
    /// How many are in hand.
    in_hand: HashMap<String, usize>,
}

/// A job whose turn it is.
pub(super) struct Turn {
    pub(super) item: Item,
    lane: Lane,
    receipt: Receipt,
}

impl Turns {
    fn window(&mut self, lane: Lane) -> &mut Window<Item> {
        match lane {
            Lane::Bulk => &mut self.bulk,
            Lane::Interactive | Lane::Suspect => &mut self.interactive,
        }
    }

    fn push(&mut self, flow: Flow, item: Item) {
        let tenant = item.job.tenant.clone();
        *self.tenants.entry(tenant.clone()).or_default() += 1;
        self.window(item.envelope.lane).push(flow, tenant, item);
    }

    /// A job of this tenant does not wait any more.
    fn gone(&mut self, tenant: &str) {
        count_down(&mut self.tenants, tenant);
    }

    fn ended(&mut self, lane: Lane, receipt: Receipt, cpu_ms: u64) {
        count_down(&mut self.in_hand, receipt.tenant());
        self.window(lane).ended(receipt, cpu_ms);
    }

    /// Tenants of which something waits.
    pub(super) fn tenants(&self) -> Vec<String> {
        self.tenants.keys().cloned().collect()
    }

    /// Jobs that wait.
    pub(super) fn waiting(&self) -> usize {
        self.interactive.len() + self.bulk.len()
    }

    /// Jobs of a tenant that wait in its own flows.
    pub(super) fn waiting_of(&self, tenant: &str) -> usize {
        let windows = [&self.interactive, &self.bulk];
        windows.map(|window| window.flight_of(tenant).movable).iter().sum()
    }

    /// Takes a tenant's newest jobs out of its own flows, all but so many; bulk ones first.
    pub(super) fn take_tenant(&mut self, tenant: &str, keep: usize) -> Vec<Item> {
        let interactive = self.interactive.flight_of(tenant).movable;
        let mut taken = self.bulk.take_tenant(tenant, keep.saturating_sub(interactive));
        taken.extend(self.interactive.take_tenant(tenant, keep));
        taken.iter().for_each(|_| self.gone(tenant));
        taken
    }

    /// Takes out the jobs that shall not stay.
    pub(super) fn retain(&mut self, stays: impl Fn(&Item) -> bool) -> Vec<Item> {
        let mut taken = self.interactive.retain(&stays);
        taken.extend(self.bulk.retain(&stays));
        taken.iter().for_each(|item| self.gone(&item.job.tenant));
        taken
    }

    fn pick(&mut self, tenancy: &Tenancy) -> Option<Turn> {
        self.count += 1;
        let lanes = match self.count % BULK_TURN {
            0 => [Lane::Bulk, Lane::Interactive],
            _ => [Lane::Interactive, Lane::Bulk],
        };
        for lane in lanes {
            let in_hand = &self.in_hand;
            let window = match lane {
                Lane::Bulk => &mut self.bulk,
                Lane::Interactive | Lane::Suspect => &mut self.interactive,
            };
            let may_run = |tenant: &str, _: &Flow| tenancy.may(tenant, in_hand.get(tenant).copied().unwrap_or(0));
            if let Some(turn) = window.pick(may_run) {
                let tenant = &turn.item.job.tenant;
                *self.in_hand.entry(tenant.clone()).or_default() += 1;
                self.gone(&tenant.clone());
                return Some(Turn {
                    item: turn.item,
                    lane,
                    receipt: turn.receipt,
                });
            }
        }
        None
    }

    pub(super) fn take_all(&mut self) -> Vec<Item> {
        self.tenants.clear();
        let mut items = self.interactive.take_all();
        items.extend(self.bulk.take_all());
        items
    }
}

fn count_down(counts: &mut HashMap<String, usize>, tenant: &str) {
    if let Some(count) = counts.get_mut(tenant) {
        *count -= 1;
        if *count == 0 {
            counts.remove(tenant);
        }
    }
}

impl Service {
    /// Puts a job into the window.
    pub(super) fn let_in(&self, item: Item) {
        // What the ledger keeps is not in a sideline any more.
        let sideline = match item.holder {
            Holder::Broker(_) => item.envelope.sideline,
            Holder::Ledger => None,
        };
        let flow = self.tenancy().flow(&item.job.tenant, sideline);
        self.turns().push(flow, item);
        self.next.notify_one();
    }

    /// Begins jobs in their turn.
    pub(super) async fn take_turns(self: Arc<Self>) {
        loop {
            if self.ready().await.is_none() {
                return;
            }
            let Ok(hand) = Arc::clone(&self.hands).acquire_owned().await else {
                return;
            };
            let Some(turn) = self.next_turn() else {
                drop(hand);
                self.next.notified().await;
                continue;
            };
            let service = Arc::clone(&self);
            tokio::spawn(async move {
                let Turn { item, lane, receipt } = turn;
                let cpu_ms = service.work_on(item).await;
                service.turns().ended(lane, receipt, cpu_ms);
                drop(hand);
                service.next.notify_one();
            });
        }
    }

    fn next_turn(&self) -> Option<Turn> {
        let tenancy = self.tenancy();
        self.turns().pick(&tenancy)
    }
}
