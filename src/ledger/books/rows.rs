//! Rows to nouns and back. No row is believed: operators have `sqlite3` and `psql`, and a row that makes no sense is named, not a panic.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Serialize, de};

use crate::blame::Strike;
use crate::digest::Digest;
use crate::ledger::engine::{Cell, Fault, Row};
use crate::ledger::{
    AttemptId, AttemptRecord, AuditRecord, Entry, Epoch, KeptJob, Known, Renews, Sender, StrikeRecord,
    TenantAuditRecord, TenantSummary, Token, TokenStanding, TrailRecord, WorkerId, WorkerRecord,
};
use crate::quarantine::{Gate, State};
use crate::recipe::RecipeKey;
use crate::tenants::{SomeLimits, Standing, Use};
use crate::verdict::Status;

/// The cells of one row, which know how to name it.
pub(super) struct Cells<'r> {
    row: &'r Row,
    table: &'static str,
    key: &'static str,
}

impl<'r> Cells<'r> {
    pub(super) fn of(row: &'r Row, table: &'static str, key: &'static str) -> Self {
        Self { row, table, key }
    }

    pub(super) fn get<T: Cell>(&self, column: &'static str) -> Result<T, Fault> {
        self.row.try_get(column).map_err(|error| self.fault(column, error))
    }

    /// A word of an enumeration, or a digest.
    pub(super) fn word<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Fault> {
        self.read_word(column, self.get(column)?)
    }

    pub(super) fn word_or_none<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, Fault> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| self.read_word(column, text)).transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Fault> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|error| self.fault(column, error))
    }

    fn read_word<T: DeserializeOwned>(&self, column: &'static str, text: String) -> Result<T, Fault> {
        let read: Result<T, de::value::Error> = T::deserialize(de::value::StringDeserializer::new(text));
        read.map_err(|error| self.fault(column, error))
    }

    fn time(&self, column: &'static str) -> Result<DateTime<Utc>, Fault> {
        let out_of_range = || self.fault(column, "no time that a calendar knows");
        DateTime::from_timestamp_millis(self.get(column)?).ok_or_else(out_of_range)
    }

    fn time_or_none(&self, column: &'static str) -> Result<Option<DateTime<Utc>>, Fault> {
        let millis: Option<i64> = self.get(column)?;
        millis.map(|_| self.time(column)).transpose()
    }

    pub(super) fn json_or_none<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, Fault> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| self.fault(column, error)))
            .transpose()
    }

    fn count_or_none(&self, column: &'static str) -> Result<Option<u64>, Fault> {
        let number: Option<i64> = self.get(column)?;
        number.map(|_| self.count(column)).transpose()
    }

    fn count<T: TryFrom<i64, Error: std::fmt::Display>>(&self, column: &'static str) -> Result<T, Fault> {
        let number: i64 = self.get(column)?;
        T::try_from(number).map_err(|error| self.fault(column, error))
    }

    fn gate(&self, column: &'static str) -> Result<Gate, Fault> {
        match self.get::<String>(column)?.as_str() {
            "open" => Ok(Gate::Open),
            "solo" => Ok(Gate::Solo),
            "vouched" => Ok(Gate::Vouched),
            other => Err(self.fault(column, format!("{other:?} is not open, solo or vouched"))),
        }
    }

    fn epoch(&self) -> Result<Epoch, Fault> {
        Ok(Epoch {
            build: self.get("build")?,
            limits: self.get("limits")?,
        })
    }

    fn fault(&self, column: &'static str, problem: impl std::fmt::Display) -> Fault {
        let text = self.row.try_get::<String>(self.key);
        let number = || self.row.try_get::<i64>(self.key).map(|number| number.to_string());
        let key = text.or_else(|_| number()).unwrap_or_else(|_| "?".to_owned());
        Fault::Row {
            table: self.table,
            key,
            column,
            problem: problem.to_string(),
        }
    }
}

/// A running attempt, with all that blame needs to know of it.
pub(super) struct Run {
    pub(super) id: AttemptId,
    pub(super) digest: Digest,
    pub(super) recipe: RecipeKey,
    pub(super) epoch: Epoch,
    pub(super) worker: WorkerId,
    pub(super) tenant: String,
    pub(super) name: String,
    pub(super) gate: Gate,
    pub(super) started: DateTime<Utc>,
    pub(super) renews: Option<Renews>,
}

impl Run {
    /// Whether this is the entry whose verdict is tried again, and nobody has decided about it since.
    pub(super) fn renews_as_it_is(&self, entry: &Entry) -> bool {
        self.renews == Some(Renews::Entry) && entry.state == State::Quarantined && entry.changed <= self.started
    }
}

/// A remembered result, with what it is valid for.
pub(super) struct Memory {
    pub(super) known: Known,
    pub(super) epoch: Epoch,
    pub(super) at: i64,
}

