-- Why a subscription is paused, for people.
ALTER TABLE subscriptions ADD COLUMN pause_reason TEXT;
