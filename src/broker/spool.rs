//! The embedded broker: a folder on one host, maildir style. Durable; renames only.
//!
//! `new` holds messages in the order of their names, `cur/WORKER` those in a worker's hands, `done` what was acknowledged, `results` one
//! file per job, `dead` what made no sense. A worker's folder in `cur` is locked for as long as it lives; whoever finds one
//! that can be locked puts its messages back.

mod dead;

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

pub use dead::DeadFolder;

use super::{Attention, Broker, BrokerError, Delivery, Envelope, Lane, Moved, Token};
use crate::clock::{self, Stopwatch};
use crate::event::Event;
use crate::job::MAX_BODY;
use crate::ledger::WorkerId;

/// How often an empty spool is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How many names are kept from one look at `new`.
const LOOK_AHEAD: usize = 1024;
/// How many of them are taken before the next look: an interactive job that comes meanwhile goes before the rest.
const LOOK_TAKES: usize = 32;
/// How long they are good for.
const LOOK_GOOD: Duration = Duration::from_millis(200);
/// How long `done` and `results` are kept.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long `tmp` is kept: what is older was left there by a process that died.
const KEEP_UNFINISHED: Duration = Duration::from_secs(24 * 3600);
/// How often what is too old is looked for.
const DROP_EVERY: Duration = Duration::from_secs(600);
/// Name of the lock in a worker's folder.
const LOCK: &str = ".lock";

/// Folders of a spool.
pub(crate) const FOLDERS: [&str; 6] = ["tmp", "new", "cur", "done", "results", "dead"];

/// A name that sorts by lane and time, says how often the message was requeued, and is used once.
fn message_name(lane: Lane, requeued: u32) -> String {
    let again = match requeued {
        0 => String::new(),
        count => format!("-r{count}"),
    };
    format!(
        "{}-{:013}-{}{again}",
        prefix(lane),
        clock::unix_ms(),
        uuid::Uuid::now_v7().simple()
    )
}

/// Sorts interactive jobs before bulk ones.
fn prefix(lane: Lane) -> char {
    match lane {
        Lane::Interactive | Lane::Suspect => '1',
        Lane::Bulk => '2',
    }
}

/// A spool folder, from the side of those who put jobs in and read results.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

/// A spool folder, from the side of a worker. Its file operations run off the runtime.
#[derive(Debug)]
pub struct SpoolConsumer {
    hand: Arc<Hand>,
    /// A message that is being taken: whoever stops waiting for it loses nothing.
    taking: tokio::sync::Mutex<Option<Taking>>,
}

type Taking = tokio::task::JoinHandle<io::Result<Option<Delivery>>>;

/// A worker's folder in `cur`, and what it knows of `new`.
#[derive(Debug)]
struct Hand {
    spool: Spool,
    folder: PathBuf,
    ahead: Mutex<Ahead>,
    dropped: Mutex<Option<Stopwatch>>,
    lock: Mutex<File>,
    most_held: u32,
}

/// Names seen in `new`, first one first.
#[derive(Debug, Default)]
struct Ahead {
    names: VecDeque<String>,
    taken: usize,
    looked: Option<Stopwatch>,
}

impl Spool {
    /// Opens a spool, and makes it where it is missing.
    pub fn open(folder: &Path) -> Result<Self, BrokerError> {
        let spool = Self {
            folder: folder.to_owned(),
        };
        for name in FOLDERS {
            fs::create_dir_all(folder.join(name)).map_err(|error| spool.error(error))?;
        }
        Ok(spool)
    }

    /// Enqueues a message, durably.
    pub fn submit(&self, body: &[u8], lane: Lane) -> Result<(), BrokerError> {
        self.write("new", &message_name(lane, 0), body)
            .map_err(|error| self.error(error))
    }

    /// The result of a job, once there is one.
    pub fn result(&self, job: &str) -> Result<Option<Event>, BrokerError> {
        match fs::read(self.folder.join("results").join(format!("{job}.json"))) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .map_err(|error| self.error(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.error(error)),
        }
    }

    /// Takes part as a worker, with at most so many messages in hand.
    pub fn consume(&self, worker: &WorkerId, most_held: u16) -> Result<SpoolConsumer, BrokerError> {
        let folder = self.folder.join("cur").join(&worker.0);
        let lock = self.make_hand(&folder).map_err(|error| self.error(error))?;
        Ok(SpoolConsumer {
            hand: Arc::new(Hand {
                spool: self.clone(),
                folder,
                ahead: Mutex::default(),
                dropped: Mutex::default(),
                lock: Mutex::new(lock),
                most_held: u32::from(most_held.max(1)),
            }),
            taking: tokio::sync::Mutex::default(),
        })
    }

