//! Tenants as this worker knows them: what was decided about them and what they have used, at most a second old; who holds how many
//! messages here; who is noisy; which sideline is whose.
//!
//! In: the ledger's answers, and what this worker does. Out: what becomes of a job. The rules are those of [`crate::tenants`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use crate::broker::Intake;
use crate::clock::{self, Stopwatch};
use crate::config::{FairnessConfig, Order, Probation};
use crate::ledger::{Revision, TenantSummary};
use crate::pipeline::Terms;
use crate::tenants::gate::{self, Arrival, Comes, Gate, Used};
use crate::tenants::noise::{Behind, Flight, Noise, Noisiness, Worker};
use crate::tenants::probation::probation;
use crate::tenants::window::{Flow, May};
use crate::tenants::{Limits, Standing, Use};

/// How long the use of a tenant that has gone quiet is remembered.
const QUIET: Duration = Duration::from_secs(120);
/// How long a tenant without a sideline waits before one is asked for again.
const NO_LINE: Duration = Duration::from_secs(10);
/// How long the jobs of a tenant wait that has as many attempts running as it may.
const CROWDED: Duration = Duration::from_secs(1);
/// How long the sideline of a tenant that was purged is consumed though the tenant is kept out.
const EMPTIES: Duration = Duration::from_secs(600);
/// Fewest jobs that stay in the window of a tenant that may have few attempts at once.
const FEW: usize = 4;
/// Most tenants whose use is asked about at once.
const CHARGES: usize = 1000;
/// How long after it was used last an account is asked about.
const ACTIVE: Duration = Duration::from_secs(3);
/// Messages that move aside between two looks, from which on the lanes are taken in wider.
const FLOOD: u32 = 32;
/// How long they are after the last such look.
const EBB: Duration = Duration::from_secs(2);
/// How often all standings are read, and not only those that changed: a ledger that lost its last rows gives their revisions to others.
const AFRESH: Duration = Duration::from_secs(60);
/// A minute of use, in milliseconds.
const MINUTE_MS: u64 = 60_000;

/// What a tenant may use, by the configuration.
pub type LimitsOf = Box<dyn Fn(&str) -> Limits + Send + Sync>;

pub(super) struct Tenancy {
    limits: LimitsOf,
    fairness: FairnessConfig,
    window: usize,
    slots: usize,
    since: Stopwatch,
    revision: Revision,
    /// When all standings were read last.
    whole: Option<Duration>,
    standings: HashMap<String, Standing>,
    accounts: HashMap<String, Account>,
    noise: Noise,
    /// Messages that each tenant has in this worker.
    held: HashMap<String, usize>,
    held_in_all: usize,
    lines: BTreeMap<u8, Line>,
    without_line: HashMap<String, Duration>,
    /// Messages that moved aside since somebody looked.
    moves: u32,
    /// When last there were many.
    flooded: Option<Duration>,
    /// Tenants with as many attempts running in the fleet as they may, and until when nobody asks again.
    crowded: HashMap<String, Duration>,
}

/// A sideline that is leased.
pub(super) struct Line {
    tenant: String,
    depth: u64,
}

/// What a tenant has used.
#[derive(Default)]
struct Account {
    minute: Use,
    day: Use,
    /// Unix minute that `minute` is of.
    of_minute: u64,
    /// Not yet told the ledger.
    own: Use,
    /// Jobs that the ledger keeps, where a limit asks for it.
    waiting: u64,
    active: Duration,
}

impl Tenancy {
    pub(super) fn new(limits: LimitsOf, fairness: FairnessConfig, window: usize, slots: usize) -> Self {
        Self {
            limits,
            fairness,
            window,
            slots,
            since: Stopwatch::start(),
            revision: Revision::default(),
            whole: None,
            standings: HashMap::new(),
            accounts: HashMap::new(),
            noise: Noise::default(),
            held: HashMap::new(),
            held_in_all: 0,
            lines: BTreeMap::new(),
            without_line: HashMap::new(),
            moves: 0,
            flooded: None,
            crowded: HashMap::new(),
        }
    }

    /// A message of this tenant is here.
    pub(super) fn came(&mut self, tenant: &str) {
        *self.held.entry(tenant.to_owned()).or_default() += 1;
        self.held_in_all += 1;
    }

    /// It is gone.
    pub(super) fn went(&mut self, tenant: &str) {
        if let Some(count) = self.held.get_mut(tenant) {
            *count -= 1;
            self.held_in_all -= 1;
            if *count == 0 {
                self.held.remove(tenant);
            }
        }
    }

    /// The flow that a job takes turns in.
    pub(super) fn flow(&self, tenant: &str, sideline: Option<u8>) -> Flow {
        match (self.fairness.order, sideline) {
            (Order::Arrival, _) => Flow::Tenant(String::new()),
            (Order::Fair, Some(line)) => Flow::Sideline(line),
            (Order::Fair, None) => Flow::Tenant(tenant.to_owned()),
        }
    }

