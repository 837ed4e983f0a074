-- The ledger in PostgreSQL, from schema 3 to schema 4: refusals by digest, told apart by time and tenant.

-- Beside `entries.repeats`, which counts them all. A worker of an older schema counts there alone.
CREATE TABLE lazaret.refusals (
    digest  BYTEA NOT NULL,
    span    TEXT COLLATE "C" NOT NULL, -- hour, day
    step    BIGINT NOT NULL,           -- which hour or day since 1970
    tenant  TEXT COLLATE "C" NOT NULL, -- empty: those that are not told apart
    times   BIGINT NOT NULL,
    last    BIGINT NOT NULL,
    expires BIGINT NOT NULL,           -- kept until then
    PRIMARY KEY (digest, span, step, tenant)
);
-- Not by step: in one hour there are those of all digests, and a plan that knows no better would look a digest up among them.
CREATE INDEX refusals_to_drop ON lazaret.refusals (expires);
