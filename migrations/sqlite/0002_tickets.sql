-- How a tenant presents itself, and where its days are counted: a document each.
CREATE TABLE settings (
    scope      TEXT PRIMARY KEY,
    doc        TEXT NOT NULL,
    version    BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- A ticket of which something has become: without a row it is as it was sold.
CREATE TABLE tickets (
    id          TEXT PRIMARY KEY,
    scope       TEXT NOT NULL,
    checkout    TEXT NOT NULL,
    line        TEXT NOT NULL,
    session     TEXT NOT NULL,
    seat        TEXT,
    serial      BIGINT NOT NULL CHECK (serial > 0),
    customer    TEXT,
    name        TEXT,
    email       TEXT,
    admitted_at BIGINT,
    -- Grows by one with every change: the compare of the compare-and-set. The token is the last change's own.
    changes     BIGINT NOT NULL CHECK (changes > 0),
    last_change TEXT NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE INDEX tickets_checkout ON tickets (checkout, line);

-- What tickets are signed with: the highest `n` signs, all of them verify. `seed` is the private key.
CREATE TABLE ticket_keys (
    scope      TEXT NOT NULL,
    n          BIGINT NOT NULL,
    seed       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, n)
);
