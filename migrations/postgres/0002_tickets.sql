-- How a tenant presents itself, and where its days are counted: a document each.
CREATE TABLE settings (
    scope      TEXT COLLATE "C" PRIMARY KEY,
    doc        TEXT NOT NULL,
    version    BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- A ticket of which something has become: without a row it is as it was sold.
CREATE TABLE tickets (
    id          TEXT COLLATE "C" PRIMARY KEY,
    scope       TEXT COLLATE "C" NOT NULL,
    checkout    TEXT COLLATE "C" NOT NULL,
    line        TEXT COLLATE "C" NOT NULL,
    session     TEXT COLLATE "C" NOT NULL,
    seat        TEXT COLLATE "C",
    serial      BIGINT NOT NULL CHECK (serial > 0),
    customer    TEXT COLLATE "C",
    name        TEXT,
    email       TEXT,
    admitted_at BIGINT,
    -- Grows by one with every change: the compare of the compare-and-set. The token is the last change's own.
    changes     BIGINT NOT NULL CHECK (changes > 0),
    last_change TEXT COLLATE "C" NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE INDEX tickets_checkout ON tickets (checkout, line);

-- What tickets are signed with: the highest `n` signs, all of them verify. `seed` is the private key.
CREATE TABLE ticket_keys (
    scope      TEXT COLLATE "C" NOT NULL,
    n          BIGINT NOT NULL,
    seed       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, n)
);
