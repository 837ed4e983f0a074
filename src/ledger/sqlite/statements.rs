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
        "(SELECT job, tenant, digest, due FROM jobs WHERE ended IS NULL AND due <= ?1 ORDER BY due LIMIT 500) AS due_jobs"
    };
}

macro_rules! use_columns {
    () => {
        "jobs, cpu_ms, bytes"
    };
}

macro_rules! add_use {
    () => {
        "DO UPDATE SET jobs = jobs + excluded.jobs, cpu_ms = cpu_ms + excluded.cpu_ms, bytes = bytes + excluded.bytes"
    };
}

macro_rules! standing_columns {
    () => {
        "block, limits, purged_before, probation_until"
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
    hot RUNS_OF_TENANT = "SELECT count(*) AS running FROM attempts WHERE tenant = ?1 AND outcome = 'running'";
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
    hot COUNT_REPEATS = "UPDATE entries SET repeats = repeats + ?2 WHERE digest = ?1";
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

    hot STANDINGS_AFTER = concat!("SELECT tenant, revision, ", standing_columns!(), " FROM tenants WHERE revision > ?1 ORDER BY revision");
    hot STANDING = concat!("SELECT tenant, ", standing_columns!(), " FROM tenants WHERE tenant = ?1");
    hot SAVE_STANDING = concat!("INSERT INTO tenants (tenant, ", standing_columns!(), ", revision)
        VALUES (?1, ?2, ?3, ?4, ?5, (SELECT coalesce(max(revision), 0) + 1 FROM tenants))
        ON CONFLICT (tenant) DO UPDATE SET block = excluded.block, limits = excluded.limits,
        purged_before = excluded.purged_before, probation_until = excluded.probation_until, revision = excluded.revision");
    hot ADD_TENANT_AUDIT = "INSERT INTO tenant_audit (tenant, at, who, action, why, old_standing, new_standing)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    hot TENANT_AUDIT = "SELECT id, at, who, action, why, old_standing, new_standing FROM tenant_audit WHERE tenant = ?1 ORDER BY id";
    /// Those that a worker has in hand stay its own.
    hot ROUSE_JOBS = "UPDATE jobs SET due = min(due, ?2) WHERE tenant = ?1 AND ended IS NULL AND owner IS NULL";
    hot MARK_CONVICTED = "UPDATE entries SET convicted = ?2 WHERE digest = ?1";
    hot CONVICTIONS_OF = "SELECT count(*) AS convictions FROM entries WHERE tenant = ?1 AND convicted > ?2";
    hot USE_OF_MINUTE = concat!("SELECT tenant, ", use_columns!(), " FROM tenant_minutes WHERE tenant = ?1 AND minute = ?2");
    hot USE_OF_DAY = concat!("SELECT tenant, ", use_columns!(), " FROM tenant_days WHERE tenant = ?1 AND day = ?2");
    hot CHARGE_MINUTE = concat!("INSERT INTO tenant_minutes (tenant, minute, ", use_columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (tenant, minute) ", add_use!());
    hot CHARGE_DAY = concat!("INSERT INTO tenant_days (tenant, day, ", use_columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (tenant, day) ", add_use!());

    hot SIDELINES = "SELECT line, tenant, until FROM sidelines WHERE line < ?1";
    hot LEAVE_SIDELINE = "DELETE FROM sidelines WHERE tenant = ?1 AND line <> ?2";
    hot TAKE_SIDELINE = "INSERT INTO sidelines (line, tenant, until) VALUES (?1, ?2, ?3)
        ON CONFLICT (line) DO UPDATE SET tenant = excluded.tenant, until = excluded.until";
    hot KEEP_SIDELINE = "UPDATE sidelines SET until = ?2 WHERE line = ?1";
    /// At most 256 rows.
    cold SIDELINES_LEASED = "SELECT line, tenant FROM sidelines WHERE until > ?1 ORDER BY line";

    hot JOB = "SELECT job, tenant, ended, report FROM jobs WHERE job = ?1";
    /// `?1`: their ids, a JSON array.
    hot JOBS = "SELECT job, tenant, ended, report FROM jobs WHERE job IN (SELECT value FROM json_each(?1))";
    /// `?1`: an array of objects. Leaves jobs alone that have ended.
    hot PARK = "INSERT INTO jobs (job, tenant, digest, message, tries, since, due)
        SELECT value ->> 'job', value ->> 'tenant', value ->> 'digest', value -> 'message', value ->> 'tries', ?2, ?2 + (value ->> 'delay')
        FROM json_each(?1) WHERE true
        ON CONFLICT (job) DO UPDATE SET digest = coalesce(excluded.digest, digest), message = excluded.message,
        tries = excluded.tries, due = excluded.due, owner = NULL WHERE ended IS NULL";
    hot ANY_DUE = "SELECT 1 FROM jobs WHERE ended IS NULL AND due <= ?1 LIMIT 1";
    /// Jobs whose digest is running, or whose tenant is kept out (`?3`, a JSON array), make room for those behind them.
    hot SET_BACK = concat!("UPDATE jobs SET due = ?2 WHERE job IN (SELECT job FROM ", due_jobs!(), " WHERE ", in_flight!(),
        " OR due_jobs.tenant IN (SELECT value FROM json_each(?3)))");
    hot ADOPT = concat!("UPDATE jobs SET owner = ?2, due = ?3 WHERE job IN (SELECT job FROM ", due_jobs!(), " WHERE NOT ",
        in_flight!(), " AND due_jobs.tenant NOT IN (SELECT value FROM json_each(?5)) ORDER BY due LIMIT ?4) RETURNING job, tenant, message, tries, since");
    /// `?1`: an array of objects. The first report of a job counts, and only that is returned.
    hot END_JOBS = "INSERT INTO jobs (job, tenant, tries, since, due, ended, report)
        SELECT value ->> 'job', value ->> 'tenant', 0, ?2, ?2, ?2, value -> 'report' FROM json_each(?1) WHERE true
        ON CONFLICT (job) DO UPDATE SET ended = excluded.ended, report = excluded.report, message = NULL, owner = NULL
        WHERE ended IS NULL RETURNING job";
    /// Whether a job with a claimed digest needs more than a look.
    hot BY_CLAIM = "SELECT EXISTS (SELECT 1 FROM jobs WHERE job = ?1) AS known,
        EXISTS (SELECT 1 FROM entries WHERE digest = ?2 AND state IN ('quarantined', 'confirmed')) AS listed";
    hot FORGET_JOB = "DELETE FROM jobs WHERE job = ?1 AND ended IS NOT NULL";

    /// `?1` now, `?2` its minute, `?3` its day, `?4` since when convictions count.
    cold TENANTS = concat!("WITH named AS (
            SELECT tenant FROM tenants UNION SELECT tenant FROM sidelines WHERE until > ?1
            UNION SELECT tenant FROM jobs WHERE ended IS NULL UNION SELECT tenant FROM attempts WHERE outcome = 'running'
            UNION SELECT tenant FROM tenant_minutes WHERE minute > ?2 - 60)
        SELECT named.tenant, ", standing_columns!(), ",
            (SELECT line FROM sidelines WHERE sidelines.tenant = named.tenant AND until > ?1) AS sideline,
            (SELECT count(*) FROM jobs WHERE jobs.tenant = named.tenant AND ended IS NULL) AS waiting,
            (SELECT count(*) FROM attempts WHERE attempts.tenant = named.tenant AND outcome = 'running') AS running,
            coalesce(minutes.jobs, 0) AS minute_jobs, coalesce(minutes.cpu_ms, 0) AS minute_cpu_ms,
            coalesce(minutes.bytes, 0) AS minute_bytes,
            coalesce(days.jobs, 0) AS day_jobs, coalesce(days.cpu_ms, 0) AS day_cpu_ms, coalesce(days.bytes, 0) AS day_bytes,
            (SELECT count(*) FROM entries WHERE entries.tenant = named.tenant AND convicted > ?4) AS convictions
        FROM named LEFT JOIN tenants USING (tenant)
        LEFT JOIN tenant_minutes AS minutes ON minutes.tenant = named.tenant AND minutes.minute = ?2
        LEFT JOIN tenant_days AS days ON days.tenant = named.tenant AND days.day = ?3
        ORDER BY named.tenant");
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
    hot DROP_MINUTES = "DELETE FROM tenant_minutes WHERE rowid IN
        (SELECT rowid FROM tenant_minutes WHERE minute < ?1 ORDER BY minute LIMIT ?2)";
    hot DROP_DAYS = "DELETE FROM tenant_days WHERE rowid IN
        (SELECT rowid FROM tenant_days WHERE day < ?1 ORDER BY day LIMIT ?2)";
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteConnection;
    use sqlx::{Connection, Row};

    use super::*;

    async fn ledger() -> SqliteConnection {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        for step in super::super::file::STEPS {
            sqlx::raw_sql(*step).execute(&mut connection).await.unwrap();
        }
        connection
    }

    async fn plan(connection: &mut SqliteConnection, statement: &str) -> Vec<String> {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::raw_sql(explain).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| row.get("detail")).collect()
    }

    /// Steps that read a whole table or index, or build an index of their own. `due_jobs` is a look at 500 rows at most, and
    /// a virtual table is what the caller sent.
    fn costly(plan: &[String]) -> Vec<&String> {
        let bounded =
            |step: &str| matches!(step, "SCAN due_jobs" | "SCAN CONSTANT ROW") || step.contains(" VIRTUAL TABLE ");
        let scans = |step: &str| step.starts_with("SCAN ") && !bounded(step);
        plan.iter()
            .filter(|step| scans(step) || step.contains("AUTOMATIC"))
            .collect()
    }

    #[tokio::test]
    async fn hot_statements_are_index_look_ups() {
        let mut connection = ledger().await;
        for (temper, name, statement) in ALL {
            let plan = plan(&mut connection, statement).await;
            assert!(*temper == "cold" || costly(&plan).is_empty(), "{name}: {plan:#?}");
        }
    }

    #[tokio::test]
    async fn the_test_of_plans_can_fail() {
        let mut connection = ledger().await;
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
