//! Who calls: every caller with its keys, for the page and the API.
//!
//! **Invariant:** of a key there is told what [`KeySummary`] holds: no secret, no digest.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

pub(super) mod list;

use super::house::House;
use crate::{
    callers::{Covers, Key},
    incident::reader::{Filter, Incidents, MOST_COUNTS, Window},
};

/// A caller and what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct CallerSummary {
    /// Its name.
    pub(super) name: String,
    /// Its keys, the oldest first.
    pub(super) keys: Vec<KeySummary>,
}

/// One key of a caller. Times in Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct KeySummary {
    /// The public part: `lgk_{id}_…`.
    pub(super) id: String,
    /// `live`, `expired` or `revoked`.
    pub(super) state: &'static str,
    /// Whether it covers every member.
    pub(super) any_member: bool,
    /// Otherwise those it covers, `NAME/APPLICATION`.
    pub(super) members: Vec<String>,
    /// What it may ask for; empty means everything.
    pub(super) allow: Vec<String>,
    /// When it was made.
    pub(super) created_at: i64,
    /// When it ends.
    pub(super) expires_at: Option<i64>,
    /// When it was revoked.
    pub(super) revoked_at: Option<i64>,
    /// Names the key in records.
    pub(super) fingerprint: String,
}

/// Every caller that has or had a key, by name.
pub(super) fn all(house: &House) -> Vec<CallerSummary> {
    let now = house.clock.seconds();
    let mut callers: BTreeMap<String, Vec<KeySummary>> = BTreeMap::new();
    for key in house.callers.list() {
        let keys = callers.entry(key.caller.to_string()).or_default();
        keys.push(summary(&key, now));
    }
    let one = |(name, keys)| CallerSummary { name, keys };
    callers.into_iter().map(one).collect()
}

fn summary(key: &Key, now: i64) -> KeySummary {
    let members = match &key.covers {
        Covers::AnyMember => Vec::new(),
        Covers::Members(members) => members.iter().map(ToString::to_string).collect(),
    };
    KeySummary {
        id: key.id.to_string(),
        state: match (key.revoked_at, key.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(end)) if end <= now => "expired",
            (None, _) => "live",
        },
        any_member: key.covers == Covers::AnyMember,
        members,
        allow: key.allow.iter().map(ToString::to_string).collect(),
        created_at: key.created_at,
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
        fingerprint: key.fingerprint.to_string(),
    }
}

/// Incidents of the last day, by caller.
pub(super) struct Counts {
    by_caller: HashMap<String, u64>,
    /// Whether every caller that had any is in it.
    is_whole: bool,
}

impl Counts {
    /// Reads files: not for an async worker.
    pub(super) fn of_last_day(log: &Incidents, now_micros: i64) -> Self {
        let window = Window::last_day(now_micros);
        let counted = log.stats(window, &Filter::default(), MOST_COUNTS).callers;
        Self {
            is_whole: counted.len() < MOST_COUNTS,
            by_caller: counted
                .into_iter()
                .map(|one| (one.name, one.count))
                .collect(),
        }
    }

    /// None where it is not known.
    pub(super) fn of(&self, caller: &str) -> Option<u64> {
        let none = self.is_whole.then_some(0);
        self.by_caller.get(caller).copied().or(none)
    }
}
