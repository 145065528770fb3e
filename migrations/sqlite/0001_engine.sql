-- The engine's tables. Times are milliseconds since 1970 in UTC; amounts are minor units; `scope` is tenant/mode.
-- WITHOUT ROWID where rows are small: the primary key is the table, not an index beside it.

CREATE TABLE api_keys (
    id         TEXT PRIMARY KEY,
    scope      TEXT NOT NULL,
    hash       TEXT NOT NULL UNIQUE,
    scopes     TEXT NOT NULL,
    hint       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- Sessions, products, promo codes: a document each. What can run out of them stands in `inventory`.
CREATE TABLE catalogue (
    scope      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    doc        TEXT NOT NULL,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (scope, kind, id)
);

-- Held and sold together are `taken`: a sale moves a claim from one to the other and leaves this row alone.
CREATE TABLE inventory (
    scope    TEXT NOT NULL,
    kind     TEXT NOT NULL,
    id       TEXT NOT NULL,
    capacity BIGINT NOT NULL,
    taken    BIGINT NOT NULL,
    version  BIGINT NOT NULL,
    -- The document's version in `catalogue`, so that whoever locks this row knows whether he has read that one before. 0: not told.
    document BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, kind, id),
    CHECK (taken >= 0 AND taken <= capacity)
) WITHOUT ROWID;

CREATE TABLE customers (
    scope       TEXT NOT NULL,
    id          TEXT NOT NULL,
    external_id TEXT,
    doc         TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (scope, id)
);
CREATE UNIQUE INDEX customers_external ON customers (scope, external_id) WHERE external_id IS NOT NULL;

-- `doc` is the frozen order. `due_at` makes the row its own outbox entry.
CREATE TABLE checkouts (
    id              TEXT PRIMARY KEY,
    scope           TEXT NOT NULL,
    status          TEXT NOT NULL,
    version         BIGINT NOT NULL,
    customer        TEXT,
    reference       TEXT,
    doc             TEXT NOT NULL,
    amount_paid     BIGINT NOT NULL,
    amount_refunded BIGINT NOT NULL,
    error           TEXT,
    payment_url     TEXT,
    closing         TEXT,
    due_at          BIGINT,
    rescues         BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    completed_at    BIGINT
);
CREATE INDEX checkouts_scope ON checkouts (scope, id);
CREATE INDEX checkouts_due ON checkouts (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX checkouts_customer ON checkouts (scope, customer, id) WHERE customer IS NOT NULL;
CREATE INDEX checkouts_reference ON checkouts (scope, reference, id) WHERE reference IS NOT NULL;

CREATE TABLE idempotency (
    scope      TEXT NOT NULL,
    route      TEXT NOT NULL,
    key        TEXT NOT NULL,
    body_hash  TEXT NOT NULL,
    object     TEXT NOT NULL,
    status     BIGINT NOT NULL,
    body       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, route, key)
);

CREATE TABLE attempts (
    checkout           TEXT NOT NULL,
    n                  BIGINT NOT NULL,
    id                 TEXT NOT NULL,
    kind               TEXT NOT NULL,
    provider           TEXT NOT NULL,
    -- The place of the order's leg that it is for.
    leg                BIGINT NOT NULL,
    amount             BIGINT NOT NULL,
    request            TEXT NOT NULL,
    status             TEXT NOT NULL,
    provider_reference TEXT,
    decline_code       TEXT,
    action_url         TEXT,
    lease_token        TEXT,
    lease_until        BIGINT,
    takeovers          BIGINT NOT NULL,
    tries              BIGINT NOT NULL,
    created_at         BIGINT NOT NULL,
    PRIMARY KEY (checkout, n)
) WITHOUT ROWID;

-- A claim is what entitles to a seat. A seat has one live claim at the most, whatever else goes wrong.
CREATE TABLE claims (
    checkout TEXT NOT NULL,
    n        BIGINT NOT NULL,
    scope    TEXT NOT NULL,
    kind     TEXT NOT NULL,
    resource TEXT NOT NULL,
    seat     TEXT,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    customer TEXT,
    state    TEXT NOT NULL,
    -- The order's line; null for the use of a promo code.
    line     TEXT,
    PRIMARY KEY (checkout, n)
) WITHOUT ROWID;
CREATE UNIQUE INDEX claims_seat ON claims (scope, kind, resource, seat) WHERE seat IS NOT NULL AND state <> 'released';
CREATE INDEX claims_resource ON claims (scope, kind, resource, customer);