    /// A worker's folder. It is locked before it has its name in `cur`, so that nobody takes it for a lost worker's.
    fn make_hand(&self, folder: &Path) -> io::Result<File> {
        let made = tempfile::tempdir_in(self.folder.join("tmp"))?;
        let lock = File::create(made.path().join(LOCK))?;
        lock.try_lock().map_err(io::Error::from)?;
        fs::rename(made.path(), folder)?;
        // It has its name; there is nothing to clear away.
        let _ = made.keep();
        Ok(lock)
    }

    /// A file that is whole and on disk under its name, or not there.
    fn write(&self, folder: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.folder.join(folder);
        let mut file = tempfile::NamedTempFile::new_in(self.folder.join("tmp"))?;
        file.write_all(bytes)?;
        file.as_file().sync_data()?;
        file.persist(folder.join(name)).map_err(|error| error.error)?;
        File::open(&folder)?.sync_all()
    }

    /// How many messages wait, and how many are set aside. There is no queue of suspects: they wait in the ledger.
    fn depths(&self) -> io::Result<Vec<(&'static str, u64)>> {
        let [mut interactive, mut bulk] = [0, 0];
        for name in names_in(&self.folder.join("new"))? {
            match envelope(&name?).lane {
                Lane::Bulk => bulk += 1,
                Lane::Interactive | Lane::Suspect => interactive += 1,
            }
        }
        let mut dead = 0;
        for name in names_in(&self.folder.join("dead"))? {
            // Each has its reason beside it.
            dead += u64::from(!name?.ends_with(".why"));
        }
        Ok(vec![("interactive", interactive), ("bulk", bulk), ("dead", dead)])
    }

    fn error(&self, error: io::Error) -> BrokerError {
        BrokerError {
            place: format!("spool:{}", self.folder.display()),
            problem: error.to_string(),
        }
    }
}

