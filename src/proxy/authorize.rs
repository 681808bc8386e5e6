//! Puts the member's token in; on a 401 renews it and sends once more.
//!
//! A 401 names the token it refused. If the credentials already hold another, that one is used; a
//! token that LinkedIn issued a moment ago and does not know yet is given time (linkedin.md §1.5);
//! else the house is asked to renew *that* token. 65604, 65608 and 403 never renew.
//!
//! **Invariant:** at most one renewal per exchange. A request is sent again only if its body is
//! kept whole, and a write only after a 401 whose code says that LinkedIn's door refused it.
//! **Neighbours:** outside `backoff`, so that "once more" holds per exchange.

use std::{rc::Rc, time::Duration};

use http::StatusCode;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, layer::layer_fn, service_fn};

use crate::{
    credentials::{Refused, Token, Verdict},
    exchange::{Member, Outcome},
    metrics::AttemptReason,
};

use super::{
    alarm::Late,
    answer::Answer,
    dispatch::Sending,
    exchange::{Admitted, Exchange},
    failure::Failure,
    repeat::Class,
    replay::CanRepeat,
};

mod refusal;

use refusal::{Code, Refusal};

/// Waits while LinkedIn does not know a token yet that it has just issued.
const LAG_WAITS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// A body too large to keep is not begun with a token that ends within this time.
const LARGE_BODY_SECS: i64 = 3600;

/// Puts the token in.
pub(crate) fn layer<S>()
-> impl Layer<S, Service = impl Service<Rc<Exchange>, Response = Answer, Error = Failure> + Clone>
+ Clone
where
    S: Service<Sending, Response = Answer, Error = Failure> + Clone,
{
    layer_fn(|inner: S| {
        service_fn(move |exchange| {
            let inner = inner.clone();
            Authorize { inner, exchange }.run()
        })
    })
}

struct Authorize<S> {
    inner: S,
    exchange: Rc<Exchange>,
}

/// What is done about a 401.
enum Cure {
    /// Nothing helps: LinkedIn's answer goes to the caller.
    None(&'static str),
    /// Send again at once with this token.
    Other(Token),
    /// LinkedIn may not know its own new token yet.
    Wait(Duration),
    /// Renew, then send again.
    Renew,
}

impl<S> Authorize<S>
where
    S: Service<Sending, Response = Answer, Error = Failure>,
{
    async fn run(mut self) -> Result<Answer, Failure> {
        let exchange = Rc::clone(&self.exchange);
        let Some(admitted) = exchange.admitted.get() else {
            return Err(Failure::Internal);
        };
        let member = &admitted.member;
        let mut token = self.first_token(admitted).await?;
        let mut history = History::default();
        loop {
            let answer = self.send(&token).await?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                self.note_proven(member, &token, answer.status());
                if answer.status() == StatusCode::INTERNAL_SERVER_ERROR {
                    Box::pin(self.explain_500(member, &token)).await;
                }
                return Ok(answer);
            }
            let refusal = Box::pin(Refusal::read(&self.exchange.thread, &exchange, answer)).await;
            let why_not = Box::pin(self.why_not_again(&refusal)).await;
            token = match (self.cure(member, &token, &refusal, &mut history)?, why_not) {
                (Cure::None(why), _) => {
                    exchange.note_then(format!("not sent again, because {why}"));
                    Box::pin(self.investigate(member, &token, 401, refusal.number)).await;
                    return Ok(refusal.answer);
                }
                (cure, Some(obstacle)) => {
                    let left = self.leave_to_caller(cure, obstacle, member, &token, refusal);
                    return Box::pin(left).await;
                }
                (Cure::Other(other), None) => {
                    self.again(AttemptReason::Renewed, "another token is there", other)
                }
                (Cure::Wait(wait), None) => {
                    Box::pin(self.wait_out_lag(wait)).await;
                    self.again(
                        AttemptReason::FreshTokenLag,
                        "LinkedIn lags behind its own new token",
                        token,
                    )
                }
                (Cure::Renew, None) => {
                    history.has_renewed = true;
                    let renewed = match Box::pin(self.renew(member, Some(&token))).await {
                        Ok(renewed) => renewed,
                        Err(failure) => {
                            return Err(Box::pin(self.explained(failure, member)).await);
                        }
                    };
                    self.again(AttemptReason::Renewed, "the token was renewed", renewed)
                }
            };
        }
    }

