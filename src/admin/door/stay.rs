//! How long a visitor stays: for answers that go on after their request was let in.
//!
//! **Invariant:** looking whether a visitor is still here is no visit: it keeps no session alive.

use std::{fmt, sync::Arc};

use tokio::time::Instant;

use super::{Door, lock, sessions::Digest};

/// A visitor's right to what they are being sent. Cheap to clone.
#[derive(Clone)]
pub(in crate::admin) struct Stay {
    pub(super) door: Door,
    /// Id of the operator's token.
    pub(super) token: Arc<str>,
    /// The session, if it is not a program's own request.
    pub(super) session: Option<Digest>,
}

impl Stay {
    /// Whether the token is still in force, and the session with it.
    pub(in crate::admin) fn lasts(&self) -> bool {
        let inner = &self.door.0;
        let is_signed_in = |session: &Digest| lock(&inner.sessions).lasts(session, Instant::now());
        self.session.as_ref().is_none_or(is_signed_in)
            && inner.operators.alive(&self.token).is_some()
    }
}

impl fmt::Debug for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stay({})", self.token)
    }
}
