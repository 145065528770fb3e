-- What is to be told of charges for which a customer was asked: a charge that has moved and was not told of, and what is on its way.
ALTER TABLE operations ADD COLUMN untold INTEGER;
CREATE INDEX operations_untold ON operations (seq) WHERE untold IS NOT NULL;
CREATE TABLE notices (
    id     TEXT    PRIMARY KEY,
    body   TEXT    NOT NULL,
    -- How often it is still to be told.
    times  INTEGER NOT NULL,
    tries  INTEGER NOT NULL,
    due_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX notices_due ON notices (due_at);

PRAGMA user_version = 3;
