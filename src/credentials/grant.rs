//! One member's tokens for one application, and LinkedIn's answer that they come from.
//!
//! **Invariant:** expiry is the answer's time plus what the answer said, never LinkedIn's usual
//! 60 days (linkedin.md §1.3: a late renewal yields a shorter token); what the answer leaves out is
//! unknown, not over.

use std::{ops::Deref, sync::Arc};

use bytes::Bytes;
use http::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Token, profile::Profile, verdict::Verdict};
use crate::{
    exchange::Member,
    keyring::{Fingerprint, LiveSecrets},
    secret::Secret,
    store::Row,
};

/// Ten years: a lifetime beyond it is a mistake, and no expiry sum with it can overflow.
const LONGEST_LIFE_SECS: i64 = 10 * 366 * 86_400;
/// A renewal that could bring less than this is not made ahead of time.
const WORTHWHILE_SECS: i64 = 60;
/// Tokens are planned for ≥ 1000 characters (linkedin.md §1.2); this one fits any request's head.
const LONGEST_TOKEN: usize = 16 * 1024;

/// How a grant stands, apart from the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In use.
    Live,
    /// LinkedIn called the refresh token invalid, expired or revoked. The access token is used to
    /// its end, or until LinkedIn refuses it too.
    RefreshRefused,
    /// LinkedIn refused the access token, and no refresh token helps.
    AccessRefused,
    /// A renewal was cut short, its answer is lost, and LinkedIn refused the refresh token when it
    /// was tried once more. The access token is used as after [`State::RefreshRefused`].
    RenewalLost,
    /// The same, and LinkedIn refused the access token, too.
    RenewalLostAccessRefused,
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::RefreshRefused => "refresh_refused",
            Self::AccessRefused => "access_refused",
            Self::RenewalLost => "renewal_lost",
            Self::RenewalLostAccessRefused => "renewal_lost_access_refused",
        }
    }

    pub(super) fn from_stored(text: &str) -> Option<Self> {
        [
            Self::Live,
            Self::RefreshRefused,
            Self::AccessRefused,
            Self::RenewalLost,
            Self::RenewalLostAccessRefused,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }

    /// What a refused refresh token means: whether LinkedIn refused the access token before, and
    /// whether an earlier use of the refresh token was cut short.
    pub(super) fn of_refusal(is_access_refused: bool, was_cut_short: bool) -> Self {
        match (was_cut_short, is_access_refused) {
            (false, false) => Self::RefreshRefused,
            (false, true) => Self::AccessRefused,
            (true, false) => Self::RenewalLost,
            (true, true) => Self::RenewalLostAccessRefused,
        }
    }

    fn allows_use(self) -> bool {
        !matches!(self, Self::AccessRefused | Self::RenewalLostAccessRefused)
    }
}

/// Why a grant ends, if the member does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndsBecause {
    /// LinkedIn refused the access token, and no refresh token helps: it is over.
    Refused,
    /// LinkedIn refused the refresh token; the access token is used to its end.
    RefreshRefused,
    /// LinkedIn gave none: the access token's end is the end.
    NoRefreshToken,
    /// The refresh token's year ends, which nothing extends.
    RefreshTokenEnds,
}

impl EndsBecause {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::RefreshRefused => "refresh_refused",
            Self::NoRefreshToken => "no_refresh_token",
            Self::RefreshTokenEnds => "refresh_token_ends",
        }
    }
}

/// One member's tokens for one application.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    /// Counts the saves, from 1.
    pub(super) version: i64,
    pub(super) access: Token,
    pub(super) refresh: Option<Secret<String>>,
    pub(super) refresh_expires_at: Option<i64>,
    /// When the access token came to us, in Unix seconds: its life is measured from here.
    pub(super) acquired_at: i64,
    pub(super) scopes: Vec<String>,
    pub(super) urn: Option<Arc<str>>,
    pub(super) state: State,
    /// When it ended, in Unix seconds.
    pub(super) ended_at: Option<i64>,
    pub(super) renewals: i64,
    pub(super) renewed_at: Option<i64>,
    pub(super) used_at: Option<i64>,
    /// Who the member is, as LinkedIn said at sign-in.
    pub(super) profile: Option<Arc<Profile>>,
    /// Why it ended, where LinkedIn was asked.
    pub(super) verdict: Option<Verdict>,
}

/// What of a grant says whether it is of use, and until when; for one whose tokens are still sealed, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) state: State,
    /// When the access token expires, in Unix seconds; none if unknown.
    pub(super) expires_at: Option<i64>,
    /// Whether there is something to renew it with.
    pub(super) is_renewable: bool,
    pub(super) refresh_expires_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
}

