-- What support decided about signatures of incidents.
CREATE TABLE marks (
  signature TEXT PRIMARY KEY,
  decision TEXT NOT NULL,
  at INTEGER NOT NULL,
  by TEXT NOT NULL
) STRICT;
