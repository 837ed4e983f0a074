//! All that the flow needs: one per process.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::Instrument;

use super::claims::Claims;
use super::doubt::Doubt;
use super::seats::Seats;
use super::tell::Subject;
use crate::blame::Control;
use crate::clock::{self, Stopwatch};
use crate::config::Dedupe;
use crate::digest::Digest;
use crate::fetch::FetchError;
use crate::flights::Flights;
use crate::job::Source;
use crate::ledger::{Attempt, Ending, Epoch, LEASE, Lease, Ledger, LedgerError, Lost, Settled, WorkerId};
use crate::notices::Notices;
use crate::sandbox::Sandbox;
use crate::sandbox::layers::LayerReport;
use crate::sandbox::limits::Limits;
use crate::specimens::Specimens;
use crate::store::{Opened, Store};
use crate::traces;
use crate::verdict::{Reason, Refusal};
use crate::vitals::Vitals;

/// The converter build: renditions and refusals are remembered within it.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");

/// A process that settles jobs.
pub struct Worker {
    /// Who this is.
    pub id: WorkerId,
    /// What its verdicts are valid for.
    pub epoch: Epoch,
    /// The fleet's memory.
    pub ledger: Arc<dyn Ledger>,
    /// Where attempts run.
    pub sandbox: Sandbox,
    /// The sandbox's layers, as they were proven when the worker started; empty: they were not.
    pub layers: Vec<LayerReport>,
    /// Where bytes come from and go to.
    pub stores: Stores,
    /// What it knows of itself.
    pub vitals: Arc<Vitals>,
    /// Whom it tells of what goes wrong.
    pub notices: Notices,
    pub(super) dedupe: Dedupe,
    pub(super) renewals: u32,
    pub(super) flights: Flights,
    pub(super) doubt: Doubt,
    pub(super) claims: Claims,
    pulse: Mutex<Pulse>,
    /// Endings that the ledger could not take yet.
    unsettled: Mutex<Vec<(Subject, Ending)>>,
    pub(super) seats: Seats,
    slots_most: usize,
    release: watch::Sender<bool>,
}

