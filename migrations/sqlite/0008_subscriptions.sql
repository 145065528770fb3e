-- What sold plans have become. A row changes under its own lock, which is taken after every other.
CREATE TABLE subscriptions (
    id                   TEXT PRIMARY KEY,
    scope                TEXT NOT NULL,
    customer             TEXT NOT NULL,
    plan                 TEXT NOT NULL,
    -- What was agreed on, frozen.
    doc                  TEXT NOT NULL,
    status               TEXT NOT NULL,
    version              BIGINT NOT NULL,
    method               TEXT NOT NULL,
    -- The last period that was paid; 0 is the trial.
    period               BIGINT NOT NULL,
    period_from          BIGINT NOT NULL,
    period_until         BIGINT NOT NULL,
    -- The last period that a renewal was made for.
    asked                BIGINT NOT NULL,
    -- Where its calendar begins, and how many periods there were before.
    starts_at            BIGINT NOT NULL,
    base                 BIGINT NOT NULL,
    tries                BIGINT NOT NULL,
    -- The checkout of the renewal that is under way, and whether it is called off.
    renewal              TEXT,
    called_off           BIGINT NOT NULL,
    error                TEXT,
    cancel_at_period_end BIGINT NOT NULL,
    paused_at            BIGINT,
    ended_at             BIGINT,
    -- Makes the row its own outbox entry. Null while a renewal is under way.
    due_at               BIGINT,
    -- What sold it.
    checkout             TEXT NOT NULL,
    line                 TEXT NOT NULL,
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL,
    CHECK (renewal IS NULL OR due_at IS NULL)
);
CREATE INDEX subscriptions_scope ON subscriptions (scope, id);
CREATE INDEX subscriptions_customer ON subscriptions (scope, customer, id);
CREATE INDEX subscriptions_due ON subscriptions (due_at) WHERE due_at IS NOT NULL;
-- A line sells one.
CREATE UNIQUE INDEX subscriptions_line ON subscriptions (checkout, line);

-- The checkouts that charge periods: one for each try of each period, whatever else goes wrong.
CREATE TABLE subscription_renewals (
    subscription TEXT NOT NULL,
    period       BIGINT NOT NULL,
    attempt      BIGINT NOT NULL,
    checkout     TEXT NOT NULL UNIQUE,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (subscription, period, attempt)
) WITHOUT ROWID;
