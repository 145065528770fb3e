-- Work that takes long: sessions that are called off. A row changes under its own lock, which is taken after every other.
CREATE TABLE jobs (
    id           TEXT PRIMARY KEY,
    scope        TEXT NOT NULL,
    session      TEXT NOT NULL,
    status       TEXT NOT NULL,
    total        BIGINT NOT NULL,
    done         BIGINT NOT NULL,
    failed       BIGINT NOT NULL,
    reason       TEXT,
    -- Nobody takes it before `lease_until`, by the store's time: somebody works on it, or has just done so.
    lease_token  TEXT,
    lease_until  BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    completed_at BIGINT
);
CREATE INDEX jobs_scope ON jobs (scope, id);
CREATE INDEX jobs_session ON jobs (scope, session, id);
CREATE INDEX jobs_running ON jobs (lease_until) WHERE status = 'running';
-- One that has not ended for each session, whatever else goes wrong.
CREATE UNIQUE INDEX jobs_one ON jobs (scope, session) WHERE status IN ('running', 'paused');

-- The checkouts that had places when it was asked for, and what is done about each.
CREATE TABLE job_items (
    job      TEXT NOT NULL,
    checkout TEXT NOT NULL,
    state    TEXT NOT NULL,
    PRIMARY KEY (job, checkout)
) WITHOUT ROWID;
CREATE INDEX job_items_left ON job_items (job, state, checkout) WHERE state IN ('open', 'under_way');
