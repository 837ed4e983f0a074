//! What waits in one flow, in the order in which it came, and the flow's credit. `[pure]`

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{May, QUANTUM_MS, signed};

/// One flow.
#[derive(Debug)]
pub(super) struct Lane<T> {
    /// Messages with the number of their arrival, by tenant; no queue is empty.
    queues: HashMap<String, VecDeque<(u64, T)>>,
    /// Tenants by the arrival of their first message.
    heads: BTreeMap<u64, String>,
    /// CPU time that it may still use before others, in milliseconds; under 0: debt.
    pub(super) credit: i64,
    /// Its messages in hand.
    pub(super) in_hand: usize,
    /// Whether it has a place in the ring.
    pub(super) in_ring: bool,
    /// The round in which it became idle.
    idle_since: Option<u64>,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            queues: HashMap::new(),
            heads: BTreeMap::new(),
            credit: 0,
            in_hand: 0,
            in_ring: false,
            idle_since: None,
        }
    }
}

impl<T> Lane<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    pub(super) fn waiting_of(&self, tenant: &str) -> usize {
        self.queues.get(tenant).map_or(0, VecDeque::len)
    }

    pub(super) fn push(&mut self, tenant: String, arrival: u64, item: T) {
        let queue = self.queues.entry(tenant.clone()).or_default();
        if queue.is_empty() {
            self.heads.insert(arrival, tenant);
        }
        queue.push_back((arrival, item));
    }

    /// The tenant of the oldest message that may run.
    pub(super) fn first(&self, mut may_run: impl FnMut(&str) -> May) -> Option<String> {
        let mut tenants = self.heads.values();
        tenants.find(|tenant| may_run(tenant) == May::Run).cloned()
    }

    /// A tenant's oldest message.
    pub(super) fn pop(&mut self, tenant: &str) -> Option<T> {
        let queue = self.queues.get_mut(tenant)?;
        let (arrival, item) = queue.pop_front()?;
        let name = self.heads.remove(&arrival)?;
        match queue.front() {
            Some((next, _)) => drop(self.heads.insert(*next, name)),
            None => drop(self.queues.remove(tenant)),
        }
        Some(item)
    }

    /// A tenant's messages but the `keep` oldest.
    pub(super) fn take_newest(&mut self, tenant: &str, keep: usize) -> Vec<T> {
        let Some(queue) = self.queues.get_mut(tenant) else {
            return Vec::new();
        };
        let first = queue.front().map(|(arrival, _)| *arrival);
        let taken = queue.split_off(keep.min(queue.len()));
        if queue.is_empty() {
            self.queues.remove(tenant);
            first.and_then(|arrival| self.heads.remove(&arrival));
        }
        taken.into_iter().map(|(_, item)| item).collect()
    }

    /// Keeps what `keep` holds for; gives back the rest, with arrival and tenant.
    pub(super) fn retain(&mut self, keep: &mut impl FnMut(&T) -> bool) -> Vec<(u64, String, T)> {
        let mut taken = Vec::new();
        self.heads.clear();
        for (tenant, queue) in std::mem::take(&mut self.queues) {
            let (kept, gone): (VecDeque<_>, VecDeque<_>) = queue.into_iter().partition(|(_, item)| keep(item));
            taken.extend(gone.into_iter().map(|(arrival, item)| (arrival, tenant.clone(), item)));
            if let Some((arrival, _)) = kept.front() {
                self.heads.insert(*arrival, tenant.clone());
                self.queues.insert(tenant, kept);
            }
        }
        taken
    }

    /// Where nothing waits and nothing is in hand, credit is forgotten.
    pub(super) fn settle(&mut self, round: u64) {
        if self.is_empty() && self.in_hand == 0 {
            self.credit = self.credit.min(0);
            self.idle_since.get_or_insert(round);
        }
    }

    /// It has something to do again: the rounds that it was idle for count against its debt.
    pub(super) fn wake(&mut self, round: u64) {
        if let Some(since) = self.idle_since.take() {
            let paid = (round - since).saturating_mul(QUANTUM_MS);
            self.credit = self.credit.saturating_add(signed(paid)).min(0);
        }
    }
}