impl Hand {
    /// Takes the first message that nobody else takes. What is no message goes to `dead`.
    fn take(&self) -> io::Result<Option<Delivery>> {
        let mut failed = None;
        let mut ahead = locked(&self.ahead);
        ahead.look(&self.spool.folder.join("new"))?;
        // A name that fails is told of when no other one can be had: it must not hold up those behind it.
        while let Some(name) = ahead.names.pop_front() {
            ahead.taken += 1;
            match self.take_one(name) {
                Ok(Some(delivery)) => return Ok(Some(delivery)),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    fn take_one(&self, name: String) -> io::Result<Option<Delivery>> {
        let mine = self.folder.join(&name);
        match fs::rename(self.spool.folder.join("new").join(&name), &mine) {
            Ok(()) => {}
            // Another worker was faster; or somebody removed this worker's folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.hold_again().map(|()| None),
            Err(error) => return Err(error),
        }
        match read_message(&mine) {
            Ok(Ok(body)) => Ok(Some(Delivery {
                body,
                envelope: envelope(&name),
                token: Token::File(name),
            })),
            Ok(Err(why)) => {
                tracing::warn!(message = name, why, "set aside unread");
                self.set_aside(&name, &why).map(|()| None)
            }
            Err(error) => self.move_to("new", &name).and(Err(error)),
        }
    }

    /// Makes this worker's folder again where it is gone.
    fn hold_again(&self) -> io::Result<()> {
        if self.folder.try_exists()? {
            return Ok(());
        }
        let mut lock = locked(&self.lock);
        *lock = self.spool.make_hand(&self.folder)?;
        tracing::error!(folder = %self.folder.display(), "the worker's folder was removed, with what was in it; made again");
        Ok(())
    }

    fn move_to(&self, folder: &str, name: &str) -> io::Result<()> {
        fs::rename(self.folder.join(name), self.spool.folder.join(folder).join(name))
    }

    fn set_aside(&self, name: &str, why: &str) -> io::Result<()> {
        self.spool.write("dead", &format!("{name}.why"), why.as_bytes())?;
        self.move_to("dead", name)
    }

    /// Puts back what lost workers had in hand.
    fn take_back(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.spool.folder.join("cur"))? {
            let hand = entry?.path();
            if hand != self.folder {
                unless_gone(self.take_back_from(&hand))?;
            }
        }
        Ok(())
    }

    fn take_back_from(&self, hand: &Path) -> io::Result<()> {
        // Made where it is missing: a worker that lives has one.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let Ok(lock) = options.custom_flags(PLAIN).open(hand.join(LOCK)) else {
            return Ok(());
        };
        if lock.try_lock().is_err() {
            return Ok(());
        }
        for entry in fs::read_dir(hand)? {
            let entry = entry?;
            if entry.file_name() != LOCK {
                let back = self.spool.folder.join("new").join(entry.file_name());
                unless_gone(fs::rename(entry.path(), back))?;
            }
        }
        fs::remove_file(hand.join(LOCK))?;
        fs::remove_dir(hand)
    }

    /// Drops what is too old; looks for it every ten minutes.
    fn drop_old(&self) -> io::Result<()> {
        let mut dropped = locked(&self.dropped);
        if dropped.is_some_and(|since| since.elapsed() < DROP_EVERY) {
            return Ok(());
        }
        *dropped = Some(Stopwatch::start());
        drop_older(&self.spool.folder.join("done"), KEEP)?;
        drop_older(&self.spool.folder.join("results"), KEEP)?;
        drop_older(&self.spool.folder.join("tmp"), KEEP_UNFINISHED)
    }
}

impl Ahead {
    /// Looks at `new`, where what was seen there last is used up or stale.
    fn look(&mut self, new: &Path) -> io::Result<()> {
        let fresh = self.looked.is_some_and(|since| since.elapsed() < LOOK_GOOD);
        if fresh && self.taken < LOOK_TAKES && !self.names.is_empty() {
            return Ok(());
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(new)? {
            let name = entry?.file_name().into_string();
            names.extend(name.ok().filter(|name| !name.starts_with('.')));
        }
        names.sort_unstable();
        names.truncate(LOOK_AHEAD);
        *self = Self {
            names: names.into(),
            taken: 0,
            looked: Some(Stopwatch::start()),
        };
        Ok(())
    }
}

/// Opening neither waits for a FIFO's other end nor follows a link.
const PLAIN: i32 = libc::O_NONBLOCK | libc::O_NOFOLLOW;

/// The bytes of a message; or why it is none. Fails where the host, not the message, is to blame.
fn read_message(path: &Path) -> io::Result<Result<Vec<u8>, String>> {
    let file = match OpenOptions::new().read(true).custom_flags(PLAIN).open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => {
            return Err(error);
        }
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Ok(Err("is a link".to_owned())),
        Err(error) => return Ok(Err(format!("cannot be opened: {error}"))),
    };
    if !file.metadata()?.is_file() {
        return Ok(Err("is not a regular file".to_owned()));
    }
    let mut body = Vec::new();
    match file.take(MAX_BODY as u64 + 1).read_to_end(&mut body) {
        Ok(length) if length > MAX_BODY => Ok(Err(format!("is longer than {MAX_BODY} bytes"))),
        Ok(_) => Ok(Ok(body)),
        Err(error) => Ok(Err(format!("cannot be read: {error}"))),
    }
}

/// What somebody else removed first is gone all the same.
fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Names of a folder's files, but for hidden ones.
fn names_in(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let names = fs::read_dir(folder)?.map(move |entry| entry.map(name));
    Ok(names.filter(|name| !name.as_ref().is_ok_and(|name| name.starts_with('.'))))
}

fn drop_older(folder: &Path, keep: Duration) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let drop = || {
            let metadata = entry.metadata()?;
            let age = clock::system_time().duration_since(metadata.modified()?);
            match age.is_ok_and(|age| age > keep) {
                false => Ok(()),
                true if metadata.is_dir() => fs::remove_dir_all(entry.path()),
                true => fs::remove_file(entry.path()),
            }
        };
        unless_gone(drop())?;
    }
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A message's lane, when it was enqueued, and how often it was requeued: its name tells.
fn envelope(name: &str) -> Envelope {
    Envelope {
        lane: if name.starts_with(prefix(Lane::Bulk)) {
            Lane::Bulk
        } else {
            Lane::Interactive
        },
        enqueued_ms: name.split('-').nth(1).and_then(|since| since.parse().ok()),
        requeued: name
            .rsplit_once("-r")
            .and_then(|(_, count)| count.parse().ok())
            .unwrap_or_default(),
        ..Envelope::default()
    }
}

/// The file that a delivery is.
fn file_of(delivery: &Delivery) -> Option<String> {
    match &delivery.token {
        Token::File(name) => Some(name.clone()),
        Token::Delivery(_) => None,
    }
}

