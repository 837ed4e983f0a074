//! What the ledger in PostgreSQL says in the end.

use std::collections::BTreeSet;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::super::postgres::Database;

/// A session of somebody who only looks.
pub struct Books(PgConnection);

impl Books {
    /// Opens them.
    pub async fn open(database: &Database<'_>) -> Self {
        Self(database.connect().await)
    }

    /// A number that a statement gives.
    pub async fn count(&mut self, sql: &'static str) -> usize {
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut self.0).await.unwrap();
        usize::try_from(row.get::<i64, _>(0)).unwrap()
    }

    /// Jobs that ended, and jobs that wait.
    pub async fn jobs(&mut self) -> (usize, usize) {
        (
            self.count("SELECT count(*) FROM lazaret.jobs WHERE ended IS NOT NULL")
                .await,
            self.count("SELECT count(*) FROM lazaret.jobs WHERE ended IS NULL")
                .await,
        )
    }

    /// Digests with an entry in one of these states.
    pub async fn in_states(&mut self, states: &[&str]) -> BTreeSet<String> {
        let sql = "SELECT encode(digest, 'hex') FROM lazaret.entries WHERE state = ANY($1)";
        let rows = sqlx::query(sql).bind(states).fetch_all(&mut self.0).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Most attempts on one of these digests, under the limits of one epoch, that were not given back unharmed; with what became of them.
    pub async fn most_attempts(&mut self, digests: &BTreeSet<String>) -> (usize, String) {
        let sql = "SELECT count(*), string_agg(outcome, ', ' ORDER BY id) FROM lazaret.attempts
            WHERE encode(digest, 'hex') = ANY($1) AND outcome <> 'released' GROUP BY digest, build, limits ORDER BY 1 DESC LIMIT 1";
        let digests: Vec<String> = digests.iter().cloned().collect();
        let row = sqlx::query(sql)
            .bind(digests)
            .fetch_optional(&mut self.0)
            .await
            .unwrap();
        row.map(|row| (usize::try_from(row.get::<i64, _>(0)).unwrap(), row.get(1)))
            .unwrap_or_default()
    }

    /// Attempts on digests that had been convicted in another epoch before.
    pub async fn tried_anew(&mut self) -> usize {
        self.count(
            "SELECT count(*) FROM lazaret.attempts WHERE EXISTS (SELECT 1 FROM lazaret.strikes JOIN lazaret.audit USING (digest, at)
                WHERE strikes.digest = attempts.digest AND audit.action = 'convict' AND at < started
                AND (strikes.build, strikes.limits) <> (attempts.build, attempts.limits))",
        )
        .await
    }

    /// Epochs that attempts were made in.
    pub async fn epochs(&mut self) -> usize {
        self.count("SELECT count(*) FROM (SELECT DISTINCT build, limits FROM lazaret.attempts) AS epochs")
            .await
    }

    /// Sessions of workers.
    pub async fn sessions(&mut self) -> usize {
        self.count("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'lazaret %'")
            .await
    }
}