pub(super) fn run(row: &Row) -> Result<Run, Fault> {
    let cells = Cells::of(row, "attempts", "id");
    Ok(Run {
        id: AttemptId(cells.get("id")?),
        digest: cells.word("digest")?,
        recipe: RecipeKey(cells.get("recipe")?),
        epoch: cells.epoch()?,
        worker: WorkerId(cells.get("worker")?),
        tenant: cells.get("tenant")?,
        name: cells.get("name")?,
        gate: cells.gate("gate")?,
        started: cells.time("started")?,
        renews: cells.word_or_none("renews")?,
    })
}

pub(super) fn memory(row: &Row) -> Result<Memory, Fault> {
    let cells = Cells::of(row, "results", "digest");
    let status: Status = cells.word("status")?;
    if !matches!(status, Status::Converted | Status::Rejected) {
        return Err(cells.fault("status", "neither converted nor rejected"));
    }
    let known = Known {
        status,
        reason: cells.word_or_none("reason")?,
        detail: cells.get("detail")?,
        looks: cells.json("looks")?,
        renditions: cells.json("renditions")?,
        usage: cells.json("usage")?,
    };
    Ok(Memory {
        known,
        epoch: cells.epoch()?,
        at: cells.get("at")?,
    })
}

pub(super) fn entry(row: &Row) -> Result<Entry, Fault> {
    let cells = Cells::of(row, "entries", "digest");
    let recipe: Option<String> = cells.get("recipe")?;
    let raised: Option<i64> = cells.get("raised")?;
    Ok(Entry {
        digest: cells.word("digest")?,
        state: cells.word("state")?,
        reason: cells.word("reason")?,
        scope: cells.word("scope")?,
        recipe: recipe.map(RecipeKey),
        epoch: cells.epoch()?,
        tenant: cells.get("tenant")?,
        name: cells.get("name")?,
        looks: cells.json("looks")?,
        detail: cells.get("detail")?,
        specimen: cells.get("specimen")?,
        since: cells.time("since")?,
        changed: cells.time("changed")?,
        expires: cells.time_or_none("expires")?,
        strikes: cells.count("strikes")?,
        repeats: cells.count("repeats")?,
        raised: raised.map(|_| cells.count("raised")).transpose()?,
    })
}

/// A strike as [`crate::blame`] counts it at time `now`.
pub(super) fn strike(row: &Row, now: i64) -> Result<Strike, Fault> {
    let cells = Cells::of(row, "strikes", "id");
    let age = now.saturating_sub(cells.get("at")?).max(0);
    Ok(Strike {
        reason: cells.word("reason")?,
        age: Duration::from_millis(age.unsigned_abs()),
    })
}

pub(super) fn strike_record(row: &Row) -> Result<StrikeRecord, Fault> {
    let cells = Cells::of(row, "strikes", "id");
    let attempt: Option<i64> = cells.get("attempt")?;
    Ok(StrikeRecord {
        at: cells.time("at")?,
        attempt: attempt.map(AttemptId),
        reason: cells.word("reason")?,
        epoch: cells.epoch()?,
        evidence: cells.json("evidence")?,
    })
}

pub(super) fn attempt_record(row: &Row) -> Result<AttemptRecord, Fault> {
    let cells = Cells::of(row, "attempts", "id");
    Ok(AttemptRecord {
        id: AttemptId(cells.get("id")?),
        worker: WorkerId(cells.get("worker")?),
        recipe: RecipeKey(cells.get("recipe")?),
        solo: cells.gate("gate")? == Gate::Solo,
        started: cells.time("started")?,
        ended: cells.time_or_none("ended")?,
        outcome: cells.get("outcome")?,
        usage: cells.json("usage")?,
        renews: cells.word_or_none("renews")?,
    })
}

pub(super) fn audit_record(row: &Row) -> Result<AuditRecord, Fault> {
    let cells = Cells::of(row, "audit", "id");
    Ok(AuditRecord {
        at: cells.time("at")?,
        who: cells.get("who")?,
        action: cells.get("action")?,
        why: cells.get("why")?,
        before: cells.word_or_none("old_state")?,
        after: cells.word("new_state")?,
    })
}

pub(super) fn trail_record(row: &Row) -> Result<TrailRecord, Fault> {
    let cells = Cells::of(row, "audit or tenant_audit", "id");
    Ok(TrailRecord {
        id: cells.get("id")?,
        at: cells.time("at")?,
        about: cells.get("about")?,
        who: cells.get("who")?,
        action: cells.get("action")?,
        why: cells.get("why")?,
        before: cells.get("before")?,
        after: cells.get("after")?,
    })
}

pub(super) fn sender(row: &Row) -> Result<Sender, Fault> {
    let cells = Cells::of(row, "attempts", "tenant");
    Ok(Sender {
        tenant: cells.get("tenant")?,
        name: cells.get("name")?,
        times: cells.count("times")?,
        last: cells.time("last")?,
    })
}

