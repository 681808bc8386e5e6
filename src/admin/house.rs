//! Whom the pages and the API ask.
//!
//! **Neighbours:** `app` hands the parts in; `credentials` answers about members, [`Reading`] about
//! incidents.

use std::{fmt, sync::Arc};

use super::{Source, incidents::Followers, reading::Reading, standings::Standings};
use crate::{
    callers::Callers, clock::Clock, credentials::Credentials, exchange::Member,
    incident::redact::Redaction, store::MarkStore,
};

/// The parts that stand behind the door. Cheap to clone.
#[derive(Clone)]
pub(super) struct House {
    pub(super) source: Arc<dyn Source>,
    pub(super) credentials: Credentials,
    pub(super) clock: Clock,
    pub(super) links: ConnectLinks,
    pub(super) reading: Reading,
    pub(super) callers: Callers,
    /// The door that exports go through.
    pub(super) redaction: Redaction,
    pub(super) standings: Standings,
    pub(super) followers: Followers,
    pub(super) marks: Arc<dyn MarkStore>,
}

/// A link by which a member signs in at LinkedIn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectLink {
    /// What the member opens.
    pub url: String,
    /// When the link ends, in Unix seconds.
    pub ends_at: i64,
    /// What signing in would end, for people.
    pub warning: Option<String>,
}

/// Gives such links; none where the connect listener is not set up.
#[derive(Clone)]
pub struct ConnectLinks(Arc<Giving>);

type Giving = dyn Fn(&Member) -> Option<ConnectLink> + Send + Sync;

impl ConnectLinks {
    /// Gives what `giving` gives; it must not wait for anything.
    pub fn given_by(
        giving: impl Fn(&Member) -> Option<ConnectLink> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(giving))
    }

    /// A link for this member; none for an application's own token, for which nobody signs in.
    pub(super) fn link(&self, member: &Member) -> Option<ConnectLink> {
        member.name.as_ref()?;
        (self.0)(member)
    }
}

impl Default for ConnectLinks {
    fn default() -> Self {
        Self::given_by(|_| None)
    }
}

impl fmt::Debug for ConnectLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectLinks")
    }
}
