//! Keys of what is kept: the store and the support log.

use crate::config::kind::Kind::{Count, Name, Path, Switch, Text, Variable, Word};

use super::{GIB, Key, MIB, bytes, key};

pub(super) const STORE: &[Key] = &[
    key(
        "store.url",
        Text,
        "sqlite:data/linkgate.db",
        "where grants and keys are kept, sealed",
    ),
    key(
        "store.key_file",
        Path,
        "data/linkgate.key",
        "the keys that open the store; keep a copy elsewhere: without it all members sign in again",
    ),
    key(
        "store.key_env",
        Variable,
        "null",
        "variable with the same text instead of a file; it can be read in /proc, so a file or credential is better",
    ),
    key(
        "store.key_credential",
        Name,
        "null",
        "systemd credential with the same text instead of a file: its name below $CREDENTIALS_DIRECTORY",
    ),
];

pub(super) const INCIDENTS: &[Key] = &[
    key(
        "incidents.directory",
        Path,
        "data/incidents",
        "the support log's folder; a disk of its own keeps it from filling the store's",
    ),
    key(
        "incidents.hold_ms",
        Count(1, 10_000, "milliseconds"),
        "250",
        "longest time a failed answer waits for its record to be written",
    ),
    key(
        "incidents.max_per_minute",
        Count(1, 1_000_000, "records"),
        "60",
        "for each signature, 4xx only; the surplus becomes one counted summary line",
    ),
    key(
        "incidents.keep_days",
        Count(1, 3650, "days"),
        "30",
        "how long records are kept",
    ),
    key(
        "incidents.keep_bodies_hours",
        Count(1, 24, "hours"),
        "24",
        "how long bodies are kept; LinkedIn allows member profile data no longer than a day",
    ),
    key(
        "incidents.support_sees_bodies",
        Switch,
        "false",
        "true: support staff see bodies while they are kept, on pages, in the API and in exports; operators always do",
    ),
    key(
        "incidents.body_bytes",
        bytes(0, 16 * MIB),
        "65536",
        "how much of each body is kept; 0 keeps none",
    ),
    key(
        "incidents.queue_bytes",
        bytes(MIB, 4 * GIB),
        "33554432",
        "records that may wait for the disk; beyond, they are dropped and counted",
    ),
    key(
        "incidents.max_bytes",
        bytes(MIB, 1 << 50),
        "10737418240",
        "records are dropped beyond this total, the oldest day first; less on a small disk",
    ),
    key(
        "incidents.max_body_bytes",
        bytes(MIB, 1 << 50),
        "2147483648",
        "kept bodies are dropped beyond this total, the oldest hour first",
    ),
    key(
        "incidents.fsync",
        Word(&["never", "interval", "always"]),
        "interval",
        "when records are made safe against a power cut; a killed process loses none either way, so failed answers need not wait for the disk: always makes each of them wait milliseconds",
    ),
    key(
        "incidents.fsync_interval_ms",
        Count(100, 600_000, "milliseconds"),
        "1000",
        "with fsync: interval, what a power cut may cost",
    ),
    key(
        "incidents.ledger",
        Switch,
        "false",
        "notes each successful write as well, without headers or bodies: who posted this twice?",
    ),
];
