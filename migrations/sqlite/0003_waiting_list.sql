-- Who waits for places of a session that is full. An entry changes only under the lock of its session's row in `inventory`, or, while
-- `checkout` has what it was offered, under that checkout's.
--
-- An offer holds its places by claims of its own: rows of `claims` whose `checkout` is the entry's id, there as long as the offer is open.
-- In the same way `events.checkout` and `deliveries.checkout` hold the id of whatever an event is about.

-- How many entries are `waiting`: whoever gives places back reads it with the row that he locks anyway.
ALTER TABLE inventory ADD COLUMN waiting BIGINT NOT NULL DEFAULT 0;

CREATE TABLE waiting_list (
    id           TEXT PRIMARY KEY,
    scope        TEXT NOT NULL,
    session      TEXT NOT NULL,
    -- Its turn: counts within the session.
    place        BIGINT NOT NULL,
    customer     TEXT NOT NULL,
    quantity     BIGINT NOT NULL CHECK (quantity > 0),
    callback_url TEXT,
    offer_ms     BIGINT NOT NULL,
    status       TEXT NOT NULL,
    version      BIGINT NOT NULL,
    -- The names of the seats that are offered: a JSON list.
    seats        TEXT NOT NULL,
    expires_at   BIGINT,
    -- Which checkout has what was offered.
    checkout     TEXT,
    -- When the clock ends it: an offer, or the wait when sales end. Null while a checkout has it, and at its end.
    due_at       BIGINT,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX waiting_list_live ON waiting_list (scope, session, customer) WHERE status IN ('waiting', 'offered');
CREATE UNIQUE INDEX waiting_list_place ON waiting_list (scope, session, place);
CREATE INDEX waiting_list_next ON waiting_list (scope, session, place) WHERE status = 'waiting';
CREATE INDEX waiting_list_due ON waiting_list (due_at) WHERE due_at IS NOT NULL;
