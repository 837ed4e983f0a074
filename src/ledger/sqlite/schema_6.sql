-- The ledger, from schema 5 to schema 6: how jobs ended, by the hour.

-- Told by workers from time to time, not job by job: one that was killed has not told its last seconds.
CREATE TABLE verdicts (
    hour   INTEGER NOT NULL, -- since 1970
    status TEXT NOT NULL,
    times  INTEGER NOT NULL,
    PRIMARY KEY (hour, status)
) STRICT;
