//! Every statement of the SQLite store, each marked `hot` (on the way of a job: index look-ups only, which a test proves from the
//! query plans) or `cold` (operators' lists, housekeeping). `?1` is the first value bound; times are milliseconds.

use crate::ledger::copy::Column;
use crate::ledger::engine::statements;

macro_rules! entry_columns {
    () => {
        "digest, state, reason, scope, recipe, build, limits, tenant, name, looks, detail, specimen, since, changed, expires,
         repeats, raised, (SELECT count(*) FROM strikes WHERE strikes.digest = entries.digest) AS strikes"
    };
}

macro_rules! run_columns {
    () => {
        "id, digest, recipe, build, limits, worker, tenant, name, gate, started, renews"
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
        "(SELECT job, tenant, digest, since, due FROM jobs WHERE ended IS NULL AND due <= ?1 ORDER BY due LIMIT 500) AS due_jobs"
    };
}

/// Whether the tenant of a waiting job is among those that are kept out. What was purged is let in all the same, to be refused,
/// once every worker knows of the purge; so is what came while one may not have known.
macro_rules! kept_out {
    ($tenants:literal) => {
        concat!(
            "(due_jobs.tenant IN (SELECT value FROM json_each(",
            $tenants,
            ")) AND due_jobs.since >= coalesce((SELECT purged_before + 2000 FROM tenants
                WHERE tenants.tenant = due_jobs.tenant AND purged_before < ?1 - 2000), 0))"
        )
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

/// Whether a row of refusals is of the digest and the time that are counted.
macro_rules! same_step {
    () => {
        "known.digest = value ->> 'digest' AND known.span = value ->> 'span' AND known.step = value ->> 'step'"
    };
}

macro_rules! standing_columns {
    () => {
        "block, limits, purged_before, probation_until"
    };
}

/// Format of an entry, as its index has it.
macro_rules! format_of_entry {
    () => {
        "CASE WHEN json_valid(looks) THEN looks ->> '$.format' END"
    };
}

