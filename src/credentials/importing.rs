//! Tokens from elsewhere: an old JS SDK's, the portal's, another program's (issue: nobody has to
//! consent twice).
//!
//! **Invariant:** nothing is taken in that LinkedIn calls another application's, revoked, or over with
//! nothing to renew it; where LinkedIn cannot be asked, the operator's word counts, and that is said.
//! **Neighbours:** `oauth::introspection` and `identity` ask LinkedIn; `management` takes what was
//! found in.

use super::{
    Credentials, GrantSummary, Introspection, ManageError, Verdict,
    grant::{Grant, Terms, TokenAnswer},
    identity::{self, Unknown},
    oauth::Introspected,
    verdict::Context,
};
use crate::exchange::Member;

impl Credentials {
    /// Takes in what LinkedIn's token endpoint answered for `member`, over whatever was there, after
    /// asking LinkedIn what it is: expiry and scopes come from there where they are missing, name and
    /// portrait from `/v2/userinfo`. A token without a refresh token is a grant that cannot be renewed.
    ///
    /// # Errors
    /// [`ManageError`]; nothing has changed then.
    pub async fn take_over(
        &self,
        member: &Member,
        json: &str,
    ) -> Result<GrantSummary, ManageError> {
        let shared = &self.0;
        let application = self.importable(member)?;
        let answer = TokenAnswer::parse(json.as_bytes())?;
        let mut terms = Terms {
            now: shared.now(),
            live: &shared.live,
            is_issued_now: false,
            is_applications_own: false,
        };
        let (mut remarks, mut created_at) = (Vec::new(), None);
        let given = answer.grant(None, &terms);
        let (endpoint, time) = (&shared.endpoint, shared.settings.post_time);
        let told = endpoint.introspect(application, &given.access, time).await;
        let mut grant = match told {
            Introspected::Told(told) => {
                let context = shared.context(member);
                may_be_taken(&told, &given, &context)?;
                created_at = told.created_at;
                // What the answer says counts from the day it was given, which is not today.
                terms.now = told.created_at.unwrap_or(terms.now).min(terms.now);
                let mut grant = answer.grant(None, &terms);
                learn(&mut grant, &told);
                grant
            }
            Introspected::NotKnown => return Err(ManageError::NotTaken(Verdict::NotKnown)),
            Introspected::Misconfigured { reason } | Introspected::Unavailable { reason } => {
                remarks.push(format!(
                    "taken as given: LinkedIn did not say what it is ({reason})"
                ));
                given
            }
        };
        match identity::ask(shared, &grant.access, &[]).await {
            Ok(told) if grant.urn.as_deref().is_some_and(|urn| *urn != *told.urn) => {
                return Err(ManageError::AnotherMember(member.clone()));
            }
            Ok(told) => identity::adorn(shared, &mut grant, told).await,
            Err(reason) => {
                // LinkedIn never took it so far: while it is young a refusal means nothing.
                grant.access.issued_at = created_at;
                remarks.push(format!(
                    "without name and portrait: LinkedIn did not say who it is ({reason})"
                ));
            }
        }
        identity::keep(shared, member, &mut grant, Unknown::Trusted)
            .await
            .map_err(|why| ManageError::not_kept(why, member))?;
        let mut summary = self.show(member)?;
        summary.remarks = remarks;
        Ok(summary)
    }
}

/// Whether a token of which LinkedIn says this is worth keeping.
fn may_be_taken(told: &Introspection, given: &Grant, context: &Context) -> Result<(), ManageError> {
    if told.is_foreign(&context.client_id) {
        return Err(ManageError::NotTaken(Verdict::OtherApplication));
    }
    match told.status.as_deref() {
        // LinkedIn may say so of a token that it has issued a moment ago.
        Some("revoked") if !context.is_young(told) => {
            Err(ManageError::NotTaken(Verdict::Revoked {
                noticed_at: context.now,
            }))
        }
        Some("expired") if given.refresh.is_none() => {
            Err(ManageError::NotTaken(Verdict::Expired {
                at: told.expires_at,
            }))
        }
        _ => Ok(()),
    }
}

/// Fills in what LinkedIn knows and the grant does not; of two expiries the earlier one counts.
pub(super) fn learn(grant: &mut Grant, told: &Introspection) {
    let access = &mut grant.access;
    access.expires_at = match (access.expires_at, told.expires_at) {
        (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
        (ours, theirs) => ours.or(theirs),
    };
    if grant.scopes.is_empty() {
        grant.scopes.clone_from(&told.scopes);
    }
}
