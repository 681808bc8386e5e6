//! A member is logged out: both tokens and the data key are destroyed, here and, where there is such a
//! place, at LinkedIn.
//!
//! **Invariant:** when this returns, nothing in memory or in the store opens what was the member's,
//! kept bodies included; what LinkedIn answers changes nothing of that. A sign-in at the same time
//! comes before the whole of it or after.
//! **Neighbours:** `oauth::revocation` speaks to LinkedIn, the path listens for logouts.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::warn;

use super::{Credentials, ManageError, grant::Grant, refresher::UnderWay};
use crate::exchange::Member;

/// Whether a disconnected member's tokens were given up elsewhere, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// No endpoint is configured, or there was no token to give up.
    NotAsked,
    /// The endpoint took them.
    Taken,
    /// It did not; here they are destroyed all the same.
    Failed(String),
}

impl Credentials {
    /// Forgets a member: tokens and data key, in memory and in the store. Bodies that were sealed
    /// for the member open no more. Then the tokens are given up where `linkedin.revocation_url`
    /// says, which takes ten seconds at most and changes nothing here.
    ///
    /// # Errors
    /// [`ManageError::UnknownMember`], [`ManageError::Store`]: nobody is served for the member until
    /// the next start, but what is stored may be there still; ask again.
    pub async fn disconnect(&self, member: &Member) -> Result<Revocation, ManageError> {
        if member.name.is_none() {
            return Err(ManageError::ApplicationsOwn);
        }
        let (this, member) = (self.clone(), member.clone());
        let counted = UnderWay::new(&self.0);
        // Whoever asks may leave: a member that is half gone would be served from memory.
        let forgetting = self.0.house.spawn(async move {
            let _counted = counted;
            this.forget(&member).await
        });
        forgetting.await.unwrap_or(Err(ManageError::BrokeOff))
    }

    async fn forget(&self, member: &Member) -> Result<Revocation, ManageError> {
        let shared = &self.0;
        let naming = shared.naming.lock().await;
        let grant = shared.cache.grant(member);
        // Whatever the store says, nobody is served by what an operator wants gone.
        let was_stored = shared.store.forget(member).await;
        let was_known = shared.cache.knows(member);
        // The key first: see `Shared::serve`.
        shared.sealing.forget(member);
        shared.cache.forget(member);
        shared.cooling.forgive_member(member);
        shared.unconfirmed.remove(member);
        shared.asked.forget(member);
        // Nobody has to listen.
        shared.logouts.send_replace(());
        // LinkedIn may take its time, and no sign-in has to wait for that.
        drop(naming);
        match was_stored? || was_known {
            true => Ok(self.revoke(member, grant).await),
            false => Err(ManageError::UnknownMember(member.clone())),
        }
    }

    async fn revoke(&self, member: &Member, grant: Option<Arc<Grant>>) -> Revocation {
        let known = self.0.applications.get(&member.application);
        let (Some(known), Some(grant)) = (known, grant) else {
            return Revocation::NotAsked;
        };
        match self.0.endpoint.revoke(&known.application, &grant).await {
            None => Revocation::NotAsked,
            Some(Ok(())) => Revocation::Taken,
            Some(Err(reason)) => {
                warn!(%member, %reason, "a disconnected member's tokens were not revoked");
                Revocation::Failed(reason)
            }
        }
    }

    /// Changes with every member that is disconnected from now on.
    pub fn logouts(&self) -> watch::Receiver<()> {
        self.0.logouts.subscribe()
    }
}
