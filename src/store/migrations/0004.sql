-- Notices that a webhook has not taken yet. The body is what is sent, byte for byte.
CREATE TABLE outbox (
  id TEXT NOT NULL,
  webhook TEXT NOT NULL,
  event TEXT NOT NULL,
  -- Whom it is about: notices of one subject go out in the order of their ids.
  subject TEXT NOT NULL,
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  next_micros INTEGER NOT NULL,
  PRIMARY KEY (id, webhook)
) STRICT;
CREATE INDEX outbox_line ON outbox (webhook, subject, id);
-- What is due next is found without looking at what is not.
CREATE INDEX outbox_due ON outbox (webhook, next_micros, id);

-- What was said already, so that it is not said again after a restart.
CREATE TABLE told (
  about TEXT PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT;
