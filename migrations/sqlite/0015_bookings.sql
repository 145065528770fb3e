-- Whether the credits that paid for the places stay used, although the places come free.
ALTER TABLE refunds ADD COLUMN keep_credits BIGINT NOT NULL DEFAULT 0;

-- Numbers for things of which ours have no number in their ids, as clients of other people's APIs need them.
CREATE TABLE numbers (
    scope TEXT NOT NULL,
    kind  TEXT NOT NULL,
    id    TEXT NOT NULL,
    n     BIGINT NOT NULL,
    PRIMARY KEY (scope, kind, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX numbers_n ON numbers (scope, kind, n);
