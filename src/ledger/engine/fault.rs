//! What goes wrong inside a store, before it is known to which file or server, and what an operator is told of it.

use crate::ledger::LedgerError;

/// A failure that does not know yet where it happened.
#[derive(Debug)]
pub(in crate::ledger) enum Fault {
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

impl Fault {
    /// Whether a statement or its values may be to blame, and not the connection: without it, others may succeed.
    pub(in crate::ledger) fn is_of_a_statement(&self) -> bool {
        !matches!(
            self,
            Self::Sql(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_))
        )
    }

    /// The error for a statement of a ledger that is open. `sentence` words what its database said.
    pub(in crate::ledger) fn failed(self, place: String, sentence: impl Fn(&sqlx::Error) -> String) -> LedgerError {
        match self {
            Self::Answer(answer) => answer,
            other => LedgerError::Failed {
                place,
                problem: other.problem(sentence),
            },
        }
    }

    /// The same where somebody must mend it, or name another ledger.
    pub(in crate::ledger) fn unusable(self, place: String, sentence: impl Fn(&sqlx::Error) -> String) -> LedgerError {
        match self {
            Self::Answer(answer) => answer,
            other => LedgerError::Unusable {
                place,
                problem: other.problem(sentence),
            },
        }
    }

    fn problem(&self, sentence: impl Fn(&sqlx::Error) -> String) -> String {
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
            Self::Sql(error) => sentence(error),
        }
    }
}