    async fn send(&mut self, token: &Token) -> Result<Answer, Failure> {
        let sending = Sending {
            exchange: Rc::clone(&self.exchange),
            token: token.clone(),
        };
        self.inner.call(sending).await
    }

    fn again(&self, reason: AttemptReason, why: &str, token: Token) -> Token {
        self.exchange
            .note_then(format!("sent again, because {why}"));
        self.exchange.next_reason.set(reason);
        token
    }

    /// The token for the first attempt; renewed first where the one at hand would not last.
    async fn first_token(&self, admitted: &Admitted) -> Result<Token, Failure> {
        let member = &admitted.member;
        let looked_up = admitted.token.take();
        let looked_up = looked_up.unwrap_or_else(|| self.exchange.thread.credentials.token(member));
        match looked_up.map_err(failure)? {
            Some(token) if self.lasts(&token) => Ok(token),
            Some(token) => {
                let renewed = Box::pin(self.renew(member, Some(&token))).await;
                Ok(renewed.unwrap_or(token))
            }
            None => Box::pin(self.renew(member, None)).await,
        }
    }

    /// A body that cannot be sent twice must not meet the end of its token.
    fn lasts(&self, token: &Token) -> bool {
        let large = self.exchange.thread.replay_limits.keep_bytes as u64;
        let is_large = self
            .exchange
            .body()
            .length()
            .is_none_or(|length| length > large);
        let left = || token.expires_at.map_or(i64::MAX, |at| at - self.now());
        !is_large || !token.is_renewable || left() > LARGE_BODY_SECS
    }

    fn now(&self) -> i64 {
        self.exchange.thread.clock.seconds()
    }

    /// Younger tokens may be refused without meaning anything.
    fn lag_secs(&self) -> i64 {
        let lag = self.exchange.thread.credentials.lag().as_secs();
        i64::try_from(lag).unwrap_or(i64::MAX)
    }

    /// LinkedIn took a young token: the one before it is not needed any more.
    fn note_proven(&self, member: &Member, token: &Token, status: StatusCode) {
        let age = token
            .issued_at
            .map_or(i64::MAX, |at| self.exchange.started_micros / 1_000_000 - at);
        if age < self.lag_secs() && !status.is_server_error() {
            self.exchange.thread.credentials.proven(member, token);
        }
    }

    fn cure(
        &self,
        member: &Member,
        token: &Token,
        refusal: &Refusal,
        history: &mut History,
    ) -> Result<Cure, Failure> {
        match refusal.code {
            Code::Curable => {}
            Code::Missing if self.exchange.class == Class::Read => {}
            Code::Missing => return Ok(Cure::None("the 401 has no code and this is a write")),
            Code::Other => return Ok(Cure::None("a new token would not help")),
        }
        if let Ok(Some(other)) = self.exchange.thread.credentials.token(member)
            && other.fingerprint != token.fingerprint
            && history.may_switch()
        {
            return Ok(Cure::Other(other));
        }
        let age = token
            .issued_at
            .map_or(i64::MAX, |issued| self.now() - issued);
        // From a future beyond that, the clock was set back: no age at all, and no youth without end.
        let lag = self.lag_secs();
        if refusal.is_lag_code && (-lag..lag).contains(&age) {
            return self.cure_of_lag(member, token, history);
        }
        if history.has_renewed {
            return Ok(Cure::None("the token was renewed once already"));
        }
        Ok(Cure::Renew)
    }

    fn cure_of_lag(
        &self,
        member: &Member,
        token: &Token,
        history: &mut History,
    ) -> Result<Cure, Failure> {
        if let Some(previous) = self.exchange.thread.credentials.previous(member, token)
            && history.may_switch()
        {
            return Ok(Cure::Other(previous));
        }
        let unavailable = Failure::RenewalUnavailable {
            after: Duration::from_secs(5),
            reason: "LinkedIn does not accept the token that it has just issued".into(),
        };
        let wait = LAG_WAITS
            .get(history.lag_waits)
            .copied()
            .ok_or(unavailable.clone())?;
        history.lag_waits += 1;
        if wait >= self.exchange.time_left() {
            Err(unavailable)
        } else {
            Ok(Cure::Wait(wait))
        }
    }

    async fn wait_out_lag(&self, wait: Duration) {
        self.exchange.note_wait(wait);
        sleep(wait).await;
    }

