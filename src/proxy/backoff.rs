//! 429, 5xx and lost connections: wait, send again if that can do no harm.
//!
//! What may be sent again is `repeat`'s table; here stand the limits: attempts, total time, one
//! retry budget for the process, and a memory of endpoints that answer 429 without saying for how
//! long. Why a repetition was not made is noted on the attempt.
//!
//! **Neighbours:** inside `authorize`, so that a renewed token starts a fresh series; outside
//! `dispatch`, which makes single attempts.

use std::{rc::Rc, time::Duration};

use http::{StatusCode, header::RETRY_AFTER};
use rand::RngExt as _;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, layer::layer_fn, service_fn};

use crate::{clock::Clock, exchange::Outcome, metrics::AttemptReason};

use super::{
    answer::{Answer, Gathered},
    dispatch::{Lost, Sending},
    exchange::Exchange,
    failure::Failure,
    repeat::{Ended, Verdict, verdict},
    replay::CanRepeat,
    thread::Thread,
};

pub(crate) mod budget;
pub(crate) mod throttle;

/// Sends again what may be sent again.
pub(crate) fn layer<S>()
-> impl Layer<S, Service = impl Service<Sending, Response = Answer, Error = Failure> + Clone> + Clone
where
    S: Service<Sending, Response = Answer, Error = Lost> + Clone,
{
    layer_fn(|inner: S| service_fn(move |sending| run(inner.clone(), sending)))
}

async fn run<S>(mut inner: S, mut sending: Sending) -> Result<Answer, Failure>
where
    S: Service<Sending, Response = Answer, Error = Lost>,
{
    let exchange = Rc::clone(&sending.exchange);
    let thread = &exchange.thread;
    let retry = &thread.settings.retry;
    let mut tries = 0;
    loop {
        let ended = inner.call(sending).await;
        let how = how_it_ended(&ended, &thread.clock);
        note_outcome(&exchange, how);
        if let Ended::Answered(status, _) = how {
            thread.throttle.note(&exchange, status);
        }
        let wait = match again(thread, &exchange, how, tries) {
            Next::Return => return ended.map_err(|lost| lost.failure),
            Next::GiveUp(why) => {
                exchange.note_then(format!("not sent again, because {why}"));
                return ended.map_err(|lost| lost.failure);
            }
            Next::Wait(wait) => wait,
        };
        exchange.note_then(format!(
            "sent again after {} ms, because {}",
            wait.as_millis(),
            word(how)
        ));
        exchange.next_reason.set(reason(how));
        if let Ok(answer) = ended {
            Box::pin(discard(thread, &exchange, answer)).await;
        }
        exchange.end_trip();
        exchange.note_wait(wait);
        sleep(wait).await;
        sending = Sending::again(&exchange)?;
        tries += 1;
        debug_assert!(tries <= retry.max_retries);
    }
}

/// What is done after an attempt.
enum Next {
    Return,
    GiveUp(&'static str),
    Wait(Duration),
}

fn again(thread: &Thread, exchange: &Exchange, how: Ended, tries: u32) -> Next {
    let retry = &thread.settings.retry;
    let asked = match verdict(exchange.class, how, retry.max_delay) {
        Verdict::Final => return Next::Return,
        Verdict::No(why) => return Next::GiveUp(why),
        Verdict::Again => None,
        Verdict::AgainAfter(after) => Some(after),
    };
    if let Some(why) = obstacle(thread, exchange, how, tries) {
        return Next::GiveUp(why);
    }
    let wait = asked.unwrap_or_else(|| jittered(retry.base_delay, retry.max_delay, tries));
    if wait >= exchange.time_left() {
        return Next::GiveUp("the total time would be over before LinkedIn could answer");
    }
    if !thread.budget.withdraw() {
        return Next::GiveUp("the retry budget is used up");
    }
    Next::Wait(wait)
}

/// What stands against a repetition that the table would allow.
fn obstacle(thread: &Thread, exchange: &Exchange, how: Ended, tries: u32) -> Option<&'static str> {
    let is_429 = matches!(how, Ended::Answered(StatusCode::TOO_MANY_REQUESTS, _));
    let is_silent_429 = matches!(how, Ended::Answered(StatusCode::TOO_MANY_REQUESTS, None));
    if exchange.caller_left.get() {
        return Some("the caller left");
    }
    if is_silent_429 && thread.throttle.is_closed(exchange) {
        return Some("LinkedIn has throttled this endpoint for this member");
    }
    if is_silent_429 && tries >= 1 {
        return Some("LinkedIn does not say when to come again");
    }
    if tries >= thread.settings.retry.max_retries {
        return Some("retry.max_retries is reached");
    }
    match exchange.body().can_repeat() {
        CanRepeat::TooLarge => return Some("the body was too large to keep"),
        CanRepeat::Broken => return Some("the request's body broke off"),
        CanRepeat::Yes => {}
    }
    let answered = matches!(how, Ended::Answered(..));
    if answered && !exchange.body().is_through() && !is_429 {
        return Some("the answer began before the body was through");
    }
    None
}