    /// What becomes of a job.
    pub(super) fn gate(&self, tenant: &str, enqueued_ms: Option<u64>, comes: Comes) -> Gate {
        let arrival = Arrival {
            tenant,
            enqueued_ms,
            comes,
        };
        let now_ms = clock::unix_ms();
        let (standing, limits) = (self.standing(tenant), self.limits(tenant, now_ms));
        gate::gate(&arrival, &standing, &limits, &self.used(tenant, now_ms), now_ms)
    }

    /// Whether a tenant's next job may begin, of which so many are in hand.
    pub(super) fn may(&self, tenant: &str, in_hand: usize) -> May {
        let limits = self.limits(tenant, clock::unix_ms());
        if limits.in_flight != 0 && in_hand >= limits.in_flight as usize {
            return May::NotNow;
        }
        if self
            .crowded
            .get(tenant)
            .is_some_and(|until| *until > self.since.elapsed())
        {
            return May::NotNow;
        }
        match self.gate(tenant, None, Comes::Again) {
            Gate::Held | Gate::Over { .. } => May::NotNow,
            // Refused when it is begun.
            Gate::Open | Gate::Refused(..) | Gate::Dropped => May::Run,
        }
    }

    /// What an attempt of this tenant may have now.
    pub(super) fn terms(&self, tenant: &str) -> Terms {
        let now_ms = clock::unix_ms();
        let limits = self.limits(tenant, now_ms);
        Terms {
            ceiling: probation(&self.standing(tenant), now_ms).map(|probation| probation.ceiling),
            most_in_flight: (limits.in_flight != 0).then_some(limits.in_flight),
        }
    }

    /// How many of a tenant's `waiting` messages stay, where it is noisy.
    pub(super) fn noisy(&mut self, tenant: &str, waiting: usize) -> Option<usize> {
        if self.fairness.order == Order::Arrival {
            return None;
        }
        let flight = Flight {
            movable: waiting,
            of_tenant: self.held.get(tenant).copied().unwrap_or(0),
            of_all: self.held_in_all,
            tenants: self.held.len(),
        };
        let behind = match self.held_in_all >= self.window {
            true => Behind::Perhaps,
            false => Behind::Nothing,
        };
        let worker = Worker {
            window: self.window,
            slots: self.slots,
            behind,
        };
        if self.lacks_line(tenant) {
            return None;
        }
        let now = self.since.elapsed();
        match self.noise.judge(tenant, flight, &worker, now) {
            Noisiness::Noisy { keep, .. } => Some(keep),
            Noisiness::Quiet => None,
        }
    }

    /// A tenant has as many attempts running in the fleet as it may.
    pub(super) fn is_crowded(&mut self, tenant: &str) {
        let now = self.since.elapsed();
        self.crowded.retain(|_, until| *until > now);
        self.crowded.insert(tenant.to_owned(), now + CROWDED);
    }

    /// Whether no sideline was free for this tenant a moment ago.
    pub(super) fn lacks_line(&self, tenant: &str) -> bool {
        let until = self.without_line.get(tenant);
        until.is_some_and(|until| *until > self.since.elapsed())
    }

    /// There is no sideline for this tenant: it stays where it is.
    pub(super) fn has_no_line(&mut self, tenant: &str) {
        let until = self.since.elapsed() + NO_LINE;
        self.without_line.retain(|_, until| *until > self.since.elapsed());
        self.without_line.insert(tenant.to_owned(), until);
    }

    pub(super) fn line_of(&self, tenant: &str) -> Option<u8> {
        let mut lines = self.lines.iter();
        lines.find(|(_, line)| line.tenant == tenant).map(|(line, _)| *line)
    }

    /// A sideline is a tenant's.
    pub(super) fn has_line(&mut self, tenant: &str, line: u8) -> &mut Line {
        self.lines.entry(line).or_insert_with(|| Line {
            tenant: tenant.to_owned(),
            depth: 0,
        })
    }

    /// A message has moved to a sideline.
    pub(super) fn moved(&mut self, tenant: &str, line: u8) {
        self.has_line(tenant, line).depth += 1;
        self.moves += 1;
    }

    /// How much of the lanes to take in, to be asked at each look; `waiting` jobs wait here. A flood that moves aside is taken in wide,
    /// so that those behind it come soon; but others have workers too, so not while more wait here than usual.
    pub(super) fn intake(&mut self, waiting: usize) -> Intake {
        let now = self.since.elapsed();
        if std::mem::take(&mut self.moves) >= FLOOD {
            self.flooded = Some(now);
        }
        let flooded = self.flooded.is_some_and(|at| now.saturating_sub(at) < EBB);
        match flooded && waiting <= self.window {
            true => Intake::Wide,
            false => Intake::Usual,
        }
    }

