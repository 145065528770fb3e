-- What customers have to pay with. A balance is the sum of its moves that are not released, and stands nowhere. Whoever adds one
-- that is below zero holds the lock of its customer's row.
CREATE TABLE balance_moves (
    -- What made it: a checkout, a refund or an adjustment.
    source     TEXT COLLATE "C" NOT NULL,
    -- The place of the leg.
    n          BIGINT NOT NULL,
    scope      TEXT COLLATE "C" NOT NULL,
    customer   TEXT COLLATE "C" NOT NULL,
    currency   TEXT COLLATE "C" NOT NULL,
    amount     BIGINT NOT NULL CHECK (amount <> 0),
    state      TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (source, n)
);
CREATE INDEX balance_moves_customer ON balance_moves (scope, customer, currency, state, amount);

-- Changes by hand.
CREATE TABLE balance_adjustments (
    id         TEXT COLLATE "C" NOT NULL,
    scope      TEXT COLLATE "C" NOT NULL,
    customer   TEXT COLLATE "C" NOT NULL,
    amount     BIGINT NOT NULL CHECK (amount <> 0),
    currency   TEXT COLLATE "C" NOT NULL,
    reason     TEXT COLLATE "C" NOT NULL,
    note       TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, customer, id)
);

-- A transaction is about a checkout, or about a customer alone.
ALTER TABLE ledger_transactions ALTER COLUMN checkout DROP NOT NULL;
ALTER TABLE ledger_transactions ADD COLUMN customer TEXT COLLATE "C";
ALTER TABLE ledger_transactions ADD CHECK (checkout IS NOT NULL OR customer IS NOT NULL);
CREATE INDEX ledger_transactions_customer ON ledger_transactions (scope, customer, id) WHERE customer IS NOT NULL;
