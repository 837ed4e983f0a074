//! Every statement of the PostgreSQL store, each marked `hot` (on the way of a job: index look-ups only, which a test proves from the
//! query plans) or `cold` (operators' lists, housekeeping). `$1` is the first value bound; times are milliseconds.
//!
//! Statements that change several rows lock them in the order of their keys; those that any worker may do at any time skip rows that are
//! locked. Lists come in as JSON arrays, and become arrays (`= ANY (ARRAY (…))`), which every plan looks up in an index.

use crate::ledger::copy::Column;
use crate::ledger::engine::{Lock, statements};

/// The database's clock, not that of the transaction's beginning: its locks may have been waited for.
macro_rules! now {
    () => {
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now"
    };
}

/// Begins a transaction that reads: one state of the database.
pub(super) const READ: &str = concat!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ", now!());

/// Begins a transaction that writes, waits for its locks, and only then reads the clock.
pub(super) fn write(locks: &[Lock]) -> String {
    format!(concat!("BEGIN ISOLATION LEVEL READ COMMITTED; {}", now!()), take(locks))
}

/// Waits for locks, in their order.
pub(super) fn take(locks: &[Lock]) -> String {
    Lock::in_order(locks).iter().map(lock).collect()
}

/// Ends a transaction.
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLL_BACK: &str = "ROLLBACK";

/// First part of the number of an advisory lock, which it has for itself among the users of a database: "LZ" and a kind.
const LOCKS: i32 = 0x4c5a_0000;
/// Held while the schema is changed.
pub(super) const LOCK_SCHEMA: &str = "SELECT pg_advisory_xact_lock(1280966656, 0)";

fn lock(lock: &Lock) -> String {
    let (kind, function, number) = match lock {
        Lock::Works(worker) => (1, "pg_advisory_xact_lock_shared", *worker),
        Lock::Ends(worker) => (1, "pg_advisory_xact_lock", *worker),
        Lock::Digest(stripe) => (2, "pg_advisory_xact_lock", *stripe),
        Lock::Tenant(stripe) => (3, "pg_advisory_xact_lock", *stripe),
        Lock::Solo => (4, "pg_advisory_xact_lock", 0),
        Lock::Sidelines => (5, "pg_advisory_xact_lock", 0),
        Lock::Standings => (6, "pg_advisory_xact_lock", 0),
        Lock::Reopening => (7, "pg_advisory_xact_lock", 0),
        Lock::Renewals => (8, "pg_advisory_xact_lock", 0),
    };
    format!("SELECT {function}({}, {number}); ", LOCKS + kind)
}

/// Sets what no start-up option can: what older servers do not know, and what is only to be changed where it is off. A commit is on the disk
/// when it returns: attempts must survive a power cut, or a poison input is forgotten.
pub(super) const SETTLE_IN: &str = "SELECT set_config('client_connection_check_interval', '5s', false)
        WHERE current_setting('server_version_num')::int >= 140000;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// Ends the connections of this host's former boot: same user, database, address and name, another boot. `$1` is what the names of
/// this host's connections begin with, `$2` that of this boot.
pub(super) const END_FORMER_BOOT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = current_user AND datname = current_database() AND client_addr IS NOT DISTINCT FROM inet_client_addr()
    AND starts_with(application_name, $1) AND application_name <> $2";

/// Whether there is a ledger, and of which schema. Names are looked up in the catalogue's rows: a session's memory of what there is not would
/// outlast the wait for whoever makes it.
pub(super) const HAS_LEDGER: &str =
    "SELECT EXISTS (SELECT 1 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = 'lazaret' AND relname = 'ledger') AS found";
pub(super) const SCHEMA: &str = "SELECT version, oldest FROM lazaret.ledger";
pub(super) const HAS_PLACE: &str = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'lazaret') AS found";
pub(super) const MAKE_PLACE: &str = "CREATE SCHEMA lazaret";
/// `oldest`: programs that know this schema, or a later one, work with what there is.
pub(super) const MAKE_LEDGER: &str = "CREATE TABLE lazaret.ledger (
        one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one), version BIGINT NOT NULL, oldest BIGINT NOT NULL);
    INSERT INTO lazaret.ledger (version, oldest) VALUES (0, 0)";
pub(super) const SAVE_SCHEMA: &str = "UPDATE lazaret.ledger SET version = $1, oldest = $2";
/// Changes of the schema wait for others a short while only: behind one that waits, everybody does.
pub(super) const WAIT_BRIEFLY: &str = "SET LOCAL lock_timeout = '3s'; SET LOCAL statement_timeout = 0";

macro_rules! digest {
    () => {
        "encode(digest, 'hex') AS digest"
    };
}

macro_rules! entry_columns {
    () => {
        "encode(digest, 'hex') AS digest, state, reason, scope, recipe, build, limits, tenant, name, looks, detail, specimen,
         since, changed, expires, repeats, raised, (SELECT count(*) FROM strikes WHERE strikes.digest = entries.digest) AS strikes"
    };
}

