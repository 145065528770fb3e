-- Payments for which the customer is asked: how (`mobile_money/m17`), what the customer does, and when, where it is by itself.
ALTER TABLE operations ADD COLUMN method TEXT;
ALTER TABLE operations ADD COLUMN script TEXT;
ALTER TABLE operations ADD COLUMN acts_at INTEGER;
CREATE INDEX operations_acting ON operations (acts_at) WHERE acts_at IS NOT NULL;

PRAGMA user_version = 2;
