//! Jobs that wait elsewhere: a noisy tenant's excess, jobs of a tenant that is blocked or over its limits.
//!
//! Where the broker has sidelines, the message moves to the one that its tenant has leased; otherwise the ledger keeps the job.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tracing::Instrument;

use super::{Holder, Interrupted, Item, Service};
use crate::broker::{Attention, Delivery, Moved};
use crate::clock;
use crate::tenants::gate::{Comes, Gate};
use crate::traces::{self, GoesOn};

/// How often the window is looked through for jobs that must wait elsewhere.
const SWEEP: Duration = Duration::from_millis(250);
/// How often the ledger is asked about tenants; what a worker knows of them is never older while the ledger answers.
const REFRESH: Duration = Duration::from_secs(1);
/// How often sidelines are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How long a held job waits before it is looked at again; letting its tenant go on wakes it at once.
const HELD: Duration = Duration::from_secs(600);
/// How long a noisy tenant's job waits that the ledger keeps.
const NOISY: Duration = Duration::from_secs(2);

/// Why a job waits elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its tenant is noisy.
    Noisy,
    /// Its tenant is blocked, and its jobs are held.
    Held,
    /// Its tenant is over a limit, until then; milliseconds since 1970.
    Over(u64),
    /// Its tenant may have few attempts at once.
    Few,
}

impl Why {
    fn of(gate: &Gate) -> Option<Self> {
        match gate {
            Gate::Held => Some(Self::Held),
            Gate::Over { until_ms, .. } => Some(Self::Over(*until_ms)),
            Gate::Open | Gate::Refused(..) | Gate::Dropped => None,
        }
    }

    /// How long the ledger keeps it.
    fn delay(self) -> Duration {
        match self {
            // Not all in the same moment.
            Self::Noisy | Self::Few => NOISY.mul_f64(0.5 + fastrand::f64()),
            Self::Held => HELD,
            Self::Over(until_ms) => {
                let left = Duration::from_millis(until_ms.saturating_sub(clock::unix_ms()));
                left + Duration::from_millis(fastrand::u64(0..2000))
            }
        }
    }
}

impl Service {
    /// Moves a message to its tenant's sideline, where there is one.
    pub(super) async fn to_sideline(&self, delivery: &Delivery, tenant: &str) -> Result<Moved, Interrupted> {
        let lines = self.broker.sidelines();
        if lines == 0 || delivery.envelope.sideline.is_some() {
            return Ok(Moved::NoSuchPlace);
        }
        let Some(line) = self.line_for(tenant, lines).await? else {
            return Ok(Moved::NoSuchPlace);
        };
        let moved = self.broker.put_aside(delivery, line).await?;
        if moved == Moved::There {
            traces::goes_on(GoesOn::Sideline);
            self.tenancy().moved(tenant, line);
        }
        Ok(moved)
    }

    /// The sideline of a tenant; leased now, where it has none and one is free.
    async fn line_for(&self, tenant: &str, lines: u8) -> Result<Option<u8>, Interrupted> {
        let known = self.tenancy().line_of(tenant);
        if known.is_some() {
            return Ok(known);
        }
        // One asks, and all that came with it know the answer then.
        let _one = self.leasing.lock().await;
        let known = self.tenancy().line_of(tenant);
        if known.is_some() || self.tenancy().lacks_line(tenant) {
            return Ok(known);
        }
        let leased = self.worker.ledger.lease_sideline(tenant, lines).await?;
        match leased {
            Some(line) => {
                tracing::warn!(tenant, line, "its jobs move to a sideline");
                self.tenancy().has_line(tenant, line);
            }
            None => {
                tracing::warn!(tenant, "every sideline is taken; its jobs stay where they are");
                self.tenancy().has_no_line(tenant);
            }
        }
        Ok(leased)
    }

    /// Has a job wait elsewhere. A noisy tenant's may have no such place, and what is to be refused needs none: it takes its turn.
    pub(super) async fn set_by(&self, item: &Item, why: Why) -> Result<Moved, Interrupted> {
        let Holder::Broker(delivery) = &item.holder else {
            self.keep(item, item.tries, why.delay()).await?;
            return Ok(Moved::There);
        };
        if self.is_turned_away(item) {
            return Ok(Moved::NoSuchPlace);
        }
        if self.to_sideline(delivery, &item.job.tenant).await? == Moved::There {
            return Ok(Moved::There);
        }
        match why {
            Why::Noisy => {
                self.tenancy().has_no_line(&item.job.tenant);
                return Ok(Moved::NoSuchPlace);
            }
            // In a sideline that nobody consumes now it is where it belongs.
            Why::Held | Why::Over(_) if self.is_closed(delivery.envelope.sideline) => {
                traces::goes_on(GoesOn::Broker);
                self.broker.give_back(delivery).await?;
            }
            Why::Held | Why::Over(_) | Why::Few => {
                self.keep(item, item.tries, why.delay()).await?;
                self.acknowledge_kept(item, delivery).await?;
            }
        }
        Ok(Moved::There)
    }

    /// Whether nothing but a refusal will come of it.
    pub(super) fn is_turned_away(&self, item: &Item) -> bool {
        let gate = self
            .tenancy()
            .gate(&item.job.tenant, item.envelope.enqueued_ms, Comes::Again);
        matches!(gate, Gate::Refused(..) | Gate::Dropped)
    }

    fn is_closed(&self, sideline: Option<u8>) -> bool {
        sideline.is_some_and(|line| !self.tenancy().is_open(line))
    }

