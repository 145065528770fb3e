-- Requests that came without an idempotency key, and whose answer has not gone out: the same request again is one with the earlier one, under its key.
CREATE TABLE unanswered (
    scope     TEXT NOT NULL,
    route     TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    key       TEXT NOT NULL,
    asked_at  BIGINT NOT NULL,
    PRIMARY KEY (scope, route, body_hash)
);
CREATE INDEX unanswered_asked_at ON unanswered (asked_at);
