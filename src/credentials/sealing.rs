//! Grants to sealed rows and back, each with its member's data key.
//!
//! **Invariant:** a sealed column opens only at its own place: application, member, field, key id
//! and row version. A row that was copied, swapped or rolled back does not open.

use std::sync::Arc;

use dashmap::DashMap;
use foldhash::quality::RandomState;
use tokio::sync::{Mutex, RwLock};
use tracing::error;
use zeroize::Zeroizing;

use super::{
    cache::shards,
    grant::{self, Grant, Outline, TokenAnswer},
    profile::Profile,
    verdict::Verdict,
};
use crate::{
    exchange::Member,
    keyring::{DataKey, KeyRing, LiveSecrets, Unsealable},
    secret::Secret,
    store::{GrantStore, Row, StoreError, Tagged},
};

/// A data key: wrapped, as the start found it, until it is asked for. That is 1.5 µs less for each of very many.
#[derive(Debug)]
enum Kept {
    Wrapped(Box<[u8]>),
    Open(DataKey),
}

/// The data keys, and what they open.
#[derive(Debug)]
pub(super) struct Sealing {
    pub(super) ring: KeyRing,
    live: LiveSecrets,
    /// By the same hash as the grants, for the same reason.
    keys: DashMap<Member, Kept, RandomState>,
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
            keys: DashMap::with_hasher_and_shard_amount(RandomState::default(), shards()),
            wrapping: RwLock::default(),
            rotating: Mutex::default(),
        }
    }

    /// Takes a data key as the store has it, and opens it when it is asked for.
    pub(super) fn keep(&self, member: Member, wrapped: Vec<u8>) {
        let kept = Kept::Wrapped(wrapped.into_boxed_slice());
        self.keys.insert(member, kept);
    }

    /// Takes a data key as the store has it.
    fn learn(&self, member: &Member, wrapped: &[u8]) -> Result<DataKey, Unsealable> {
        let key = self.ring.unwrap(wrapped, &key_place(member))?;
        self.keys.insert(member.clone(), Kept::Open(key.clone()));
        Ok(key)
    }

    /// The member as the keys name it, if there is a data key: who keeps very many need not keep each name twice.
    pub(super) fn known(&self, member: &Member) -> Option<Member> {
        self.keys.get(member).map(|kept| kept.key().clone())
    }

    /// The member's data key, if there is one that opens.
    pub(super) fn data_key(&self, member: &Member) -> Option<DataKey> {
        let wrapped = match &*self.keys.get(member)? {
            Kept::Open(key) => return Some(key.clone()),
            Kept::Wrapped(wrapped) => wrapped.clone(),
        };
        let is_it = |kept: &Kept| matches!(kept, Kept::Wrapped(other) if *other == wrapped);
        match self.ring.unwrap(&wrapped, &key_place(member)) {
            Ok(key) => {
                if let Some(mut kept) = self.keys.get_mut(member)
                    && is_it(&kept)
                {
                    *kept = Kept::Open(key.clone());
                }
                Some(key)
            }
            Err(error) => {
                if self.keys.remove_if(member, |_, kept| is_it(kept)).is_some() {
                    error!(%member, %error, "a data key does not open; the member must sign in again");
                }
                None
            }
        }
    }

    /// Opens all that is still wrapped: the keys that wrapped it are about to go.
    pub(super) fn open_all(&self) {
        let wrapped = |kept: &Kept| matches!(kept, Kept::Wrapped(_));
        let all = self.keys.iter().filter(|kept| wrapped(kept.value()));
        let all: Vec<Member> = all.map(|kept| kept.key().clone()).collect();
        for member in all {
            let _opened = self.data_key(&member);
        }
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
            state: grant.state.as_str().into(),
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
            access_tag: Some(self.ring.tag(grant::text_of(&grant.access))),
            refresh_tag: refresh.map(|text| self.ring.tag(text.expose().as_bytes())),
        })
    }

    /// The fingerprints of a row that an earlier version saved, which has none: its tokens are opened for that.
    pub(super) fn tagged(&self, member: &Member, row: &Row) -> Result<Tagged, Unsealable> {
        let grant = self.grant(member, row)?;
        let refresh = grant.refresh.as_ref();
        Ok(Tagged {
            member: member.clone(),
            version: row.version,
            access: self.ring.tag(grant::text_of(&grant.access)),
            refresh: refresh.map(|text| self.ring.tag(text.expose().as_bytes())),
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
        let facts = grant::facts_of(member, row).ok_or(Unsealable)?;
        let (issued_at, expires_at) = (row.issued_at, row.access_expires_at);
        let access = grant::token(
            &access,
            &self.live,
            issued_at,
            expires_at,
            facts.is_renewable,
        );
        let profile = Self::profile(member, &key, row).map(Arc::new);
        Ok(Grant::of_row(row, facts.state, access, refresh, profile))
    }

    /// Whether the tokens of a row open. Keeps neither them nor the data key: it is asked of very many that nobody needs.
    pub(super) fn opens(&self, member: &Member, row: &Row) -> bool {
        let key = match self.keys.get(member).as_deref() {
            Some(Kept::Open(key)) => Ok(key.clone()),
            Some(Kept::Wrapped(wrapped)) => self.ring.unwrap(wrapped, &key_place(member)),
            None => Err(Unsealable),
        };
        key.is_ok_and(|key| {
            let opens = |field: &str, sealed: &[u8]| {
                let opened = key.open(sealed, &place(member, field, &key, row.version));
                opened.map(Zeroizing::new).is_ok()
            };
            let refresh = row.refresh.as_deref();
            opens("access", &row.access) && refresh.is_none_or(|sealed| opens("refresh", sealed))
        })
    }

    /// The grant that `row` keeps, without its tokens' texts; none where the row names no state that is known here.
    pub(super) fn outline(&self, member: &Member, row: &Row) -> Option<Outline> {
        let facts = grant::facts_of(member, row)?;
        Some(Outline::of_row(row, facts, self.kept_profile(member, row)))
    }

    /// The profile that `row` keeps, without the tokens beside it.
    pub(super) fn kept_profile(&self, member: &Member, row: &Row) -> Option<Arc<Profile>> {
        row.profile.as_ref()?;
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
