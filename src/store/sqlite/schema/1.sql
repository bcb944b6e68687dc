-- `record` is JSON with a format number, which is also the column `format`. What a newer
-- version of the library wrote is not touched. All times are in milliseconds since 1970.

CREATE TABLE grants (
    id BLOB NOT NULL UNIQUE,
    -- All 64 bits are used.
    revision INTEGER NOT NULL,
    format INTEGER NOT NULL,
    -- Null: never.
    expires_at INTEGER,
    client TEXT NOT NULL,
    subject TEXT,
    parent BLOB,
    record TEXT NOT NULL
) STRICT;

CREATE INDEX grants_by_client ON grants (client, id);
CREATE INDEX grants_by_subject ON grants (subject, id, client) WHERE subject IS NOT NULL;
CREATE INDEX grants_by_expiry ON grants (expires_at, format) WHERE expires_at IS NOT NULL;

CREATE TABLE clients (
    id TEXT NOT NULL PRIMARY KEY,
    format INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    subject TEXT NOT NULL PRIMARY KEY,
    -- Null: another user has taken the one in the record.
    username TEXT UNIQUE,
    format INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- At most one row.
CREATE TABLE server (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    valid_after INTEGER NOT NULL
) STRICT;
