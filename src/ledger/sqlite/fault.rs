//! What goes wrong inside the store, and the sentence that an operator gets for it: the file, the problem, the remedy.

use std::path::Path;
use std::time::Duration;

use crate::ledger::LedgerError;

/// A failure that does not know yet which file it happened to.
#[derive(Debug)]
pub(super) enum Fault {
    /// The database said no.
    Sql(sqlx::Error),
    /// A row that no version of this program writes: somebody edited it.
    Row {
        table: &'static str,
        key: String,
        column: &'static str,
        problem: String,
    },
    /// The caller's request makes no sense; the sentence says why.
    Request(String),
    /// An answer of the contract that is already in its words.
    Answer(LedgerError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        Self::Answer(error)
    }
}

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

impl Fault {
    /// The error for a statement of a ledger that is open. `patience` is how long a lock was waited for.
    pub(super) fn failed(self, path: &Path, patience: Duration) -> LedgerError {
        match self {
            Self::Answer(answer) => answer,
            other => LedgerError::Failed {
                place: path.display().to_string(),
                problem: other.problem(patience),
            },
        }
    }

    /// The error while a ledger is opened: what a retry may cure is `Failed`, what somebody must mend is `Unusable`.
    pub(super) fn unopened(self, path: &Path, patience: Duration) -> LedgerError {
        match self.code() {
            Some(code::BUSY | code::FULL | code::PROTOCOL) => self.failed(path, patience),
            _ => match self {
                Self::Answer(answer) => answer,
                other => unusable(path, other.problem(patience)),
            },
        }
    }

    /// Whether somebody else holds a lock.
    pub(super) fn is_busy(&self) -> bool {
        self.code() == Some(code::BUSY)
    }

    /// Whether SQLite finds the file inconsistent.
    pub(super) fn is_corrupt(&self) -> bool {
        self.code() == Some(code::CORRUPT)
    }

    fn code(&self) -> Option<i32> {
        match self {
            // Tasks of this process queue behind one that waits for the lock.
            Self::Sql(sqlx::Error::PoolTimedOut) => Some(code::BUSY),
            Self::Sql(sqlx::Error::Database(error)) => error.code()?.parse().ok().map(|extended: i32| extended & 0xff),
            _ => None,
        }
    }

    fn problem(&self, patience: Duration) -> String {
        match self {
            Self::Row {
                table,
                key,
                column,
                problem,
            } => {
                format!(
                    "table {table}, row {key}, column {column}: {problem}; somebody edited it: correct it, or restore a backup"
                )
            }
            Self::Request(problem) => problem.clone(),
            Self::Answer(answer) => answer.to_string(),
            Self::Sql(error) => sentence(error, self.code(), patience),
        }
    }
}

/// What the database said, with the remedy where there is one.
fn sentence(error: &sqlx::Error, code: Option<i32>, patience: Duration) -> String {
    let remedy = match code {
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
