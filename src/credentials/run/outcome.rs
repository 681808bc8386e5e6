//! What those who wait for a flight are told, and what is remembered of a failure.

use std::time::Duration;

use tracing::{error, warn};

use super::{Run, SOON};
use crate::{
    credentials::{
        Refused, Token, cooling::Scope, flight::Ending, oauth::Failure, refresher::Told,
        shared::never_signed_in,
    },
    metrics::RenewalResult,
};

impl Run {
    pub(super) fn outcome(&self, ending: Ending) -> Told {
        let soon = |reason: &str| Refused::TryLater {
            after: SOON,
            reason: reason.into(),
        };
        let told = match ending {
            Ending::Renewed => self.renewed(),
            Ending::SignInNeeded => Err(match self.shared.cache.grant(&self.member) {
                Some(grant) => self.shared.sign_in_needed(&grant),
                None => never_signed_in(),
            }),
            Ending::Failed => Err(self.failed()),
            Ending::StoreDown => {
                self.shared.metrics.renewal(RenewalResult::TryLater);
                Err(self.cool(
                    "the store is not available, and no refresh token is spent without it",
                    None,
                ))
            }
            Ending::Busy => Err(soon("another process renews this member")),
        };
        if let (Ending::Failed | Ending::StoreDown, Err(Refused::TryLater { reason, .. })) =
            (ending, &told)
        {
            let (cooling, now) = (&self.shared.cooling, self.shared.now());
            cooling.note_attempt(&self.member, now, reason);
            self.shared.cache.notices.failed(&self.member);
        }
        told
    }

    fn renewed(&self) -> Told {
        let token = match self.fresh_token() {
            Ok(token) => token,
            Err(useless) => return Err(self.cool(useless, None)),
        };
        self.shared.cooling.forgive(&self.member);
        Ok(token)
    }

    /// The cache's token, if it is what was hoped for; else what is wrong with it.
    pub(super) fn fresh_token(&self) -> Result<Token, &'static str> {
        let grant = self.shared.cache.grant(&self.member);
        let grant = grant.ok_or("the member was disconnected meanwhile")?;
        if self.goal.replaced.as_ref() == Some(&grant.access.fingerprint) {
            return Err("LinkedIn gave the same token again");
        }
        if !grant.is_usable(self.shared.now()) {
            return Err("LinkedIn gave a token that is already over");
        }
        Ok(grant.access.clone())
    }

    fn failed(&self) -> Refused {
        let metrics = &self.shared.metrics;
        match &self.failure {
            Some(Failure::Misconfigured { reason }) => {
                metrics.renewal(RenewalResult::Misconfigured);
                let application = self.member.application.clone();
                error!(%application, %reason, "LinkedIn refuses the application, not the member");
                self.shared.cache.notices.refused(&application, reason);
                let scope = Scope::Application(application);
                self.shared.cooling.failed(scope, reason, None)
            }
            Some(Failure::Throttled {
                reason,
                retry_after,
            }) => {
                metrics.renewal(RenewalResult::TryLater);
                let application = self.member.application.clone();
                warn!(%application, %reason, "all renewals of the application wait");
                let scope = Scope::Application(application);
                self.shared.cooling.failed(scope, reason, *retry_after)
            }
            Some(Failure::Transient {
                reason,
                retry_after,
                ..
            }) => {
                metrics.renewal(RenewalResult::TryLater);
                warn!(member = %self.member, %reason, "a renewal failed");
                let cooling = &self.shared.cooling;
                cooling.endpoint_failed(&self.member, reason, *retry_after)
            }
            Some(Failure::Dead) | None => {
                metrics.renewal(RenewalResult::TryLater);
                self.cool(
                    "the refresh token was refused, but could not be compared",
                    None,
                )
            }
        }
    }

    fn cool(&self, reason: &str, at_least: Option<Duration>) -> Refused {
        warn!(member = %self.member, %reason, "a renewal failed");
        let scope = Scope::Member(self.member.clone());
        self.shared.cooling.failed(scope, reason, at_least)
    }
}
