//! Which caller may ask what, for which member; whether the request is one we accept at all.
//!
//! Refuses before a token is spent. The decision is taken on the same bytes that go to LinkedIn.
//!
//! **Invariant:** a member that the key does not cover is answered the same, and at the same cost,
//! whether Linkgate knows it or not. Nothing of a body is read here, so a caller that waits for
//! `100 Continue` is refused without sending it (RFC 9110 §10.1.1).

use std::cell::RefCell;

use http::{
    HeaderMap, HeaderValue, Method, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use tower::{Layer, Service, layer::layer_fn, service_fn};

use crate::callers::{Covers, Key};

use super::{
    Call,
    answer::Answer,
    exchange::{Admitted, Endpoint, Exchange},
    failure::Failure,
    head_tap::request_line,
    repeat::effective_method,
    thread::Thread,
};

mod credential;
mod familiar;
pub(crate) mod hosts;
mod target;

use target::Target;

pub(crate) use familiar::Familiar;

/// Lets in who may come in.
pub(crate) fn layer<S>()
-> impl Layer<S, Service = impl Service<Call, Response = Answer, Error = Failure> + Clone> + Clone
where
    S: Service<Call, Response = Answer, Error = Failure> + Clone,
{
    layer_fn(|inner: S| service_fn(move |call| run(inner.clone(), call)))
}

async fn run<S>(mut inner: S, call: Call) -> Result<Answer, Failure>
where
    S: Service<Call, Response = Answer, Error = Failure>,
{
    match admit(&call.exchange.thread, &call.exchange) {
        Ok(admitted) => {
            // Set here alone, once per exchange.
            drop(call.exchange.admitted.set(admitted));
            inner.call(call).await
        }
        Err(failure) => {
            super::drain_unread(&call.exchange.thread, &call.exchange, call.body);
            Err(failure)
        }
    }
}

fn admit(thread: &Thread, exchange: &Exchange) -> Result<Admitted, Failure> {
    if exchange.in_flight.is_none() {
        return Err(Failure::Overloaded);
    }
    check_protocol(exchange)?;
    check_sizes(thread, exchange)?;
    let target = target_of(thread, exchange)?;
    let asked = credential::read(
        &exchange.headers,
        exchange.present,
        &target,
        thread.credentials.default_application(),
    )
    .inspect_err(|_| note_presented(exchange, &target))?;
    let Ok(key) = exchange.familiar.check(&thread.callers, asked.key) else {
        note_presented(exchange, &target);
        return Err(Failure::CallerUnknown);
    };
    let member = asked.member(&key)?;
    let path = target.path_and_query.path();
    if !(key.covers(&member) & allows(&key, exchange, path)) {
        return Err(Failure::NotAllowed);
    }
    let now = exchange.started_micros.div_euclid(1_000_000);
    let token = thread.credentials.token_at(&member, now);
    let is_named_for_key = matches!(key.covers, Covers::Members(_));
    // Who has a token is known.
    let is_known = matches!(token, Ok(Some(_))) || is_named_for_key;
    if !is_known && !thread.credentials.knows(&member) {
        return Err(Failure::NotAllowed);
    }
    let endpoint = Endpoint::of(path);
    Ok(Admitted {
        key,
        member,
        target: target.path_and_query,
        endpoint,
        token: RefCell::new(Some(token)),
    })
}

/// Both the method on the line and the one that is meant must be allowed, unless that one is a read
/// tunnelled through POST because its query was too long.
fn allows(key: &Key, exchange: &Exchange, path: &str) -> bool {
    let Some(meant) = effective_method(&exchange.method, &exchange.headers, exchange.present)
    else {
        return false;
    };
    let is_tunnelled_read = meant == Method::GET && exchange.method == Method::POST;
    key.allows(&meant, path) && (is_tunnelled_read || key.allows(&exchange.method, path))
}

/// What was presented is redacted by value even if it is no key of ours.
fn note_presented(exchange: &Exchange, target: &Target) {
    let mut presented = exchange.presented.borrow_mut();
    let headers = exchange
        .headers
        .get_all(http::header::AUTHORIZATION)
        .iter()
        .take(4);
    presented.extend(headers.map(|value| bytes::Bytes::copy_from_slice(value.as_bytes())));
    presented.extend(target.token_argument.clone());
}

/// HTTP that is refused from the first day: what one side reads differently from the other is how
/// requests are smuggled (RFC 9112 §11.2).
fn check_protocol(exchange: &Exchange) -> Result<(), Failure> {
    if exchange.method == Method::CONNECT || exchange.method == Method::TRACE {
        return Err(Failure::MethodNotAllowed);
    }
    if exchange.present.upgrade {
        return Err(Failure::NotImplemented("switching protocols"));
    }
    if exchange.present.transfer_encoding {
        check_transfer_encoding(exchange)?;
    }
    exchange.tap.with_read_head(|head| match head {
        Some(head) if exchange.is_line_of(head) => check_lines(head, exchange),
        Some(head) if exchange.is_own_head(head) => check_head(head, exchange),
        // Pipelined: hyper hides a length that stands beside chunks, so a look at the wire is needed.
        _ if exchange.present.transfer_encoding => Err(Failure::Malformed(
            "a chunked request is not read behind another one: wait for the answer",
        )),
        _ => Ok(()),
    })?;
    let ends_in_bare_lf = exchange
        .tap
        .with_partial_head(|head| exchange.is_own_head(head));
    if ends_in_bare_lf == Some(true) {
        // hyper takes a bare LF for a line's end; whoever stands behind us may not.
        return Err(Failure::Malformed(
            "a line of its head does not end in CRLF",
        ));
    }
    Ok(())
}

fn check_transfer_encoding(exchange: &Exchange) -> Result<(), Failure> {
    let mut codings = exchange.headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    let is_plain = codings.next().is_some_and(is_chunked) && codings.next().is_none();
    if !is_plain {
        return Err(Failure::NotImplemented(
            "a Transfer-Encoding other than chunked",
        ));
    }
    if exchange.version == Version::HTTP_10 {
        return Err(Failure::Malformed("HTTP/1.0 has no Transfer-Encoding"));
    }
    Ok(())
}

/// What hyper tidies up before a service sees it must be looked for on the wire.
fn check_head(head: &[u8], exchange: &Exchange) -> Result<(), Failure> {
    if request_line(head).is_some_and(|(_, target)| target.contains(&b'#')) {
        return Err(Failure::Malformed("its target has a fragment"));
    }
    check_lines(head, exchange)
}

/// The same for a head whose request line is just what hyper understood.
fn check_lines(head: &[u8], exchange: &Exchange) -> Result<(), Failure> {
    let headers = &exchange.headers;
    let has_both = exchange.present.transfer_encoding
        && (headers.contains_key(CONTENT_LENGTH) || wire_has(head, b"content-length:"));
    if has_both {
        return Err(Failure::Malformed(
            "it has both Transfer-Encoding and Content-Length",
        ));
    }
    if has_bare_lf(head) {
        return Err(Failure::Malformed(
            "a line of its head does not end in CRLF",
        ));
    }
    Ok(())
}

/// Whether a line ends without CR. Not `any`: a look at every byte, whatever the others are, is made for
/// many at once.
fn has_bare_lf(head: &[u8]) -> bool {
    let pairs = head.iter().zip(head.get(1..).unwrap_or_default());
    let is_bare = |(before, byte): (&u8, &u8)| (*byte == b'\n') & (*before != b'\r');
    pairs.fold(head.starts_with(b"\n"), |found, pair| found | is_bare(pair))
}

fn wire_has(head: &[u8], name: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        line.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    })
}

