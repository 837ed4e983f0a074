//! The local flight record: which attempts this process has in the air, and proof to others on this host that it still lives.
//!
//! One file per worker in `flights`, locked for as long as the process lives: the kernel lets go of the lock when the process
//! dies, however it dies, so nobody has to guess from process ids. Lines are synced before a child is spawned. Whoever finds
//! a file that can be locked knows that its worker is gone, and buries it in the ledger.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::json;

use crate::digest::Digest;
use crate::ledger::{AttemptId, WorkerId};

/// Suffix of a flight record.
const SUFFIX: &str = ".flights";

/// This process's flight record.
#[derive(Debug)]
pub struct Flights {
    folder: PathBuf,
    own: PathBuf,
    record: Mutex<Record>,
}

#[derive(Debug)]
struct Record {
    file: File,
    /// By upload, too: a ledger that lost its last rows may give an id out again.
    in_the_air: HashSet<(AttemptId, Digest)>,
}

/// The workers of this host.
#[derive(Debug, Default)]
pub struct Survey {
    /// Those whose record is locked: they live, whatever their lease says.
    pub living: Vec<WorkerId>,
    /// Those that are gone.
    pub wrecks: Vec<Wreck>,
}

/// A worker that is gone, and its record, locked until the burial is done.
#[derive(Debug)]
pub struct Wreck {
    /// Which worker.
    pub worker: WorkerId,
    path: PathBuf,
    _lock: File,
}

impl Flights {
    /// Opens this worker's record in `folder`, and makes the folder where it is missing.
    pub fn open(folder: &Path, worker: &WorkerId) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let own = folder.join(format!("{}{SUFFIX}", worker.0));
        // Locked under another name first: nobody may find it unlocked under its own.
        let unseen = folder.join(format!("{}.new", worker.0));
        let file = File::options().create_new(true).append(true).open(&unseen)?;
        file.try_lock().map_err(io::Error::from)?;
        fs::rename(&unseen, &own)?;
        let record = Mutex::new(Record {
            file,
            in_the_air: HashSet::new(),
        });
        Ok(Self {
            folder: folder.to_owned(),
            own,
            record,
        })
    }

    /// Records an attempt, synced to disk. The child may be spawned after this.
    pub fn begin(&self, attempt: AttemptId, digest: &Digest) -> io::Result<()> {
        let mut record = self.lock();
        writeln!(record.file, "{}", json!({ "attempt": attempt, "digest": digest }))?;
        record.file.sync_data()?;
        record.in_the_air.insert((attempt, *digest));
        Ok(())
    }

    /// The attempt has ended and the ledger knows. The record is emptied when nothing is in the air.
    pub fn end(&self, attempt: AttemptId, digest: &Digest) -> io::Result<()> {
        let mut record = self.lock();
        record.in_the_air.remove(&(attempt, *digest));
        if record.in_the_air.is_empty() {
            record.file.set_len(0)
        } else {
            Ok(())
        }
    }

    /// How many attempts are in the air.
    pub fn count(&self) -> usize {
        self.lock().in_the_air.len()
    }

    /// Every worker of this host that left a record: those that live, and the wrecks of those that are gone.
    pub fn survey(&self) -> io::Result<Survey> {
        let mut survey = Survey::default();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let worker = path
                .file_name()
                .and_then(|name| name.to_str()?.strip_suffix(SUFFIX).map(str::to_owned));
            let Some(worker) = worker.map(WorkerId) else { continue };
            // Somebody else may bury it at the same moment.
            let Ok(file) = File::open(&path) else { continue };
            match file.try_lock() {
                Ok(()) if path != self.own => survey.wrecks.push(Wreck {
                    worker,
                    path,
                    _lock: file,
                }),
                _ => survey.living.push(worker),
            }
        }
        Ok(survey)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Record> {
        // A panic while the lock was held leaves a set of ids that is still true.
        self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Wreck {
    /// The ledger knows: the record can go.
    pub fn cleared(self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Flights {
    fn drop(&mut self) {
        // With attempts in the air the record stays: the next worker buries this one.
        if self.lock().in_the_air.is_empty() {
            let _ = fs::remove_file(&self.own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str) -> WorkerId {
        WorkerId(name.to_owned())
    }

    #[test]
    fn a_living_worker_is_no_wreck() {
        let folder = tempfile::tempdir().unwrap();
        let _alive = Flights::open(folder.path(), &worker("a")).unwrap();
        let other = Flights::open(folder.path(), &worker("b")).unwrap();
        let survey = other.survey().unwrap();
        assert_eq!((survey.wrecks.len(), survey.living.len()), (0, 2));
    }

    #[test]
    fn a_dead_worker_with_an_attempt_in_the_air_is_found_once() {
        let folder = tempfile::tempdir().unwrap();
        let dead = Flights::open(folder.path(), &worker("a")).unwrap();
        dead.begin(AttemptId(7), &Digest::of(b"x")).unwrap();
        drop(dead);
        let other = Flights::open(folder.path(), &worker("b")).unwrap();
        let mut wrecks = other.survey().unwrap().wrecks;
        assert_eq!(wrecks.len(), 1);
        // While one buries, nobody else does.
        assert_eq!(
            Flights::open(folder.path(), &worker("c"))
                .unwrap()
                .survey()
                .unwrap()
                .wrecks
                .len(),
            0
        );
        let wreck = wrecks.remove(0);
        assert_eq!(wreck.worker, worker("a"));
        wreck.cleared().unwrap();
        assert_eq!(other.survey().unwrap().wrecks.len(), 0);
    }

    #[test]
    fn an_orderly_end_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let flights = Flights::open(folder.path(), &worker("a")).unwrap();
        flights.begin(AttemptId(7), &Digest::of(b"x")).unwrap();
        assert_eq!(flights.count(), 1);
        // Another one's of the same id, from a ledger that lost this one.
        flights.begin(AttemptId(7), &Digest::of(b"y")).unwrap();
        flights.end(AttemptId(7), &Digest::of(b"x")).unwrap();
        assert_eq!(flights.count(), 1);
        flights.end(AttemptId(7), &Digest::of(b"y")).unwrap();
        drop(flights);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