impl Facts {
    /// Whether the access token's time is over.
    fn is_expired(&self, now: i64) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether the refresh token's fixed year is over (linkedin.md §1.3).
    fn is_refresh_over(&self, now: i64) -> bool {
        self.refresh_expires_at.is_some_and(|end| end <= now)
    }

    /// Whether a call may be made with the access token now.
    pub(super) fn is_usable(&self, now: i64) -> bool {
        self.state.allows_use() && !self.is_expired(now)
    }

    /// Whether asking LinkedIn for another token has a chance.
    pub(super) fn is_renewable(&self, now: i64) -> bool {
        self.is_renewable && self.state == State::Live && !self.is_refresh_over(now)
    }

    /// When it ends unless the member signs in again, and why then. No time: that is unknown.
    pub(super) fn end(&self) -> (Option<i64>, EndsBecause) {
        let access = self.expires_at;
        match self.state {
            State::AccessRefused | State::RenewalLostAccessRefused => {
                (self.ended_at, EndsBecause::Refused)
            }
            State::RefreshRefused | State::RenewalLost => (access, EndsBecause::RefreshRefused),
            State::Live if !self.is_renewable => (access, EndsBecause::NoRefreshToken),
            State::Live => {
                // An access token that outlives the refresh token is used to its own end.
                let last = self
                    .refresh_expires_at
                    .map(|end| access.unwrap_or(end).max(end));
                (last, EndsBecause::RefreshTokenEnds)
            }
        }
    }

    /// Whether no renewal brings a later end: the access token ends with the refresh token, whose
    /// year nothing extends (linkedin.md §1.3).
    fn is_last(&self) -> bool {
        let ends = self.expires_at.zip(self.refresh_expires_at);
        ends.is_some_and(|(access, refresh)| refresh.saturating_sub(access) < WORTHWHILE_SECS)
    }

    /// When renewal ahead of expiry begins for a token that came at `acquired_at`: `share` of the life before its
    /// end, and up to a quarter of that earlier by `spread` (0 to 1), so that members who signed in together are not
    /// renewed together. None: never, because the end is unknown or the last one possible.
    pub(super) fn renew_at(&self, acquired_at: i64, share: f64, spread: f64) -> Option<i64> {
        let end = self.expires_at?;
        if self.is_last() {
            return None;
        }
        let life = end.saturating_sub(acquired_at).max(0);
        let share = (share * (1.0 + 0.25 * spread.clamp(0.0, 1.0))).clamp(0.0, 1.0);
        // A life is below 2^29 seconds, which f64 holds exactly.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "lives are bounded by LONGEST_LIFE_SECS"
        )]
        let ahead = (life as f64 * share) as i64;
        Some(end - ahead)
    }
}

/// The facts of a row, whose tokens stay sealed; none where it names no state that is known here.
pub(super) fn facts_of(member: &Member, row: &Row) -> Option<Facts> {
    let state = State::from_stored(&row.state)?;
    let has_means = row.refresh.is_some() || member.name.is_none();
    Some(Facts {
        state,
        expires_at: row.access_expires_at,
        is_renewable: state == State::Live && has_means,
        refresh_expires_at: row.refresh_expires_at,
        ended_at: row.ended_at,
    })
}

/// A grant without the texts of its tokens: for those who only look. What stands in their place opens nothing.
#[derive(Clone, Debug)]
pub(super) struct Outline(Arc<Grant>);

impl Outline {
    /// Of a row whose tokens stay sealed.
    pub(super) fn of_row(row: &Row, facts: Facts, profile: Option<Arc<Profile>>) -> Self {
        let access = Token {
            header: HeaderValue::from_static(SCHEME.trim_ascii_end()),
            fingerprint: row
                .access_tag
                .map_or_else(|| Fingerprint::from_stored(""), Into::into),
            issued_at: row.issued_at,
            expires_at: row.access_expires_at,
            is_renewable: facts.is_renewable,
        };
        let refresh = row.refresh.as_ref().map(|_| Secret::new(String::new()));
        Self(Arc::new(Grant::of_row(
            row,
            facts.state,
            access,
            refresh,
            profile,
        )))
    }
}

impl From<Arc<Grant>> for Outline {
    fn from(grant: Arc<Grant>) -> Self {
        Self(grant)
    }
}

impl Deref for Outline {
    type Target = Grant;

    fn deref(&self) -> &Grant {
        &self.0
    }
}