    /// Sidelines that may be consumed: all but those of tenants whose jobs may not begin now.
    pub(super) fn open_lines(&self, lines: u8) -> impl Iterator<Item = u8> + '_ {
        (0..lines).filter(|line| self.is_open(*line))
    }

    /// Whether a sideline may be consumed. That of a tenant that was just purged is, whatever else holds: its jobs are to be refused.
    pub(super) fn is_open(&self, line: u8) -> bool {
        let Some(Line { tenant, .. }) = self.lines.get(&line) else {
            return true;
        };
        let gate = self.gate(tenant, None, Comes::Again);
        !matches!(gate, Gate::Held | Gate::Over { .. }) || self.is_being_purged(tenant)
    }

    fn is_being_purged(&self, tenant: &str) -> bool {
        let purged = self
            .standings
            .get(tenant)
            .and_then(|standing| standing.purged_before_ms);
        purged.is_some_and(|purged| clock::unix_ms().saturating_sub(purged) < EMPTIES.as_millis() as u64)
    }

    /// How many of a tenant's jobs stay in the window, where it may have few attempts at once.
    pub(super) fn few(&self, tenant: &str) -> Option<usize> {
        let most = self.limits(tenant, clock::unix_ms()).in_flight as usize;
        (most != 0).then(|| (2 * most).clamp(FEW, self.window / 4))
    }

    /// Tenants whose jobs may not begin now, of those that are known here.
    pub(super) fn kept_out(&self) -> Vec<String> {
        let known = self
            .held
            .keys()
            .chain(self.standings.keys())
            .chain(self.accounts.keys());
        let known: BTreeSet<&String> = known.collect();
        let may_not = |tenant: &&&String| match self.gate(tenant, None, Comes::Again) {
            Gate::Held | Gate::Over { .. } => true,
            Gate::Open | Gate::Refused(..) | Gate::Dropped => {
                self.few(tenant).is_some_and(|few| self.has_many(tenant, few))
            }
        };
        known.iter().filter(may_not).map(|tenant| (*tenant).clone()).collect()
    }

    fn has_many(&self, tenant: &str, few: usize) -> bool {
        self.held.get(tenant).is_some_and(|held| *held >= few)
    }

    pub(super) fn begun(&mut self, tenant: &str) {
        self.account(tenant).own.jobs += 1;
    }

    pub(super) fn ended(&mut self, tenant: &str, cpu_ms: u64, bytes: u64) {
        let account = self.account(tenant);
        account.own.cpu_ms += cpu_ms;
        account.own.bytes += bytes;
        let now = self.since.elapsed();
        self.noise.used(tenant, cpu_ms, now);
    }

    fn account(&mut self, tenant: &str) -> &mut Account {
        let account = self.accounts.entry(tenant.to_owned()).or_default();
        account.active = self.since.elapsed();
        account
    }

    fn standing(&self, tenant: &str) -> Standing {
        let mut standing = self.standings.get(tenant).cloned().unwrap_or_default();
        if self.fairness.probation == Probation::Off {
            standing.probation_until_ms = None;
        }
        standing
    }

    fn limits(&self, tenant: &str, now_ms: u64) -> Limits {
        (self.limits)(tenant).under(&self.standing(tenant), now_ms)
    }

    fn used(&self, tenant: &str, now_ms: u64) -> Used {
        let depth = self.line_of(tenant).map_or(0, |line| self.lines[&line].depth);
        let Some(account) = self.accounts.get(tenant) else {
            return Used {
                queued: depth,
                ..Used::default()
            };
        };
        let fleet = match account.of_minute == now_ms / MINUTE_MS {
            true => account.minute,
            false => Use::default(),
        };
        Used {
            minute: sum(fleet, account.own),
            day: sum(account.day, account.own),
            queued: depth + account.waiting,
        }
    }

    /// What is to be told the ledger, and asked: every tenant that was active of late.
    pub(super) fn take_charges(&mut self) -> Vec<(String, Use)> {
        let now = self.since.elapsed();
        self.accounts
            .retain(|_, account| account.own != Use::default() || now.saturating_sub(account.active) < QUIET);
        let told = |account: &Account| account.own != Use::default() || now.saturating_sub(account.active) < ACTIVE;
        let charges = self.accounts.iter_mut().filter(|(_, account)| told(account));
        charges
            .take(CHARGES)
            .map(|(tenant, account)| (tenant.clone(), std::mem::take(&mut account.own)))
            .collect()
    }

    /// What could not be told is told next time.
    pub(super) fn not_charged(&mut self, charges: Vec<(String, Use)>) {
        for (tenant, used) in charges {
            let account = self.accounts.entry(tenant).or_default();
            account.own = sum(account.own, used);
        }
    }

    pub(super) fn charged(&mut self, totals: Vec<(String, Use, Use)>) {
        let of_minute = clock::unix_ms() / MINUTE_MS;
        for (tenant, minute, day) in totals {
            let account = self.accounts.entry(tenant).or_default();
            (account.minute, account.day, account.of_minute) = (minute, day, of_minute);
        }
    }

    /// After which revision standings are asked for.
    pub(super) fn revision(&self) -> Revision {
        let now = self.since.elapsed();
        match self.whole.is_some_and(|at| now.saturating_sub(at) < AFRESH) {
            true => self.revision,
            false => Revision::default(),
        }
    }

    /// What was decided after a revision.
    pub(super) fn decided(&mut self, after: Revision, standings: Vec<(String, Standing, Revision)>) {
        if after == Revision::default() {
            let found: HashSet<&String> = standings.iter().map(|(tenant, ..)| tenant).collect();
            self.standings.retain(|tenant, _| found.contains(tenant));
            (self.revision, self.whole) = (after, Some(self.since.elapsed()));
        }
        for (tenant, standing, revision) in standings {
            self.revision = self.revision.max(revision);
            if self.standings.get(&tenant) != Some(&standing) {
                tracing::info!(tenant, ?standing, "a tenant's standing has changed");
                self.standings.insert(tenant, standing);
            }
        }
    }

    pub(super) fn leased(&mut self, lines: Vec<(u8, String)>) {
        let depths: BTreeMap<u8, u64> = self.lines.iter().map(|(line, it)| (*line, it.depth)).collect();
        let known = |(line, tenant)| {
            let depth = depths.get(&line).copied().unwrap_or(0);
            (line, Line { tenant, depth })
        };
        self.lines = lines.into_iter().map(known).collect();
    }

    pub(super) fn depth_is(&mut self, line: u8, depth: u64) {
        if let Some(line) = self.lines.get_mut(&line) {
            line.depth = depth;
        }
    }

    /// The tenants with most messages here, the first one first.
    pub(super) fn held_most(&self, most: usize) -> Vec<(String, u64)> {
        let mut held: Vec<(&String, &usize)> = self.held.iter().collect();
        held.sort_unstable_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
        let held = held.into_iter().take(most);
        held.map(|(tenant, count)| (tenant.clone(), *count as u64)).collect()
    }

    /// Messages that this worker has in hand.
    pub(super) fn held_in_all(&self) -> usize {
        self.held_in_all
    }

    /// Messages in sidelines that are leased.
    pub(super) fn sidelined(&self) -> u64 {
        self.lines.values().map(|line| line.depth).sum()
    }

    /// Whether anybody's limits ask how many of its jobs wait.
    pub(super) fn counts_waiting(&self) -> bool {
        let now_ms = clock::unix_ms();
        let mut tenants = self.held.keys().chain(self.accounts.keys());
        tenants.any(|tenant| self.limits(tenant, now_ms).queued != 0)
    }

    pub(super) fn waiting_are(&mut self, tenants: Vec<TenantSummary>) {
        for account in self.accounts.values_mut() {
            account.waiting = 0;
        }
        for summary in tenants.into_iter().filter(|summary| summary.waiting > 0) {
            self.accounts.entry(summary.tenant).or_default().waiting = summary.waiting;
        }
    }
}