/// Format of an entry, as its index has it: with its quotes, because taking them off would mean to decode every text beside it.
macro_rules! format_of_entry {
    () => {
        "((looks::json -> 'format')::text)"
    };
}

/// Where a stretch of the list begins and ends, and its order: from the newest change on, `$2` changed since; from the oldest on, `$2` changed before.
macro_rules! bounds {
    (newest) => {
        "entries.changed >= $2 AND (entries.changed, entries.digest) < ($3, decode($4, 'hex'))
            ORDER BY entries.changed DESC, entries.digest DESC LIMIT $5"
    };
    (oldest) => {
        "entries.changed < $2 AND (entries.changed, entries.digest) > ($3, decode($4, 'hex'))
            ORDER BY entries.changed, entries.digest LIMIT $5"
    };
}

/// The same order, of what a stretch has.
macro_rules! order {
    (newest) => {
        " ORDER BY stretch.at DESC, stretch.key DESC"
    };
    (oldest) => {
        " ORDER BY stretch.at, stretch.key"
    };
}

/// A stretch of the list in an index: `$1` what the index is by, `$2` see `bounds`, `$3` and `$4` behind which entry, `$5` how many.
macro_rules! stretch {
    (all $order:tt) => {
        stretch!(by $order "($1::text IS NULL OR TRUE)")
    };
    (state $order:tt) => {
        stretch!(by $order "state = $1")
    };
    (reason $order:tt) => {
        stretch!(by $order "reason = $1")
    };
    (tenant $order:tt) => {
        stretch!(by $order "tenant = $1")
    };
    (format $order:tt) => {
        stretch!(by $order format_of_entry!(), " = '\"' || $1::text || '\"'")
    };
    // By worker: what its last thousand strikes hit.
    (worker $order:tt) => {
        concat!("(SELECT entries.changed AS at, entries.digest AS key FROM (SELECT DISTINCT digest AS hit FROM
            (SELECT digest FROM attempts WHERE worker = $1 AND struck ORDER BY id DESC LIMIT 1000) AS strokes) AS hits
        CROSS JOIN LATERAL (SELECT changed, digest FROM entries WHERE entries.digest = hits.hit OFFSET 0) AS entries
        WHERE ", bounds!($order), ") AS stretch")
    };
    (by $order:tt $($condition:expr),*) => {
        concat!("(SELECT changed AS at, digest AS key FROM entries WHERE ", $($condition,)* " AND ", bounds!($order), ") AS stretch")
    };
}

/// What a stretch has of the list: `$6` state, `$7` now, `$8` reason, `$9` tenant, `$10` format, `$11` at most.
macro_rules! page {
    ($by:tt $order:tt) => {
        concat!("SELECT ", entry_columns!(), " FROM ", stretch!($by $order), "
            CROSS JOIN LATERAL (SELECT * FROM entries WHERE entries.digest = stretch.key OFFSET 0) AS entries
            WHERE ($6::text IS NULL OR state = $6 AND NOT coalesce(expires <= $7 AND state IN ('suspected', 'quarantined'), FALSE))
            AND ($8::text IS NULL OR reason = $8) AND ($9::text IS NULL OR tenant = $9)
            AND ($10::text IS NULL OR ", format_of_entry!(), " = '\"' || $10::text || '\"')",
            order!($order), " LIMIT $11")
    };
}

/// A stretch of an audit trail: `$1` since, `$2` and `$3` behind which record, `$4` how many.
macro_rules! past_stretch {
    ($trail:literal) => {
        concat!(
            "(SELECT * FROM ",
            $trail,
            " WHERE at >= $1 AND (at, id) < ($2, $3) ORDER BY at DESC, id DESC LIMIT $4) AS stretch"
        )
    };
}