impl Grant {
    /// The grant of a row, given what is sealed in it.
    pub(super) fn of_row(
        row: &Row,
        state: State,
        access: Token,
        refresh: Option<Secret<String>>,
        profile: Option<Arc<Profile>>,
    ) -> Self {
        Self {
            version: row.version,
            access,
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
            profile,
            verdict: row.verdict.as_deref().and_then(Verdict::from_json),
        }
    }

    /// What says whether it is of use.
    pub(super) fn facts(&self) -> Facts {
        Facts {
            state: self.state,
            expires_at: self.access.expires_at,
            is_renewable: self.access.is_renewable,
            refresh_expires_at: self.refresh_expires_at,
            ended_at: self.ended_at,
        }
    }

    /// As [`Facts::is_refresh_over`].
    pub(super) fn is_refresh_over(&self, now: i64) -> bool {
        self.facts().is_refresh_over(now)
    }

    /// As [`Facts::is_usable`].
    pub(super) fn is_usable(&self, now: i64) -> bool {
        self.facts().is_usable(now)
    }

    /// As [`Facts::is_renewable`].
    pub(super) fn is_renewable(&self, now: i64) -> bool {
        self.facts().is_renewable(now)
    }

    /// As [`Facts::end`].
    pub(super) fn end(&self) -> (Option<i64>, EndsBecause) {
        self.facts().end()
    }

    /// As [`Facts::renew_at`].
    pub(super) fn renew_at(&self, share: f64, spread: f64) -> Option<i64> {
        self.facts().renew_at(self.acquired_at, share, spread)
    }

    /// The same grant, ended at `now`.
    pub(super) fn ended(&self, state: State, now: i64) -> Self {
        let mut ended = self.clone();
        ended.version += 1;
        ended.state = state;
        ended.ended_at = Some(now);
        ended.access.is_renewable = false;
        ended
    }

    /// Whether renewing `old` when it was due brought less than was left of it: LinkedIn's tokens
    /// shrink towards an end that it did not tell, and renewing again and again would not move it.
    pub(super) fn is_barely_later_than(&self, old: &Self) -> bool {
        let ends = self.access.expires_at.zip(old.access.expires_at);
        ends.is_some_and(|(new, old)| {
            let left = old.saturating_sub(self.acquired_at).max(0);
            new.saturating_sub(old) < left
        })
    }
}

/// What LinkedIn's token endpoint answers, and what `members import` reads.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct TokenAnswer {
    pub(super) access_token: SecretText,
    /// A number, or the same as text (linkedin.md §1.2).
    #[serde(default, deserialize_with = "lenient_seconds")]
    pub(super) expires_in: Option<i64>,
    #[serde(default)]
    pub(super) refresh_token: Option<SecretText>,
    #[serde(default, deserialize_with = "lenient_seconds")]
    pub(super) refresh_token_expires_in: Option<i64>,
    #[serde(default)]
    pub(super) scope: Option<String>,
    /// Never in LinkedIn's answer; an import may name the member.
    #[serde(default, alias = "sub")]
    pub(super) urn: Option<String>,
}

/// A secret inside an answer: wiped on drop, readable for sealing.
#[derive(Debug)]
pub(super) struct SecretText(pub(super) Secret<String>);

impl Default for SecretText {
    fn default() -> Self {
        Self(Secret::new(String::new()))
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

/// What cannot be read as seconds is unknown, which is not an error: the token works all the same.
fn lenient_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let seconds = match &value {
        serde_json::Value::Number(number) => number.as_i64(),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    Ok(seconds.filter(|seconds| (0..=LONGEST_LIFE_SECS).contains(seconds)))
}

/// Why a text is no token answer. Never shows the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// Not JSON, or not the fields of a token answer.
    #[error("not a json object with access_token")]
    Shape,
    /// The access or refresh token cannot stand in a header or form.
    #[error("a token is empty, too long or has characters that no token has")]
    Token,
}

impl TokenAnswer {
    /// Reads an answer's body.
    pub(super) fn parse(json: &[u8]) -> Result<Self, BadAnswer> {
        let mut answer: Self = serde_json::from_slice(json).map_err(|_| BadAnswer::Shape)?;
        // An empty field means what an absent one means: keep the old one.
        answer.refresh_token = answer
            .refresh_token
            .filter(|token| !token.0.expose().is_empty());
        let refresh = answer.refresh_token.as_ref();
        let is_token = |token: &SecretText| {
            let text = token.0.expose();
            (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
        };
        if is_token(&answer.access_token) && refresh.is_none_or(is_token) {
            Ok(answer)
        } else {
            Err(BadAnswer::Token)
        }
    }

    /// The same as JSON, for sealing.
    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec(self).unwrap_or_default())
    }

