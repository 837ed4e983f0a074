-- The ledger, from schema 1 to schema 2: tenants.
-- Standings are as in `tenants::Standing`; minutes and days are counted since 1970.

-- What was decided about a tenant: one row for each about whom something ever was. Rows stay, so that the highest revision only grows.
CREATE TABLE tenants (
    tenant          TEXT PRIMARY KEY,
    block           TEXT,                  -- hold, refuse, drop
    limits          TEXT NOT NULL,         -- limits that an operator set, JSON
    purged_before   INTEGER,
    probation_until INTEGER,
    revision        INTEGER NOT NULL       -- one more than any before, in the whole ledger, at every change
) STRICT;
CREATE UNIQUE INDEX tenants_by_revision ON tenants (revision);

CREATE TABLE tenant_audit (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant       TEXT NOT NULL,
    at           INTEGER NOT NULL,
    who          TEXT NOT NULL,
    action       TEXT NOT NULL,
    why          TEXT NOT NULL,
    old_standing TEXT, -- JSON; absent for the first one
    new_standing TEXT NOT NULL
) STRICT;
CREATE INDEX tenant_audit_of_tenant ON tenant_audit (tenant, id);
CREATE TRIGGER tenant_audit_stays BEFORE DELETE ON tenant_audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER tenant_audit_stays_as_it_is BEFORE UPDATE ON tenant_audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

-- What tenants used, by minute and by day.
CREATE TABLE tenant_minutes (
    tenant TEXT NOT NULL,
    minute INTEGER NOT NULL,
    jobs   INTEGER NOT NULL,
    cpu_ms INTEGER NOT NULL,
    bytes  INTEGER NOT NULL,
    PRIMARY KEY (tenant, minute)
) STRICT;
CREATE INDEX tenant_minutes_to_drop ON tenant_minutes (minute);
CREATE TABLE tenant_days (
    tenant TEXT NOT NULL,
    day    INTEGER NOT NULL,
    jobs   INTEGER NOT NULL,
    cpu_ms INTEGER NOT NULL,
    bytes  INTEGER NOT NULL,
    PRIMARY KEY (tenant, day)
) STRICT;
CREATE INDEX tenant_days_to_drop ON tenant_days (day);

-- Which tenant waits in which sideline, and until when it is its own.
CREATE TABLE sidelines (
    line   INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL UNIQUE,
    until  INTEGER NOT NULL
) STRICT;

CREATE INDEX attempts_of_tenant ON attempts (tenant) WHERE outcome = 'running';
CREATE INDEX jobs_of_tenant ON jobs (tenant) WHERE ended IS NULL;

-- When a rule convicted the upload last, whatever became of its entry since.
ALTER TABLE entries ADD COLUMN convicted INTEGER;
UPDATE entries SET convicted = (SELECT max(at) FROM audit WHERE audit.digest = entries.digest AND action = 'convict');
CREATE INDEX entries_convicted ON entries (tenant, convicted) WHERE convicted IS NOT NULL;