/// What a stretch has of who (`$5`) and action (`$6`), at most `$7`.
macro_rules! trail {
    ($trail:literal, $columns:literal) => {
        concat!("SELECT id, at, who, action, why, ", $columns, " FROM ", past_stretch!($trail), "
            WHERE ($5::text IS NULL OR who = $5) AND ($6::text IS NULL OR action = $6) ORDER BY at DESC, id DESC LIMIT $7")
    };
}

/// The last record of a stretch, where it is full.
macro_rules! end_of_trail {
    ($trail:literal) => {
        concat!(
            "SELECT at, id FROM ",
            past_stretch!($trail),
            " ORDER BY at DESC, id DESC LIMIT 1 OFFSET $4 - 1"
        )
    };
}

/// The last entry of a stretch, where it is full.
macro_rules! end {
    ($by:tt $order:tt) => {
        concat!(
            "SELECT at, encode(key, 'hex') AS key FROM ",
            stretch!($by $order),
            order!($order),
            " LIMIT 1 OFFSET $5 - 1"
        )
    };
}

macro_rules! run_columns {
    () => {
        "id, encode(digest, 'hex') AS digest, recipe, build, limits, worker, tenant, name, gate, started, renews"
    };
}

/// The texts of a JSON array.
macro_rules! texts {
    ($parameter:literal) => {
        concat!("ANY (ARRAY (SELECT json_array_elements_text(", $parameter, "::json)))")
    };
}

/// The objects of a JSON array, as rows of one column, `value`.
macro_rules! objects {
    () => {
        "json_array_elements($1::json) AS objects (value)"
    };
}

/// Whether an attempt on the waiting job's digest is running. As EXISTS, it would be answered from a list of all that run.
macro_rules! in_flight {
    () => {
        "coalesce((SELECT TRUE FROM attempts WHERE attempts.digest = due_jobs.digest AND outcome = 'running'), FALSE)"
    };
}

/// The waiting jobs that have been due longest: as many as one look may cost, however long the queue is.
macro_rules! due_jobs {
    () => {
        "(SELECT job, tenant, digest, since, due FROM jobs WHERE ended IS NULL AND due <= $1 ORDER BY due LIMIT 500) AS due_jobs"
    };
}

/// Whether the tenant of a waiting job is among those that are kept out. What was purged is let in all the same, to be refused,
/// once every worker knows of the purge; so is what came while one may not have known.
macro_rules! kept_out {
    ($tenants:literal) => {
        concat!(
            "(due_jobs.tenant = ",
            texts!($tenants),
            " AND due_jobs.since >= coalesce((SELECT purged_before + 2000 FROM tenants
                WHERE tenants.tenant = due_jobs.tenant AND purged_before < $1 - 2000), 0))"
        )
    };
}

macro_rules! use_columns {
    () => {
        "jobs, cpu_ms, bytes"
    };
}

macro_rules! add_use {
    ($table:literal) => {
        concat!(
            "DO UPDATE SET jobs = ",
            $table,
            ".jobs + excluded.jobs, cpu_ms = ",
            $table,
            ".cpu_ms + excluded.cpu_ms, bytes = ",
            $table,
            ".bytes + excluded.bytes"
        )
    };
}

/// Whether a row of refusals is of the digest and the time that are counted.
macro_rules! same_step {
    () => {
        "known.digest = decode(value ->> 'digest', 'hex') AND known.span = value ->> 'span' AND known.step = (value ->> 'step')::bigint"
    };
}

macro_rules! standing_columns {
    () => {
        "block, limits, purged_before, probation_until"
    };
}

/// Nobody else writes, and the server is patient: for copying a whole ledger into this one.
pub(in crate::ledger) const ALONE: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
    LOCK TABLE workers, attempts, results, entries, strikes, audit, refusals, jobs, tenants, tenant_audit, tenant_minutes, tenant_days, sidelines,
    tokens, verdicts IN SHARE ROW EXCLUSIVE MODE";
/// Columns of the table `$1`, and their types.
pub(in crate::ledger) const COLUMNS: &str = "SELECT column_name::text AS name, data_type::text AS kind
    FROM information_schema.columns WHERE table_schema = 'lazaret' AND table_name = $1";
/// Tables in numbers: bytes with indexes, and rows as the server believes; -1: it does not know.
pub(super) const SIZES: &str =
    "SELECT relname::text AS name, pg_total_relation_size(oid) AS bytes, reltuples::bigint AS rows
    FROM pg_class WHERE relnamespace = 'lazaret'::regnamespace AND relkind = 'r'";

pub(in crate::ledger) fn copy_in(table: &str, columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    format!("COPY {table} ({}) FROM STDIN", names.join(", "))
}

pub(in crate::ledger) fn count(table: &str) -> String {
    format!("SELECT count(*) AS rows FROM {table}")
}

/// Ids up to `$1` are given already.
pub(in crate::ledger) fn go_on_from(table: &str) -> String {
    format!("SELECT setval(pg_get_serial_sequence('lazaret.{table}', 'id'), greatest($1, 1), $1 > 0)")
}

