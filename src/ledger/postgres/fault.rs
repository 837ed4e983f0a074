//! What PostgreSQL says when it fails, and the sentence that an operator gets for it: the problem, the remedy.
//!
//! Absent on purpose: what was asked for. Statements and values stay out of errors, and so do passwords, which no error of the server carries.

use std::fmt::Display;
use std::io::{self, ErrorKind};

use super::Terms;
use crate::ledger::engine::Fault;

/// Codes that have a remedy of their own (PostgreSQL's documentation, appendix A).
mod code {
    pub(super) const SERIALIZATION_FAILURE: &str = "40001";
    pub(super) const DEADLOCK_DETECTED: &str = "40P01";
    pub(super) const UNIQUE_VIOLATION: &str = "23505";
    pub(super) const READ_ONLY: &str = "25006";
    pub(super) const INVALID_PASSWORD: &str = "28P01";
    pub(super) const INVALID_AUTHORIZATION: &str = "28000";
    pub(super) const UNKNOWN_DATABASE: &str = "3D000";
    pub(super) const FORBIDDEN: &str = "42501";
    pub(super) const UNKNOWN_TABLE: &str = "42P01";
    pub(super) const DISK_FULL: &str = "53100";
    pub(super) const TOO_MANY_CONNECTIONS: &str = "53300";
    pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub(super) const STATEMENT_TIMEOUT: &str = "57014";
    pub(super) const ADMIN_SHUTDOWN: &str = "57P01";
    pub(super) const CRASH_SHUTDOWN: &str = "57P02";
    pub(super) const CANNOT_CONNECT_NOW: &str = "57P03";
    pub(super) const IDLE_IN_TRANSACTION: &str = "25P03";
}

/// Whether another transaction came between, so that the same one may succeed at once.
pub(super) fn came_between(fault: &Fault) -> bool {
    matches!(
        code_of(fault).as_deref(),
        Some(code::SERIALIZATION_FAILURE | code::DEADLOCK_DETECTED | code::UNIQUE_VIOLATION)
    )
}

/// Whether the connection is over, and another one might do. A silence is not: who was silent will be so again.
pub(super) fn is_dead(fault: &Fault) -> bool {
    match fault {
        Fault::Sql(sqlx::Error::Io(error)) => error.kind() != ErrorKind::TimedOut,
        _ => matches!(
            code_of(fault).as_deref(),
            Some(code::ADMIN_SHUTDOWN | code::CRASH_SHUTDOWN | code::IDLE_IN_TRANSACTION)
        ),
    }
}

/// Whether this connection is not to be used again: it is dead or silent; or it lives, and behind the server's name there may be another
/// by now.
pub(super) fn is_spent(fault: &Fault) -> bool {
    let silent = matches!(fault, Fault::Sql(sqlx::Error::Io(_)));
    silent || is_dead(fault) || code_of(fault).as_deref() == Some(code::READ_ONLY)
}

/// Whether it is about certificates: the handshake tells so as damaged data.
fn is_handshake(error: &io::Error) -> bool {
    error.kind() == ErrorKind::InvalidData
}

/// Whether time may cure it; somebody must mend the others.
pub(super) fn may_pass(fault: &Fault) -> bool {
    match fault {
        Fault::Sql(sqlx::Error::Io(error)) if is_handshake(error) => false,
        Fault::Sql(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut) => true,
        _ => matches!(
            code_of(fault).as_deref(),
            Some(
                code::TOO_MANY_CONNECTIONS
                    // A standby that is about to be promoted.
                    | code::READ_ONLY
                    | code::CANNOT_CONNECT_NOW
                    | code::ADMIN_SHUTDOWN
                    | code::CRASH_SHUTDOWN
                    | code::DISK_FULL
                    | code::LOCK_NOT_AVAILABLE
                    | code::STATEMENT_TIMEOUT
                    | code::SERIALIZATION_FAILURE
                    | code::DEADLOCK_DETECTED
                    | code::UNIQUE_VIOLATION
            )
        ),
    }
}

fn code_of(fault: &Fault) -> Option<String> {
    match fault {
        Fault::Sql(error) => Some(error.as_database_error()?.code()?.into_owned()),
        _ => None,
    }
}

/// What the server said, with the remedy where there is one.
pub(super) fn sentence(error: &sqlx::Error, terms: &Terms) -> String {
    let longest = humantime::format_duration(terms.timeout);
    match error {
        sqlx::Error::Io(error) if error.kind() == ErrorKind::TimedOut => {
            return "does not answer: see whether the server, and the network to it, are well".to_owned();
        }
        sqlx::Error::Io(error) if is_handshake(error) => return untrusted(error),
        sqlx::Error::Tls(error) => return untrusted(error),
        sqlx::Error::Io(error) => {
            return format!("cannot be reached: {error}; see whether the server runs there, and listens");
        }
        sqlx::Error::PoolTimedOut => {
            return format!(
                "all {} connections are in use for long; raise `connections` in [postgres], or see what the server is busy with",
                terms.connections
            );
        }
        _ => {}
    }
    let said = error.as_database_error().and_then(|error| error.code());
    let remedy = match said.as_deref() {
        Some(code::INVALID_PASSWORD | code::INVALID_AUTHORIZATION) => {
            "does not let this user in: see user and password in the address, and pg_hba.conf on the server"
        }
        Some(code::UNKNOWN_DATABASE) => "has no such database: make it (`createdb`), or name another one",
        Some(code::TOO_MANY_CONNECTIONS) => {
            "has no connection free: raise its max_connections, or lower `connections` in [postgres]"
        }
        Some(code::CANNOT_CONNECT_NOW | code::ADMIN_SHUTDOWN | code::CRASH_SHUTDOWN) => "is starting or shutting down",
        Some(code::READ_ONLY) => "is read-only: a standby, or default_transaction_read_only is on; name the primary",
        Some(code::FORBIDDEN) => {
            "does not allow this user to: let its owner run `lazaret ledger migrate`, and see docs/postgresql.md for what a worker's user needs"
        }
        Some(code::UNKNOWN_TABLE) => "lost its tables, or this user may not see them: run `lazaret ledger migrate`",
        Some(code::DISK_FULL) => "cannot grow: free space on its disk",
        Some(code::LOCK_NOT_AVAILABLE) => "was locked by somebody else for too long: see pg_locks and pg_stat_activity",
        Some(code::STATEMENT_TIMEOUT) => {
            return format!("took longer than {longest}: see what the server is busy with ({error})");
        }
        _ => return error.to_string(),
    };
    format!("{remedy} ({error})")
}

fn untrusted(error: &impl Display) -> String {
    format!("{error}; see sslmode in the address, and `ca` in [postgres]")
}
