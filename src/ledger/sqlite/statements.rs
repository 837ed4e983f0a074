//! Every statement of the SQLite store, each marked `hot` (on the way of a job: index look-ups only, which a test proves from the
//! query plans) or `cold` (operators' lists, housekeeping). `?1` is the first value bound; times are milliseconds.

/// Declares statements, and lists them for the test of their plans.
macro_rules! statements {
    ($($(#[$doc:meta])* $temper:ident $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $sql;)*
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str, &str)] = &[$((stringify!($temper), stringify!($name), $sql)),*];
    };
}

macro_rules! entry_columns {
    () => {
        "digest, state, reason, scope, recipe, build, limits, tenant, name, looks, detail, specimen, since, changed, expires,
         repeats, (SELECT count(*) FROM strikes WHERE strikes.digest = entries.digest) AS strikes"
    };
}

macro_rules! run_columns {
    () => {
        "id, digest, recipe, build, limits, worker, tenant, name, gate, started"
    };
}

/// Whether an attempt on the waiting job's digest is running.
macro_rules! in_flight {
    () => {
        "EXISTS (SELECT 1 FROM attempts WHERE attempts.digest = due_jobs.digest AND outcome = 'running')"
    };
}

/// The waiting jobs that have been due longest: as many as one look may cost, however long the queue is.
macro_rules! due_jobs {
    () => {
        "(SELECT job, digest, due FROM jobs WHERE ended IS NULL AND due <= ?1 ORDER BY due LIMIT 500) AS due_jobs"
    };
}