pub(super) fn worker_record(row: &Row, now: i64) -> Result<WorkerRecord, Fault> {
    let cells = Cells::of(row, "workers", "worker");
    Ok(WorkerRecord {
        worker: WorkerId(cells.get("worker")?),
        host: cells.get("host")?,
        build: cells.get("build")?,
        // A newer worker may have layers that are not known here: it is listed all the same.
        layers: cells.json_or_none("layers").ok().flatten().unwrap_or_default(),
        since: cells.time("since")?,
        alive: cells.get::<i64>("lease")? > now,
    })
}

/// A token, as it stands at a time.
pub(super) fn token(row: &Row, now: i64) -> Result<Token, Fault> {
    let cells = Cells::of(row, "tokens", "name");
    let (revoked, expires) = (cells.time_or_none("revoked")?, cells.time_or_none("expires")?);
    let standing = match (revoked, expires) {
        (Some(_), _) => TokenStanding::Revoked,
        (None, Some(expires)) if expires.timestamp_millis() <= now => TokenStanding::Expired,
        _ => TokenStanding::Good,
    };
    Ok(Token {
        name: cells.get("name")?,
        role: cells.word("role")?,
        standing,
        made: cells.time("made")?,
        made_by: cells.get("made_by")?,
        expires,
        revoked,
        revoked_by: cells.get("revoked_by")?,
    })
}

/// A kept job, and since when it is kept.
pub(super) fn kept_job(row: &Row) -> Result<(i64, KeptJob), Fault> {
    let cells = Cells::of(row, "jobs", "job");
    let job = KeptJob {
        job: cells.get("job")?,
        tenant: cells.get("tenant")?,
        // A message that somebody damaged must not keep the others waiting: its job is told of when it is handled.
        message: cells.json("message").unwrap_or_default(),
        tries: cells.count("tries")?,
    };
    Ok((cells.get("since")?, job))
}

/// Whose row of `tenants` it is.
pub(super) fn tenant(row: &Row) -> Result<String, Fault> {
    Cells::of(row, "tenants", "tenant").get("tenant")
}

/// What was decided about a tenant; absent values where a list knows it from elsewhere.
pub(super) fn standing(row: &Row) -> Result<Standing, Fault> {
    let cells = Cells::of(row, "tenants", "tenant");
    let limits: Option<SomeLimits> = cells.json_or_none("limits")?;
    Ok(Standing {
        block: cells.word_or_none("block")?,
        limits: limits.unwrap_or_default(),
        purged_before_ms: cells.count_or_none("purged_before")?,
        probation_until_ms: cells.count_or_none("probation_until")?,
    })
}

pub(super) fn tenant_audit_record(row: &Row) -> Result<TenantAuditRecord, Fault> {
    let cells = Cells::of(row, "tenant_audit", "id");
    Ok(TenantAuditRecord {
        at: cells.time("at")?,
        who: cells.get("who")?,
        action: cells.get("action")?,
        why: cells.get("why")?,
        before: cells.json_or_none("old_standing")?,
        after: cells.json("new_standing")?,
    })
}

/// What a tenant used in one minute or day.
pub(super) fn used(row: &Row) -> Result<Use, Fault> {
    let cells = Cells::of(row, "tenant_minutes or tenant_days", "tenant");
    Ok(Use {
        jobs: cells.count("jobs")?,
        cpu_ms: cells.count("cpu_ms")?,
        bytes: cells.count("bytes")?,
    })
}

pub(super) fn sideline(row: &Row) -> Result<(u8, String), Fault> {
    let cells = Cells::of(row, "sidelines", "line");
    Ok((cells.count("line")?, cells.get("tenant")?))
}

pub(super) fn tenant_summary(row: &Row) -> Result<TenantSummary, Fault> {
    let cells = Cells::of(row, "tenants", "tenant");
    let sideline: Option<i64> = cells.get("sideline")?;
    Ok(TenantSummary {
        tenant: cells.get("tenant")?,
        standing: standing(row)?,
        sideline: sideline.map(|_| cells.count("sideline")).transpose()?,
        waiting: cells.count("waiting")?,
        running: cells.count("running")?,
        minute: Use {
            jobs: cells.count("minute_jobs")?,
            cpu_ms: cells.count("minute_cpu_ms")?,
            bytes: cells.count("minute_bytes")?,
        },
        day: Use {
            jobs: cells.count("day_jobs")?,
            cpu_ms: cells.count("day_cpu_ms")?,
            bytes: cells.count("day_bytes")?,
        },
        convictions: cells.count("convictions")?,
    })
}

/// The word of an enumeration's variant, as in messages.
pub(super) fn word(value: &impl Serialize) -> Result<String, Fault> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        other => Err(Fault::Request(format!("{other:?} is no word"))),
    }
}

/// JSON for a column.
pub(super) fn json(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Request(format!("no JSON can be made of it: {error}")))
}

/// The gate's word in the ledger.
pub(super) fn gate_word(gate: Gate) -> &'static str {
    match gate {
        Gate::Open => "open",
        Gate::Solo => "solo",
        Gate::Vouched => "vouched",
        Gate::Closed => "closed",
    }
}