impl SpoolConsumer {
    /// Disks may stall: no file operation runs on a thread of the runtime. One that has begun ends, even if nobody waits for it.
    async fn with_hand<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Hand) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let hand = Arc::clone(&self.hand);
        tokio::task::spawn_blocking(move || work(&hand))
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| self.hand.spool.error(error))
    }

    async fn move_to(&self, folder: &'static str, delivery: &Delivery) -> Result<(), BrokerError> {
        let Some(name) = file_of(delivery) else { return Ok(()) };
        self.with_hand(move |hand| hand.move_to(folder, &name)).await
    }
}

#[async_trait]
impl Broker for SpoolConsumer {
    fn system(&self) -> &'static str {
        "spool"
    }

    async fn reached(&self) {}

    async fn up(&self) {}

    async fn look(&self) -> Result<Vec<(&'static str, u64)>, BrokerError> {
        self.with_hand(|hand| hand.spool.depths()).await
    }

    async fn next(&self) -> Result<Delivery, BrokerError> {
        let mut taking = self.taking.lock().await;
        loop {
            let hand = Arc::clone(&self.hand);
            let taken = taking.get_or_insert_with(|| tokio::task::spawn_blocking(move || hand.take()));
            let taken = taken.await;
            *taking = None;
            let taken = taken.map_err(io::Error::other).flatten();
            if let Some(delivery) = taken.map_err(|error| self.hand.spool.error(error))? {
                return Ok(delivery);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn most_held(&self) -> u32 {
        self.hand.most_held
    }

    async fn rest(&self) {
        let mut taking = self.taking.lock().await;
        let Some(taken) = taking.take() else { return };
        if let Ok(Ok(Some(delivery))) = taken.await
            && let Err(error) = self.give_back(&delivery).await
        {
            tracing::error!(%error, "a message stays in hand until this worker is gone");
        }
    }

    fn holds(&self, _delivery: &Delivery) -> bool {
        true
    }

    async fn publish(&self, event: &Event, _envelope: &Envelope) -> Result<(), BrokerError> {
        let json = serde_json::to_vec(event).map_err(|error| self.hand.spool.error(error.into()))?;
        let name = format!("{}.json", event.data.job);
        self.with_hand(move |hand| hand.spool.write("results", &name, &json))
            .await
    }

    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), BrokerError> {
        self.move_to("done", delivery).await
    }

    async fn give_back(&self, delivery: &Delivery) -> Result<(), BrokerError> {
        self.move_to("new", delivery).await
    }

    async fn set_aside(&self, delivery: &Delivery, why: &str) -> Result<(), BrokerError> {
        let Some(name) = file_of(delivery) else { return Ok(()) };
        let why = why.to_owned();
        self.with_hand(move |hand| hand.set_aside(&name, &why)).await
    }

    async fn keep_failed(&self, body: &[u8], envelope: &Envelope, why: &str) -> Result<(), BrokerError> {
        let name = message_name(envelope.lane, envelope.requeued);
        let (body, why) = (body.to_owned(), why.to_owned());
        self.with_hand(move |hand| {
            hand.spool.write("dead", &format!("{name}.why"), why.as_bytes())?;
            hand.spool.write("dead", &name, &body)
        })
        .await
    }

    async fn put_off(&self, _delivery: &Delivery, _rung: usize, _tries: u32) -> Result<Moved, BrokerError> {
        Ok(Moved::NoSuchPlace)
    }

    async fn put_aside(&self, _delivery: &Delivery, _line: u8) -> Result<Moved, BrokerError> {
        Ok(Moved::NoSuchPlace)
    }

    fn sidelines(&self) -> u8 {
        0
    }

    fn attend(&self, _attention: Attention) {}

    async fn depth(&self, _line: u8) -> Result<u64, BrokerError> {
        Ok(0)
    }

    async fn told(&self) {
        // The ledger is asked every second; nobody is faster on one host.
        std::future::pending().await
    }

    async fn close(&self) {}

    async fn tidy(&self) -> Result<(), BrokerError> {
        self.with_hand(|hand| hand.take_back().and_then(|()| hand.drop_old()))
            .await
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        // Left behind where something is still in hand: the next worker takes it back.
        if fs::read_dir(&self.folder).is_ok_and(|entries| entries.count() == 1) {
            let _ = fs::remove_file(self.folder.join(LOCK)).and_then(|()| fs::remove_dir(&self.folder));
        }
    }
}

#[cfg(test)]
mod tests;
