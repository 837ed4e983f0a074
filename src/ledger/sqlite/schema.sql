-- The ledger, schema 1.
-- Times are milliseconds since 1970 by the database's clock; digests are 64 lower-case hexadecimal digits, so that operators
-- can read them and a prefix is a range of the key; looks, usage, renditions, evidence, message and report are JSON.

CREATE TABLE workers (
    worker TEXT PRIMARY KEY,
    host   TEXT NOT NULL,
    build  TEXT NOT NULL,
    since  INTEGER NOT NULL,
    lease  INTEGER NOT NULL -- believed alive until then
) STRICT, WITHOUT ROWID;
CREATE INDEX workers_lease ON workers (lease);

-- The id is the fencing token: AUTOINCREMENT, so that it is never used twice.
CREATE TABLE attempts (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    digest  TEXT NOT NULL,
    recipe  TEXT NOT NULL,
    build   TEXT NOT NULL,
    limits  TEXT NOT NULL,
    worker  TEXT NOT NULL,
    tenant  TEXT NOT NULL,
    name    TEXT NOT NULL,
    job     TEXT NOT NULL,
    gate    TEXT NOT NULL,                   -- open, solo, vouched
    outcome TEXT NOT NULL DEFAULT 'running', -- or an outcome's word, or lost
    struck  INTEGER NOT NULL DEFAULT 0,      -- 1: left a strike, kept for ever
    started INTEGER NOT NULL,
    ended   INTEGER,
    usage   TEXT NOT NULL DEFAULT '{"cpu_ms":0,"wall_ms":0,"waited_ms":0,"peak_memory_bytes":0}'
) STRICT;
CREATE UNIQUE INDEX attempts_single_flight ON attempts (digest) WHERE outcome = 'running';
CREATE UNIQUE INDEX attempts_single_solo ON attempts (gate) WHERE outcome = 'running' AND gate = 'solo';
CREATE INDEX attempts_of_worker ON attempts (worker) WHERE outcome = 'running';
CREATE INDEX attempts_of_digest ON attempts (digest, id);
CREATE INDEX attempts_to_drop ON attempts (ended) WHERE struck = 0 AND ended IS NOT NULL;

-- The memory of results: the last one of each digest and recipe.
CREATE TABLE results (
    digest     TEXT NOT NULL,
    recipe     TEXT NOT NULL,
    status     TEXT NOT NULL, -- converted, rejected
    reason     TEXT,
    detail     TEXT,
    build      TEXT NOT NULL,
    limits     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    looks      TEXT NOT NULL,
    renditions TEXT NOT NULL,
    usage      TEXT NOT NULL,
    PRIMARY KEY (digest, recipe)
) STRICT;
CREATE INDEX results_to_drop ON results (at) WHERE status = 'rejected';

-- The quarantine: one entry per digest.
CREATE TABLE entries (
    digest   TEXT PRIMARY KEY,
    state    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    scope    TEXT NOT NULL,
    recipe   TEXT,
    build    TEXT NOT NULL,
    limits   TEXT NOT NULL,
    tenant   TEXT NOT NULL,
    name     TEXT NOT NULL,
    looks    TEXT NOT NULL,
    detail   TEXT NOT NULL,
    specimen TEXT,
    since    INTEGER NOT NULL,
    changed  INTEGER NOT NULL,
    expires  INTEGER,
    repeats  INTEGER NOT NULL DEFAULT 0,
    forgiven INTEGER NOT NULL DEFAULT 0 -- strikes up to this id do not count any more
) STRICT;
CREATE INDEX entries_by_change ON entries (changed);
CREATE INDEX entries_to_expire ON entries (expires) WHERE expires IS NOT NULL;

CREATE TABLE strikes (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    digest   TEXT NOT NULL REFERENCES entries (digest) DEFERRABLE INITIALLY DEFERRED,
    attempt  INTEGER, -- absent for imported strikes
    at       INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    build    TEXT NOT NULL,
    limits   TEXT NOT NULL,
    evidence TEXT NOT NULL
) STRICT;
CREATE INDEX strikes_of_digest ON strikes (digest, id);
CREATE TRIGGER strikes_stay BEFORE DELETE ON strikes BEGIN SELECT RAISE(ABORT, 'strikes are append-only'); END;
CREATE TRIGGER strikes_stay_as_they_are BEFORE UPDATE ON strikes BEGIN SELECT RAISE(ABORT, 'strikes are append-only'); END;

CREATE TABLE audit (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    digest    TEXT NOT NULL REFERENCES entries (digest),
    at        INTEGER NOT NULL,
    who       TEXT NOT NULL,
    action    TEXT NOT NULL,
    why       TEXT NOT NULL,
    old_state TEXT,
    new_state TEXT NOT NULL
) STRICT;
CREATE INDEX audit_of_digest ON audit (digest, id);
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_stays_as_it_is BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

-- Jobs that wait, and jobs that ended and are remembered for a while.
CREATE TABLE jobs (
    job     TEXT PRIMARY KEY,
    tenant  TEXT NOT NULL,
    digest  TEXT,
    message TEXT,             -- absent once it ended
    tries   INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    due     INTEGER NOT NULL, -- nobody may adopt it before
    owner   TEXT,             -- the worker that adopted it last
    ended   INTEGER,
    report  TEXT
) STRICT;
CREATE INDEX jobs_due ON jobs (due) WHERE ended IS NULL;
CREATE INDEX jobs_of_owner ON jobs (owner) WHERE ended IS NULL AND owner IS NOT NULL;
CREATE INDEX jobs_to_drop ON jobs (ended) WHERE ended IS NOT NULL;
