-- The ledger in PostgreSQL, from schema 4 to schema 5: how jobs ended, by the hour.

-- Told by workers from time to time, not job by job: one that was killed has not told its last seconds.
CREATE TABLE lazaret.verdicts (
    hour   BIGINT NOT NULL, -- since 1970
    status TEXT COLLATE "C" NOT NULL,
    times  BIGINT NOT NULL,
    PRIMARY KEY (hour, status)
);
