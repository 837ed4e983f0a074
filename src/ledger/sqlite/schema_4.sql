-- The ledger, from schema 3 to schema 4: tokens of the desk's API.

-- Rows stay when a token is over: they say who came, and a name is never another token's.
CREATE TABLE tokens (
    hash       TEXT PRIMARY KEY,     -- SHA-256 of the token's text, which is kept nowhere
    name       TEXT NOT NULL UNIQUE,
    role       TEXT NOT NULL,        -- viewer, operator
    made       INTEGER NOT NULL,
    made_by    TEXT NOT NULL,
    expires    INTEGER,              -- absent: it is good until it is revoked
    revoked    INTEGER,
    revoked_by TEXT
) STRICT;
