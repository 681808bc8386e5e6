//! THE MEMBERS' CREDENTIALS: two questions, [`Credentials::token`] and [`Credentials::renew`].

use std::{sync::Arc, time::Duration};

use http::HeaderValue;

use crate::{
    dial::BaseUrl,
    exchange::{Member, Name},
    keyring::Fingerprint,
    secret::Secret,
};

/// One LinkedIn developer application.
#[derive(Clone, Debug)]
pub struct Application {
    /// The operator's name for it.
    pub name: Name,
    /// LinkedIn's client id.
    pub client_id: String,
    /// LinkedIn's client secret.
    pub client_secret: Secret<String>,
}

/// How credentials are kept and renewed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The applications; the first is the default.
    pub applications: Vec<Application>,
    /// Base of LinkedIn's OAuth endpoints: `accessToken` lives below it.
    pub oauth_url: BaseUrl,
    /// Share of an access token's life at whose start renewal begins (0.1: the last tenth).
    pub ahead_share: f64,
    /// How long a new token may be refused by LinkedIn without meaning anything (linkedin.md §1.5).
    pub lag: Duration,
    /// Limit of one POST to the token endpoint.
    pub post_time: Duration,
    /// How long a flight's lease in the store lasts; longer than `post_time`.
    pub lease: Duration,
    /// Renewals under way at once, at most.
    pub max_concurrent: usize,
    /// First wait after a failed renewal; doubles up to `max_retry_delay`.
    pub retry_delay: Duration,
    /// Longest wait after failed renewals.
    pub max_retry_delay: Duration,
}

/// An access token, ready for the `Authorization` header. Cheap to clone; prints as its fingerprint.
#[derive(Clone)]
pub struct Token {
    /// `Bearer …`, marked sensitive.
    pub header: HeaderValue,
    /// Names it in records.
    pub fingerprint: Fingerprint,
    /// When LinkedIn issued it, in Unix seconds; none if unknown.
    pub issued_at: Option<i64>,
    /// When it expires, in Unix seconds; none if unknown (then it counts as not expired).
    pub expires_at: Option<i64>,
    /// Whether its grant can be renewed (it has a refresh token, or is the application's own).
    pub is_renewable: bool,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({})", self.fingerprint)
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Only the member can help: never signed in, revoked, or expired without a refresh token.
    #[error("member must sign in again: {reason}")]
    SignInNeeded {
        /// What an app written for LinkedIn would have been told: 65601 or 65602.
        service_error_code: u32,
        /// One sentence.
        reason: Arc<str>,
    },
    /// Time may help: the token endpoint is down, throttled, or our client secret is refused.
    #[error("renewal is not available: {reason}")]
    TryLater {
        /// When to ask again.
        after: Duration,
        /// One sentence.
        reason: Arc<str>,
    },
}

/// The members' credentials. Cheap to clone; may be asked from any thread.
#[derive(Clone, Debug)]
pub struct Credentials;

impl Credentials {
    /// Returns the member's token if one is usable now; none means [`Credentials::renew`] must be
    /// awaited first. Never waits. A token in the last `ahead_share` of its life is returned and
    /// renewed in the background.
    ///
    /// # Errors
    /// [`Refused::SignInNeeded`] when only the member can help; [`Refused::TryLater`] while a
    /// failed renewal cools down and the token is expired.
    pub fn token(&self, member: &Member) -> Result<Option<Token>, Refused> {
        todo!("{member}")
    }

    /// Returns a token other than `rejected`, waiting for the renewal under way or starting one.
    ///
    /// If the cache already holds another token, that is the answer and nothing is renewed.
    /// Dropping the future stops the waiting, never the renewal.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn renew(&self, member: &Member, rejected: Option<&Token>) -> Result<Token, Refused> {
        todo!("{member}{rejected:?}")
    }

    /// The token before `token`, while it is neither expired nor refused: LinkedIn may lag behind a
    /// renewal, and the old token stays good until the new one is proven.
    pub fn previous(&self, member: &Member, token: &Token) -> Option<Token> {
        todo!("{member}{token:?}")
    }

    /// Notes that LinkedIn took `token` at least once.
    pub fn proven(&self, member: &Member, token: &Token) {
        todo!("{member}{token:?}")
    }

    /// Whether there is a grant for `member`, whatever its state.
    pub fn knows(&self, member: &Member) -> bool {
        todo!("{member}")
    }

    /// LinkedIn's URN of the member, where known.
    pub fn urn(&self, member: &Member) -> Option<Arc<str>> {
        todo!("{member}")
    }

    /// The client id of an application.
    pub fn client_id(&self, application: &Name) -> Option<Arc<str>> {
        todo!("{application}")
    }

    /// The application that is meant where none is named.
    pub fn default_application(&self) -> &Name {
        todo!()
    }

    /// The member's data key (the application's where `name` is none), for sealing bodies.
    pub fn data_key(&self, member: &Member) -> Option<crate::keyring::DataKey> {
        todo!("{member}")
    }
}
