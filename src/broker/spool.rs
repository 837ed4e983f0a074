//! The embedded broker: a folder on one host, maildir style. Durable; renames only.
//!
//! `new` holds messages in the order of their names, `cur/WORKER` those in a worker's hands, `done` what was acknowledged, `results` one
//! file per job, `dead` what made no sense. A worker's folder in `cur` is locked for as long as it lives; whoever finds one
//! that can be locked puts its messages back.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use clap::ValueEnum;

use super::{Broker, BrokerError, Delivery};
use crate::clock;
use crate::event::Event;
use crate::ledger::WorkerId;

/// How often an empty spool is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How many names are taken from one look at `new`.
const LOOK_AHEAD: usize = 1024;
/// How long `done` and `results` are kept.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);
/// Name of the lock in a worker's folder.
const LOCK: &str = ".lock";

const FOLDERS: [&str; 6] = ["tmp", "new", "cur", "done", "results", "dead"];

/// A job queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lane {
    /// Somebody waits for it.
    Interactive,
    /// Nobody does.
    Bulk,
}

impl Lane {
    /// Sorts interactive jobs before bulk ones.
    fn prefix(self) -> char {
        match self {
            Self::Interactive => '1',
            Self::Bulk => '2',
        }
    }
}

/// A spool folder, from the side of those who put jobs in and read results.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

/// A spool folder, from the side of a worker.
#[derive(Debug)]
pub struct SpoolConsumer {
    spool: Spool,
    hand: PathBuf,
    ahead: Mutex<VecDeque<String>>,
    _lock: File,
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
        let name = format!(
            "{}-{:013}-{}",
            lane.prefix(),
            clock::unix_ms(),
            uuid::Uuid::now_v7().simple()
        );
        self.write("new", &name, body).map_err(|error| self.error(error))
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

    /// Takes part as a worker.
    pub fn consume(&self, worker: &WorkerId) -> Result<SpoolConsumer, BrokerError> {
        let hand = self.folder.join("cur").join(&worker.0);
        let open = || {
            fs::create_dir(&hand)?;
            let lock = File::create(hand.join(LOCK))?;
            lock.try_lock().map_err(io::Error::from)?;
            Ok(lock)
        };
        let lock = open().map_err(|error| self.error(error))?;
        Ok(SpoolConsumer {
            spool: self.clone(),
            hand,
            ahead: Mutex::default(),
            _lock: lock,
        })
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

    fn error(&self, error: io::Error) -> BrokerError {
        BrokerError {
            place: format!("spool:{}", self.folder.display()),
            problem: error.to_string(),
        }
    }
}

impl SpoolConsumer {
    /// Takes the first message that nobody else takes.
    fn take(&self) -> io::Result<Option<Delivery>> {
        while let Some(name) = self.next_name()? {
            let mine = self.hand.join(&name);
            match fs::rename(self.spool.folder.join("new").join(&name), &mine) {
                Ok(()) => {
                    let body = fs::read(&mine)?;
                    return Ok(Some(Delivery {
                        body,
                        enqueued_ms: enqueued(&name),
                        token: name,
                    }));
                }
                // Another worker was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn next_name(&self) -> io::Result<Option<String>> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.is_empty() {
            let mut names = Vec::new();
            for entry in fs::read_dir(self.spool.folder.join("new"))? {
                names.extend(
                    entry?
                        .file_name()
                        .into_string()
                        .ok()
                        .filter(|name| !name.starts_with('.')),
                );
            }
            names.sort_unstable();
            names.truncate(LOOK_AHEAD);
            ahead.extend(names);
        }
        Ok(ahead.pop_front())
    }

    fn move_to(&self, folder: &str, delivery: &Delivery) -> Result<(), BrokerError> {
        let target = self.spool.folder.join(folder).join(&delivery.token);
        fs::rename(self.hand.join(&delivery.token), target).map_err(|error| self.spool.error(error))
    }

    /// Puts back what lost workers had in hand.
    fn take_back(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.spool.folder.join("cur"))? {
            let hand = entry?.path();
            if hand == self.hand {
                continue;
            }
            let Ok(lock) = File::open(hand.join(LOCK)) else {
                continue;
            };
            if lock.try_lock().is_err() {
                continue;
            }
            for entry in fs::read_dir(&hand)? {
                let entry = entry?;
                if entry.file_name() != LOCK {
                    fs::rename(entry.path(), self.spool.folder.join("new").join(entry.file_name()))?;
                }
            }
            fs::remove_file(hand.join(LOCK))?;
            fs::remove_dir(&hand)?;
        }
        Ok(())
    }

