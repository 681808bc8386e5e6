//! Who has granted what to which application, and what became of the tokens.
//!
//! **Invariant:** a refresh token dies 365 days after the *first* grant, whatever happens since, and
//! no access token outlives it (linkedin.md §1.3).
//! **Neighbours:** `oauth` spends codes and refresh tokens here, `admission` asks about access tokens.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Value, json};

use super::clock::SECOND;
use super::options::{Application, Options};
use super::tokens;

/// Access tokens and codes kept for one application; the oldest are forgotten beyond it.
const KEPT_TOKENS: usize = 100_000;
const KEPT_CODES: usize = 10_000;
const CODE_SECS: u64 = 30 * 60;
const APPLICATION_TOKEN_SECS: u64 = 30 * 60;

/// What the token endpoint answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAnswer {
    /// The new access token.
    pub access_token: String,
    /// Seconds it lives.
    pub expires_in: u64,
    /// The refresh token, if the application is approved for them.
    pub refresh_token: Option<String>,
    /// Seconds the refresh token still lives.
    pub refresh_token_expires_in: Option<u64>,
    /// The granted scopes, joined as the options say.
    pub scope: String,
    expires_in_as_string: bool,
}

impl TokenAnswer {
    /// The token endpoint's JSON text.
    #[must_use]
    pub fn json(&self) -> String {
        let mut answer = json!({ "access_token": self.access_token });
        if let Some(fields) = answer.as_object_mut() {
            let expires_in = if self.expires_in_as_string {
                Value::from(self.expires_in.to_string())
            } else {
                Value::from(self.expires_in)
            };
            fields.insert(String::from("expires_in"), expires_in);
            if let Some(token) = &self.refresh_token {
                fields.insert(String::from("refresh_token"), Value::from(token.as_str()));
            }
            if let Some(secs) = self.refresh_token_expires_in {
                fields.insert(String::from("refresh_token_expires_in"), Value::from(secs));
            }
            if !self.scope.is_empty() {
                fields.insert(String::from("scope"), Value::from(self.scope.as_str()));
            }
            fields.insert(String::from("token_type"), Value::from("Bearer"));
        }
        answer.to_string()
    }
}

/// What LinkedIn thinks of an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Expired,
    Revoked,
    Restricted,
}

/// An access token as the ledger keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) client_id: String,
    /// Nobody for an application token.
    pub(crate) member: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) authorized_at: u64,
    pub(crate) created_at: u64,
    usable_from: u64,
    pub(crate) expires_at: u64,
    ended: Option<Standing>,
}

#[derive(Debug, Clone)]
struct Refresh {
    client_id: String,
    member: String,
    scopes: Vec<String>,
    granted_at: u64,
    expires_at: u64,
    life: RefreshLife,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RefreshLife {
    Live,
    Spent,
    Dead,
}

/// A consent that waits for its code to be exchanged.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) client_id: String,
    pub(crate) member: String,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) expires_at: u64,
    pub(crate) spent: bool,
}

/// How a refresh token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshRefused {
    /// Unknown, expired, revoked, or another application's.
    Dead,
    /// Rotated away already: someone spends it a second time.
    Replayed,
}

/// The ledger of all grants.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    access: HashMap<String, Access>,
    access_order: VecDeque<String>,
    /// Access tokens by member, so that ten thousand members can sign in quickly.
    access_of: HashMap<String, Vec<String>>,
    refresh: HashMap<String, Refresh>,
    latest_refresh: HashMap<(String, String), String>,
    codes: HashMap<String, Code>,
    code_order: VecDeque<String>,
    restricted: HashSet<String>,
}

impl Grants {
    /// A member's first grant, or a later one by browser: both tokens are new.
    pub(crate) fn grant(
        &mut self,
        options: &Options,
        now: u64,
        client_id: &str,
        member: &str,
        scopes: Vec<String>,
    ) -> TokenAnswer {
        self.end_other_scopes(client_id, member, &scopes);
        let refresh = options.issue_refresh_tokens.then(|| Refresh {
            client_id: client_id.to_owned(),
            member: member.to_owned(),
            scopes: scopes.clone(),
            granted_at: now,
            expires_at: now + options.refresh_token_secs * SECOND,
            life: RefreshLife::Live,
        });
        let refresh =
            refresh.map(|refresh| (self.keep_refresh(refresh), options.refresh_token_secs));
        let lifetime = options.access_token_secs;
        let access = access_for(options, now, now, client_id, Some(member), scopes, lifetime);
        self.hand_out(options, access, lifetime, refresh)
    }

