-- What providers tell us of their own accord, after its signature was verified. `scope` is the account and its mode: whose checkout it is
-- about stands in the body.
CREATE TABLE provider_events (
    id          TEXT PRIMARY KEY,
    scope       TEXT NOT NULL,
    provider    TEXT NOT NULL,
    account     TEXT NOT NULL,
    -- The provider's own id.
    event       TEXT NOT NULL,
    body        TEXT NOT NULL,
    status      TEXT NOT NULL,
    note        TEXT,
    tries       BIGINT NOT NULL,
    rescues     BIGINT NOT NULL,
    due_at      BIGINT,
    received_at BIGINT NOT NULL,
    UNIQUE (provider, account, event)
);
CREATE INDEX provider_events_due ON provider_events (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX provider_events_age ON provider_events (received_at);
