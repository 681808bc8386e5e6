-- Who may sign in to the admin listener.
CREATE TABLE operators (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  created_at INTEGER NOT NULL,
  digest BLOB NOT NULL,
  fingerprint TEXT NOT NULL
) STRICT;
