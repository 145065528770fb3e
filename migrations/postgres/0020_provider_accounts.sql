-- Accounts that tenants have with payment providers. What it takes to act in their names is sealed with a key that is not here.
CREATE TABLE provider_accounts (
    id         TEXT COLLATE "C" PRIMARY KEY,
    scope      TEXT COLLATE "C" NOT NULL,
    provider   TEXT COLLATE "C" NOT NULL,
    name       TEXT NOT NULL,
    enabled    BIGINT NOT NULL,
    -- What may be shown of the credentials, JSON.
    hints      TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX provider_accounts_scope ON provider_accounts (scope, id);
CREATE INDEX provider_accounts_provider ON provider_accounts (provider, id) WHERE enabled = 1;

-- Which of them a charge goes to. Whoever adds an account waits for the row, too: there is a bound.
CREATE TABLE routing_rules (
    scope      TEXT COLLATE "C" PRIMARY KEY,
    doc        TEXT NOT NULL,
    version    BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- How each process that sends finds them to do, for those that do not send.
CREATE TABLE provider_health (
    account       TEXT COLLATE "C" NOT NULL,
    process       TEXT COLLATE "C" NOT NULL,
    circuit       TEXT COLLATE "C" NOT NULL,
    last_error    TEXT,
    last_error_at BIGINT,
    told_at       BIGINT NOT NULL,
    PRIMARY KEY (account, process)
);
CREATE INDEX provider_health_age ON provider_health (told_at);

-- Where a saved method was saved, and the only place where it can be charged: JSON; none for those of the sandbox.
ALTER TABLE payment_methods ADD COLUMN route TEXT;
