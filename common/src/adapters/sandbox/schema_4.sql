-- Payment intents: what was authorised before there was anything to pay for. `charge` is the place in the book of the one charge that took it.
CREATE TABLE intents (
    seq        INTEGER PRIMARY KEY,
    -- Random; the second half of the public id.
    nonce      INTEGER NOT NULL,
    account    TEXT    NOT NULL,
    owner      TEXT    NOT NULL,
    amount     INTEGER NOT NULL,
    currency   TEXT    NOT NULL,
    token      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    charge     INTEGER UNIQUE
) STRICT;

PRAGMA user_version = 4;