/// What a worker is made of.
pub struct Setup<'a> {
    /// The fleet's memory.
    pub ledger: Arc<dyn Ledger>,
    /// Where attempts run.
    pub sandbox: Sandbox,
    /// The sandbox's layers, where they were proven.
    pub layers: Vec<LayerReport>,
    /// Where bytes come from and go to.
    pub stores: Stores,
    /// Folder of the flight records; the same for all workers of this host that share a ledger.
    pub flights: &'a Path,
    /// Most attempts at once.
    pub slots: usize,
    /// Who shares renditions.
    pub dedupe: Dedupe,
    /// Most renewals that may run in the fleet.
    pub renewals: u32,
    /// Where it notes what it knows of itself.
    pub vitals: Arc<Vitals>,
    /// Whom it tells of what goes wrong.
    pub notices: Notices,
}

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The flight record cannot be written.
    #[error("flight record: {0}")]
    Flights(#[from] io::Error),
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Where uploads are read from.
pub enum Sources {
    /// Any path this process can read: the command line's own user named it.
    Paths,
    /// Keys in stores of the configuration: a job can name nothing else.
    Stores(BTreeMap<String, Arc<Store>>),
}

/// Where bytes come from and go to.
pub struct Stores {
    /// Uploads.
    pub sources: Sources,
    /// Renditions.
    pub renditions: Arc<Store>,
    /// Bytes of uploads that tripped.
    pub specimens: Arc<Specimens>,
}

/// Heartbeats that succeeded one after the other.
#[derive(Debug, Clone, Copy)]
struct Pulse {
    since: Stopwatch,
    last: Stopwatch,
    /// Until when the lease is good that was written last, in milliseconds by the database's clock.
    lease_ms: Option<i64>,
}

impl Pulse {
    fn begun() -> Self {
        let now = Stopwatch::start();
        Self {
            since: now,
            last: now,
            lease_ms: None,
        }
    }

    fn is_steady(&self) -> bool {
        steady(self.since.elapsed(), self.last.elapsed())
    }
}

/// Whether heartbeats that began and were last heard so long ago have gone on for as long as a lease lasts.
fn steady(since: Duration, last: Duration) -> bool {
    since >= LEASE && last < LEASE / 2
}

/// Whether a ledger had an older lease than the one that was written to it.
fn is_older(lease: Lease, written_ms: Option<i64>) -> bool {
    written_ms.is_some_and(|written_ms| lease.before_ms < written_ms)
}

impl Worker {
    /// Signs on: a flight record, and a lease in the ledger.
    pub async fn sign_on(setup: Setup<'_>) -> Result<Arc<Self>, SetupError> {
        let host = host_name();
        let random: String = std::iter::repeat_with(fastrand::lowercase).take(6).collect();
        let id = WorkerId(format!("{host}-{}-{random}", std::process::id()));
        let flights = Flights::open(setup.flights, &id)?;
        setup.ledger.sign_on(&id, &host, BUILD, &setup.layers).await?;
        Ok(Arc::new(Self {
            id,
            epoch: epoch(&setup.sandbox.limits),
            ledger: setup.ledger,
            sandbox: setup.sandbox,
            layers: setup.layers,
            stores: setup.stores,
            vitals: setup.vitals,
            notices: setup.notices,
            dedupe: setup.dedupe,
            renewals: setup.renewals,
            flights,
            doubt: Doubt::default(),
            claims: Claims::default(),
            pulse: Mutex::new(Pulse::begun()),
            unsettled: Mutex::default(),
            seats: Seats::new(setup.slots),
            slots_most: setup.slots.max(1),
            release: watch::channel(false).0,
        }))
    }

    /// Buries workers of this host that are gone, and those whose lease is over; returns what they had in the air.
    ///
    /// While nobody reaches the ledger, every lease runs out. So leases are believed only by a worker that has renewed its own for
    /// as long as one lasts: by then all that live have done so too.
    pub async fn bury_the_dead(&self) -> Result<Vec<Lost>, SetupError> {
        let mut lost = Vec::new();
        // The disk may hang, and a thread of the runtime with it.
        let survey = tokio::task::block_in_place(|| self.flights.survey())?;
        for wreck in survey.wrecks {
            // One that signed off leaves its record behind, too, where it could not remove it any more.
            let signed_on = self.ledger.is_signed_on(&wreck.worker).await?;
            let ran = self.ledger.bury(&wreck.worker).await?;
            if signed_on {
                self.tell_of_burial(&wreck.worker, &ran).await;
            }
            lost.extend(ran);
            wreck.cleared()?;
        }
        // A lease may run out while its worker lives: a clock that jumps, a process that was stopped. Its lock tells.
        if self.pulse().is_steady() {
            for burial in self.ledger.bury_expired(&self.id, &survey.living).await? {
                self.tell_of_burial(&burial.worker, &burial.lost).await;
                lost.extend(burial.lost);
            }
        }
        self.vitals.tally.attempts_lost(lost.iter().map(|lost| lost.judgement));
        for Lost { digest, judgement, .. } in &lost {
            tracing::warn!(%digest, ?judgement, "a worker was lost while it ran this upload");
        }
        Ok(lost)
    }

    /// Ends every attempt that runs, now, without a word against its upload.
    pub fn release_all(&self) {
        self.release.send_replace(true);
    }

    /// Whether this host still converts what is known to be good.
    pub async fn control(&self) -> Control {
        let control = self.sandbox.control(self.release()).await;
        self.note_control(control);
        control
    }

    /// Counts a conversion of what is known to be good.
    pub(super) fn note_control(&self, control: Control) {
        let word = match control {
            Control::NotRun => return,
            Control::Converted => "converted",
            Control::Failed => "failed",
            Control::Unclear => "unclear",
        };
        self.vitals.tally.controls.one(word);
    }

    /// Most attempts at once.
    pub fn slots_most(&self) -> usize {
        self.slots_most
    }

    /// Ended attempts that the ledger could not take yet.
    pub fn unsettled_count(&self) -> usize {
        self.unsettled().len()
    }

    /// Attempts in the air: those that run, and those whose end the ledger does not know. Waits for the flight record, and so for the disk.
    pub fn in_the_air(&self) -> usize {
        self.flights.count()
    }

    /// Attempts that run. Waits for nothing.
    pub fn running(&self) -> usize {
        self.vitals.gauges.in_flight() as usize
    }

    /// Whether everything is being released.
    pub fn is_released(&self) -> bool {
        *self.release.borrow()
    }

    /// Renews the lease, writes what could not be written before, and has released what it never heard of. A worker that was taken for
    /// lost meanwhile signs on again; its attempts are fenced.
    pub async fn beat(&self) -> Result<(), LedgerError> {
        let written_ms = self.pulse().lease_ms;
        match self.ledger.heartbeat(&self.id).await {
            Ok(lease) => self.renewed(written_ms, lease),
            Err(_) => {
                *self.pulse() = Pulse::begun();
                self.ledger.sign_on(&self.id, &host_name(), BUILD, &self.layers).await?;
                let lease = self.ledger.heartbeat(&self.id).await?;
                self.renewed(None, lease);
            }
        }
        self.write_unsettled().await?;
        self.release_unheard().await
    }

    /// Has the ledger count how jobs ended since it was told last. Where it does not answer they are told the next time; an answer that was lost on its way has
    /// them counted twice, which a chart can bear.
    pub async fn tell_verdicts(&self) -> Result<(), LedgerError> {
        let ended = self.vitals.tally.untold.take();
        if ended.is_empty() {
            return Ok(());
        }
        let told = self.ledger.count_verdicts(&ended).await;
        if told.is_err() {
            self.vitals.tally.untold.give_back(&ended);
        }
        told
    }

    /// A ledger that does not have the lease which this worker wrote last has not those of others either: they are believed when they have had
    /// time to be renewed.
    fn renewed(&self, written_ms: Option<i64>, lease: Lease) {
        let mut pulse = self.pulse();
        if is_older(lease, written_ms) {
            tracing::error!(
                lost_ms = written_ms.map(|written_ms| written_ms - lease.before_ms),
                "the ledger has lost what was written to it last: a replica that was behind was promoted, or a backup was put back; \
                 jobs that waited in it may be lost, see docs/postgresql.md"
            );
            *pulse = Pulse::begun();
        }
        pulse.last = Stopwatch::start();
        pulse.lease_ms = Some(lease.until_ms);
    }

    /// Ends this worker in order. With an attempt in the air that was not seen to end, the lease is left to run out: whoever finds it
    /// then runs its upload alone.
    pub async fn sign_off(&self) -> Result<(), LedgerError> {
        self.write_unsettled().await?;
        if let Err(error) = self.tell_verdicts().await {
            tracing::warn!(%error, "the last verdicts are in no chart");
        }
        match self.in_the_air() {
            0 => self.ledger.sign_off(&self.id).await?,
            attempts => tracing::error!(attempts, "not signed off: still in the air"),
        }
        self.ledger.close().await;
        Ok(())
    }

    /// Settles an attempt. Where the ledger fails, the ending is kept and written at the next beat: an attempt that nobody ends
    /// would block its upload for ever, and its verdict would be lost.
    pub(super) async fn settle_attempt(&self, subject: Subject, ending: Ending) -> Result<Settled, LedgerError> {
        let settled = self.ledger.settle(&ending).instrument(traces::step("ledger settle"));
        match settled.await {
            Ok(settled) => {
                self.landed(&ending.attempt);
                self.tell_of_attempt(&subject, &ending, &settled);
                Ok(settled)
            }
            Err(error) => {
                self.unsettled().push((subject, ending));
                Err(error)
            }
        }
    }

    /// Writes what could not be written before.
    pub(super) async fn write_unsettled(&self) -> Result<(), LedgerError> {
        let endings = std::mem::take(&mut *self.unsettled());
        let mut result = Ok(());
        for (subject, ending) in endings {
            let attempt = ending.attempt.id;
            match self.settle_attempt(subject, ending).await {
                Ok(settled) => tracing::info!(attempt = attempt.0, ?settled, "written late"),
                Err(error) => result = Err(error),
            }
        }
        result
    }

    fn pulse(&self) -> std::sync::MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsettled(&self) -> std::sync::MutexGuard<'_, Vec<(Subject, Ending)>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something of our own failed: where a known good image does not convert either, this host takes no more work.
    pub(super) async fn suspect_this_host(&self, why: &str) {
        if !self.is_released() && self.control().await == Control::Failed {
            self.open_the_breaker(why);
        }
    }

    pub(super) fn release(&self) -> watch::Receiver<bool> {
        self.release.subscribe()
    }

    fn landed(&self, attempt: &Attempt) {
        self.claims.landed(attempt);
        if let Err(error) = self.flights.end(attempt.id, &attempt.digest) {
            // The record says that an ended attempt is in the air: burying this worker later finds it ended in the ledger.
            tracing::warn!(%error, "flight record");
        }
    }
}

/// Build and limits, as verdicts are valid for them.
fn epoch(limits: &Limits) -> Epoch {
    let json = serde_json::to_vec(limits).unwrap_or_default();
    Epoch {
        build: BUILD.to_owned(),
        limits: Digest::of(&json).to_string()[..16].to_owned(),
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name
        .trim()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(63)
        .collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

impl Stores {
    /// Opens an upload for reading: a regular file or what a bucket sends, or an error that names it.
    pub(super) async fn open_source(&self, source: &Source) -> Result<Opened, FetchError> {
        let opened = match &self.sources {
            Sources::Paths => open_path(Path::new(&source.key)).map(Opened::File),
            Sources::Stores(stores) => match stores.get(&source.store) {
                Some(store) => store.open_object(&source.key).await,
                None => Err(io::ErrorKind::NotFound.into()),
            },
        };
        let final_word = match self.sources {
            Sources::Paths => names_nothing(&opened) || is_error(&opened, io::ErrorKind::PermissionDenied),
            Sources::Stores(_) => names_nothing(&opened),
        };
        opened.map_err(|error| match final_word {
            true => FetchError::Refused(Refusal::new(Reason::SourceMissing, format!("{}: {error}", source.key))),
            false => FetchError::Failed {
                name: source.key.clone(),
                error,
            },
        })
    }

    pub(super) async fn keep_specimen(&self, key: &str, file: &File, bytes: u64) -> io::Result<()> {
        self.specimens.keep(key, file, bytes, clock::system_time()).await
    }

    /// Whether the buckets answer without which no job ends well: that of the renditions, and one of those that uploads are in. One of many
    /// that is silent holds up its own jobs alone.
    ///
    /// # Errors
    /// What the first one says that does not.
    pub(crate) async fn look(&self) -> io::Result<()> {
        self.renditions.look().await?;
        let Sources::Stores(sources) = &self.sources else {
            return Ok(());
        };
        let mut failed = None;
        for source in sources.values() {
            match source.look().await {
                Ok(()) => return Ok(()),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// What a job names is not there, or is no upload, and will not be. Anything else, a right that is missing in a store among
/// it, is our own trouble and may pass.
fn names_nothing(opened: &io::Result<Opened>) -> bool {
    let kinds = [
        io::ErrorKind::NotFound,
        io::ErrorKind::InvalidInput,
        io::ErrorKind::InvalidFilename,
        io::ErrorKind::IsADirectory,
        io::ErrorKind::NotADirectory,
        io::ErrorKind::CrossesDevices,
    ];
    kinds.into_iter().any(|kind| is_error(opened, kind))
        || opened
            .as_ref()
            .is_err_and(|error| error.raw_os_error() == Some(libc::ELOOP))
}

fn is_error(opened: &io::Result<Opened>, kind: io::ErrorKind) -> bool {
    opened.as_ref().is_err_and(|error| error.kind() == kind)
}

/// Opens a path without blocking on a FIFO, and only where it is a regular file.
fn open_path(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "is a folder; name the files in it",
        ));
    }
    if !kind.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
    }
    Ok(file)
}

/// The epoch of an entry that no attempt stands behind.
pub fn any_epoch() -> Epoch {
    Epoch {
        build: BUILD.to_owned(),
        limits: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::HEARTBEAT;

    #[test]
    fn leases_are_believed_by_whoever_renewed_its_own_for_as_long() {
        assert!(steady(LEASE, HEARTBEAT));
        assert!(!steady(LEASE - HEARTBEAT, Duration::ZERO), "has just begun");
        assert!(!steady(LEASE * 9, LEASE), "was stopped, or could not");
    }

    #[test]
    fn a_ledger_that_lost_a_lease_is_told_from_one_that_was_not_heard() {
        let lease = |before_ms| Lease {
            before_ms,
            until_ms: 95_000,
        };
        assert!(is_older(lease(80_000), Some(85_000)));
        assert!(!is_older(lease(85_000), Some(85_000)));
        assert!(!is_older(lease(90_000), Some(85_000)), "written, and never answered");
        assert!(!is_older(lease(80_000), None), "just signed on");
    }
}