fn sum(one: Use, other: Use) -> Use {
    Use {
        jobs: one.jobs + other.jobs,
        cpu_ms: one.cpu_ms + other.cpu_ms,
        bytes: one.bytes + other.bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::Block;

    #[test]
    fn a_standing_that_the_ledger_lost_is_not_kept() {
        let mut tenancy = Tenancy::new(Box::new(|_| Limits::default()), FairnessConfig::default(), 8, 2);
        let blocked = Standing {
            block: Some(Block::Refuse),
            ..Standing::default()
        };
        let row = |tenant: &str, revision| (tenant.to_owned(), blocked.clone(), Revision(revision));
        assert_eq!(tenancy.revision(), Revision::default(), "all of them first");
        tenancy.decided(Revision::default(), vec![row("a", 7), row("b", 8)]);
        assert_eq!(tenancy.revision(), Revision(8), "then what changed");
        tenancy.decided(Revision(8), Vec::new());
        assert_eq!(tenancy.standing("b"), blocked);

        // A replica without the last decision was promoted, and gave its revision to another one.
        tenancy.whole = None;
        tenancy.decided(tenancy.revision(), vec![row("a", 7), row("c", 8)]);
        assert_eq!(
            (tenancy.standing("b"), tenancy.standing("c")),
            (Standing::default(), blocked)
        );
    }
}
