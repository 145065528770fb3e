-- What customers have to pay with. A balance is the sum of its moves that are not released, and stands nowhere. Whoever adds one
-- that is below zero holds the lock of its customer's row.
CREATE TABLE balance_moves (
    -- What made it: a checkout, a refund or an adjustment.
    source     TEXT NOT NULL,
    -- The place of the leg.
    n          BIGINT NOT NULL,
    scope      TEXT NOT NULL,
    customer   TEXT NOT NULL,
    currency   TEXT NOT NULL,
    amount     BIGINT NOT NULL CHECK (amount <> 0),
    state      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (source, n)
) WITHOUT ROWID;
CREATE INDEX balance_moves_customer ON balance_moves (scope, customer, currency, state, amount);

-- Changes by hand.
CREATE TABLE balance_adjustments (
    id         TEXT NOT NULL,
    scope      TEXT NOT NULL,
    customer   TEXT NOT NULL,
    amount     BIGINT NOT NULL CHECK (amount <> 0),
    currency   TEXT NOT NULL,
    reason     TEXT NOT NULL,
    note       TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, customer, id)
) WITHOUT ROWID;

-- A transaction is about a checkout, or about a customer alone.
CREATE TABLE ledger_transactions_new (
    id         TEXT NOT NULL,
    scope      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    checkout   TEXT,
    customer   TEXT,
    currency   TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, id),
    CHECK (checkout IS NOT NULL OR customer IS NOT NULL)
) WITHOUT ROWID;
INSERT INTO ledger_transactions_new (id, scope, kind, checkout, currency, created_at)
    SELECT id, scope, kind, checkout, currency, created_at FROM ledger_transactions;
DROP TABLE ledger_transactions;
ALTER TABLE ledger_transactions_new RENAME TO ledger_transactions;
CREATE INDEX ledger_transactions_checkout ON ledger_transactions (checkout);
CREATE INDEX ledger_transactions_customer ON ledger_transactions (scope, customer, id) WHERE customer IS NOT NULL;
