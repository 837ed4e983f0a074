-- The ledger in PostgreSQL, from schema 4 to schema 5: renewals, attempts that try again what was decided under another epoch; how jobs ended,
-- by the hour; the layers of workers' sandboxes.

-- result, entry; absent: nothing was decided before. A worker of an older schema makes none, and counts none.
ALTER TABLE lazaret.attempts ADD COLUMN renews TEXT COLLATE "C";
CREATE INDEX attempts_that_renew ON lazaret.attempts (renews) WHERE outcome = 'running' AND renews IS NOT NULL;

-- Told by workers from time to time, not job by job: one that was killed has not told its last seconds.
CREATE TABLE lazaret.verdicts (
    hour   BIGINT NOT NULL, -- since 1970
    status TEXT COLLATE "C" NOT NULL,
    times  BIGINT NOT NULL,
    PRIMARY KEY (hour, status)
);

-- JSON: each layer of its sandbox, and whether it holds. Absent: the worker did not say, or is of an older schema.
ALTER TABLE lazaret.workers ADD COLUMN layers TEXT;
