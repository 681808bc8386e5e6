//! Who wants to know that something changed about a member or an application is told by channel.
//!
//! A notice says *where* to look, never what is there: whoever listens asks [`Credentials::show`] and
//! [`Credentials::failing`]. So nothing is wrong when notices come late, twice, or get lost: a
//! listener that lags is told so, and looks at everything once.
//!
//! **Invariant:** telling never waits, and costs nothing while nobody listens.
//! **Neighbours:** the cache and the flights tell; `alerts` listens.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::broadcast;

use super::{Credentials, cooling::Scope};
use crate::exchange::{Member, Name};

/// Notices a listener may be behind before it loses the oldest.
const BEHIND: usize = 4096;

/// Where something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A member's grant was published, ended or forgotten, or its renewal failed.
    Member(Member),
    /// Renewals of an application's members failed.
    Application(Name),
}

/// Renewals that failed, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// How many, since the last that worked.
    pub times: u32,
    /// What the last one met, in one sentence.
    pub reason: Arc<str>,
    /// Whether LinkedIn refused the application itself: no time helps.
    pub is_refusal: bool,
}

/// The telling end.
#[derive(Debug)]
pub(super) struct Notices {
    channel: broadcast::Sender<Notice>,
    /// What LinkedIn said when it last refused an application.
    refusals: DashMap<Name, Arc<str>>,
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            channel: broadcast::Sender::new(BEHIND),
            refusals: DashMap::new(),
        }
    }
}

impl Notices {
    /// Something changed about this member.
    pub(super) fn member(&self, member: &Member) {
        if self.channel.receiver_count() > 0 {
            // Whoever listened may just have gone.
            drop(self.channel.send(Notice::Member(member.clone())));
        }
    }

    /// A renewal failed: that may be held against the member or against its application.
    pub(super) fn failed(&self, member: &Member) {
        self.member(member);
        if self.channel.receiver_count() > 0 {
            let application = member.application.clone();
            drop(self.channel.send(Notice::Application(application)));
        }
    }

    /// LinkedIn refused the application.
    pub(super) fn refused(&self, application: &Name, reason: &str) {
        self.refusals.insert(application.clone(), reason.into());
    }
}

impl Credentials {
    /// What changes from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.0.cache.notices.channel.subscribe()
    }

    /// Renewals of this member's grant that failed since the last that worked; none if the last one
    /// worked, or none was tried since the start.
    pub fn failing(&self, member: &Member) -> Option<Failing> {
        let scope = Scope::Member(member.clone());
        let (times, reason) = self.0.cooling.failures(&scope)?;
        Some(Failing {
            times,
            reason,
            is_refusal: false,
        })
    }

    /// The same of what is held against the application as a whole: LinkedIn refuses it, throttles it,
    /// or its token endpoint failed several members in a row.
    pub fn application_failing(&self, application: &Name) -> Option<Failing> {
        let scope = Scope::Application(application.clone());
        let (times, reason) = self.0.cooling.failures(&scope)?;
        let refusal = self.0.cache.notices.refusals.get(application);
        let is_refusal = refusal.is_some_and(|refusal| *refusal == reason);
        Some(Failing {
            times,
            reason,
            is_refusal,
        })
    }
}
