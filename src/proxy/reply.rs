//! A failure becomes an HTTP answer here and nowhere else; above this layer nothing can fail.
//!
//! Also puts on every answer what is ours: the exchange id, the times, the open fate of a write.
//! A panic below costs this exchange and no other.

use std::{
    convert::Infallible,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, RETRY_AFTER, TRANSFER_ENCODING,
        WWW_AUTHENTICATE,
    },
};
use http_body::Body as _;
use serde::Serialize;
use tower::{Layer, Service, layer::layer_fn, service_fn};

use crate::exchange::Outcome;

mod timing;

use super::{
    Call,
    answer::{Answer, AnswerBody},
    exchange::Exchange,
    failure::Failure,
    headers::{LINKGATE_EXCHANGE, LINKGATE_OUTCOME, PROXY_STATUS, SERVER_TIMING},
    thread::Thread,
};

/// Answers, whatever happens below.
pub(crate) fn layer<S>()
-> impl Layer<S, Service = impl Service<Call, Response = Answer, Error = Infallible> + Clone> + Clone
where
    S: Service<Call, Response = Answer, Error = Failure> + Clone,
{
    layer_fn(|inner: S| service_fn(move |call| run(inner.clone(), call)))
}

async fn run<S>(mut inner: S, call: Call) -> Result<Answer, Infallible>
where
    S: Service<Call, Response = Answer, Error = Failure>,
{
    let exchange = Rc::clone(&call.exchange);
    let thread = &exchange.thread;
    let mut work = pin!(inner.call(call));
    let caught = poll_fn(|task| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(task)));
        polled.unwrap_or_else(|_| {
            tracing::error!(exchange.id = %exchange.id, "an exchange panicked: this is a bug");
            Poll::Ready(Err(Failure::Internal))
        })
    });
    let ended = caught.await;
    let mut answer = ended.unwrap_or_else(|failure| own_answer(thread, &exchange, failure));
    super::drain_rest(thread, &exchange);
    finish(thread, &exchange, &mut answer);
    Ok(answer)
}

/// The problem document (RFC 9457), with what LinkedIn's SDKs and support need.
#[derive(Debug, Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    exchange_id: String,
    /// LinkedIn's SDKs read this one.
    message: &'a str,
    outcome: &'a str,
    #[serde(rename = "serviceErrorCode", skip_serializing_if = "Option::is_none")]
    service_error_code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<String>,
    attempts: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_secs: Option<u64>,
}

fn own_answer(thread: &Thread, exchange: &Exchange, failure: Failure) -> Answer {
    let outcome = outcome(exchange, &failure);
    exchange.outcome.set(outcome);
    let wait = failure
        .retry_after()
        .filter(|_| outcome != Outcome::Unknown);
    let detail = failure.advice();
    let problem = Problem {
        r#type: format!("urn:linkgate:problem:{}", failure.code()),
        title: failure.status().canonical_reason().unwrap_or("Error"),
        status: failure.status().as_u16(),
        detail: &detail,
        code: failure.code(),
        exchange_id: exchange.id.to_string(),
        message: &detail,
        outcome: outcome.as_str(),
        service_error_code: service_error_code(&failure),
        member: exchange
            .member()
            .and_then(|m| m.name.as_ref())
            .map(ToString::to_string),
        attempts: exchange.trips.borrow().len(),
        connect_url: connect_url(thread, exchange, &failure),
        retry_after_secs: wait.map(|wait| wait.as_secs()),
    };
    let body: Bytes = serde_json::to_vec(&problem).unwrap_or_default().into();
    let mut answer = Response::new(AnswerBody::whole(body.clone()));
    *answer.status_mut() = failure.status();
    own_headers(answer.headers_mut(), &failure, body.len(), wait);
    exchange.failure.replace(Some(failure));
    answer
}

fn own_headers(headers: &mut HeaderMap, failure: &Failure, length: usize, wait: Option<Duration>) {
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CONTENT_LENGTH, length.into());
    let status = format!(
        "linkgate; error={}; details=\"{}\"",
        failure.proxy_error(),
        failure.code()
    );
    if let Ok(status) = HeaderValue::from_str(&status) {
        headers.insert(PROXY_STATUS.clone(), status);
    }
    if let Some(wait) = wait {
        headers.insert(RETRY_AFTER, wait.as_secs().into());
    }
    if failure.code() == "sign_in_needed" {
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
}

/// What became of the request, by its attempts; before the first nothing was sent. A failure that is
/// ours after an attempt was under way leaves it open.
fn outcome(exchange: &Exchange, failure: &Failure) -> Outcome {
    let is_cut_short = matches!(
        failure,
        Failure::Internal | Failure::ShuttingDown | Failure::LinkedInTimeout | Failure::LoggedOut
    );
    if is_cut_short && exchange.has_sent_bytes() {
        return Outcome::Unknown;
    }
    match exchange.outcome.get() {
        Outcome::Answered => Outcome::Unknown,
        other => other,
    }
}

fn service_error_code(failure: &Failure) -> Option<u32> {
    match failure {
        Failure::SignInNeeded {
            service_error_code, ..
        } => Some(*service_error_code),
        Failure::LoggedOut => Some(65601),
        _ => None,
    }
}

fn connect_url(thread: &Thread, exchange: &Exchange, failure: &Failure) -> Option<String> {
    let (Failure::SignInNeeded { .. } | Failure::LoggedOut) = failure else {
        return None;
    };
    thread.sign_in_links.link(exchange.member()?)
}

/// What every answer carries.
fn finish(thread: &Thread, exchange: &Exchange, answer: &mut Answer) {
    let is_open = exchange.class.is_write() && exchange.outcome.get() == Outcome::Unknown;
    let is_chunked = answer.body().size_hint().exact().is_none()
        && !answer.headers().contains_key(CONTENT_LENGTH)
        && exchange.version == Version::HTTP_11;
    let headers = answer.headers_mut();
    let mut id = [0; 36];
    if let Ok(id) = HeaderValue::from_str(exchange.id.encode(&mut id)) {
        headers.insert(LINKGATE_EXCHANGE.clone(), id);
    }
    if is_open {
        headers.insert(
            LINKGATE_OUTCOME.clone(),
            HeaderValue::from_static("unknown"),
        );
    }
    if let Ok(timing) = HeaderValue::from_bytes(timing::line(exchange).as_slice()) {
        headers.append(SERVER_TIMING.clone(), timing);
    }
    if !headers.contains_key(DATE) {
        headers.insert(DATE, date(thread));
    }
    if is_chunked {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    // HTTP/2 says it by GOAWAY.
    let is_http1 = exchange.version != Version::HTTP_2;
    if is_http1 && (exchange.closes.get() || thread.is_draining()) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// RFC 9110 §6.6.1: an answer without a date gets one.
fn date(thread: &Thread) -> HeaderValue {
    let now: std::time::SystemTime = thread.clock.now().into();
    HeaderValue::from_str(&httpdate::fmt_http_date(now))
        .unwrap_or_else(|_| HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}
