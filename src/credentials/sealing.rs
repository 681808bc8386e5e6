//! Grants to sealed rows and back, each with its member's data key.
//!
//! **Invariant:** a sealed column opens only at its own place: application, member, field, key id
//! and row version. A row that was copied, swapped or rolled back does not open.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{Mutex, RwLock};
use zeroize::Zeroizing;

use super::{
    grant::{self, Grant, State, TokenAnswer},
    profile::Profile,
    verdict::Verdict,
};
use crate::{
    exchange::Member,
    keyring::{DataKey, KeyRing, LiveSecrets, Unsealable},
    secret::Secret,
    store::{GrantStore, Row, StoreError},
};

/// The data keys, opened.
#[derive(Debug)]
pub(super) struct Sealing {
    pub(super) ring: KeyRing,
    live: LiveSecrets,
    keys: DashMap<Member, DataKey>,
    /// Held, shared, from wrapping a new data key until it is in the store.
    wrapping: RwLock<()>,
    /// One rotation at a time.
    pub(super) rotating: Mutex<()>,
}

impl Sealing {
    pub(super) fn new(ring: KeyRing, live: LiveSecrets) -> Self {
        Self {
            ring,
            live,
            keys: DashMap::new(),
            wrapping: RwLock::default(),
            rotating: Mutex::default(),
        }
    }

    /// Takes a data key as the store has it.
    pub(super) fn learn(&self, member: &Member, wrapped: &[u8]) -> Result<DataKey, Unsealable> {
        let key = self.ring.unwrap(wrapped, &key_place(member))?;
        self.keys.insert(member.clone(), key.clone());
        Ok(key)
    }

    /// The member's data key, if there is one.
    pub(super) fn data_key(&self, member: &Member) -> Option<DataKey> {
        self.keys.get(member).map(|key| key.clone())
    }

    /// The member's data key, made and stored if there is none yet.
    pub(super) async fn ensure_data_key(
        &self,
        store: &dyn GrantStore,
        member: &Member,
    ) -> Result<DataKey, StoreError> {
        match self.data_key(member) {
            Some(key) => Ok(key),
            None => self.stored_data_key(store, member).await,
        }
    }

    /// The same as the store has it, whatever is in memory: another process may have destroyed the
    /// key that was there.
    pub(super) async fn stored_data_key(
        &self,
        store: &dyn GrantStore,
        member: &Member,
    ) -> Result<DataKey, StoreError> {
        let _wrapping = self.wrapping.read().await;
        let wrapped = self
            .ring
            .wrap(&self.ring.new_data_key(), &key_place(member));
        let kept = store.keep_data_key(member, wrapped).await?;
        let closed =
            |error: Unsealable| StoreError::Unavailable(format!("data key of {member}: {error}"));
        self.learn(member, &kept).map_err(closed)
    }

    /// Waits until no data key is under way to the store that was wrapped before this call.
    pub(super) async fn settle(&self) {
        drop(self.wrapping.write().await);
    }

    /// Forgets the data key in memory.
    pub(super) fn forget(&self, member: &Member) {
        self.keys.remove(member);
    }

    /// The row that keeps `grant`.
    pub(super) fn row(&self, member: &Member, grant: &Grant) -> Result<Row, Unsealable> {
        let key = self.data_key(member).ok_or(Unsealable)?;
        let place = |field: &str| place(member, field, &key, grant.version);
        let refresh = grant.refresh.as_ref();
        let profile = grant.profile.as_ref();
        Ok(Row {
            version: grant.version,
            access: key.seal(grant::text_of(&grant.access), &place("access")),
            refresh: refresh.map(|text| key.seal(text.expose().as_bytes(), &place("refresh"))),
            state: grant.state.as_str().to_owned(),
            ended_at: grant.ended_at,
            acquired_at: grant.acquired_at,
            issued_at: grant.access.issued_at,
            access_expires_at: grant.access.expires_at,
            refresh_expires_at: grant.refresh_expires_at,
            scopes: grant.scopes.join(" "),
            urn: grant.urn.as_deref().map(str::to_owned),
            renewals: grant.renewals,
            renewed_at: grant.renewed_at,
            used_at: grant.used_at,
            profile: profile.map(|profile| key.seal(&profile.to_bytes(), &place("profile"))),
            verdict: grant.verdict.as_ref().map(Verdict::to_json),
        })
    }

