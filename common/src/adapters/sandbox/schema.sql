-- The sandbox's book: every operation that was executed, once per idempotency key. Nothing is ever deleted.
CREATE TABLE operations (
    seq             INTEGER PRIMARY KEY,
    -- Random; the second half of the public id, so that an id cannot be guessed from its neighbour's.
    nonce           INTEGER NOT NULL,
    idempotency_key TEXT    NOT NULL UNIQUE,
    -- The same key with another hash is another request: refused.
    request_hash    TEXT    NOT NULL,
    kind            TEXT    NOT NULL CHECK (kind IN ('charge', 'capture', 'void', 'refund')),
    reference       TEXT    NOT NULL,
    amount          INTEGER NOT NULL,
    currency        TEXT    NOT NULL,
    status          TEXT    NOT NULL CHECK (status IN ('pending', 'authorized', 'captured', 'voided', 'refunded', 'declined')),
    amount_refunded INTEGER NOT NULL DEFAULT 0 CHECK (amount_refunded = 0 OR amount_refunded BETWEEN 0 AND amount),
    -- The id of the charge that a capture, void or refund is about, as it was asked.
    target          TEXT,
    decline_code    TEXT,
    -- Milliseconds since 1970.
    created_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX operations_by_reference ON operations (reference);

-- How often a request was turned away before it was executed, for the tokens that count.
CREATE TABLE tries (
    idempotency_key TEXT    PRIMARY KEY,
    n               INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 1;
