//! What the ledger says in the end, read from its file.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Row};

/// A ledger's file, read only.
pub struct Ledger(SqlitePool);

impl Ledger {
    /// Opens it.
    pub async fn open(path: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        Self(SqlitePool::connect_with(options).await.unwrap())
    }

    /// A number that a statement gives for a text.
    async fn number(&self, sql: &'static str, text: &str) -> usize {
        let row = sqlx::query(sql).bind(text.to_owned()).fetch_one(&self.0).await.unwrap();
        usize::try_from(row.get::<i64, _>(0)).unwrap()
    }

    /// Jobs with a terminal state, and jobs without.
    pub async fn jobs(&self) -> (usize, usize) {
        let ended = "SELECT count(*) FROM jobs WHERE ended IS NOT NULL AND ?1 = ''";
        let waiting = "SELECT count(*) FROM jobs WHERE ended IS NULL AND ?1 = ''";
        (self.number(ended, "").await, self.number(waiting, "").await)
    }

    /// Attempts on a digest.
    pub async fn attempts(&self, digest: &str) -> usize {
        self.number("SELECT count(*) FROM attempts WHERE digest = ?1", digest)
            .await
    }

    /// Attempts on all digests.
    pub async fn attempts_in_all(&self) -> usize {
        self.number("SELECT count(*) FROM attempts WHERE ?1 = ''", "").await
    }

    /// Attempts that run now.
    pub async fn running(&self) -> usize {
        self.number(
            "SELECT count(*) FROM attempts WHERE outcome = 'running' AND ?1 = ''",
            "",
        )
        .await
    }

    /// CPU time of a tenant's attempts, in milliseconds.
    pub async fn cpu_ms(&self, tenant: &str) -> usize {
        let sql = "SELECT coalesce(sum(json_extract(usage, '$.cpu_ms')), 0) FROM attempts WHERE tenant = ?1";
        self.number(sql, tenant).await
    }

    /// CPU time of the attempts of all tenants whose names begin so, in milliseconds.
    pub async fn cpu_ms_of_all(&self, tenants: &str) -> usize {
        let sql = "SELECT coalesce(sum(json_extract(usage, '$.cpu_ms')), 0) FROM attempts WHERE tenant LIKE ?1 || '%'";
        self.number(sql, tenants).await
    }

    /// Most memory that an attempt of any tenant whose name begins so took, in bytes.
    pub async fn peak_of_all(&self, tenants: &str) -> usize {
        let sql = "SELECT coalesce(max(json_extract(usage, '$.peak_memory_bytes')), 0) FROM attempts WHERE tenant LIKE ?1 || '%'";
        self.number(sql, tenants).await
    }

    /// The worker that runs a digest now.
    pub async fn runs(&self, digest: &str) -> Option<String> {
        let sql = "SELECT worker FROM attempts WHERE digest = ?1 AND outcome = 'running'";
        let row = sqlx::query(sql).bind(digest.to_owned()).fetch_optional(&self.0).await;
        row.unwrap().map(|row| row.get(0))
    }

    /// Attempts that a worker runs now.
    pub async fn in_the_air(&self, worker: &str) -> usize {
        let sql = "SELECT count(*) FROM attempts WHERE worker = ?1 AND outcome = 'running'";
        self.number(sql, worker).await
    }

    /// Attempts that were lost with their worker.
    pub async fn lost(&self) -> usize {
        self.number("SELECT count(*) FROM attempts WHERE outcome = 'lost' AND ?1 = ''", "")
            .await
    }

    /// States of the quarantine, by digest.
    pub async fn entries(&self) -> BTreeMap<String, String> {
        let rows = sqlx::query(AssertSqlSafe("SELECT digest, state FROM entries"))
            .fetch_all(&self.0)
            .await;
        rows.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Digests that nobody may run any more.
    pub async fn convicted(&self) -> Vec<String> {
        let entries = self.entries().await.into_iter();
        let closed = entries.filter(|(_, state)| state == "quarantined" || state == "confirmed");
        closed.map(|(digest, _)| digest).collect()
    }
}