    fn drop_old(&self) -> io::Result<()> {
        for folder in ["done", "results"] {
            for entry in fs::read_dir(self.spool.folder.join(folder))? {
                let entry = entry?;
                let written = entry.metadata()?.modified()?;
                if clock::system_time().duration_since(written).is_ok_and(|age| age > KEEP) {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }
}

/// When a message was enqueued, from its name.
fn enqueued(name: &str) -> Option<u64> {
    name.split('-').nth(1)?.parse().ok()
}

#[async_trait]
impl Broker for SpoolConsumer {
    async fn next(&self) -> Result<Delivery, BrokerError> {
        loop {
            if let Some(delivery) = self.take().map_err(|error| self.spool.error(error))? {
                return Ok(delivery);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn publish(&self, event: &Event) -> Result<(), BrokerError> {
        let json = serde_json::to_vec(event).map_err(|error| self.spool.error(error.into()))?;
        let name = format!("{}.json", event.data.job);
        self.spool
            .write("results", &name, &json)
            .map_err(|error| self.spool.error(error))
    }

    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), BrokerError> {
        self.move_to("done", delivery)
    }

    async fn give_back(&self, delivery: &Delivery) -> Result<(), BrokerError> {
        self.move_to("new", delivery)
    }

    async fn set_aside(&self, delivery: &Delivery, why: &str) -> Result<(), BrokerError> {
        let name = format!("{}.why", delivery.token);
        self.spool
            .write("dead", &name, why.as_bytes())
            .map_err(|error| self.spool.error(error))?;
        self.move_to("dead", delivery)
    }

    async fn tidy(&self) -> Result<(), BrokerError> {
        self.take_back()
            .and_then(|()| self.drop_old())
            .map_err(|error| self.spool.error(error))
    }
}

impl Drop for SpoolConsumer {
    fn drop(&mut self) {
        // Left behind where something is still in hand: the next worker takes it back.
        if fs::read_dir(&self.hand).is_ok_and(|entries| entries.count() == 1) {
            let _ = fs::remove_file(self.hand.join(LOCK)).and_then(|()| fs::remove_dir(&self.hand));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str) -> WorkerId {
        WorkerId(name.to_owned())
    }

    fn spool() -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        (folder, spool)
    }

    #[tokio::test]
    async fn interactive_comes_before_bulk_and_order_is_kept() {
        let (_folder, spool) = spool();
        spool.submit(b"bulk", Lane::Bulk).unwrap();
        spool.submit(b"first", Lane::Interactive).unwrap();
        spool.submit(b"second", Lane::Interactive).unwrap();
        let consumer = spool.consume(&worker("a")).unwrap();
        for body in ["first", "second", "bulk"] {
            let delivery = consumer.next().await.unwrap();
            assert_eq!(delivery.body, body.as_bytes());
            assert!(delivery.enqueued_ms.is_some());
            consumer.acknowledge(&delivery).await.unwrap();
        }
    }

    #[tokio::test]
    async fn two_workers_share_the_messages() {
        let (_folder, spool) = spool();
        for _ in 0..20 {
            spool.submit(b"x", Lane::Interactive).unwrap();
        }
        let (a, b) = (
            spool.consume(&worker("a")).unwrap(),
            spool.consume(&worker("b")).unwrap(),
        );
        for _ in 0..10 {
            a.next().await.unwrap();
            b.next().await.unwrap();
        }
        assert!(a.take().unwrap().is_none() && b.take().unwrap().is_none());
    }

    #[tokio::test]
    async fn a_lost_workers_messages_come_again_and_a_living_ones_do_not() {
        let (_folder, spool) = spool();
        spool.submit(b"x", Lane::Interactive).unwrap();
        let lost = spool.consume(&worker("lost")).unwrap();
        lost.next().await.unwrap();
        let other = spool.consume(&worker("other")).unwrap();
        other.tidy().await.unwrap();
        assert!(other.take().unwrap().is_none());
        drop(lost);
        other.tidy().await.unwrap();
        assert_eq!(other.next().await.unwrap().body, b"x");
        assert_eq!(fs::read_dir(spool.folder.join("cur")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_kept_with_its_reason() {
        let (_folder, spool) = spool();
        spool.submit(b"\xff", Lane::Interactive).unwrap();
        let consumer = spool.consume(&worker("a")).unwrap();
        let delivery = consumer.next().await.unwrap();
        consumer.set_aside(&delivery, "not JSON").await.unwrap();
        assert_eq!(fs::read_dir(spool.folder.join("dead")).unwrap().count(), 2);
    }
}
