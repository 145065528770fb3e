-- Checkouts that take the place of what is open under their reference.

-- A row for each reference, within a space or in none (the empty one): whoever takes a place under it waits here for his turn. `checkout` is the newest that did.
CREATE TABLE replacements (
    scope     TEXT COLLATE "C" NOT NULL,
    space     TEXT COLLATE "C" NOT NULL,
    reference TEXT COLLATE "C" NOT NULL,
    checkout  TEXT COLLATE "C",
    PRIMARY KEY (scope, space, reference)
);

-- The earlier ones that had not ended when a checkout took their place: it begins behind them.
CREATE TABLE behind (
    checkout TEXT COLLATE "C" NOT NULL,
    earlier  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (checkout, earlier)
);