statements! {
    hot sign_on = "INSERT INTO workers (worker, host, build, layers, since, lease) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (worker) DO UPDATE SET lease = excluded.lease";
    hot lease = "SELECT lease FROM workers WHERE worker = $1";
    hot renew_lease = "UPDATE workers SET lease = $2 WHERE worker = $1";
    hot is_signed_on = "SELECT 1 FROM workers WHERE worker = $1";
    hot sign_off = "DELETE FROM workers WHERE worker = $1";
    hot leases_over = "SELECT worker FROM workers WHERE lease <= $1 ORDER BY lease LIMIT 100";
    /// A lease that is being renewed is waited for.
    hot is_lease_over = "SELECT 1 FROM workers WHERE worker = $1 AND lease <= $2 FOR UPDATE";
    hot release_runs = "UPDATE attempts SET outcome = 'released', ended = $2 WHERE worker = $1 AND outcome = 'running'";
    /// `$1`: their ids, a JSON array.
    hot hold_jobs = concat!("UPDATE jobs SET due = $3 WHERE job = ANY (ARRAY (SELECT job FROM jobs WHERE job = ", texts!("$1"), "
        AND owner = $2 AND ended IS NULL ORDER BY job FOR UPDATE))");
    hot free_jobs = "UPDATE jobs SET owner = NULL, due = least(due, $2) WHERE job = ANY (ARRAY (SELECT job FROM jobs
        WHERE owner = $1 AND ended IS NULL ORDER BY job FOR UPDATE))";

    hot start_run = "INSERT INTO attempts (digest, recipe, build, limits, worker, tenant, name, job, gate, started, renews)
        VALUES (decode($1, 'hex'), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id";
    hot is_running = "SELECT 1 FROM attempts WHERE digest = decode($1, 'hex') AND outcome = 'running'";
    hot is_solo_running = "SELECT 1 FROM attempts WHERE gate = 'solo' AND outcome = 'running'";
    hot renewals_running = "SELECT count(*) AS running FROM (SELECT 1 FROM attempts WHERE renews > '' AND outcome = 'running' LIMIT $1) AS counted";
    hot runs_of_tenant = "SELECT count(*) AS running FROM attempts WHERE tenant = $1 AND outcome = 'running'";
    hot run = concat!("SELECT ", run_columns!(), " FROM attempts
        WHERE id = $1 AND digest = decode($2, 'hex') AND started = $3 AND outcome = 'running'");
    hot runs_of_worker = concat!("SELECT ", run_columns!(), " FROM attempts WHERE worker = $1 AND outcome = 'running' ORDER BY id");
    hot end_run = "UPDATE attempts SET outcome = $2, struck = $3, ended = $4, usage = $5 WHERE id = $1";
    hot disown = "UPDATE attempts SET outcome = 'released', ended = $3
        WHERE digest = decode($1, 'hex') AND worker = $2 AND outcome = 'running' RETURNING id";

    hot result = concat!("SELECT ", digest!(), ", status, reason, detail, build, limits, at, looks, renditions, usage FROM results
        WHERE digest = decode($1, 'hex') AND recipe = $2");
    hot forget = "DELETE FROM results WHERE digest = decode($1, 'hex') AND recipe = $2";
    hot remember = "INSERT INTO results
        (digest, recipe, status, reason, detail, build, limits, at, looks, renditions, usage)
        VALUES (decode($1, 'hex'), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (digest, recipe) DO UPDATE SET
        status = excluded.status, reason = excluded.reason, detail = excluded.detail, build = excluded.build,
        limits = excluded.limits, at = excluded.at, looks = excluded.looks, renditions = excluded.renditions,
        usage = excluded.usage";

    hot entry = concat!("SELECT ", entry_columns!(), " FROM entries WHERE digest = decode($1, 'hex')");
    hot count_repeats = "UPDATE entries SET repeats = repeats + $2 WHERE digest = decode($1, 'hex')";
    /// `$1`: an array of objects, `$2` now, `$3` how many tenants of a step are told apart for a digest. Whoever counts has the entries' rows.
    hot count_refusals = concat!("INSERT INTO refusals (digest, span, step, tenant, times, last, expires)
        SELECT digest, span, step, CASE WHEN is_named OR named + place <= $3 THEN tenant ELSE '' END AS told, sum(times)::bigint, $2::bigint, max(expires)
        FROM (SELECT *, row_number() OVER (PARTITION BY digest, span, step, is_named ORDER BY tenant) AS place
            FROM (SELECT decode(value ->> 'digest', 'hex') AS digest, value ->> 'span' AS span, (value ->> 'step')::bigint AS step,
                value ->> 'tenant' AS tenant, (value ->> 'times')::bigint AS times,
                (value ->> 'expires')::bigint AS expires, (SELECT count(*) FROM refusals AS known WHERE ", same_step!(), " AND known.tenant <> '') AS named,
                coalesce((SELECT TRUE FROM refusals AS known WHERE ", same_step!(), " AND known.tenant = value ->> 'tenant'), FALSE) AS is_named
            FROM ", objects!(), ") AS sent) AS counted
        GROUP BY digest, span, step, told
        ON CONFLICT (digest, span, step, tenant) DO UPDATE SET times = refusals.times + excluded.times,
        last = greatest(refusals.last, excluded.last)");
    /// `$17`: whether the strikes so far are forgiven.
    hot save_entry = "INSERT INTO entries (digest, state, reason, scope, recipe, build, limits, tenant, name, looks, detail,
        specimen, since, changed, expires, repeats, forgiven, raised)
        VALUES (decode($1, 'hex'), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
            CASE WHEN $17 THEN coalesce((SELECT max(id) FROM strikes WHERE digest = decode($1, 'hex')), 0) ELSE 0 END, $18)
        ON CONFLICT (digest) DO UPDATE SET
        state = excluded.state, reason = excluded.reason, scope = excluded.scope, recipe = excluded.recipe,
        build = excluded.build, limits = excluded.limits, looks = excluded.looks, detail = excluded.detail,
        specimen = excluded.specimen, changed = excluded.changed, expires = excluded.expires, raised = excluded.raised,
        forgiven = CASE WHEN $17 THEN excluded.forgiven ELSE entries.forgiven END";
    hot add_strike = "INSERT INTO strikes (digest, attempt, at, reason, build, limits, evidence)
        VALUES (decode($1, 'hex'), $2, $3, $4, $5, $6, $7)";
    hot strikes_that_count = "SELECT id, reason, at FROM strikes WHERE digest = decode($1, 'hex') AND build = $2 AND limits = $3
        AND id > coalesce((SELECT forgiven FROM entries WHERE digest = decode($1, 'hex')), 0)";
    hot add_audit = "INSERT INTO audit (digest, at, who, action, why, old_state, new_state)
        VALUES (decode($1, 'hex'), $2, $3, $4, $5, $6, $7)";

    hot standings_after = concat!("SELECT tenant, revision, ", standing_columns!(), " FROM tenants WHERE revision > $1 ORDER BY revision");
    hot standing = concat!("SELECT tenant, ", standing_columns!(), " FROM tenants WHERE tenant = $1");
    hot save_standing = concat!("INSERT INTO tenants (tenant, ", standing_columns!(), ", revision)
        VALUES ($1, $2, $3, $4, $5, (SELECT coalesce(max(revision), 0) + 1 FROM tenants))
        ON CONFLICT (tenant) DO UPDATE SET block = excluded.block, limits = excluded.limits,
        purged_before = excluded.purged_before, probation_until = excluded.probation_until, revision = excluded.revision");
    hot add_tenant_audit = "INSERT INTO tenant_audit (tenant, at, who, action, why, old_standing, new_standing)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    hot tenant_audit = "SELECT id, at, who, action, why, old_standing, new_standing FROM tenant_audit WHERE tenant = $1 ORDER BY id";
    /// Those that a worker has in hand stay its own.
    hot rouse_jobs = "UPDATE jobs SET due = least(due, $2) WHERE job = ANY (ARRAY (SELECT job FROM jobs
        WHERE tenant = $1 AND ended IS NULL AND owner IS NULL ORDER BY job FOR UPDATE))";
    hot mark_convicted = "UPDATE entries SET convicted = $2 WHERE digest = decode($1, 'hex')";
    hot convictions_of = "SELECT count(*) AS convictions FROM entries WHERE tenant = $1 AND convicted > $2";
    /// `$1`: tenants, a JSON array.
    hot use_of_minute = concat!("SELECT tenant, ", use_columns!(), " FROM tenant_minutes WHERE minute = $2 AND tenant = ", texts!("$1"));
    hot use_of_day = concat!("SELECT tenant, ", use_columns!(), " FROM tenant_days WHERE day = $2 AND tenant = ", texts!("$1"));
    /// `$1`: an array of objects.
    hot charge_minutes = concat!("INSERT INTO tenant_minutes (tenant, minute, ", use_columns!(), ")
        SELECT value ->> 'tenant', $2::bigint, (value ->> 'jobs')::bigint, (value ->> 'cpu_ms')::bigint, (value ->> 'bytes')::bigint
        FROM ", objects!(), " ORDER BY (value ->> 'tenant') COLLATE \"C\" ON CONFLICT (tenant, minute) ", add_use!("tenant_minutes"));
    hot charge_days = concat!("INSERT INTO tenant_days (tenant, day, ", use_columns!(), ")
        SELECT value ->> 'tenant', $2::bigint, (value ->> 'jobs')::bigint, (value ->> 'cpu_ms')::bigint, (value ->> 'bytes')::bigint
        FROM ", objects!(), " ORDER BY (value ->> 'tenant') COLLATE \"C\" ON CONFLICT (tenant, day) ", add_use!("tenant_days"));

    hot count_verdicts = concat!("INSERT INTO verdicts (hour, status, times) SELECT $2::bigint, value ->> 'status', (value ->> 'times')::bigint
        FROM ", objects!(), " ORDER BY (value ->> 'status') COLLATE \"C\"
        ON CONFLICT (hour, status) DO UPDATE SET times = verdicts.times + excluded.times");

    hot sidelines = "SELECT line, tenant, until FROM sidelines WHERE line < $1";
    hot leave_sideline = "DELETE FROM sidelines WHERE tenant = $1 AND line <> $2";
    hot take_sideline = "INSERT INTO sidelines (line, tenant, until) VALUES ($1, $2, $3)
        ON CONFLICT (line) DO UPDATE SET tenant = excluded.tenant, until = excluded.until";
    hot keep_sideline = "UPDATE sidelines SET until = $2 WHERE line = $1";
    /// At most 256 rows.
    cold sidelines_leased = "SELECT line, tenant FROM sidelines WHERE until > $1 ORDER BY line";

    hot job = "SELECT job, tenant, ended, report FROM jobs WHERE job = $1";
    /// `$1`: their ids, a JSON array.
    hot jobs = concat!("SELECT job, tenant, ended, report FROM jobs WHERE job = ", texts!("$1"));
    /// `$1`: an array of objects. Leaves jobs alone that have ended.
    hot park = concat!("INSERT INTO jobs (job, tenant, digest, message, tries, since, due)
        SELECT value ->> 'job', value ->> 'tenant', decode(value ->> 'digest', 'hex'), value ->> 'message', (value ->> 'tries')::bigint,
            $2::bigint, $2::bigint + (value ->> 'delay')::bigint
        FROM ", objects!(), " ORDER BY (value ->> 'job') COLLATE \"C\"
        ON CONFLICT (job) DO UPDATE SET digest = coalesce(excluded.digest, jobs.digest), message = excluded.message,
        tries = excluded.tries, due = excluded.due, owner = NULL WHERE jobs.ended IS NULL");
    hot any_due = "SELECT 1 FROM jobs WHERE ended IS NULL AND due <= $1 LIMIT 1";
    /// Jobs whose digest is running, or whose tenant is kept out (`$3`, a JSON array), make room for those behind them.
    hot set_back = concat!("UPDATE jobs SET due = $2 WHERE job = ANY (ARRAY (SELECT job FROM jobs AS late WHERE late.job = ANY (ARRAY (
            SELECT due_jobs.job FROM ", due_jobs!(), " WHERE ", in_flight!(), " OR ", kept_out!("$3"), "))
        AND late.ended IS NULL AND late.due <= $1 FOR UPDATE SKIP LOCKED))");
    hot adopt = concat!("UPDATE jobs SET owner = $2, due = $3 WHERE job = ANY (ARRAY (SELECT job FROM jobs AS free WHERE free.job = ANY (ARRAY (
            SELECT due_jobs.job FROM ", due_jobs!(), " WHERE NOT ", in_flight!(), " AND NOT ", kept_out!("$5"), "))
        AND free.ended IS NULL AND free.due <= $1 ORDER BY free.due LIMIT $4 FOR UPDATE SKIP LOCKED))
        RETURNING job, tenant, message, tries, since");
    /// `$1`: an array of objects, `$3`: one of ids, of jobs that are left alone where they wait. The first report of a job counts, and only
    /// that is returned.
    hot end_jobs = concat!("INSERT INTO jobs (job, tenant, tries, since, due, ended, report)
        SELECT value ->> 'job', value ->> 'tenant', 0, $2::bigint, $2::bigint, $2::bigint, value ->> 'report' FROM ", objects!(), "
        ORDER BY (value ->> 'job') COLLATE \"C\"
        ON CONFLICT (job) DO UPDATE SET ended = excluded.ended, report = excluded.report, message = NULL, owner = NULL
        WHERE jobs.ended IS NULL AND NOT jobs.job = ", texts!("$3"), " RETURNING job");
    /// Whether a job with a claimed digest needs more than a look.
    hot by_claim = "SELECT EXISTS (SELECT 1 FROM jobs WHERE job = $1) AS known, EXISTS (
        SELECT 1 FROM entries WHERE digest = decode($2, 'hex') AND state IN ('quarantined', 'confirmed')) AS listed";
    hot forget_job = "DELETE FROM jobs WHERE job = $1 AND ended IS NOT NULL";

    /// `$1` now, `$2` its minute, `$3` its day, `$4` since when convictions count.
    cold tenants = concat!("WITH named AS (
            SELECT tenant FROM tenants UNION SELECT tenant FROM sidelines WHERE until > $1
            UNION SELECT tenant FROM jobs WHERE ended IS NULL UNION SELECT tenant FROM attempts WHERE outcome = 'running'
            UNION SELECT tenant FROM tenant_minutes WHERE minute > $2 - 60)
        SELECT named.tenant, ", standing_columns!(), ",
            (SELECT line FROM sidelines WHERE sidelines.tenant = named.tenant AND until > $1) AS sideline,
            (SELECT count(*) FROM jobs WHERE jobs.tenant = named.tenant AND ended IS NULL) AS waiting,
            (SELECT count(*) FROM attempts WHERE attempts.tenant = named.tenant AND outcome = 'running') AS running,
            coalesce(minutes.jobs, 0) AS minute_jobs, coalesce(minutes.cpu_ms, 0) AS minute_cpu_ms,
            coalesce(minutes.bytes, 0) AS minute_bytes,
            coalesce(days.jobs, 0) AS day_jobs, coalesce(days.cpu_ms, 0) AS day_cpu_ms, coalesce(days.bytes, 0) AS day_bytes,
            (SELECT count(*) FROM entries WHERE entries.tenant = named.tenant AND convicted > $4) AS convictions
        FROM named LEFT JOIN tenants USING (tenant)
        LEFT JOIN tenant_minutes AS minutes ON minutes.tenant = named.tenant AND minutes.minute = $2
        LEFT JOIN tenant_days AS days ON days.tenant = named.tenant AND days.day = $3
        ORDER BY named.tenant");
    cold waiting = "SELECT count(*) AS waiting FROM jobs WHERE ended IS NULL";
    /// `$1` states as a JSON array or NULL, `$2` reason, `$3` tenant, `$4` and `$5` changed between, `$6` now, `$7` at most, -1: all.
    cold entries = concat!("SELECT ", entry_columns!(), " FROM entries
        WHERE ($1 IS NULL OR CASE WHEN expires <= $6 AND state IN ('suspected', 'quarantined') THEN 'expired' ELSE state END
            = ", texts!("$1"), ")
        AND ($2 IS NULL OR reason = $2) AND ($3 IS NULL OR tenant = $3) AND changed BETWEEN $4 AND $5
        ORDER BY changed DESC, entries.digest LIMIT nullif($7, -1)");
    hot page_of_all = page!(all newest);
    hot end_of_all = end!(all newest);
    hot oldest_of_all = page!(all oldest);
    hot oldest_end_of_all = end!(all oldest);
    hot page_of_state = page!(state newest);
    hot end_of_state = end!(state newest);
    hot oldest_of_state = page!(state oldest);
    hot oldest_end_of_state = end!(state oldest);
    hot page_of_reason = page!(reason newest);
    hot end_of_reason = end!(reason newest);
    hot oldest_of_reason = page!(reason oldest);
    hot oldest_end_of_reason = end!(reason oldest);
    hot page_of_tenant = page!(tenant newest);
    hot end_of_tenant = end!(tenant newest);
    hot oldest_of_tenant = page!(tenant oldest);
    hot oldest_end_of_tenant = end!(tenant oldest);
    hot page_of_format = page!(format newest);
    hot end_of_format = end!(format newest);
    hot oldest_of_format = page!(format oldest);
    hot oldest_end_of_format = end!(format oldest);
    hot page_of_worker = page!(worker newest);
    hot end_of_worker = end!(worker newest);
    hot oldest_of_worker = page!(worker oldest);
    hot oldest_end_of_worker = end!(worker oldest);
    hot trail_of_uploads = trail!("audit", "encode(digest, 'hex') AS about, old_state AS before, new_state AS after");
    hot end_of_uploads = end_of_trail!("audit");
    hot trail_of_tenants = trail!("tenant_audit", "tenant AS about, old_standing AS before, new_standing AS after");
    hot end_of_tenants = end_of_trail!("tenant_audit");
    /// Of the attempts that are kept.
    hot senders = "SELECT tenant, name, count(*) AS times, max(started) AS last FROM attempts WHERE digest = decode($1, 'hex')
        GROUP BY tenant, name ORDER BY times DESC, last DESC LIMIT 20";
    /// `$1` digest, `$2` span, `$3` since which step.
    hot refusals_by_step = "SELECT step, sum(times)::bigint AS times FROM refusals
        WHERE digest = decode($1, 'hex') AND span = $2 AND step >= $3 GROUP BY step ORDER BY step";
    /// By attempts and refusals that are kept; those that are not told apart first. `$2`: at most.
    hot sent_by = "SELECT tenant, sum(attempts)::bigint AS attempts, sum(refusals)::bigint AS refusals, max(last) AS last FROM (
            SELECT tenant, count(*) AS attempts, 0 AS refusals, max(started) AS last FROM attempts WHERE digest = decode($1, 'hex') GROUP BY tenant
            UNION ALL
            SELECT tenant, 0, sum(times)::bigint, max(last) FROM refusals WHERE digest = decode($1, 'hex') AND span = 'day' GROUP BY tenant) AS sent
        GROUP BY tenant ORDER BY tenant = '' DESC, sum(attempts) + sum(refusals) DESC, last DESC LIMIT $2";
    /// `$1`: since which minute, `$2`: how many rows.
    hot jobs_by_hour = "SELECT minute / 60 AS step, sum(jobs)::bigint AS times, count(*) AS looked_at, min(minute) AS first
        FROM (SELECT minute, jobs FROM tenant_minutes WHERE minute >= $1 ORDER BY minute DESC LIMIT $2) AS stretch GROUP BY step";
    /// `$1`: since which day, `$2`: how many rows.
    hot jobs_by_day = "SELECT day AS step, sum(jobs)::bigint AS times, count(*) AS looked_at, min(day) AS first
        FROM (SELECT day, jobs FROM tenant_days WHERE day >= $1 ORDER BY day DESC LIMIT $2) AS stretch GROUP BY step";
    /// `$1`: since which hour, `$2`: how many make a step.
    hot verdicts_by_step = "SELECT hour / $2 AS step, status, sum(times)::bigint AS times FROM verdicts WHERE hour >= $1 GROUP BY step, status";
    /// A stretch of the audit trail, `$5` the milliseconds of a step. A conviction has its strike, of the same time, unless somebody edited rows.
    hot convictions_by_step = concat!("SELECT step, reason, count(*) AS times FROM (SELECT at / $5 AS step, coalesce(
            (SELECT reason FROM strikes WHERE strikes.digest = stretch.digest AND strikes.at = stretch.at ORDER BY strikes.id DESC LIMIT 1),
            (SELECT reason FROM entries WHERE entries.digest = stretch.digest)) AS reason
        FROM ", past_stretch!("audit"), " WHERE action = 'convict') AS convicted GROUP BY step, reason");
    /// `$1`: count so far and no further.
    hot unreviewed = "SELECT (SELECT min(changed) FROM entries WHERE state = 'quarantined') AS oldest,
        (SELECT count(*) FROM (SELECT 1 FROM entries WHERE state = 'quarantined' LIMIT $1) AS waiting) AS waiting";
    cold workers = "SELECT worker, host, build, layers, since, lease FROM workers ORDER BY host, worker LIMIT $1";
    cold add_token = "INSERT INTO tokens (hash, name, role, made, made_by, expires)
        VALUES (decode($1, 'hex'), $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING";
    cold token = "SELECT name, role, made, made_by, expires, revoked, revoked_by FROM tokens WHERE hash = decode($1, 'hex')";
    cold tokens = "SELECT name, role, made, made_by, expires, revoked, revoked_by FROM tokens ORDER BY revoked IS NOT NULL, name LIMIT $1";
    cold is_token = "SELECT 1 FROM tokens WHERE name = $1";
    cold revoke_token = "UPDATE tokens SET revoked = $2, revoked_by = $3 WHERE name = $1 AND revoked IS NULL";
    hot digests_from = concat!("SELECT ", digest!(), " FROM entries
        WHERE entries.digest BETWEEN decode(rpad($1, 64, '0'), 'hex') AND decode(rpad($1, 64, 'f'), 'hex')
        ORDER BY entries.digest LIMIT 2");
    hot strikes = "SELECT id, at, attempt, reason, build, limits, evidence FROM strikes WHERE digest = decode($1, 'hex') ORDER BY id";
    hot attempts = "SELECT id, worker, recipe, gate, started, ended, outcome, usage, renews FROM attempts WHERE digest = decode($1, 'hex')
        ORDER BY id DESC LIMIT 50";
    hot audit = "SELECT id, at, who, action, why, old_state, new_state FROM audit WHERE digest = decode($1, 'hex') ORDER BY id";
    /// A strike that came with an earlier import, or began here, is not taken twice.
    hot import_strike = "INSERT INTO strikes (digest, at, reason, build, limits, evidence)
        SELECT decode($1, 'hex'), $2::bigint, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM strikes
            WHERE digest = decode($1, 'hex') AND at = $2 AND reason = $3 AND evidence = $6)";

    hot due_entries = concat!("SELECT ", entry_columns!(), " FROM entries WHERE expires <= $1
        AND state IN ('suspected', 'quarantined') ORDER BY expires LIMIT $2");
    hot drop_jobs = "DELETE FROM jobs WHERE job = ANY (ARRAY (SELECT job FROM jobs WHERE ended < $1 ORDER BY ended LIMIT $2
        FOR UPDATE SKIP LOCKED))";
    hot drop_runs = "DELETE FROM attempts WHERE id = ANY (ARRAY (SELECT id FROM attempts WHERE NOT struck AND ended < $1
        ORDER BY ended LIMIT $2 FOR UPDATE SKIP LOCKED))";
    hot drop_refusals = "DELETE FROM results WHERE ctid = ANY (ARRAY (SELECT ctid FROM results WHERE status = 'rejected' AND at < $1
        ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))";
    hot drop_minutes = "DELETE FROM tenant_minutes WHERE ctid = ANY (ARRAY (SELECT ctid FROM tenant_minutes WHERE minute < $1
        ORDER BY minute LIMIT $2 FOR UPDATE SKIP LOCKED))";
    hot drop_days = "DELETE FROM tenant_days WHERE ctid = ANY (ARRAY (SELECT ctid FROM tenant_days WHERE day < $1
        ORDER BY day LIMIT $2 FOR UPDATE SKIP LOCKED))";
    hot drop_refused = "DELETE FROM refusals WHERE ctid = ANY (ARRAY (SELECT ctid FROM refusals WHERE expires <= $1
        ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED))";
    hot drop_verdicts = "DELETE FROM verdicts WHERE ctid = ANY (ARRAY (SELECT ctid FROM verdicts WHERE hour < $1
        ORDER BY hour LIMIT $2 FOR UPDATE SKIP LOCKED))";
}
