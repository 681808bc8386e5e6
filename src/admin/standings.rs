//! What LinkedIn says of the tokens that an export is about, as its support asks for it.
//!
//! **Invariant:** a look costs LinkedIn little: a member is asked about once a minute, [`MOST`] for one export,
//! and nobody waits longer than [`PATIENCE`]; an export is made without what is not known by then.
//! **Neighbours:** `credentials` asks LinkedIn; `incident::export` writes it down.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::reading::member_of;
use crate::{
    clock::Clock,
    credentials::{Credentials, ManageError, Verdict},
    exchange::{Member, Name},
    incident::{export::Standing, reader::Record},
};

/// Members that are asked about for one export.
const MOST: usize = 4;
/// Longest wait for LinkedIn.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long an answer is used again.
const REUSED: Duration = Duration::from_secs(60);
/// Answers that are remembered.
const REMEMBERED: usize = 256;

/// What LinkedIn said of each member, and when; none where it said nothing.
type Known = HashMap<Member, (Instant, Option<Standing>)>;

/// Asks, and remembers for a minute. Cheap to clone.
#[derive(Clone)]
pub(super) struct Standings {
    credentials: Credentials,
    clock: Clock,
    known: Arc<Mutex<Known>>,
}

impl Standings {
    pub(super) fn new(credentials: Credentials, clock: Clock) -> Self {
        Self {
            credentials,
            clock,
            known: Arc::default(),
        }
    }

    /// How the tokens of these records' members stand, as far as LinkedIn says.
    pub(super) async fn of(&self, records: &[Record]) -> Vec<Standing> {
        let mut members: Vec<Member> = Vec::new();
        for member in records.iter().filter_map(member_of) {
            if members.len() < MOST && !members.contains(&member) {
                members.push(member);
            }
        }
        let asked = members.iter().map(|member| self.of_one(member));
        join_all(asked).await.into_iter().flatten().collect()
    }

    async fn of_one(&self, member: &Member) -> Option<Standing> {
        if let Some(known) = self.remembered(member) {
            return known;
        }
        let fingerprint = self.credentials.show(member).ok()?.fingerprint;
        let asked = timeout(PATIENCE, self.credentials.introspect(member)).await;
        let status = match asked {
            Ok(Ok(told)) => Some(told.status),
            // LinkedIn answered that it does not know the token.
            Ok(Err(ManageError::NotTaken(Verdict::NotKnown))) => Some(None),
            Ok(Err(_)) | Err(_) => None,
        };
        let standing = status.map(|status| Standing {
            member: member.name.as_ref().map(Name::to_string),
            application: member.application.to_string(),
            status: word(status.as_deref()).to_owned(),
            fingerprint: Some(fingerprint),
            asked_micros: self.clock.micros(),
        });
        self.remember(member, standing.clone());
        standing
    }

    /// What is known; some none where LinkedIn was asked just now and said nothing.
    fn remembered(&self, member: &Member) -> Option<Option<Standing>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, standing) = known.get(member)?;
        (at.elapsed() < REUSED).then(|| standing.clone())
    }

    fn remember(&self, member: &Member, standing: Option<Standing>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, (at, _)| at.elapsed() < REUSED);
        }
        if known.len() < REMEMBERED {
            known.insert(member.clone(), (Instant::now(), standing));
        }
    }
}

/// Only LinkedIn's own words go on.
fn word(status: Option<&str>) -> &'static str {
    match status {
        Some("active") => "active",
        Some("expired") => "expired",
        Some("revoked") => "revoked",
        _ => "unknown",
    }
}
