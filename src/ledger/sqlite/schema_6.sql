-- The ledger, from schema 5 to schema 6: renewals, attempts that try again what was decided under another epoch.

-- result, entry; absent: nothing was decided before. A worker of an older schema makes none, and counts none.
ALTER TABLE attempts ADD COLUMN renews TEXT;
CREATE INDEX attempts_that_renew ON attempts (renews) WHERE outcome = 'running' AND renews IS NOT NULL;
