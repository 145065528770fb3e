-- Checkouts that stand apart in a space of their tenant's: the list of each space. Those of no space have no row.
CREATE TABLE checkout_spaces (
    scope    TEXT COLLATE "C" NOT NULL,
    space    TEXT COLLATE "C" NOT NULL,
    checkout TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (scope, space, checkout)
);
CREATE INDEX checkout_spaces_checkout ON checkout_spaces (checkout);

-- How an endpoint's events are written and signed, and the space that it hears of alone.
ALTER TABLE webhook_endpoints ADD COLUMN format TEXT NOT NULL DEFAULT 'standard';
ALTER TABLE webhook_endpoints ADD COLUMN space TEXT;
