//! A member signs in: LinkedIn's consent page, the code it sends back, who it was, the grant.
//!
//! **Invariant:** a name never changes hands: a grant is saved only under the name of the LinkedIn
//! member who had it before, or under a free one. A code that was spent leads to a saved grant or to
//! an error that says why not, whether or not the browser still waits.
//! **Neighbours:** `connect` (the members' door) asks; `oauth::code` and `oauth::userinfo` speak to
//! LinkedIn.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tracing::{error, info, warn};

use super::{
    Application, AuthorizationCode, Credentials, GrantSummary,
    cooling::Scope,
    grant::Terms,
    identity::{self, LAG_WAITS, NotKept, Unknown},
    oauth::{self, CodeFailure},
    profile::Profile,
    refresher::UnderWay,
};
use crate::{
    exchange::{Member, Name},
    store::StoreError,
};

/// Why a member is not connected. The texts are for operators: a member's page must not show
/// [`ConnectError::AlreadyNamed`]'s.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// It is not in the configuration.
    #[error("application {0} is not configured")]
    UnknownApplication(Name),
    /// An application's own token is minted, nobody signs in for it.
    #[error("an application's own token is made on first use")]
    ApplicationsOwn,
    /// The code was used before, is over, or was asked for with another redirect URI or verifier:
    /// our mistake, or a page that was loaded twice. Asking anew helps.
    #[error("LinkedIn does not take the code: {reason}")]
    CodeRefused {
        /// LinkedIn's words.
        reason: String,
    },
    /// Client id, client secret or permissions of the application are wrong.
    #[error("LinkedIn refuses the application: {reason}")]
    Misconfigured {
        /// LinkedIn's words.
        reason: String,
    },
    /// LinkedIn did not answer, or not as it should. The code is lost; asking anew later helps.
    #[error("LinkedIn is not available: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
        /// What LinkedIn asked for.
        retry_after: Option<Duration>,
    },
    /// The name belongs to a LinkedIn member, and LinkedIn did not say who signed in now.
    #[error(
        "LinkedIn did not say who signed in ({reason}), and the name belongs to a known member; \
         disconnect it first, or give the application openid and profile"
    )]
    Unverified {
        /// Why it did not say.
        reason: String,
    },
    /// Another LinkedIn member than before signed in under this name. Apps would silently get
    /// another person's account: an operator must disconnect the name first.
    #[error("another LinkedIn member than before signed in; disconnect the name first")]
    AnotherMember,
    /// The LinkedIn member who signed in has another name for this application already.
    #[error("this LinkedIn member is {0} already; disconnect that name first, or use it")]
    AlreadyNamed(Member),
    /// The store did not take the grant.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The process is ending, or a bug.
    #[error("the sign-in broke off")]
    BrokeOff,
}

impl Credentials {
    /// LinkedIn's consent page for all scopes of the application at once (linkedin.md §1.1), with a
    /// PKCE challenge the one for native clients (§1.6). None if the application is unknown or has
    /// no scopes to ask for.
    pub fn authorization_url(
        &self,
        application: &Name,
        redirect_uri: &str,
        state: &str,
        challenge: Option<&str>,
    ) -> Option<String> {
        let known = self.application(application)?;
        let oauth_url = &self.0.endpoint.oauth_url;
        (!known.scopes.is_empty())
            .then(|| oauth::authorization_url(oauth_url, known, redirect_uri, state, challenge))
    }

    /// The scopes that [`Credentials::authorization_url`] asks for.
    pub fn scopes(&self, application: &Name) -> &[String] {
        self.application(application)
            .map_or(&[], |known| known.scopes.as_slice())
    }

    /// Whether the application's members are sent to LinkedIn with a PKCE challenge.
    pub fn has_native_pkce(&self, application: &Name) -> bool {
        self.application(application)
            .is_some_and(|known| known.native_pkce)
    }

    fn application(&self, name: &Name) -> Option<&Application> {
        self.0
            .applications
            .get(name)
            .map(|known| &known.application)
    }

    /// Exchanges the code, asks LinkedIn once who signed in, and saves grant and profile over
    /// whatever was there. Once begun it runs to its end: a browser that leaves does not lose the
    /// grant. Takes up to half a minute, where LinkedIn lags behind its own new token.
    ///
    /// Where LinkedIn does not tell the application who its members are, the grant is saved without
    /// a profile and the summary's remarks say so.
    ///
    /// # Errors
    /// [`ConnectError`]; what was there before is unchanged then.
    pub async fn connect(
        &self,
        member: &Member,
        code: AuthorizationCode,
    ) -> Result<GrantSummary, ConnectError> {
        let (this, member) = (self.clone(), member.clone());
        let counted = UnderWay::new(&self.0);
        let running = self.0.house.spawn(async move {
            let connected = this.connected(&member, &code).await;
            match &connected {
                Ok(_) => info!(%member, "a member signed in"),
                Err(error) => warn!(%member, %error, "a member is not signed in"),
            }
            drop(counted);
            connected
        });
        running.await.unwrap_or(Err(ConnectError::BrokeOff))
    }

