-- The ledger in PostgreSQL, from schema 4 to schema 5: renewals, attempts that try again what was decided under another epoch.

-- result, entry; absent: nothing was decided before. A worker of an older schema makes none, and counts none.
ALTER TABLE lazaret.attempts ADD COLUMN renews TEXT COLLATE "C";
CREATE INDEX attempts_that_renew ON lazaret.attempts (renews) WHERE outcome = 'running' AND renews IS NOT NULL;
