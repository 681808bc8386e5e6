//! Which LinkedIn member a name belongs to: asked at sign-in and import, held by every save of a new
//! grant.
//!
//! **Invariant:** keyed by (client id, `sub`): a name keeps its LinkedIn member, and a LinkedIn member
//! has one name in an application, until an operator disconnects; both are looked at and saved under
//! one lock, so that two sign-ins at once, or a sign-in and a disconnect, cannot slip past each other.
//! **Neighbours:** `connecting` and `management` bring new grants, `disconnecting` holds the same lock.

use std::{sync::Arc, time::Duration};

use super::{
    Token,
    grant::{Grant, split_scopes},
    oauth::{UserInfo, Who},
    shared::Shared,
};
use crate::{exchange::Member, store::StoreError};

/// Waits while LinkedIn does not know a token yet that it has just issued (linkedin.md §1.5).
pub(super) const LAG_WAITS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// How often a save is tried over others' saves.
const SAVES: usize = 10;

/// Why a new grant is not kept.
#[derive(Clone, Debug)]
pub(super) enum NotKept {
    /// The name is another LinkedIn member's.
    AnotherMember,
    /// The LinkedIn member has this name already.
    AlreadyNamed(Member),
    /// The name is a LinkedIn member's, and whose the new grant is nobody knows.
    Unverified,
    /// The store did not take it.
    Store(StoreError),
}

impl From<StoreError> for NotKept {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What is done about a new grant of which nobody knows whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It is not put in the place of a known member's.
    Refused,
    /// An operator says whose it is.
    Trusted,
}

/// Asks LinkedIn whose token this is, again after each wait while it may lag; the error says why it
/// is not known.
pub(super) async fn ask(
    shared: &Shared,
    token: &Token,
    waits: &[Duration],
) -> Result<UserInfo, String> {
    let mut waits = waits.iter();
    loop {
        match shared.endpoint.userinfo(token).await {
            Who::Is(known) => return Ok(*known),
            Who::MayNotKnow => return Err("the application has no openid and profile".to_owned()),
            Who::Unavailable { reason } => return Err(reason),
            Who::Refused {
                is_lag_code,
                reason,
            } => match waits.next().filter(|_| is_lag_code) {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Err(reason),
            },
        }
    }
}

/// Puts what LinkedIn said into the grant, the portrait included.
pub(super) async fn adorn(shared: &Shared, grant: &mut Grant, told: UserInfo) {
    let mut profile = told.profile;
    if let Some(picture) = &told.picture {
        profile.portrait = shared.endpoint.portrait(picture).await;
    }
    grant.urn = Some(told.urn.into());
    grant.profile = Some(Arc::new(profile));
}

/// Saves a new grant over whatever was there, and serves it. What it does not say of profile and
/// scopes is taken over from the member's grant before.
pub(super) async fn keep(
    shared: &Shared,
    member: &Member,
    grant: &mut Grant,
    unknown: Unknown,
) -> Result<(), NotKept> {
    let store = &*shared.store;
    let _one_at_a_time = shared.naming.lock().await;
    // Under the lock: a disconnect destroys data keys.
    shared.sealing.ensure_data_key(store, member).await?;
    if let Some(urn) = &grant.urn
        && let Some(other) = named(shared, member, urn)
    {
        return Err(NotKept::AlreadyNamed(other));
    }
    let given = grant.urn.clone();
    let (has_profile, has_scopes) = (grant.profile.is_some(), !grant.scopes.is_empty());
    // Whoever saves between the read and the save is overtaken, not waited for.
    for _ in 0..SAVES {
        let row = store.grant(member).await?;
        let before = row.as_ref().and_then(|row| row.urn.as_deref());
        grant.urn = match (&given, before) {
            (Some(now), Some(before)) if **now != *before => return Err(NotKept::AnotherMember),
            (None, Some(_)) if unknown == Unknown::Refused => return Err(NotKept::Unverified),
            (None, Some(before)) => Some(before.into()),
            (given, _) => given.clone(),
        };
        // The same person as before, who still has a face where LinkedIn could not be asked now.
        if let Some(row) = &row {
            if !has_profile {
                grant.profile = shared.sealing.kept_profile(member, row);
            }
            if !has_scopes {
                grant.scopes = split_scopes(&row.scopes);
            }
        }
        grant.version = row.map_or(0, |row| row.version) + 1;
        let row = shared.sealing.row(member, grant);
        let row = row.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        match store.save(member, row, None).await {
            Err(StoreError::Moved) => {
                shared.sealing.stored_data_key(store, member).await?;
            }
            Err(error) => return Err(error.into()),
            Ok(()) => {
                shared.cache.publish(member, grant.clone());
                shared.cooling.forgive_member(member);
                shared.unconfirmed.remove(member);
                return Ok(());
            }
        }
    }
    Err(StoreError::Moved.into())
}

/// The other name that the LinkedIn member has, in any application of the same client id.
fn named(shared: &Shared, member: &Member, urn: &str) -> Option<Member> {
    let client_id = |of: &Member| {
        let known = shared.applications.get(&of.application)?;
        Some(Arc::clone(&known.client_id))
    };
    let own = client_id(member)?;
    let is_other = |other: &Member| other != member && client_id(other).as_ref() == Some(&own);
    shared.cache.holder(urn, is_other)
}