statements! {
    /// The database's clock; `?1` is added to it.
    hot NOW = "SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER) + ?1 AS now";

    hot SIGN_ON = "INSERT INTO workers (worker, host, build, since, lease) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (worker) DO UPDATE SET lease = excluded.lease";
    hot RENEW_LEASE = "UPDATE workers SET lease = ?2 WHERE worker = ?1";
    hot IS_SIGNED_ON = "SELECT 1 FROM workers WHERE worker = ?1";
    hot SIGN_OFF = "DELETE FROM workers WHERE worker = ?1";
    hot LEASES_OVER = "SELECT worker FROM workers WHERE lease <= ?1 ORDER BY lease LIMIT 100";
    hot RELEASE_RUNS = "UPDATE attempts SET outcome = 'released', ended = ?2 WHERE worker = ?1 AND outcome = 'running'";
    hot HOLD_JOB = "UPDATE jobs SET due = ?3 WHERE job = ?1 AND owner = ?2 AND ended IS NULL";
    hot FREE_JOBS = "UPDATE jobs SET owner = NULL, due = min(due, ?2) WHERE owner = ?1 AND ended IS NULL";

    hot START_RUN = "INSERT INTO attempts (digest, recipe, build, limits, worker, tenant, name, job, gate, started)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING id";
    hot IS_RUNNING = "SELECT 1 FROM attempts WHERE digest = ?1 AND outcome = 'running'";
    hot IS_SOLO_RUNNING = "SELECT 1 FROM attempts WHERE gate = 'solo' AND outcome = 'running'";
    hot RUN = concat!("SELECT ", run_columns!(), " FROM attempts WHERE id = ?1 AND outcome = 'running'");
    hot RUNS_OF_WORKER = concat!("SELECT ", run_columns!(), " FROM attempts WHERE worker = ?1 AND outcome = 'running' ORDER BY id");
    hot END_RUN = "UPDATE attempts SET outcome = ?2, struck = ?3, ended = ?4, usage = ?5 WHERE id = ?1";

    hot RESULT = "SELECT digest, status, reason, detail, build, limits, at, looks, renditions, usage FROM results
        WHERE digest = ?1 AND recipe = ?2";
    hot FORGET = "DELETE FROM results WHERE digest = ?1 AND recipe = ?2";
    hot REMEMBER = "INSERT INTO results
        (digest, recipe, status, reason, detail, build, limits, at, looks, renditions, usage)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
        ON CONFLICT (digest, recipe) DO UPDATE SET
        status = excluded.status, reason = excluded.reason, detail = excluded.detail, build = excluded.build,
        limits = excluded.limits, at = excluded.at, looks = excluded.looks, renditions = excluded.renditions,
        usage = excluded.usage";

    hot ENTRY = concat!("SELECT ", entry_columns!(), " FROM entries WHERE digest = ?1");
    hot COUNT_REPEAT = "UPDATE entries SET repeats = repeats + 1 WHERE digest = ?1";
    /// `?17`: whether the strikes so far are forgiven.
    hot SAVE_ENTRY = "INSERT INTO entries (digest, state, reason, scope, recipe, build, limits, tenant, name, looks, detail,
        specimen, since, changed, expires, repeats, forgiven)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
            CASE WHEN ?17 THEN coalesce((SELECT max(id) FROM strikes WHERE digest = ?1), 0) ELSE 0 END)
        ON CONFLICT (digest) DO UPDATE SET
        state = excluded.state, reason = excluded.reason, scope = excluded.scope, recipe = excluded.recipe,
        build = excluded.build, limits = excluded.limits, looks = excluded.looks, detail = excluded.detail,
        specimen = excluded.specimen, changed = excluded.changed, expires = excluded.expires,
        forgiven = CASE WHEN ?17 THEN excluded.forgiven ELSE forgiven END";
    hot ADD_STRIKE = "INSERT INTO strikes (digest, attempt, at, reason, build, limits, evidence) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    hot STRIKES_THAT_COUNT = "SELECT id, reason, at FROM strikes WHERE digest = ?1 AND build = ?2 AND limits = ?3
        AND id > coalesce((SELECT forgiven FROM entries WHERE digest = ?1), 0)";
    hot ADD_AUDIT = "INSERT INTO audit (digest, at, who, action, why, old_state, new_state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

    hot JOB = "SELECT job, tenant, ended, report FROM jobs WHERE job = ?1";
    /// Leaves a job alone that has ended.
    hot PARK = "INSERT INTO jobs (job, tenant, digest, message, tries, since, due) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (job) DO UPDATE SET digest = coalesce(excluded.digest, digest), message = excluded.message,
        tries = excluded.tries, due = excluded.due, owner = NULL WHERE ended IS NULL";
    hot ANY_DUE = "SELECT 1 FROM jobs WHERE ended IS NULL AND due <= ?1 LIMIT 1";
    /// Jobs whose digest is running make room for those behind them.
    hot SET_BACK = concat!("UPDATE jobs SET due = ?2 WHERE job IN (SELECT job FROM ", due_jobs!(), " WHERE ", in_flight!(), ")");
    hot ADOPT = concat!("UPDATE jobs SET owner = ?2, due = ?3 WHERE job IN (SELECT job FROM ", due_jobs!(), " WHERE NOT ",
        in_flight!(), " ORDER BY due LIMIT ?4) RETURNING job, tenant, message, tries, since");
    /// The first report counts.
    hot END_JOB = "INSERT INTO jobs (job, tenant, tries, since, due, ended, report) VALUES (?1, ?2, 0, ?3, ?3, ?3, ?4)
        ON CONFLICT (job) DO UPDATE SET ended = excluded.ended, report = excluded.report, message = NULL, owner = NULL
        WHERE ended IS NULL";

    cold WAITING = "SELECT count(*) AS waiting FROM jobs WHERE ended IS NULL";
    /// `?1` states as a JSON array or NULL, `?2` reason, `?3` tenant, `?4` and `?5` changed between, `?6` now, `?7` at most, -1: all.
    cold ENTRIES = concat!("SELECT ", entry_columns!(), " FROM entries
        WHERE (?1 IS NULL OR CASE WHEN expires <= ?6 AND state IN ('suspected', 'quarantined') THEN 'expired' ELSE state END
            IN (SELECT value FROM json_each(?1)))
        AND (?2 IS NULL OR reason = ?2) AND (?3 IS NULL OR tenant = ?3) AND changed BETWEEN ?4 AND ?5
        ORDER BY changed DESC, digest LIMIT ?7");
    /// Digests are hexadecimal, and `g` comes after every digit.
    hot DIGESTS_FROM = "SELECT digest FROM entries WHERE digest >= ?1 AND digest < ?1 || 'g' ORDER BY digest LIMIT 2";
    hot STRIKES = "SELECT id, at, attempt, reason, build, limits, evidence FROM strikes WHERE digest = ?1 ORDER BY id";
    hot ATTEMPTS = "SELECT id, worker, recipe, gate, started, ended, outcome, usage FROM attempts WHERE digest = ?1
        ORDER BY id DESC LIMIT 50";
    hot AUDIT = "SELECT id, at, who, action, why, old_state, new_state FROM audit WHERE digest = ?1 ORDER BY id";
    /// A strike that came with an earlier import, or began here, is not taken twice.
    hot IMPORT_STRIKE = "INSERT INTO strikes (digest, at, reason, build, limits, evidence) SELECT ?1, ?2, ?3, ?4, ?5, ?6
        WHERE NOT EXISTS (SELECT 1 FROM strikes WHERE digest = ?1 AND at = ?2 AND reason = ?3 AND evidence = ?6)";

    hot DUE_ENTRIES = concat!("SELECT ", entry_columns!(), " FROM entries WHERE expires <= ?1
        AND state IN ('suspected', 'quarantined') ORDER BY expires LIMIT ?2");
    hot DROP_JOBS = "DELETE FROM jobs WHERE job IN (SELECT job FROM jobs WHERE ended < ?1 ORDER BY ended LIMIT ?2)";
    hot DROP_RUNS = "DELETE FROM attempts WHERE id IN
        (SELECT id FROM attempts WHERE struck = 0 AND ended < ?1 ORDER BY ended LIMIT ?2)";
    hot DROP_REFUSALS = "DELETE FROM results WHERE rowid IN
        (SELECT rowid FROM results WHERE status = 'rejected' AND at < ?1 ORDER BY at LIMIT ?2)";
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteConnection;
    use sqlx::{Connection, Row};

    use super::*;

    async fn plan(connection: &mut SqliteConnection, statement: &str) -> Vec<String> {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::raw_sql(explain).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| row.get("detail")).collect()
    }

    /// Steps that read a whole table or index, or build an index of their own. `due_jobs` is a look at 500 rows at most.
    fn costly(plan: &[String]) -> Vec<&String> {
        let scans = |step: &str| step.starts_with("SCAN ") && !matches!(step, "SCAN due_jobs" | "SCAN CONSTANT ROW");
        plan.iter()
            .filter(|step| scans(step) || step.contains("AUTOMATIC"))
            .collect()
    }

    #[tokio::test]
    async fn hot_statements_are_index_look_ups() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(include_str!("schema.sql"))
            .execute(&mut connection)
            .await
            .unwrap();
        for (temper, name, statement) in ALL {
            let plan = plan(&mut connection, statement).await;
            assert!(*temper == "cold" || costly(&plan).is_empty(), "{name}: {plan:#?}");
        }
    }

    #[tokio::test]
    async fn the_test_of_plans_can_fail() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(include_str!("schema.sql"))
            .execute(&mut connection)
            .await
            .unwrap();
        for statement in [
            "SELECT 1 FROM entries WHERE reason = 'cpu'",
            "SELECT 1 FROM attempts WHERE outcome = 'running'",
        ] {
            assert!(
                !costly(&plan(&mut connection, statement).await).is_empty(),
                "{statement}"
            );
        }
    }
}