    /// Spends a refresh token; the new access token lives no longer than it.
    ///
    /// # Errors
    /// [`RefreshRefused`], which the caller of the endpoint sees as one and the same 400.
    pub(crate) fn renew(
        &mut self,
        options: &Options,
        now: u64,
        client_id: &str,
        refresh_token: &str,
    ) -> Result<(String, TokenAnswer), RefreshRefused> {
        let held = self
            .refresh
            .get_mut(refresh_token)
            .ok_or(RefreshRefused::Dead)?;
        if held.client_id != client_id || held.expires_at <= now {
            return Err(RefreshRefused::Dead);
        }
        match held.life {
            RefreshLife::Live => {}
            RefreshLife::Spent => return Err(RefreshRefused::Replayed),
            RefreshLife::Dead => return Err(RefreshRefused::Dead),
        }
        let current = held.clone();
        let token = if options.rotate_refresh_tokens {
            held.life = RefreshLife::Spent;
            self.keep_refresh(Refresh { ..current.clone() })
        } else {
            refresh_token.to_owned()
        };
        let left_secs = (current.expires_at - now) / SECOND;
        let lifetime = options.access_token_secs.min(left_secs);
        let member = current.member;
        let granted = current.granted_at;
        if options.renewal_ends_old_tokens {
            self.end_some(&member, Standing::Revoked, |access| {
                access.client_id == client_id
            });
        }
        let access = access_for(
            options,
            now,
            granted,
            client_id,
            Some(&member),
            current.scopes,
            lifetime,
        );
        Ok((
            member,
            self.hand_out(options, access, lifetime, Some((token, left_secs))),
        ))
    }

    /// A token for the application itself (client credentials).
    pub(crate) fn application_token(
        &mut self,
        options: &Options,
        now: u64,
        application: &Application,
    ) -> TokenAnswer {
        let lifetime = APPLICATION_TOKEN_SECS;
        let client_id = &application.client_id;
        let access = access_for(options, now, now, client_id, None, Vec::new(), lifetime);
        self.hand_out(options, access, lifetime, None)
    }

    /// Notes a consent and gives its code.
    pub(crate) fn keep_code(&mut self, now: u64, code: Code) -> String {
        let text = tokens::code();
        let code = Code {
            expires_at: now + CODE_SECS * SECOND,
            ..code
        };
        self.codes.insert(text.clone(), code);
        self.code_order.push_back(text.clone());
        if self.code_order.len() > KEPT_CODES {
            let oldest = self.code_order.pop_front();
            oldest.map(|oldest| self.codes.remove(&oldest));
        }
        text
    }

    /// The consent behind a code, spent or not.
    pub(crate) fn code_mut(&mut self, code: &str) -> Option<&mut Code> {
        self.codes.get_mut(code)
    }

    /// An access token, and what LinkedIn thinks of it now.
    pub(crate) fn access(&self, now: u64, token: &str) -> Option<(&Access, Standing)> {
        let access = self.access.get(token)?;
        let standing = match access.ended {
            Some(ended) => ended,
            None if self.is_restricted(access) => Standing::Restricted,
            None if access.expires_at <= now => Standing::Expired,
            // The fresh-token lag looks exactly like a revocation (linkedin.md §1.5).
            None if now < access.usable_from => Standing::Revoked,
            None => Standing::Good,
        };
        Some((access, standing))
    }

    /// The member a refresh token belongs to, dead or alive.
    pub(crate) fn member_of_refresh(&self, refresh_token: &str) -> Option<String> {
        self.refresh
            .get(refresh_token)
            .map(|refresh| refresh.member.clone())
    }

    /// The lag does not apply to this token.
    pub(crate) fn usable_now(&mut self, token: &str) {
        if let Some(access) = self.access.get_mut(token) {
            access.usable_from = 0;
        }
    }

    /// Ends all live access tokens of a member in this way.
    pub(crate) fn end_access(&mut self, member: &str, standing: Standing) {
        self.end_some(member, standing, |_any| true);
    }

