-- How often somebody asked for it to be tried again: each time with a refund of its own.
ALTER TABLE job_items ADD COLUMN retries BIGINT NOT NULL DEFAULT 0;
-- Since when it is in its state, and when it was looked at last.
ALTER TABLE job_items ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE job_items ADD COLUMN looked_at BIGINT NOT NULL DEFAULT 0;
-- An operator who decides about a checkout looks for the jobs that it is part of.
CREATE INDEX job_items_checkout ON job_items (checkout);
