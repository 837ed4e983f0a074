-- The ledger in PostgreSQL, from schema 2 to schema 3: tokens of the desk's API.

-- Rows stay when a token is over: they say who came, and a name is never another token's.
CREATE TABLE lazaret.tokens (
    hash       BYTEA PRIMARY KEY,                -- SHA-256 of the token's text, which is kept nowhere
    name       TEXT COLLATE "C" NOT NULL UNIQUE,
    role       TEXT NOT NULL,                    -- viewer, operator
    made       BIGINT NOT NULL,
    made_by    TEXT NOT NULL,
    expires    BIGINT,                           -- absent: it is good until it is revoked
    revoked    BIGINT,
    revoked_by TEXT
);