-- What clients asked to have given back; `lines` is a JSON list of ids.
CREATE TABLE refunds (
    id            TEXT PRIMARY KEY,
    scope         TEXT NOT NULL,
    checkout      TEXT NOT NULL,
    amount        BIGINT NOT NULL CHECK (amount >= 0),
    currency      TEXT NOT NULL,
    lines         TEXT NOT NULL,
    reason        TEXT,
    release_seats BIGINT NOT NULL,
    status        TEXT NOT NULL,
    error         TEXT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);
CREATE INDEX refunds_checkout ON refunds (checkout, id);

-- What each leg of the payment gives back. `attempt` carries it to the provider, where one is asked.
CREATE TABLE refund_parts (
    refund   TEXT NOT NULL,
    n        BIGINT NOT NULL,
    checkout TEXT NOT NULL,
    leg      BIGINT NOT NULL,
    method   TEXT NOT NULL,
    amount   BIGINT NOT NULL CHECK (amount > 0),
    attempt  BIGINT,
    status   TEXT NOT NULL,
    PRIMARY KEY (refund, n)
) WITHOUT ROWID;
CREATE INDEX refund_parts_checkout ON refund_parts (checkout);

-- Ids sort by time, so the key is also the order in which a tenant's ledger is read.
CREATE TABLE ledger_transactions (
    id         TEXT NOT NULL,
    scope      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    checkout   TEXT NOT NULL,
    currency   TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, id)
) WITHOUT ROWID;
-- Also for the ledger of a customer, by way of its checkouts.
CREATE INDEX ledger_transactions_checkout ON ledger_transactions (checkout);

CREATE TABLE ledger_entries (
    transaction_id TEXT NOT NULL,
    n              BIGINT NOT NULL,
    scope          TEXT NOT NULL,
    account        TEXT NOT NULL,
    currency       TEXT NOT NULL,
    amount         BIGINT NOT NULL,
    detail         TEXT NOT NULL,
    entity         TEXT,
    PRIMARY KEY (transaction_id, n)
) WITHOUT ROWID;

-- The body is frozen at the transition and sent byte for byte.
CREATE TABLE events (
    id         TEXT PRIMARY KEY,
    scope      TEXT NOT NULL,
    checkout   TEXT NOT NULL,
    kind       TEXT NOT NULL,
    version    BIGINT NOT NULL,
    body       TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- One row a transition: `entries` is a JSON list of what happened in it.
CREATE TABLE timeline (
    checkout TEXT NOT NULL,
    version  BIGINT NOT NULL,
    entries  TEXT NOT NULL,
    PRIMARY KEY (checkout, version)
) WITHOUT ROWID;

CREATE TABLE webhook_endpoints (
    scope      TEXT NOT NULL,
    id         TEXT NOT NULL,
    url        TEXT NOT NULL,
    events     TEXT NOT NULL,
    enabled    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (scope, id)
) WITHOUT ROWID;

-- `endpoint` is empty for the scope's default secret.
CREATE TABLE webhook_secrets (
    scope      TEXT NOT NULL,
    endpoint   TEXT NOT NULL,
    secret     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (scope, endpoint, secret)
) WITHOUT ROWID;

CREATE TABLE deliveries (
    id               TEXT PRIMARY KEY,
    scope            TEXT NOT NULL,
    event            TEXT NOT NULL,
    event_kind       TEXT NOT NULL,
    checkout         TEXT NOT NULL,
    endpoint         TEXT NOT NULL,
    url              TEXT NOT NULL,
    status           TEXT NOT NULL,
    tries            BIGINT NOT NULL,
    last_status_code BIGINT,
    last_error       TEXT,
    due_at           BIGINT,
    rescues          BIGINT NOT NULL,
    lease_token      TEXT,
    lease_until      BIGINT,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);
CREATE INDEX deliveries_scope ON deliveries (scope, id);
CREATE INDEX deliveries_checkout ON deliveries (checkout);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;
