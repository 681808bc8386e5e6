//! Who waits for a sign-in is told how it ended: `members connect` asks once a second.
//!
//! **Invariant:** bounded; a link that nobody waits for leaves nothing here.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::link::{Link, LinkId};

/// Links whose end is waited for; the one that ends first makes room.
const KEPT: usize = 1_024;
/// How long an end can still be asked for.
const KEPT_SECS: i64 = 600;

/// How far a sign-in is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Progress {
    /// Nobody has come back from LinkedIn yet.
    Waiting,
    /// The member is signed in.
    Connected {
        /// The member's name as LinkedIn gave it.
        full_name: Option<String>,
        /// When the access token expires, in Unix seconds.
        access_expires_at: Option<i64>,
        /// When the refresh token expires, in Unix seconds; none if there is none.
        refresh_expires_at: Option<i64>,
        /// What an operator should know.
        remarks: Vec<String>,
    },
    /// The member or LinkedIn refused.
    Refused {
        /// One word.
        code: String,
        /// One sentence for operators.
        reason: String,
    },
    /// The link ended before anybody came back.
    LinkEnded,
}

#[derive(Default)]
pub(super) struct Awaited(Mutex<HashMap<LinkId, Entry>>);

struct Entry {
    ends_at: i64,
    progress: Progress,
}

impl Awaited {
    /// Somebody will ask for the end of this link.
    pub(super) fn expect(&self, link: &Link, now: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT {
            all.retain(|_, entry| entry.ends_at.saturating_add(KEPT_SECS) > now);
        }
        if all.len() >= KEPT
            && let Some(first) = all.iter().min_by_key(|(_, entry)| entry.ends_at)
        {
            let first = *first.0;
            all.remove(&first);
        }
        let entry = Entry {
            ends_at: link.ends_at,
            progress: Progress::Waiting,
        };
        all.insert(link.id, entry);
    }

    /// Notes an end, if anybody waits for it. A member who is signed in stays so.
    pub(super) fn note(&self, id: LinkId, progress: Progress) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = all.get_mut(&id)
            && !matches!(entry.progress, Progress::Connected { .. })
        {
            entry.progress = progress;
        }
    }

    /// How far it is; none if nobody waits for it.
    pub(super) fn progress(&self, id: LinkId, now: i64) -> Option<Progress> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = all.get(&id)?;
        match entry.progress {
            Progress::Waiting if entry.ends_at <= now => Some(Progress::LinkEnded),
            _ => Some(entry.progress.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::Member;

    fn link(lasting_secs: u64) -> Link {
        let member = Member {
            application: "default".parse().unwrap(),
            name: Some("ada".parse().unwrap()),
        };
        Link::new(&member, 0, Duration::from_secs(lasting_secs))
    }

    fn connected() -> Progress {
        Progress::Connected {
            full_name: None,
            access_expires_at: None,
            refresh_expires_at: None,
            remarks: Vec::new(),
        }
    }

    fn refused() -> Progress {
        Progress::Refused {
            code: "x".into(),
            reason: "y".into(),
        }
    }

    #[test]
    fn an_end_is_told_to_those_who_wait_and_kept_for_nobody_else() {
        let awaited = Awaited::default();
        let (link, other) = (link(60), link(60));
        awaited.expect(&link, 0);
        assert_eq!(awaited.progress(link.id, 59), Some(Progress::Waiting));
        assert_eq!(awaited.progress(link.id, 60), Some(Progress::LinkEnded));

        awaited.note(link.id, refused());
        awaited.note(other.id, connected());

        assert_eq!(awaited.progress(link.id, 60), Some(refused()));
        assert_eq!(awaited.progress(other.id, 0), None);
        awaited.note(link.id, connected());
        awaited.note(link.id, refused());
        assert_eq!(awaited.progress(link.id, 60), Some(connected()));
    }

    #[test]
    fn links_that_are_waited_for_are_bounded_and_the_one_that_ends_first_goes() {
        let awaited = Awaited::default();
        let (first, last) = (link(60), link(1_000));
        awaited.expect(&last, 0);
        awaited.expect(&first, 0);
        for _ in 2..KEPT {
            awaited.expect(&link(100), 0);
        }

        awaited.expect(&link(100), 0);

        assert_eq!(awaited.0.lock().unwrap().len(), KEPT);
        assert_eq!(awaited.progress(first.id, 0), None);
        assert_eq!(awaited.progress(last.id, 0), Some(Progress::Waiting));
        awaited.expect(&link(100), 700);
        assert_eq!(
            awaited.0.lock().unwrap().len(),
            2,
            "what ended long ago is gone"
        );
    }
}