    /// What a code met at the application is no other than what a renewal would meet.
    fn hold_against(&self, member: &Member, failure: &CodeFailure) {
        let (cooling, notices) = (&self.0.cooling, &self.0.cache.notices);
        let application = &member.application;
        let (reason, at_least) = match failure {
            CodeFailure::Misconfigured { reason } => {
                error!(%application, %reason, "LinkedIn refuses the application, not the member");
                notices.refused(application, reason);
                (reason, None)
            }
            CodeFailure::Throttled {
                reason,
                retry_after,
            } => {
                warn!(%application, %reason, "all renewals of the application wait");
                (reason, *retry_after)
            }
            CodeFailure::Refused { .. } | CodeFailure::Unavailable { .. } => return,
        };
        let scope = Scope::Application(application.clone());
        // The member is told in other words.
        drop(cooling.failed(scope, reason, at_least));
        notices.failed(member);
    }

    async fn connected(
        &self,
        member: &Member,
        code: &AuthorizationCode,
    ) -> Result<GrantSummary, ConnectError> {
        let shared = &self.0;
        if member.name.is_none() {
            return Err(ConnectError::ApplicationsOwn);
        }
        let application = self
            .application(&member.application)
            .ok_or_else(|| ConnectError::UnknownApplication(member.application.clone()))?;
        let answer = shared.endpoint.code(application, code).await;
        let answer = answer.inspect_err(|failure| self.hold_against(member, failure))?;
        let terms = Terms {
            now: shared.now(),
            live: &shared.live,
            is_issued_now: true,
            is_applications_own: false,
        };
        let mut grant = answer.grant(None, &terms);
        // RFC 6749 §5.1: a scope that is left out is the one that was asked for.
        if grant.scopes.is_empty() {
            grant.scopes.clone_from(&application.scopes);
        }
        let told = identity::ask(shared, &grant.access, &LAG_WAITS).await;
        let unknown = told.as_ref().err().cloned();
        if let Ok(told) = told {
            identity::adorn(shared, &mut grant, told).await;
        }
        identity::keep(shared, member, &mut grant, Unknown::Refused)
            .await
            .map_err(|why| not_connected(why, unknown.as_deref()))?;
        // The code was taken, so the application is in order too.
        shared.cooling.forgive(member);
        if unknown.is_none() {
            shared.cache.proven(member, &grant.access);
        }
        let mut summary = self.show(member).map_err(|_| ConnectError::BrokeOff)?;
        summary.remarks.extend(unknown.map(|why| {
            format!("signed in without name and portrait: LinkedIn did not say who it is ({why})")
        }));
        Ok(summary)
    }

    /// Who the member is, as LinkedIn said at the last sign-in or import.
    pub fn profile(&self, member: &Member) -> Option<Arc<Profile>> {
        self.0.cache.outline(member)?.profile.clone()
    }

    /// What signing in now would end: asking for other scopes than a live grant has kills every
    /// earlier token of that member (linkedin.md §1.3). None if nothing is lost.
    pub fn would_end_earlier(&self, member: &Member) -> Option<String> {
        let now = self.0.now();
        let grant = self.0.cache.grant(member)?;
        if !grant.is_usable(now) && !grant.is_renewable(now) {
            return None;
        }
        let asked = set(self.scopes(&member.application));
        let granted = set(&grant.scopes);
        let what = "LinkedIn ends every earlier token of this member for this application, also \
                    where it is used elsewhere";
        if granted.is_empty() {
            return Some(format!(
                "it is not known what was granted before; if it differs from what is asked for now, \
                 {what}"
            ));
        }
        (granted != asked).then(|| {
            format!(
                "what is asked for ({}) is not what was granted before ({}): {what}",
                text(&asked),
                text(&granted)
            )
        })
    }
}

fn set(scopes: &[String]) -> BTreeSet<&str> {
    scopes.iter().map(String::as_str).collect()
}

fn text(scopes: &BTreeSet<&str>) -> String {
    Vec::from_iter(scopes.iter().copied()).join(" ")
}

impl From<CodeFailure> for ConnectError {
    fn from(failure: CodeFailure) -> Self {
        match failure {
            CodeFailure::Refused { reason } => Self::CodeRefused { reason },
            CodeFailure::Misconfigured { reason } => Self::Misconfigured { reason },
            CodeFailure::Throttled {
                reason,
                retry_after,
            }
            | CodeFailure::Unavailable {
                reason,
                retry_after,
            } => Self::Unavailable {
                reason,
                retry_after,
            },
        }
    }
}

fn not_connected(why: NotKept, unknown: Option<&str>) -> ConnectError {
    match why {
        NotKept::AnotherMember => ConnectError::AnotherMember,
        NotKept::AlreadyNamed(other) => ConnectError::AlreadyNamed(other),
        NotKept::Unverified => ConnectError::Unverified {
            reason: unknown.unwrap_or("it was not asked").to_owned(),
        },
        NotKept::Store(error) => ConnectError::Store(error),
    }
}