/// Where a stretch of the list begins and ends, and its order: from the newest change on, `?2` changed since; from the oldest on, `?2` changed before.
macro_rules! bounds {
    (newest) => {
        "entries.changed >= ?2 AND (entries.changed, entries.digest) < (?3, ?4)
            ORDER BY entries.changed DESC, entries.digest DESC LIMIT ?5"
    };
    (oldest) => {
        "entries.changed < ?2 AND (entries.changed, entries.digest) > (?3, ?4)
            ORDER BY entries.changed, entries.digest LIMIT ?5"
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

/// A stretch of the list in an index: `?1` what the index is by, `?2` see `bounds`, `?3` and `?4` behind which entry, `?5` how many.
macro_rules! stretch {
    (all $order:tt) => {
        stretch!(by $order "(?1 IS NULL OR TRUE)")
    };
    (state $order:tt) => {
        stretch!(by $order "state = ?1")
    };
    (reason $order:tt) => {
        stretch!(by $order "reason = ?1")
    };
    (tenant $order:tt) => {
        stretch!(by $order "tenant = ?1")
    };
    (format $order:tt) => {
        stretch!(by $order format_of_entry!(), " = ?1")
    };
    // By worker: what its last thousand strikes hit.
    (worker $order:tt) => {
        concat!("(SELECT entries.changed AS at, entries.digest AS key FROM (SELECT DISTINCT digest AS hit FROM
            (SELECT digest FROM attempts WHERE worker = ?1 AND struck = 1 ORDER BY id DESC LIMIT 1000) AS strokes) AS hits
        CROSS JOIN entries ON entries.digest = hits.hit WHERE ", bounds!($order), ") AS stretch")
    };
    (by $order:tt $($condition:expr),*) => {
        concat!("(SELECT changed AS at, digest AS key FROM entries WHERE ", $($condition,)* " AND ", bounds!($order), ") AS stretch")
    };
}

/// What a stretch has of the list: `?6` state, `?7` now, `?8` reason, `?9` tenant, `?10` format, `?11` at most.
macro_rules! page {
    ($by:tt $order:tt) => {
        concat!("SELECT ", entry_columns!(), " FROM ", stretch!($by $order), " CROSS JOIN entries ON entries.digest = stretch.key
            WHERE (?6 IS NULL OR state = ?6 AND NOT coalesce(expires <= ?7 AND state IN ('suspected', 'quarantined'), FALSE))
            AND (?8 IS NULL OR reason = ?8) AND (?9 IS NULL OR tenant = ?9) AND (?10 IS NULL OR ", format_of_entry!(), " = ?10)",
            order!($order), " LIMIT ?11")
    };
}

/// A stretch of an audit trail: `?1` since, `?2` and `?3` behind which record, `?4` how many.
macro_rules! past_stretch {
    ($trail:literal) => {
        concat!(
            "(SELECT * FROM ",
            $trail,
            " WHERE at >= ?1 AND (at, id) < (?2, ?3) ORDER BY at DESC, id DESC LIMIT ?4) AS stretch"
        )
    };
}

/// What a stretch has of who (`?5`) and action (`?6`), at most `?7`.
macro_rules! trail {
    ($trail:literal, $columns:literal) => {
        concat!(
            "SELECT id, at, who, action, why, ",
            $columns,
            " FROM ",
            past_stretch!($trail),
            "
            WHERE (?5 IS NULL OR who = ?5) AND (?6 IS NULL OR action = ?6) ORDER BY at DESC, id DESC LIMIT ?7"
        )
    };
}

/// The last record of a stretch, where it is full.
macro_rules! end_of_trail {
    ($trail:literal) => {
        concat!(
            "SELECT at, id FROM ",
            past_stretch!($trail),
            " ORDER BY at DESC, id DESC LIMIT 1 OFFSET ?4 - 1"
        )
    };
}

/// The last entry of a stretch, where it is full.
macro_rules! end {
    ($by:tt $order:tt) => {
        concat!(
            "SELECT at, key FROM ",
            stretch!($by $order),
            order!($order),
            " LIMIT 1 OFFSET ?5 - 1"
        )
    };
}

/// The database's clock.
pub(super) const NOW: &str = "SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER) AS now";

/// Workers that are believed alive.
pub(in crate::ledger) const LIVING: &str =
    "SELECT worker FROM workers WHERE lease > CAST(unixepoch('subsec') * 1000 AS INTEGER)
    ORDER BY worker LIMIT 10";
/// Columns of the table `?1`, in their order.
pub(in crate::ledger) const COLUMNS: &str = "SELECT name FROM pragma_table_info(?1) ORDER BY cid";
/// The last id that the table `?1` gave, whether its row is still there or not.
pub(in crate::ledger) const LAST_ID: &str = "SELECT seq AS last FROM sqlite_sequence WHERE name = ?1";

/// All rows of a table, each cell as text.
pub(in crate::ledger) fn texts(table: &str, columns: &[Column]) -> String {
    let cells: Vec<String> = columns
        .iter()
        .map(|column| format!("CAST({} AS TEXT)", column.name))
        .collect();
    format!("SELECT {} FROM {table}", cells.join(", "))
}

pub(in crate::ledger) fn count(table: &str) -> String {
    format!("SELECT count(*) AS rows FROM {table}")
}

statements! {
    hot sign_on = "INSERT INTO workers (worker, host, build, layers, since, lease) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (worker) DO UPDATE SET lease = excluded.lease";
    hot lease = "SELECT lease FROM workers WHERE worker = ?1";
    hot renew_lease = "UPDATE workers SET lease = ?2 WHERE worker = ?1";
    hot is_signed_on = "SELECT 1 FROM workers WHERE worker = ?1";
    hot sign_off = "DELETE FROM workers WHERE worker = ?1";
    hot leases_over = "SELECT worker FROM workers WHERE lease <= ?1 ORDER BY lease LIMIT 100";
    hot is_lease_over = "SELECT 1 FROM workers WHERE worker = ?1 AND lease <= ?2";
    hot release_runs = "UPDATE attempts SET outcome = 'released', ended = ?2 WHERE worker = ?1 AND outcome = 'running'";
    /// `?1`: their ids, a JSON array.
    hot hold_jobs = "UPDATE jobs SET due = ?3 WHERE job IN (SELECT value FROM json_each(?1)) AND owner = ?2 AND ended IS NULL";
    hot free_jobs = "UPDATE jobs SET owner = NULL, due = min(due, ?2) WHERE owner = ?1 AND ended IS NULL";

    hot start_run = "INSERT INTO attempts (digest, recipe, build, limits, worker, tenant, name, job, gate, started, renews)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING id";
    hot is_running = "SELECT 1 FROM attempts WHERE digest = ?1 AND outcome = 'running'";
    hot is_solo_running = "SELECT 1 FROM attempts WHERE gate = 'solo' AND outcome = 'running'";
    hot renewals_running = "SELECT count(*) AS running FROM (SELECT 1 FROM attempts WHERE renews > '' AND outcome = 'running' LIMIT ?1) AS counted";
    hot runs_of_tenant = "SELECT count(*) AS running FROM attempts WHERE tenant = ?1 AND outcome = 'running'";
    hot run = concat!("SELECT ", run_columns!(), " FROM attempts
        WHERE id = ?1 AND digest = ?2 AND started = ?3 AND outcome = 'running'");
    hot runs_of_worker = concat!("SELECT ", run_columns!(), " FROM attempts WHERE worker = ?1 AND outcome = 'running' ORDER BY id");
    hot end_run = "UPDATE attempts SET outcome = ?2, struck = ?3, ended = ?4, usage = ?5 WHERE id = ?1";
    hot disown = "UPDATE attempts SET outcome = 'released', ended = ?3 WHERE digest = ?1 AND worker = ?2 AND outcome = 'running' RETURNING id";

    hot result = "SELECT digest, status, reason, detail, build, limits, at, looks, renditions, usage FROM results
        WHERE digest = ?1 AND recipe = ?2";
    hot forget = "DELETE FROM results WHERE digest = ?1 AND recipe = ?2";
    hot remember = "INSERT INTO results
        (digest, recipe, status, reason, detail, build, limits, at, looks, renditions, usage)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
        ON CONFLICT (digest, recipe) DO UPDATE SET
        status = excluded.status, reason = excluded.reason, detail = excluded.detail, build = excluded.build,
        limits = excluded.limits, at = excluded.at, looks = excluded.looks, renditions = excluded.renditions,
        usage = excluded.usage";

    hot entry = concat!("SELECT ", entry_columns!(), " FROM entries WHERE digest = ?1");
    hot count_repeats = "UPDATE entries SET repeats = repeats + ?2 WHERE digest = ?1";
    /// `?1`: an array of objects, `?2` now, `?3` how many tenants of a step are told apart for a digest.
    hot count_refusals = concat!("INSERT INTO refusals (digest, span, step, tenant, times, last, expires)
        SELECT digest, span, step, CASE WHEN is_named OR named + place <= ?3 THEN tenant ELSE '' END AS told, sum(times), ?2, max(expires)
        FROM (SELECT *, row_number() OVER (PARTITION BY digest, span, step, is_named ORDER BY tenant) AS place
            FROM (SELECT value ->> 'digest' AS digest, value ->> 'span' AS span, value ->> 'step' AS step, value ->> 'tenant' AS tenant,
                value ->> 'times' AS times, value ->> 'expires' AS expires, (SELECT count(*) FROM refusals AS known WHERE ", same_step!(), " AND known.tenant <> '') AS named,
                EXISTS (SELECT 1 FROM refusals AS known WHERE ", same_step!(), " AND known.tenant = value ->> 'tenant') AS is_named
            FROM json_each(?1)) AS sent) AS counted
        GROUP BY digest, span, step, told
        ON CONFLICT (digest, span, step, tenant) DO UPDATE SET times = times + excluded.times, last = max(last, excluded.last)");
    /// `?17`: whether the strikes so far are forgiven.
    hot save_entry = "INSERT INTO entries (digest, state, reason, scope, recipe, build, limits, tenant, name, looks, detail,
        specimen, since, changed, expires, repeats, forgiven, raised)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
            CASE WHEN ?17 THEN coalesce((SELECT max(id) FROM strikes WHERE digest = ?1), 0) ELSE 0 END, ?18)
        ON CONFLICT (digest) DO UPDATE SET
        state = excluded.state, reason = excluded.reason, scope = excluded.scope, recipe = excluded.recipe,
        build = excluded.build, limits = excluded.limits, looks = excluded.looks, detail = excluded.detail,
        specimen = excluded.specimen, changed = excluded.changed, expires = excluded.expires, raised = excluded.raised,
        forgiven = CASE WHEN ?17 THEN excluded.forgiven ELSE forgiven END";
    hot add_strike = "INSERT INTO strikes (digest, attempt, at, reason, build, limits, evidence) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    hot strikes_that_count = "SELECT id, reason, at FROM strikes WHERE digest = ?1 AND build = ?2 AND limits = ?3
        AND id > coalesce((SELECT forgiven FROM entries WHERE digest = ?1), 0)";
    hot add_audit = "INSERT INTO audit (digest, at, who, action, why, old_state, new_state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

    hot standings_after = concat!("SELECT tenant, revision, ", standing_columns!(), " FROM tenants WHERE revision > ?1 ORDER BY revision");
    hot standing = concat!("SELECT tenant, ", standing_columns!(), " FROM tenants WHERE tenant = ?1");
    hot save_standing = concat!("INSERT INTO tenants (tenant, ", standing_columns!(), ", revision)
        VALUES (?1, ?2, ?3, ?4, ?5, (SELECT coalesce(max(revision), 0) + 1 FROM tenants))
        ON CONFLICT (tenant) DO UPDATE SET block = excluded.block, limits = excluded.limits,
        purged_before = excluded.purged_before, probation_until = excluded.probation_until, revision = excluded.revision");
    hot add_tenant_audit = "INSERT INTO tenant_audit (tenant, at, who, action, why, old_standing, new_standing)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    hot tenant_audit = "SELECT id, at, who, action, why, old_standing, new_standing FROM tenant_audit WHERE tenant = ?1 ORDER BY id";
    /// Those that a worker has in hand stay its own.
    hot rouse_jobs = "UPDATE jobs SET due = min(due, ?2) WHERE tenant = ?1 AND ended IS NULL AND owner IS NULL";
    hot mark_convicted = "UPDATE entries SET convicted = ?2 WHERE digest = ?1";
    hot convictions_of = "SELECT count(*) AS convictions FROM entries WHERE tenant = ?1 AND convicted > ?2";
    /// `?1`: tenants, a JSON array.
    hot use_of_minute = concat!("SELECT tenant, ", use_columns!(), " FROM tenant_minutes WHERE minute = ?2 AND tenant IN (SELECT value FROM json_each(?1))");
    hot use_of_day = concat!("SELECT tenant, ", use_columns!(), " FROM tenant_days WHERE day = ?2 AND tenant IN (SELECT value FROM json_each(?1))");
    /// `?1`: an array of objects.
    hot charge_minutes = concat!("INSERT INTO tenant_minutes (tenant, minute, ", use_columns!(), ")
        SELECT value ->> 'tenant', ?2, value ->> 'jobs', value ->> 'cpu_ms', value ->> 'bytes' FROM json_each(?1) WHERE true
        ON CONFLICT (tenant, minute) ", add_use!());
    hot charge_days = concat!("INSERT INTO tenant_days (tenant, day, ", use_columns!(), ")
        SELECT value ->> 'tenant', ?2, value ->> 'jobs', value ->> 'cpu_ms', value ->> 'bytes' FROM json_each(?1) WHERE true
        ON CONFLICT (tenant, day) ", add_use!());

    hot count_verdicts = "INSERT INTO verdicts (hour, status, times)
        SELECT ?2, value ->> 'status', value ->> 'times' FROM json_each(?1) WHERE true
        ON CONFLICT (hour, status) DO UPDATE SET times = times + excluded.times";

    hot sidelines = "SELECT line, tenant, until FROM sidelines WHERE line < ?1";
    hot leave_sideline = "DELETE FROM sidelines WHERE tenant = ?1 AND line <> ?2";
    hot take_sideline = "INSERT INTO sidelines (line, tenant, until) VALUES (?1, ?2, ?3)
        ON CONFLICT (line) DO UPDATE SET tenant = excluded.tenant, until = excluded.until";
    hot keep_sideline = "UPDATE sidelines SET until = ?2 WHERE line = ?1";
    /// At most 256 rows.
    cold sidelines_leased = "SELECT line, tenant FROM sidelines WHERE until > ?1 ORDER BY line";

    hot job = "SELECT job, tenant, ended, report FROM jobs WHERE job = ?1";
    /// `?1`: their ids, a JSON array.
    hot jobs = "SELECT job, tenant, ended, report FROM jobs WHERE job IN (SELECT value FROM json_each(?1))";
    /// `?1`: an array of objects. Leaves jobs alone that have ended.
    hot park = "INSERT INTO jobs (job, tenant, digest, message, tries, since, due)
        SELECT value ->> 'job', value ->> 'tenant', value ->> 'digest', value ->> 'message', value ->> 'tries', ?2, ?2 + (value ->> 'delay')
        FROM json_each(?1) WHERE true
        ON CONFLICT (job) DO UPDATE SET digest = coalesce(excluded.digest, digest), message = excluded.message,
        tries = excluded.tries, due = excluded.due, owner = NULL WHERE ended IS NULL";
    hot any_due = "SELECT 1 FROM jobs WHERE ended IS NULL AND due <= ?1 LIMIT 1";
    /// Jobs whose digest is running, or whose tenant is kept out (`?3`, a JSON array), make room for those behind them.
    hot set_back = concat!("UPDATE jobs SET due = ?2 WHERE job IN (SELECT job FROM ", due_jobs!(), " WHERE ", in_flight!(),
        " OR ", kept_out!("?3"), ")");
    hot adopt = concat!("UPDATE jobs SET owner = ?2, due = ?3 WHERE job IN (SELECT job FROM ", due_jobs!(), " WHERE NOT ",
        in_flight!(), " AND NOT ", kept_out!("?5"), " ORDER BY due LIMIT ?4) RETURNING job, tenant, message, tries, since");
    /// `?1`: an array of objects. The first report of a job counts, and only that is returned.
    hot end_jobs = "INSERT INTO jobs (job, tenant, tries, since, due, ended, report)
        SELECT value ->> 'job', value ->> 'tenant', 0, ?2, ?2, ?2, value ->> 'report' FROM json_each(?1) WHERE true
        ON CONFLICT (job) DO UPDATE SET ended = excluded.ended, report = excluded.report, message = NULL, owner = NULL
        WHERE ended IS NULL AND job NOT IN (SELECT value FROM json_each(?3)) RETURNING job";
    /// Whether a job with a claimed digest needs more than a look.
    hot by_claim = "SELECT EXISTS (SELECT 1 FROM jobs WHERE job = ?1) AS known,
        EXISTS (SELECT 1 FROM entries WHERE digest = ?2 AND state IN ('quarantined', 'confirmed')) AS listed";
    hot forget_job = "DELETE FROM jobs WHERE job = ?1 AND ended IS NOT NULL";

    /// `?1` now, `?2` its minute, `?3` its day, `?4` since when convictions count.
    cold tenants = concat!("WITH named AS (
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
    cold waiting = "SELECT count(*) AS waiting FROM jobs WHERE ended IS NULL";
    /// `?1` states as a JSON array or NULL, `?2` reason, `?3` tenant, `?4` and `?5` changed between, `?6` now, `?7` at most, -1: all.
    cold entries = concat!("SELECT ", entry_columns!(), " FROM entries
        WHERE (?1 IS NULL OR CASE WHEN expires <= ?6 AND state IN ('suspected', 'quarantined') THEN 'expired' ELSE state END
            IN (SELECT value FROM json_each(?1)))
        AND (?2 IS NULL OR reason = ?2) AND (?3 IS NULL OR tenant = ?3) AND changed BETWEEN ?4 AND ?5
        ORDER BY changed DESC, digest LIMIT ?7");
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
    hot trail_of_uploads = trail!("audit", "digest AS about, old_state AS before, new_state AS after");
    hot end_of_uploads = end_of_trail!("audit");
    hot trail_of_tenants = trail!("tenant_audit", "tenant AS about, old_standing AS before, new_standing AS after");
    hot end_of_tenants = end_of_trail!("tenant_audit");
    /// Of the attempts that are kept.
    hot senders = "SELECT tenant, name, count(*) AS times, max(started) AS last FROM attempts WHERE digest = ?1
        GROUP BY tenant, name ORDER BY times DESC, last DESC LIMIT 20";
    /// `?1` digest, `?2` span, `?3` since which step.
    hot refusals_by_step = "SELECT step, sum(times) AS times FROM refusals WHERE digest = ?1 AND span = ?2 AND step >= ?3
        GROUP BY step ORDER BY step";
    /// By attempts and refusals that are kept; those that are not told apart first. `?2`: at most.
    hot sent_by = "SELECT tenant, sum(attempts) AS attempts, sum(refusals) AS refusals, max(last) AS last FROM (
            SELECT tenant, count(*) AS attempts, 0 AS refusals, max(started) AS last FROM attempts WHERE digest = ?1 GROUP BY tenant
            UNION ALL
            SELECT tenant, 0, sum(times), max(last) FROM refusals WHERE digest = ?1 AND span = 'day' GROUP BY tenant) AS sent
        GROUP BY tenant ORDER BY tenant = '' DESC, sum(attempts) + sum(refusals) DESC, last DESC LIMIT ?2";
    /// `?1`: since which minute, `?2`: how many rows.
    hot jobs_by_hour = "SELECT minute / 60 AS step, sum(jobs) AS times, count(*) AS looked_at, min(minute) AS first
        FROM (SELECT minute, jobs FROM tenant_minutes WHERE minute >= ?1 ORDER BY minute DESC LIMIT ?2) AS stretch GROUP BY step";
    /// `?1`: since which day, `?2`: how many rows.
    hot jobs_by_day = "SELECT day AS step, sum(jobs) AS times, count(*) AS looked_at, min(day) AS first
        FROM (SELECT day, jobs FROM tenant_days WHERE day >= ?1 ORDER BY day DESC LIMIT ?2) AS stretch GROUP BY step";
    /// `?1`: since which hour, `?2`: how many make a step.
    hot verdicts_by_step = "SELECT hour / ?2 AS step, status, sum(times) AS times FROM verdicts WHERE hour >= ?1 GROUP BY step, status";
    /// A stretch of the audit trail, `?5` the milliseconds of a step. A conviction has its strike, of the same time, unless somebody edited rows.
    hot convictions_by_step = concat!("SELECT step, reason, count(*) AS times FROM (SELECT at / ?5 AS step, coalesce(
            (SELECT reason FROM strikes WHERE strikes.digest = stretch.digest AND strikes.at = stretch.at ORDER BY strikes.id DESC LIMIT 1),
            (SELECT reason FROM entries WHERE entries.digest = stretch.digest)) AS reason
        FROM ", past_stretch!("audit"), " WHERE action = 'convict') AS convicted GROUP BY step, reason");
    /// `?1`: count so far and no further.
    hot unreviewed = "SELECT (SELECT min(changed) FROM entries WHERE state = 'quarantined') AS oldest,
        (SELECT count(*) FROM (SELECT 1 FROM entries WHERE state = 'quarantined' LIMIT ?1) AS waiting) AS waiting";
    cold workers = "SELECT worker, host, build, layers, since, lease FROM workers ORDER BY host, worker LIMIT ?1";
    cold add_token = "INSERT INTO tokens (hash, name, role, made, made_by, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO NOTHING";
    cold token = "SELECT name, role, made, made_by, expires, revoked, revoked_by FROM tokens WHERE hash = ?1";
    cold tokens = "SELECT name, role, made, made_by, expires, revoked, revoked_by FROM tokens ORDER BY revoked IS NOT NULL, name LIMIT ?1";
    cold is_token = "SELECT 1 FROM tokens WHERE name = ?1";
    cold revoke_token = "UPDATE tokens SET revoked = ?2, revoked_by = ?3 WHERE name = ?1 AND revoked IS NULL";
    /// Digests are hexadecimal, and `g` comes after every digit.
    hot digests_from = "SELECT digest FROM entries WHERE digest >= ?1 AND digest < ?1 || 'g' ORDER BY digest LIMIT 2";
    hot strikes = "SELECT id, at, attempt, reason, build, limits, evidence FROM strikes WHERE digest = ?1 ORDER BY id";
    hot attempts = "SELECT id, worker, recipe, gate, started, ended, outcome, usage, renews FROM attempts WHERE digest = ?1
        ORDER BY id DESC LIMIT 50";
    hot audit = "SELECT id, at, who, action, why, old_state, new_state FROM audit WHERE digest = ?1 ORDER BY id";
    /// A strike that came with an earlier import, or began here, is not taken twice.
    hot import_strike = "INSERT INTO strikes (digest, at, reason, build, limits, evidence) SELECT ?1, ?2, ?3, ?4, ?5, ?6
        WHERE NOT EXISTS (SELECT 1 FROM strikes WHERE digest = ?1 AND at = ?2 AND reason = ?3 AND evidence = ?6)";

    hot due_entries = concat!("SELECT ", entry_columns!(), " FROM entries WHERE expires <= ?1
        AND state IN ('suspected', 'quarantined') ORDER BY expires LIMIT ?2");
    hot drop_jobs = "DELETE FROM jobs WHERE job IN (SELECT job FROM jobs WHERE ended < ?1 ORDER BY ended LIMIT ?2)";
    hot drop_runs = "DELETE FROM attempts WHERE id IN
        (SELECT id FROM attempts WHERE struck = 0 AND ended < ?1 ORDER BY ended LIMIT ?2)";
    hot drop_refusals = "DELETE FROM results WHERE rowid IN
        (SELECT rowid FROM results WHERE status = 'rejected' AND at < ?1 ORDER BY at LIMIT ?2)";
    hot drop_minutes = "DELETE FROM tenant_minutes WHERE rowid IN
        (SELECT rowid FROM tenant_minutes WHERE minute < ?1 ORDER BY minute LIMIT ?2)";
    hot drop_days = "DELETE FROM tenant_days WHERE rowid IN
        (SELECT rowid FROM tenant_days WHERE day < ?1 ORDER BY day LIMIT ?2)";
    hot drop_refused = "DELETE FROM refusals WHERE rowid IN
        (SELECT rowid FROM refusals WHERE expires <= ?1 ORDER BY expires LIMIT ?2)";
    hot drop_verdicts = "DELETE FROM verdicts WHERE rowid IN
        (SELECT rowid FROM verdicts WHERE hour < ?1 ORDER BY hour LIMIT ?2)";
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

    /// Steps that read a whole table or index, or build an index of their own. Stretches and `due_jobs` end after as many
    /// rows as the statement says, what was `sent` and is `counted` is of one digest or of one batch, and a virtual table is what the caller sent.
    fn costly(plan: &[String]) -> Vec<&String> {
        let bounded = |step: &str| {
            matches!(
                step,
                "SCAN due_jobs"
                    | "SCAN sent"
                    | "SCAN counted"
                    | "SCAN stretch"
                    | "SCAN strokes"
                    | "SCAN hits"
                    | "SCAN waiting"
                    | "SCAN CONSTANT ROW"
            ) || step.contains(" VIRTUAL TABLE ")
                // What it reads has steps of its own.
                || step.starts_with("SCAN (subquery-")
        };
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
            "SELECT 1 FROM entries WHERE detail = 'd'",
            "SELECT 1 FROM attempts WHERE outcome = 'running'",
        ] {
            assert!(
                !costly(&plan(&mut connection, statement).await).is_empty(),
                "{statement}"
            );
        }
    }
}
