//! What is known of each tenant: how much of it is here, and what its messages cost. `[pure]`

use std::collections::{BTreeMap, HashMap};

use super::{FIRST_GUESS_MS, IDLE_TENANTS};

/// Weight of the newest cost in a tenant's prediction.
const WEIGHT: f64 = 0.25;

/// All tenants.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// Messages that wait, of all tenants.
    pub(super) waiting: usize,
    /// Messages in hand, of all tenants.
    pub(super) in_hand: usize,
    tenants: HashMap<String, Account>,
    /// Idle tenants, by when they became idle.
    idle: BTreeMap<u64, String>,
    stamps: u64,
}

#[derive(Debug)]
struct Account {
    predicted_ms: f64,
    waiting: usize,
    in_hand: usize,
    idle: Option<u64>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            predicted_ms: FIRST_GUESS_MS as f64,
            waiting: 0,
            in_hand: 0,
            idle: None,
        }
    }
}

impl Accounts {
    /// CPU time that a tenant's next message will probably take, in whole milliseconds, at least 1.
    pub(super) fn predicted_ms(&self, tenant: &str) -> u64 {
        let predicted = self.tenants.get(tenant).map(|account| account.predicted_ms);
        predicted.map_or(FIRST_GUESS_MS, |ms| (ms.round() as u64).max(1))
    }

    pub(super) fn waiting_of(&self, tenant: &str) -> usize {
        self.tenants.get(tenant).map_or(0, |account| account.waiting)
    }

    pub(super) fn in_hand_of(&self, tenant: &str) -> usize {
        self.tenants.get(tenant).map_or(0, |account| account.in_hand)
    }

    /// Tenants of which something waits or is in hand.
    pub(super) fn active(&self) -> usize {
        self.tenants.len() - self.idle.len()
    }

    /// One more message of a tenant waits.
    pub(super) fn waits(&mut self, tenant: &str) {
        let account = self.tenants.entry(tenant.to_owned()).or_default();
        account.waiting += 1;
        self.waiting += 1;
        if let Some(stamp) = account.idle.take() {
            self.idle.remove(&stamp);
        }
    }

    /// One that waited is in hand.
    pub(super) fn begins(&mut self, tenant: &str) {
        if let Some(account) = self.tenants.get_mut(tenant) {
            account.waiting -= 1;
            account.in_hand += 1;
            self.waiting -= 1;
            self.in_hand += 1;
        }
    }

    /// One in hand has ended.
    pub(super) fn ends(&mut self, tenant: &str, real_ms: u64) {
        if let Some(account) = self.tenants.get_mut(tenant) {
            account.predicted_ms += WEIGHT * (real_ms as f64 - account.predicted_ms);
            account.in_hand -= 1;
            self.in_hand -= 1;
            self.note_idle(tenant);
        }
    }

    /// Some that waited are gone.
    pub(super) fn leave(&mut self, tenant: &str, count: usize) {
        if let Some(account) = self.tenants.get_mut(tenant) {
            account.waiting -= count;
            self.waiting -= count;
            self.note_idle(tenant);
        }
    }

    fn note_idle(&mut self, tenant: &str) {
        if let Some(account) = self.tenants.get_mut(tenant)
            && account.waiting + account.in_hand == 0
            && account.idle.is_none()
        {
            self.stamps += 1;
            account.idle = Some(self.stamps);
            self.idle.insert(self.stamps, tenant.to_owned());
        }
    }

    /// Forgets the tenant that has been idle for longest, where more are idle than are remembered.
    pub(super) fn forget_one(&mut self) -> Option<String> {
        if self.idle.len() <= IDLE_TENANTS {
            return None;
        }
        let (_, tenant) = self.idle.pop_first()?;
        self.tenants.remove(&tenant);
        Some(tenant)
    }
}
