-- What comes behind a charge: the provider's own name for the request, its fee, and disputes, which name the charge by the provider's id.
ALTER TABLE attempts ADD COLUMN request_id TEXT;
ALTER TABLE attempts ADD COLUMN fee TEXT;
ALTER TABLE checkouts ADD COLUMN disputes TEXT;
CREATE INDEX attempts_provider_reference ON attempts (provider_reference) WHERE kind = 'charge' AND provider <> 'sandbox';
