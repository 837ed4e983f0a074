//! What a ledger holds, in numbers: for operators, and for whoever copies one.

use serde::Serialize;

/// All tables, in an order in which rows can be copied: what others refer to comes first.
pub const TABLES: [&str; 15] = [
    "workers",
    "attempts",
    "results",
    "entries",
    "strikes",
    "audit",
    "refusals",
    "jobs",
    "tenants",
    "tenant_audit",
    "tenant_minutes",
    "tenant_days",
    "sidelines",
    "tokens",
    "verdicts",
];

/// A ledger in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Where it is, without a password.
    pub place: String,
    /// Its schema.
    pub schema: i64,
    /// The schema that this program makes.
    pub known: i64,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Its tables, in the order of [`TABLES`].
    pub tables: Vec<Table>,
}

/// A table in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Rows.
    pub rows: u64,
    /// Whether they were counted; those of a large table are what the database believes.
    pub count: Count,
    /// Bytes with its indexes, where the database tells.
    pub bytes: Option<u64>,
}

/// How a number of rows is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Count {
    /// They were counted.
    Exact,
    /// The database's estimate.
    Estimate,
}
