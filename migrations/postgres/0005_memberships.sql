-- Memberships that customers have bought, or brought with them. Their credits are stock: a row of kind `bought_membership` in
-- `inventory`, with a claim for every line that they pay for.
CREATE TABLE bought_memberships (
    scope        TEXT COLLATE "C" NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,
    customer     TEXT COLLATE "C" NOT NULL,
    membership   TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    -- In all; null: as many as are asked for.
    credits      BIGINT CHECK (credits >= 0),
    valid_from   BIGINT NOT NULL,
    valid_until  BIGINT,
    -- Of a subscription: which period it is in, and since when.
    period       BIGINT NOT NULL,
    period_from  BIGINT NOT NULL,
    frozen_from  BIGINT,
    frozen_until BIGINT,
    ended_at     BIGINT,
    -- What sold it; null when it was brought in.
    checkout     TEXT COLLATE "C",
    line         TEXT COLLATE "C",
    metadata     TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (scope, id)
);
CREATE INDEX bought_memberships_customer ON bought_memberships (scope, customer, id);
-- A line sells one.
CREATE UNIQUE INDEX bought_memberships_line ON bought_memberships (checkout, line) WHERE checkout IS NOT NULL;

-- What customers have saved to pay with. The token goes to its provider, and nowhere else.
CREATE TABLE payment_methods (
    scope      TEXT COLLATE "C" NOT NULL,
    customer   TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    token      TEXT NOT NULL,
    card       TEXT NOT NULL,
    is_default BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (scope, customer, id)
);

-- The family that the document names, to be found by.
ALTER TABLE customers ADD COLUMN family TEXT COLLATE "C";
CREATE INDEX customers_family ON customers (scope, family, id) WHERE family IS NOT NULL;
