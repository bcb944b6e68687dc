-- `record` is JSON with a format number, which is also the column `format`. What a newer
-- version of the library wrote is not touched. All times are in milliseconds since 1970.

CREATE TABLE grantor_grants (
    id bytea PRIMARY KEY,
    -- All 64 bits are used.
    revision bigint NOT NULL,
    format integer NOT NULL,
    -- Null: never.
    expires_at bigint,
    client text NOT NULL,
    subject text,
    parent bytea,
    record text NOT NULL
)
-- Records are replaced in place for as long as they live: room for the next one.
WITH (fillfactor = 70);

CREATE INDEX grantor_grants_by_client ON grantor_grants (client, id);
CREATE INDEX grantor_grants_by_subject ON grantor_grants (subject, id) WHERE subject IS NOT NULL;
CREATE INDEX grantor_grants_by_expiry ON grantor_grants (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE grantor_clients (
    id text COLLATE "C" PRIMARY KEY,
    format integer NOT NULL,
    record text NOT NULL
);

CREATE TABLE grantor_users (
    subject text COLLATE "C" PRIMARY KEY,
    -- Null: another user has taken the one in the record.
    username text COLLATE "C" UNIQUE,
    format integer NOT NULL,
    record text NOT NULL
);

-- At most one row.
CREATE TABLE grantor_server (
    id integer PRIMARY KEY CHECK (id = 1),
    valid_after bigint NOT NULL
);
