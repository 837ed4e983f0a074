-- The ledger, from schema 4 to schema 5: refusals by digest, told apart by time and tenant.

-- Beside `entries.repeats`, which counts them all. A worker of an older schema counts there alone.
CREATE TABLE refusals (
    digest  TEXT NOT NULL,
    span    TEXT NOT NULL,    -- hour, day
    step    INTEGER NOT NULL, -- which hour or day since 1970
    tenant  TEXT NOT NULL,    -- empty: those that are not told apart
    times   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    expires INTEGER NOT NULL, -- kept until then
    PRIMARY KEY (digest, span, step, tenant)
) STRICT;
CREATE INDEX refusals_to_drop ON refusals (expires);
