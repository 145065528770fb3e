-- Work that takes long: sessions that are called off. A row changes under its own lock, which is taken after every other.
CREATE TABLE jobs (
    id           TEXT COLLATE "C" PRIMARY KEY,
    scope        TEXT COLLATE "C" NOT NULL,
    session      TEXT COLLATE "C" NOT NULL,
    status       TEXT COLLATE "C" NOT NULL,
    total        BIGINT NOT NULL,
    done         BIGINT NOT NULL,
    failed       BIGINT NOT NULL,
    reason       TEXT,
    -- Nobody takes it before `lease_until`, by the store's time: somebody works on it, or has just done so.
    lease_token  TEXT COLLATE "C",
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
    job      TEXT COLLATE "C" NOT NULL,
    checkout TEXT COLLATE "C" NOT NULL,
    state    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (job, checkout)
);
CREATE INDEX job_items_left ON job_items (job, state, checkout) WHERE state IN ('open', 'under_way');