/// Full jitter: anything from nothing to the doubled delay (AWS Architecture Blog, "Exponential
/// Backoff And Jitter").
fn jittered(base: Duration, max: Duration, tries: u32) -> Duration {
    let ceiling = base.saturating_mul(2_u32.saturating_pow(tries)).min(max);
    ceiling.mul_f64(rand::rng().random::<f64>())
}

fn how_it_ended(ended: &Result<Answer, Lost>, clock: &Clock) -> Ended {
    match ended {
        Ok(answer) => Ended::Answered(answer.status(), retry_after(answer, clock)),
        Err(lost) if lost.nothing_sent => Ended::NothingSent,
        Err(_) => Ended::Lost,
    }
}

/// `Retry-After` in both of its forms (RFC 9110 §10.2.3); a good answer is not asked for it.
fn retry_after(answer: &Answer, clock: &Clock) -> Option<Duration> {
    if answer.status().is_success() {
        return None;
    }
    let value = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let at = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    let now = u64::try_from(clock.seconds()).unwrap_or_default();
    Some(Duration::from_secs(at.saturating_sub(now)))
}

/// What is known of the request's fate after this attempt. An open fate stays open until LinkedIn
/// gives an answer that only a processed request can have: a refusal of a later attempt does not
/// close it.
fn note_outcome(exchange: &Exchange, how: Ended) {
    let before = exchange.outcome.get();
    let outcome = match how {
        Ended::NothingSent => before,
        Ended::Lost => Outcome::Unknown,
        Ended::Answered(StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS, _) => {
            if before == Outcome::Unknown {
                before
            } else {
                Outcome::Refused
            }
        }
        Ended::Answered(status, _) if status.is_server_error() && exchange.class.is_write() => {
            Outcome::Unknown
        }
        Ended::Answered(..) => Outcome::Answered,
    };
    exchange.outcome.set(outcome);
}

fn word(how: Ended) -> String {
    match how {
        Ended::NothingSent => "nothing had been sent".to_owned(),
        Ended::Lost => "the connection was lost or too slow".to_owned(),
        Ended::Answered(status, _) => format!("LinkedIn answered {}", status.as_u16()),
    }
}

fn reason(how: Ended) -> AttemptReason {
    match how {
        Ended::NothingSent => AttemptReason::NotSent,
        Ended::Lost => AttemptReason::Lost,
        Ended::Answered(StatusCode::TOO_MANY_REQUESTS, _) => AttemptReason::Throttled,
        Ended::Answered(..) => AttemptReason::ServerError,
    }
}

/// Reads what is left of an answer that will not be passed on, so that its connection can serve
/// again; keeps it for the record. Gives up after [`DISCARD_TIME`] or [`DISCARD_BYTES`].
async fn discard(thread: &Thread, exchange: &Exchange, answer: Answer) {
    let deadline = Instant::now() + DISCARD_TIME;
    let mut body = answer.into_body();
    let mut gathered = Gathered::default();
    thread
        .alarm
        .at_most(deadline, gathered.read(&mut body, DISCARD_BYTES))
        .await;
    let kept = gathered.kept(thread.replay_limits.show_bytes);
    exchange.with_trip(|trip| {
        trip.body = kept;
        trip.keep_heads(exchange);
    });
}

const DISCARD_TIME: Duration = Duration::from_secs(1);
/// What is read of an answer that is not passed on, or that must be understood (a 401).
pub(crate) const DISCARD_BYTES: usize = 64 * 1024;