    fn end_some(&mut self, member: &str, standing: Standing, ends: impl Fn(&Access) -> bool) {
        for token in self.access_of.get(member).into_iter().flatten() {
            if let Some(access) = self.access.get_mut(token)
                && access.ended.is_none()
                && ends(access)
            {
                access.ended = Some(standing);
            }
        }
    }

    /// All refresh tokens of the member are dead from now on.
    pub(crate) fn kill_refresh(&mut self, member: &str) {
        for refresh in self
            .refresh
            .values_mut()
            .filter(|refresh| refresh.member == member)
        {
            refresh.life = RefreshLife::Dead;
        }
    }

    /// The member may do nothing more (401/65608).
    pub(crate) fn restrict(&mut self, member: &str) {
        self.restricted.insert(member.to_owned());
    }

    /// The refresh token handed out last, for any application.
    pub(crate) fn last_refresh_token(&self, client_id: &str, member: &str) -> Option<String> {
        self.latest_refresh
            .get(&(client_id.to_owned(), member.to_owned()))
            .cloned()
    }

    /// Every access token of the member that would be accepted now.
    pub(crate) fn live_access_tokens(&self, now: u64, member: &str) -> Vec<String> {
        let is_good = |token: &&String| {
            self.access(now, token)
                .is_some_and(|(_, standing)| standing == Standing::Good)
        };
        self.access_of
            .get(member)
            .into_iter()
            .flatten()
            .filter(is_good)
            .cloned()
            .collect()
    }

    /// Names of all members that ever granted anything.
    pub(crate) fn members(&self) -> Vec<String> {
        let mut names: Vec<String> = self.access_of.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    fn is_restricted(&self, access: &Access) -> bool {
        access
            .member
            .as_ref()
            .is_some_and(|member| self.restricted.contains(member))
    }

    /// Asking for different scopes invalidates all earlier access tokens (linkedin.md §1.3).
    fn end_other_scopes(&mut self, client_id: &str, member: &str, scopes: &[String]) {
        self.end_some(member, Standing::Revoked, |access| {
            access.client_id == client_id && access.scopes != scopes
        });
    }

    fn keep_refresh(&mut self, refresh: Refresh) -> String {
        let token = tokens::refresh_token();
        let owner = (refresh.client_id.clone(), refresh.member.clone());
        self.refresh.insert(token.clone(), refresh);
        self.latest_refresh.insert(owner, token.clone());
        if self.refresh.len() > KEPT_TOKENS {
            self.refresh
                .retain(|_, refresh| refresh.life == RefreshLife::Live);
        }
        token
    }

    fn keep_access(&mut self, token: String, access: Access) {
        if let Some(member) = &access.member {
            self.access_of
                .entry(member.clone())
                .or_default()
                .push(token.clone());
        }
        self.access.insert(token.clone(), access);
        self.access_order.push_back(token);
        if self.access_order.len() > KEPT_TOKENS {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.access_order.pop_front() else {
            return;
        };
        let member = self.access.remove(&oldest).and_then(|access| access.member);
        let Some(member) = member else { return };
        if let Some(tokens) = self.access_of.get_mut(&member) {
            tokens.retain(|token| *token != oldest);
            if tokens.is_empty() {
                self.access_of.remove(&member);
            }
        }
    }

    fn hand_out(
        &mut self,
        options: &Options,
        access: Access,
        lifetime_secs: u64,
        refresh: Option<(String, u64)>,
    ) -> TokenAnswer {
        let token = tokens::access_token();
        let scope = access.scopes.join(&options.scope_separator.to_string());
        self.keep_access(token.clone(), access);
        let (refresh_token, refresh_token_expires_in) = refresh.unzip();
        TokenAnswer {
            access_token: token,
            expires_in: lifetime_secs,
            refresh_token,
            refresh_token_expires_in,
            scope,
            expires_in_as_string: options.expires_in_as_string,
        }
    }
}

fn access_for(
    options: &Options,
    now: u64,
    authorized_at: u64,
    client_id: &str,
    member: Option<&str>,
    scopes: Vec<String>,
    lifetime_secs: u64,
) -> Access {
    Access {
        client_id: client_id.to_owned(),
        member: member.map(str::to_owned),
        scopes,
        authorized_at,
        created_at: now,
        usable_from: now + super::clock::micros_of(options.fresh_token_lag),
        expires_at: now + lifetime_secs * SECOND,
        ended: None,
    }
}

#[cfg(test)]
mod tests;
