-- Whether it is about money that came too late, and not about the sale.
ALTER TABLE refunds ADD COLUMN late_payment BIGINT NOT NULL DEFAULT 0;
