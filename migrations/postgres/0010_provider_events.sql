-- What providers tell us of their own accord, after its signature was verified. `scope` is the account and its mode: whose checkout it is
-- about stands in the body.
CREATE TABLE provider_events (
    id          TEXT COLLATE "C" PRIMARY KEY,
    scope       TEXT COLLATE "C" NOT NULL,
    provider    TEXT COLLATE "C" NOT NULL,
    account     TEXT COLLATE "C" NOT NULL,
    -- The provider's own id.
    event       TEXT COLLATE "C" NOT NULL,
    body        TEXT NOT NULL,
    status      TEXT COLLATE "C" NOT NULL,
    note        TEXT,
    tries       BIGINT NOT NULL,
    rescues     BIGINT NOT NULL,
    due_at      BIGINT,
    received_at BIGINT NOT NULL,
    UNIQUE (provider, account, event)
);
CREATE INDEX provider_events_due ON provider_events (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX provider_events_age ON provider_events (received_at);