fn check_sizes(thread: &Thread, exchange: &Exchange) -> Result<(), Failure> {
    let settings = &thread.settings;
    if exchange
        .uri
        .path_and_query()
        .is_some_and(|p| p.as_str().len() > settings.max_uri_bytes)
    {
        return Err(Failure::UriTooLong);
    }
    let on_wire = exchange.tap.with_read_head(|head| head.map(<[u8]>::len));
    let size = on_wire.unwrap_or_else(|| decoded_size(&exchange.headers));
    if size > settings.max_head_bytes {
        return Err(Failure::HeadersTooLarge);
    }
    Ok(())
}

fn decoded_size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

fn target_of(thread: &Thread, exchange: &Exchange) -> Result<Target, Failure> {
    let host = hosts::host_of(&exchange.headers)?;
    let is_ours = |host| {
        exchange
            .familiar
            .is_ours(host, |host| thread.hosts.are_ours(host))
    };
    if let Some(authority) = exchange.uri.authority() {
        if !is_ours(authority.as_str()) {
            return Err(Failure::WrongAuthority);
        }
    } else if host.is_none() && exchange.version != Version::HTTP_10 {
        return Err(Failure::Malformed("it has no Host"));
    }
    if host.is_some_and(|host| !is_ours(host)) {
        return Err(Failure::WrongAuthority);
    }
    Target::of(&exchange.uri, &thread.hosts)
}
