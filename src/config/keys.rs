//! Every key there is: what it takes, its default, and why one would change it.
//!
//! **Invariant:** the one table. Checks, defaults, environment overrides, did-you-mean and the shipped
//! `config.yaml` are all read from it, so none of them can drift from the others.

use super::kind::Kind::{self, Count};

mod alerts;
mod linkedin;
mod listeners;
mod records;

use alerts::ALERTS;
use linkedin::{APPLICATIONS, LINKEDIN, RENEWAL, RETRY};
use listeners::{ADMIN, CONNECT, CONTROL, GATEWAY, LOG};
use records::{INCIDENTS, STORE};

/// One key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// `section.key`; `*` stands for a place in a list.
    pub(super) path: &'static str,
    /// What it takes.
    pub(super) kind: Kind,
    /// The default, as it would stand in the file.
    pub(super) default: &'static str,
    /// Why one would change it.
    pub(super) reason: &'static str,
}

impl Key {
    /// Whether `null` is a value of this key: exactly the keys whose default it is.
    pub(super) fn takes_null(&self) -> bool {
        self.default == "null"
    }
}

/// The secret that `key` says where to find: the key of a value which may not stand in the file.
pub(super) fn secret(key: &Key) -> Option<&'static str> {
    let stem = key
        .path
        .strip_suffix("_env")
        .or_else(|| key.path.strip_suffix("_file"))?;
    all().all(|other| other.path != stem).then_some(stem)
}

const fn key(path: &'static str, kind: Kind, default: &'static str, reason: &'static str) -> Key {
    Key {
        path,
        kind,
        default,
        reason,
    }
}

/// Longest time any `_ms` key takes: one hour.
const HOUR_MS: u64 = 3_600_000;
const fn millis(min: u64) -> Kind {
    Count(min, HOUR_MS, "milliseconds")
}
const fn bytes(min: u64, max: u64) -> Kind {
    Count(min, max, "bytes")
}
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// The tables of all sections, in the order of the shipped file.
pub(super) fn all() -> impl Iterator<Item = &'static Key> + Clone {
    [
        GATEWAY,
        ADMIN,
        CONNECT,
        LINKEDIN,
        APPLICATIONS,
        STORE,
        INCIDENTS,
        RETRY,
        RENEWAL,
        ALERTS,
        CONTROL,
        LOG,
    ]
    .into_iter()
    .flatten()
}
