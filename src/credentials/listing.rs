//! Grants by the page: for lists that stay usable with a hundred thousand members.
//!
//! **Invariant:** one question makes one pass over the grants, keeps no more of them than it returns, and
//! makes summaries of those only.
//! **Neighbours:** `admin` asks for its pages and its API.

use std::collections::BTreeSet;

use super::{Credentials, GrantState, GrantSummary, cache::Seen, management::Asked};
use crate::exchange::{Member, Name};

/// Which grants are wanted; the default wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only this application's.
    pub application: Option<Name>,
    /// Only those that stand so.
    pub state: Option<GrantState>,
    /// Only those whose name, real name or URN holds this text, in whatever case.
    pub text: Option<String>,
}

/// Some of the grants, in order of application and name.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The grants of this page.
    pub grants: Vec<(Member, GrantSummary)>,
    /// Whether more come after the last of them.
    pub has_more: bool,
    /// After whom they come, though he or she may be gone meanwhile; none: there are no more.
    pub next: Option<Member>,
}

impl Credentials {
    /// The first `limit` grants that are wanted and come after `after`.
    pub fn page(&self, wanted: &Wanted, after: Option<&Member>, limit: usize) -> Page {
        let asked = self.asked();
        let text = wanted.text.as_ref().map(|text| text.to_lowercase());
        if text.is_some() {
            self.0.cache.learn_names();
        }
        // One more than is shown tells whether there are more.
        let mut first: BTreeSet<Member> = BTreeSet::new();
        self.0.cache.each(asked.now, |seen| {
            let is_after = after.is_none_or(|after| seen.member > after);
            let is_near =
                first.len() <= limit || first.last().is_some_and(|last| seen.member < last);
            if is_after && is_near && self.is_wanted(wanted, text.as_deref(), &seen, &asked) {
                first.insert(seen.member.clone());
                if first.len() > limit.saturating_add(1) {
                    first.pop_last();
                }
            }
        });
        let has_more = first.len() > limit;
        if has_more {
            first.pop_last();
        }
        let next = first.last().filter(|_| has_more).cloned();
        let grants = first.into_iter().filter_map(|member| {
            // One that was disconnected meanwhile is left out.
            let grant = self.0.cache.outline(&member)?;
            let summary = self.summary(&member, &grant);
            Some((member, summary))
        });
        Page {
            grants: grants.collect(),
            has_more,
            next,
        }
    }

    fn is_wanted(
        &self,
        wanted: &Wanted,
        text: Option<&str>,
        seen: &Seen<'_>,
        asked: &Asked,
    ) -> bool {
        let stands = || self.standing(seen.member, seen.facts, seen.due_since.is_some(), asked);
        let application = wanted.application.as_ref();
        application.is_none_or(|only| *only == seen.member.application)
            && text.is_none_or(|text| is_named(text, seen))
            && wanted.state.is_none_or(|only| stands() == only)
    }

    /// Puts members into memory alone, with when they drop out from now, in seconds.
    #[cfg(test)]
    pub(crate) fn crowd(&self, members: impl Iterator<Item = (String, Option<u64>)>) {
        use super::grant::{Terms, TokenAnswer};

        let terms = Terms {
            now: self.0.now(),
            live: &self.0.live,
            is_issued_now: true,
            is_applications_own: false,
        };
        for (name, ends_in) in members {
            let ends = ends_in.map(|secs| format!(r#","expires_in":{secs}"#));
            let scopes = "r_liteprofile,w_member_social,r_basicprofile,openid,profile,email";
            let text = format!(
                r#"{{"access_token":"{name}","scope":"{scopes}"{}}}"#,
                ends.unwrap_or_default()
            );
            let answer = TokenAnswer::parse(text.as_bytes()).unwrap();
            let member = Member {
                application: self.0.default_application.clone(),
                name: Some(name.parse().unwrap()),
            };
            self.0.cache.publish(&member, answer.grant(None, &terms));
        }
    }

    /// The applications that are configured, in order of their names.
    pub fn applications(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.0.applications.keys().cloned().collect();
        names.sort();
        names
    }
}

fn is_named(text: &str, seen: &Seen<'_>) -> bool {
    let names = [
        seen.member.name.as_ref().map(Name::as_str),
        seen.full_name(),
        seen.urn,
    ];
    let mut known = names.into_iter().flatten();
    known.any(|name| name.to_lowercase().contains(text))
}