    /// The same, beside everything else.
    fn set_by_soon(self: &Arc<Self>, items: Vec<Item>, why: Why) {
        for item in items {
            let (service, span) = (Arc::clone(self), item.span.clone());
            let set_by = async move {
                match service.set_by(&item, why).await {
                    Ok(Moved::There) => {}
                    // Whose tenant is kept out has no turn.
                    Ok(Moved::NoSuchPlace) if why != Why::Noisy => drop(service.work_on(item).await),
                    Ok(Moved::NoSuchPlace) => service.let_in(item),
                    Err(interrupted) => service.comes_again(&item, &interrupted).await,
                }
            };
            tokio::spawn(set_by.instrument(span));
        }
    }

    /// Looks through the window for what must wait elsewhere.
    fn sweep(self: &Arc<Self>) {
        // What a lost connection took away is delivered again; its place here is free for that.
        let lost = self.turns().retain(|item| match &item.holder {
            Holder::Broker(delivery) => self.broker.holds(delivery),
            Holder::Ledger => true,
        });
        drop(lost);
        let tenants = self.turns().tenants();
        for tenant in tenants {
            let gate = self.tenancy().gate(&tenant, None, Comes::Again);
            if let Some(why) = Why::of(&gate) {
                let items = self.turns().take_tenant(&tenant, 0);
                self.set_by_soon(items, why);
                continue;
            }
            let waiting = self.turns().waiting_of(&tenant);
            let few = self.tenancy().few(&tenant).filter(|few| waiting > *few);
            if let Some(few) = few {
                let items = self.turns().take_tenant(&tenant, few);
                self.set_by_soon(items, Why::Few);
                continue;
            }
            let noisy = self.tenancy().noisy(&tenant, waiting);
            if let Some(keep) = noisy.filter(|keep| waiting > *keep) {
                let items = self.turns().take_tenant(&tenant, keep);
                self.set_by_soon(items, Why::Noisy);
            }
        }
    }

    /// Keeps what this worker knows of tenants fresh.
    pub(super) async fn keep_tenants(self: Arc<Self>) {
        let mut sweep = interval(SWEEP);
        let mut refresh = interval(REFRESH);
        for each in [&mut sweep, &mut refresh] {
            each.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            tokio::select! {
                _ = sweep.tick() => {
                    self.sweep();
                    self.attend();
                }
                _ = refresh.tick() => self.refresh().await,
                () = self.broker.told() => self.refresh().await,
            }
            self.next.notify_one();
        }
    }

    async fn refresh(self: &Arc<Self>) {
        if let Err(interrupted) = self.ask_about_tenants().await {
            self.interrupted(&interrupted);
        }
        self.attend();
        self.leave_sidelines();
    }

    fn attend(&self) {
        let waiting = self.turns().waiting();
        let mut tenancy = self.tenancy();
        let attention = Attention {
            sidelines: tenancy.open_lines(self.broker.sidelines()).collect(),
            lanes: tenancy.intake(waiting),
        };
        drop(tenancy);
        self.broker.attend(attention);
    }

    /// What came from a sideline and may not begin now goes back there, or to the ledger where others consume it still.
    fn leave_sidelines(self: &Arc<Self>) {
        let items = {
            let tenancy = self.tenancy();
            self.turns().retain(|item| {
                let gate = || tenancy.gate(&item.job.tenant, None, Comes::Again);
                let of_broker = matches!(item.holder, Holder::Broker(_));
                !of_broker || item.envelope.sideline.is_none() || Why::of(&gate()).is_none()
            })
        };
        for item in items {
            let gate = self.tenancy().gate(&item.job.tenant, None, Comes::Again);
            match Why::of(&gate) {
                Some(why) => self.set_by_soon(vec![item], why),
                None => self.let_in(item),
            }
        }
    }

    async fn ask_about_tenants(&self) -> Result<(), Interrupted> {
        let ledger = &self.worker.ledger;
        let charges = self.tenancy().take_charges();
        match ledger.charge(&charges).await {
            Ok(totals) => self.tenancy().charged(totals),
            Err(error) => {
                self.tenancy().not_charged(charges);
                return Err(error.into());
            }
        }
        let revision = self.tenancy().revision();
        let standings = ledger.tenants(revision).await?;
        self.tenancy().decided(revision, standings);
        let lines = ledger.sidelines().await?;
        self.tenancy().leased(lines);
        Ok(())
    }

    /// Looks at the sidelines, beside all else: a broker that blocks publishers does not answer for a while.
    pub(super) async fn keep_sidelines(self: Arc<Self>) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            self.look_at_sidelines().await;
        }
    }

    /// A sideline stays its tenant's for as long as something waits in it, though no worker was there for longer than its lease.
    async fn look_at_sidelines(&self) {
        let lines = 0..self.broker.sidelines();
        let mut kept = Vec::new();
        for line in lines {
            match self.broker.depth(line).await {
                Ok(depth) => {
                    self.tenancy().depth_is(line, depth);
                    kept.extend((depth > 0).then_some(line));
                }
                Err(error) => return tracing::debug!(%error, "sidelines"),
            }
        }
        let counted = async {
            self.worker.ledger.keep_sidelines(&kept).await?;
            if self.tenancy().counts_waiting() {
                let tenants = self.worker.ledger.tenant_list().await?;
                self.tenancy().waiting_are(tenants);
            }
            Ok::<(), crate::ledger::LedgerError>(())
        };
        if let Err(error) = counted.await {
            self.interrupted(&error.into());
        }
    }
}