    /// Why this request cannot be sent a second time, if so.
    async fn why_not_again(&self, refusal: &Refusal) -> Option<&'static str> {
        if refusal.code == Code::Other {
            return None;
        }
        if self.exchange.caller_left.get() {
            return Some("the caller left");
        }
        if self.exchange.class.is_write() && !self.exchange.thread.settings.retry.writes_after_401 {
            return Some("retry.writes_after_401 is off");
        }
        match self.exchange.body().can_repeat() {
            CanRepeat::TooLarge => Some("the body was too large to keep"),
            CanRepeat::Broken => Some("the request's body broke off"),
            CanRepeat::Yes if self.exchange.body().is_through() => None,
            // The answer came before the body was through: a 401 is worth reading the rest.
            CanRepeat::Yes => (!self.exchange.body().read_rest().await)
                .then_some("the body was too large to keep"),
        }
    }

    /// The request cannot be sent again from here, but the next one shall find a good token.
    async fn leave_to_caller(
        &self,
        cure: Cure,
        obstacle: &'static str,
        member: &Member,
        token: &Token,
        refusal: Refusal,
    ) -> Result<Answer, Failure> {
        self.exchange
            .note_then(format!("not sent again, because {obstacle}"));
        match cure {
            Cure::None(_) | Cure::Wait(_) => return Ok(refusal.answer),
            Cure::Other(_) => {}
            Cure::Renew => drop(self.renew(member, Some(token)).await?),
        }
        self.exchange.outcome.set(Outcome::Refused);
        Err(Failure::RenewedSendAgain)
    }

    /// LinkedIn may answer 500 where it cannot verify a token (linkedin.md §3.5): worth asking once a
    /// read has failed for good.
    async fn explain_500(&self, member: &Member, token: &Token) {
        if self.exchange.class == Class::Read && !self.exchange.caller_left.get() {
            self.investigate(member, token, 500, None).await;
        }
    }

    /// Finds out why, for the record; no longer than the exchange may take.
    async fn investigate(&self, member: &Member, token: &Token, status: u16, number: Option<u32>) {
        let credentials = &self.exchange.thread.credentials;
        let asking = credentials.investigate(member, token, status, number);
        let said = self.in_time(asking).await.ok();
        if let Some(known) = said.filter(|said| *said != Verdict::Unknown) {
            self.exchange.verdict.get_or_init(|| Box::new(known));
        }
    }

    /// The failure, with the reason that LinkedIn gives for it.
    async fn explained(&self, failure: Failure, member: &Member) -> Failure {
        let Failure::SignInNeeded {
            service_error_code,
            reason,
        } = failure
        else {
            return failure;
        };
        let asking = self.exchange.thread.credentials.explain(member);
        let said = self.in_time(asking).await.ok();
        let verdict = said.flatten().map(|verdict| verdict.to_string());
        let reason = match verdict.filter(|verdict| !reason.contains(verdict)) {
            Some(verdict) => format!("{reason}: {verdict}").into(),
            None => reason,
        };
        Failure::SignInNeeded {
            service_error_code,
            reason,
        }
    }

    /// What `work` ends in, if it does so before the exchange's deadline.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Late> {
        let deadline = self.exchange.deadline();
        self.exchange.thread.alarm.until(deadline, work).await
    }

    /// Waits for a renewal, no longer than the exchange may take. The renewal itself goes on.
    async fn renew(&self, member: &Member, rejected: Option<&Token>) -> Result<Token, Failure> {
        let began = Instant::now();
        let renewal = self.exchange.thread.credentials.renew(member, rejected);
        let ended = self.in_time(renewal).await;
        let waited = self.exchange.token_time.get() + began.elapsed();
        self.exchange.token_time.set(waited);
        match ended {
            Ok(renewed) => renewed.map_err(failure),
            Err(Late) => Err(Failure::RenewalUnavailable {
                after: Duration::from_secs(1),
                reason: "the renewal is still under way".into(),
            }),
        }
    }
}

/// What was already tried in this exchange.
#[derive(Debug, Default)]
struct History {
    has_renewed: bool,
    lag_waits: usize,
    switches: u32,
}

impl History {
    /// Going back and forth between tokens ends after a few turns.
    fn may_switch(&mut self) -> bool {
        self.switches += 1;
        self.switches <= MAX_SWITCHES
    }
}

const MAX_SWITCHES: u32 = 3;

fn failure(refused: Refused) -> Failure {
    match refused {
        Refused::SignInNeeded {
            service_error_code,
            reason,
        } => Failure::SignInNeeded {
            service_error_code,
            reason,
        },
        Refused::TryLater { after, reason } => Failure::RenewalUnavailable { after, reason },
    }
}
