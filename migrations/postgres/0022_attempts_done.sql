-- What providers hold for done, as `boxoffice reconcile` goes through it by time.
CREATE INDEX attempts_done ON attempts (provider, created_at, checkout, n) WHERE status = 'approved' AND provider <> 'sandbox';
