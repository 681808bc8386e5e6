-- The member column is empty where an application's own token is meant.
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;

CREATE TABLE grants (
  application TEXT NOT NULL,
  member TEXT NOT NULL,
  version INTEGER NOT NULL,
  access BLOB NOT NULL,
  refresh BLOB,
  state TEXT NOT NULL,
  ended_at INTEGER,
  acquired_at INTEGER NOT NULL,
  issued_at INTEGER,
  access_expires_at INTEGER,
  refresh_expires_at INTEGER,
  scopes TEXT NOT NULL,
  urn TEXT,
  renewals INTEGER NOT NULL,
  renewed_at INTEGER,
  used_at INTEGER,
  PRIMARY KEY (application, member)
) STRICT;

-- Rows stay when a lease is given back: the fence must never fall.
CREATE TABLE leases (
  application TEXT NOT NULL,
  member TEXT NOT NULL,
  owner TEXT NOT NULL,
  fence INTEGER NOT NULL,
  until_micros INTEGER NOT NULL,
  PRIMARY KEY (application, member)
) STRICT;

-- What was begun with a refresh token and not yet saved.
CREATE TABLE journal (
  application TEXT NOT NULL,
  member TEXT NOT NULL,
  number INTEGER NOT NULL,
  base INTEGER NOT NULL,
  begun_at INTEGER NOT NULL,
  answer BLOB,
  PRIMARY KEY (application, member)
) STRICT;

-- Deleting a row here forgets a member: nothing else opens what was sealed for them.
CREATE TABLE data_keys (
  application TEXT NOT NULL,
  member TEXT NOT NULL,
  wrapped BLOB NOT NULL,
  PRIMARY KEY (application, member)
) STRICT;

CREATE TABLE keys (
  id TEXT PRIMARY KEY,
  caller TEXT NOT NULL,
  -- JSON: null for any member, else a list of [application, member].
  covers TEXT NOT NULL,
  -- JSON: a list of rules.
  allow TEXT NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  created_at INTEGER NOT NULL,
  digest BLOB NOT NULL,
  fingerprint TEXT NOT NULL
) STRICT;
