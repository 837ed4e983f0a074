-- The ledger, from schema 2 to schema 3: raised limits; the operators' list, from the newest entry on, by each of its filters; the audit trail in time.

-- How many times as high its limits are; absent: the usual ones.
ALTER TABLE entries ADD COLUMN raised INTEGER;

DROP INDEX entries_by_change;
CREATE INDEX entries_by_change ON entries (changed, digest);
CREATE INDEX entries_of_state ON entries (state, changed, digest);
CREATE INDEX entries_of_reason ON entries (reason, changed, digest);
CREATE INDEX entries_of_tenant ON entries (tenant, changed, digest);
-- A row that somebody edited must stay writable.
CREATE INDEX entries_of_format ON entries (CASE WHEN json_valid(looks) THEN looks ->> '$.format' END, changed, digest);
CREATE INDEX audit_in_time ON audit (at, id);
CREATE INDEX tenant_audit_in_time ON tenant_audit (at, id);
CREATE INDEX attempts_that_struck ON attempts (worker, id) WHERE struck = 1;