    /// The grant that `row` keeps.
    pub(super) fn grant(&self, member: &Member, row: &Row) -> Result<Grant, Unsealable> {
        let key = self.data_key(member).ok_or(Unsealable)?;
        let open = |field: &str, sealed: &[u8]| {
            let opened = key.open(sealed, &place(member, field, &key, row.version))?;
            grant::text_from(opened).ok_or(Unsealable)
        };
        let access = open("access", &row.access)?;
        let refresh = match &row.refresh {
            Some(sealed) => Some(open("refresh", sealed)?),
            None => None,
        };
        let refresh = refresh.map(|text| {
            self.live.add(text.as_bytes());
            Secret::new(String::clone(&text))
        });
        let state = State::from_stored(&row.state).ok_or(Unsealable)?;
        let is_renewable = state == State::Live && (refresh.is_some() || member.name.is_none());
        let (issued_at, expires_at) = (row.issued_at, row.access_expires_at);
        Ok(Grant {
            version: row.version,
            access: grant::token(&access, &self.live, issued_at, expires_at, is_renewable),
            refresh,
            refresh_expires_at: row.refresh_expires_at,
            acquired_at: row.acquired_at,
            scopes: row.scopes.split_whitespace().map(str::to_owned).collect(),
            urn: row.urn.as_deref().map(Into::into),
            state,
            ended_at: row.ended_at,
            renewals: row.renewals,
            renewed_at: row.renewed_at,
            used_at: row.used_at,
            profile: Self::profile(member, &key, row).map(Arc::new),
            verdict: row.verdict.as_deref().and_then(Verdict::from_json),
        })
    }

    /// The profile that `row` keeps, without the tokens beside it.
    pub(super) fn kept_profile(&self, member: &Member, row: &Row) -> Option<Arc<Profile>> {
        let key = self.data_key(member)?;
        Self::profile(member, &key, row).map(Arc::new)
    }

    /// A profile that does not open costs the profile and not the grant.
    fn profile(member: &Member, key: &DataKey, row: &Row) -> Option<Profile> {
        let place = place(member, "profile", key, row.version);
        let opened = key.open(row.profile.as_ref()?, &place).ok()?;
        Profile::from_bytes(&opened)
    }

    /// LinkedIn's answer for the journal, bound to the row it was made from and to when it came.
    pub(super) fn seal_answer(
        &self,
        member: &Member,
        base: i64,
        answer: &TokenAnswer,
        came_at: i64,
    ) -> Result<Vec<u8>, Unsealable> {
        let key = self.data_key(member).ok_or(Unsealable)?;
        let json = answer.to_json();
        let mut plain = Zeroizing::new(Vec::with_capacity(8 + json.len()));
        plain.extend_from_slice(&came_at.to_be_bytes());
        plain.extend_from_slice(&json);
        Ok(key.seal(&plain, &place(member, "answer", &key, base)))
    }

    /// The answer that [`Sealing::seal_answer`] sealed, and when it came.
    pub(super) fn open_answer(
        &self,
        member: &Member,
        base: i64,
        sealed: &[u8],
    ) -> Result<(TokenAnswer, i64), Unsealable> {
        let key = self.data_key(member).ok_or(Unsealable)?;
        let plain = Zeroizing::new(key.open(sealed, &place(member, "answer", &key, base))?);
        let (came_at, json) = plain.split_first_chunk::<8>().ok_or(Unsealable)?;
        let answer = TokenAnswer::parse(json).map_err(|_| Unsealable)?;
        Ok((answer, i64::from_be_bytes(*came_at)))
    }
}

/// What a wrapped data key is bound to.
pub(super) fn key_place(member: &Member) -> String {
    format!("data key v1 {member}")
}

fn place(member: &Member, field: &str, key: &DataKey, version: i64) -> String {
    format!("grant v1 {member} {field} {} {version}", key.id())
}
