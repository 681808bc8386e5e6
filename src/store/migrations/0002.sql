-- Who the member is for LinkedIn (name, portrait, locale), sealed with the member's data key.
ALTER TABLE grants ADD COLUMN profile BLOB;
-- Why the grant ended, as JSON; null while it lives or where nobody asked LinkedIn.
ALTER TABLE grants ADD COLUMN verdict TEXT;
