-- The ledger in PostgreSQL, from schema 1 to schema 2: raised limits; the operators' list, from the newest entry on, by each of its filters; the audit trail in time.

-- How many times as high its limits are; absent: the usual ones.
ALTER TABLE lazaret.entries ADD COLUMN raised BIGINT;

DROP INDEX lazaret.entries_by_change;
CREATE INDEX entries_by_change ON lazaret.entries (changed, digest);
CREATE INDEX entries_of_state ON lazaret.entries (state, changed, digest);
CREATE INDEX entries_of_reason ON lazaret.entries (reason, changed, digest);
CREATE INDEX entries_of_tenant ON lazaret.entries (tenant, changed, digest);
CREATE INDEX entries_of_format ON lazaret.entries (((looks::json -> 'format')::text), changed, digest);
CREATE INDEX audit_in_time ON lazaret.audit (at, id);
CREATE INDEX tenant_audit_in_time ON lazaret.tenant_audit (at, id);
CREATE INDEX attempts_that_struck ON lazaret.attempts (worker, id) WHERE struck;
