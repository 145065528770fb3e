-- Whether customers of the owner's family may pay with it, too.
ALTER TABLE payment_methods ADD COLUMN shared_with_family BIGINT NOT NULL DEFAULT 0;