    /// The scopes; LinkedIn separates them by spaces, commas or `+`, escaped or not. An empty list
    /// says what an absent one says: nothing.
    pub(super) fn scopes(&self) -> Option<Vec<String>> {
        let scopes = self.scope.as_deref().map(split_scopes);
        scopes.filter(|scopes| !scopes.is_empty())
    }

    /// The member's URN, where an import told it.
    pub(super) fn urn(&self) -> Option<Arc<str>> {
        let text = self.urn.as_deref().filter(|text| !text.is_empty())?;
        match text.starts_with("urn:") {
            true => Some(text.into()),
            false => Some(format!("urn:li:person:{text}").into()),
        }
    }

    /// The grant that this answer makes at `now`: a first one, or in the place of `old`.
    pub(super) fn grant(&self, old: Option<&Grant>, terms: &Terms<'_>) -> Grant {
        let access = self.access_token.0.expose();
        let refresh = match &self.refresh_token {
            Some(token) => Some(token.0.clone()),
            None => old.and_then(|old| old.refresh.clone()),
        };
        if let Some(refresh) = &refresh {
            terms.live.add(refresh.expose().as_bytes());
        }
        let end = |life: Option<i64>| life.map(|life| terms.now.saturating_add(life));
        let is_renewable = refresh.is_some() || terms.is_applications_own;
        let expires_at = end(self.expires_in);
        let issued_at = terms.is_issued_now.then_some(terms.now);
        Grant {
            version: old.map_or(1, |old| old.version + 1),
            access: token(access, terms.live, issued_at, expires_at, is_renewable),
            refresh,
            refresh_expires_at: end(self.refresh_token_expires_in)
                .or_else(|| old.and_then(|old| old.refresh_expires_at)),
            acquired_at: terms.now,
            scopes: self
                .scopes()
                .or_else(|| old.map(|old| old.scopes.clone()))
                .unwrap_or_default(),
            urn: self.urn().or_else(|| old.and_then(|old| old.urn.clone())),
            state: State::Live,
            ended_at: None,
            renewals: old.map_or(0, |old| old.renewals),
            renewed_at: old.and_then(|old| old.renewed_at),
            used_at: old.and_then(|old| old.used_at),
            profile: old.and_then(|old| old.profile.clone()),
            verdict: None,
        }
    }
}

/// The scopes in a text of LinkedIn's.
pub(super) fn split_scopes(text: &str) -> Vec<String> {
    let text = text.replace("%20", " ");
    let scopes = text
        .split([' ', ',', '+'])
        .filter(|scope| !scope.is_empty());
    scopes.map(str::to_owned).collect()
}

/// Under which circumstances an answer becomes a grant.
pub(super) struct Terms<'a> {
    /// When the answer came, in Unix seconds.
    pub(super) now: i64,
    /// Where the new secrets are made known.
    pub(super) live: &'a LiveSecrets,
    /// Whether LinkedIn issued it just now: an import's age is unknown.
    pub(super) is_issued_now: bool,
    /// Whether it is an application's own token, which needs no refresh token.
    pub(super) is_applications_own: bool,
}

/// A token ready for use; its text must have passed [`TokenAnswer::parse`] or been sealed by us.
pub(super) fn token(
    text: &str,
    live: &LiveSecrets,
    issued_at: Option<i64>,
    expires_at: Option<i64>,
    is_renewable: bool,
) -> Token {
    let fingerprint = live.add(text.as_bytes());
    let mut line = Vec::with_capacity(SCHEME.len() + text.len());
    line.extend_from_slice(SCHEME.as_bytes());
    line.extend_from_slice(text.as_bytes());
    // One allocation for all copies, wiped when the last one goes.
    let shared = Bytes::from_owner(Zeroizing::new(line));
    let mut header = HeaderValue::from_maybe_shared(shared)
        .unwrap_or_else(|_| HeaderValue::from_static(SCHEME.trim_ascii_end()));
    header.set_sensitive(true);
    Token {
        header,
        fingerprint,
        issued_at,
        expires_at,
        is_renewable,
    }
}

const SCHEME: &str = "Bearer ";

/// The token's text, as it stands behind `Bearer`.
pub(super) fn text_of(token: &Token) -> &[u8] {
    let line = token.header.as_bytes();
    line.strip_prefix(SCHEME.as_bytes()).unwrap_or_default()
}

/// A text that is wiped when it goes out of use, from bytes that were sealed.
pub(super) fn text_from(opened: Vec<u8>) -> Option<Zeroizing<String>> {
    match String::from_utf8(opened) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            None
        }
    }
}

#[cfg(test)]
mod tests;
