-- Fingerprints of both tokens as numbers, so that redaction knows them while they are still sealed; null in rows that
-- an earlier version wrote, until a start has read them.
ALTER TABLE grants ADD COLUMN access_tag INTEGER;
ALTER TABLE grants ADD COLUMN refresh_tag INTEGER;
