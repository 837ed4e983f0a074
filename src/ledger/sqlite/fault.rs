//! What SQLite says when it fails, and the sentence that an operator gets for it: the file, the problem, the remedy.

use std::path::Path;
use std::time::Duration;

use crate::ledger::LedgerError;
use crate::ledger::engine::Fault;

/// The primary result codes of SQLite that have a remedy of their own (sqlite.org/rescode.html).
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    pub(super) const NOTADB: i32 = 26;
}

/// The error for a statement of a ledger that is open. `patience` is how long a lock was waited for.
pub(super) fn failed(fault: Fault, path: &Path, patience: Duration) -> LedgerError {
    fault.failed(path.display().to_string(), |error| sentence(error, patience))
}

/// The error while a ledger is opened: what a retry may cure is `Failed`, what somebody must mend is `Unusable`.
pub(super) fn unopened(fault: Fault, path: &Path, patience: Duration) -> LedgerError {
    match code(&fault) {
        Some(code::BUSY | code::FULL | code::PROTOCOL) => failed(fault, path, patience),
        _ => fault.unusable(path.display().to_string(), |error| sentence(error, patience)),
    }
}

/// Whether somebody else holds a lock.
pub(super) fn is_busy(fault: &Fault) -> bool {
    code(fault) == Some(code::BUSY)
}

/// Whether SQLite finds the file inconsistent.
pub(super) fn is_corrupt(fault: &Fault) -> bool {
    code(fault) == Some(code::CORRUPT)
}

fn code(fault: &Fault) -> Option<i32> {
    match fault {
        Fault::Sql(error) => code_of(error),
        _ => None,
    }
}

fn code_of(error: &sqlx::Error) -> Option<i32> {
    match error {
        // Tasks of this process queue behind one that waits for the lock.
        sqlx::Error::PoolTimedOut => Some(code::BUSY),
        sqlx::Error::Database(error) => error.code()?.parse().ok().map(|extended: i32| extended & 0xff),
        _ => None,
    }
}

/// What the database said, with the remedy where there is one.
fn sentence(error: &sqlx::Error, patience: Duration) -> String {
    let remedy = match code_of(error) {
        Some(code::BUSY | code::PROTOCOL) => {
            let waited = humantime::format_duration(patience);
            return format!(
                "was locked by another process for more than {waited}: find that process with `fuser`, and end it"
            );
        }
        Some(code::READONLY) => {
            "cannot be written: check the rights of the file and of its directory, and how the disk is mounted"
        }
        Some(code::IOERR) => "the disk failed: see the kernel's log",
        Some(code::CORRUPT) => {
            "is damaged: stop all workers, move it away with its -wal and -shm files, and restore a backup"
        }
        Some(code::FULL) => "cannot grow: free space on its disk; nothing was written",
        Some(code::CANTOPEN) => "cannot be opened: check that it is a file, and the rights of its directory",
        Some(code::NOTADB) => "is not a SQLite file: name another ledger",
        _ => return error.to_string(),
    };
    format!("{remedy} ({error})")
}

/// The file must be mended, or another one named.
pub(super) fn unusable(path: &Path, problem: impl Into<String>) -> LedgerError {
    LedgerError::Unusable {
        place: path.display().to_string(),
        problem: problem.into(),
    }
}
