-- Checkouts that take the place of what is open under their reference.

-- A row for each reference, within a space or in none (the empty one): whoever takes a place under it waits here for his turn. `checkout` is the newest that did.
CREATE TABLE replacements (
    scope     TEXT NOT NULL,
    space     TEXT NOT NULL,
    reference TEXT NOT NULL,
    checkout  TEXT,
    PRIMARY KEY (scope, space, reference)
) WITHOUT ROWID;

-- The earlier ones that had not ended when a checkout took their place: it begins behind them.
CREATE TABLE behind (
    checkout TEXT NOT NULL,
    earlier  TEXT NOT NULL,
    PRIMARY KEY (checkout, earlier)
) WITHOUT ROWID;
