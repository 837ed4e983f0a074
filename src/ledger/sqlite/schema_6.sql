-- The ledger, from schema 5 to schema 6: renewals, attempts that try again what was decided under another epoch; how jobs ended, by the
-- hour; the layers of workers' sandboxes.

-- result, entry; absent: nothing was decided before. A worker of an older schema makes none, and counts none.
ALTER TABLE attempts ADD COLUMN renews TEXT;
CREATE INDEX attempts_that_renew ON attempts (renews) WHERE outcome = 'running' AND renews IS NOT NULL;

-- Told by workers from time to time, not job by job: one that was killed has not told its last seconds.
CREATE TABLE verdicts (
    hour   INTEGER NOT NULL, -- since 1970
    status TEXT NOT NULL,
    times  INTEGER NOT NULL,
    PRIMARY KEY (hour, status)
) STRICT;

-- JSON: each layer of its sandbox, and whether it holds. Absent: the worker did not say.
ALTER TABLE workers ADD COLUMN layers TEXT;
