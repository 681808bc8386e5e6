//! The ledger: what is noted of a write that went well, where the operator asked for it.
//!
//! **Invariant:** with the ledger off, one look at a flag; with it on, nobody waits: the line is handed over.
//! **Neighbours:** `incident::Write` is what is handed over; `repeat` says what a write is.

use bytes::Bytes;
use http::HeaderMap;

use crate::incident::Write;

use super::{
    super::{answer::Answer, exchange::Exchange, thread::Thread},
    record::secrets,
};

/// Notes the exchange, if it was a write that LinkedIn answered well.
pub(super) fn note(thread: &Thread, exchange: &Exchange, answer: &Answer) {
    if thread.recorder.keeps_ledger() && exchange.class.is_write() && is_good(exchange, answer) {
        thread.recorder.note_write(write(thread, exchange, answer));
    }
}

fn is_good(exchange: &Exchange, answer: &Answer) -> bool {
    let status = answer.status();
    (status.is_success() || status.is_redirection()) && exchange.failure.borrow().is_none()
}

fn write(thread: &Thread, exchange: &Exchange, answer: &Answer) -> Write {
    let admitted = exchange.admitted.get();
    let member = exchange.member();
    let target = admitted.map_or(exchange.uri.path(), |admitted| admitted.target.as_str());
    let headers = answer.headers();
    Write {
        id: exchange.id,
        started_micros: exchange.started_micros,
        caller: exchange.caller(),
        member: member.cloned(),
        member_urn: member.and_then(|member| thread.credentials.urn(member)),
        client_id: member.and_then(|member| thread.credentials.client_id(&member.application)),
        method: exchange.method.clone(),
        target: Bytes::copy_from_slice(target.as_bytes()),
        status: answer.status(),
        x_restli_id: value(headers, "x-restli-id").or_else(|| value(headers, "x-linkedin-id")),
        x_li_uuid: value(headers, "x-li-uuid"),
        x_li_request_id: value(headers, "x-li-request-id"),
        attempts: exchange.trips.borrow().len(),
        secrets: secrets(exchange),
    }
}

/// A copy: the header itself pins the buffer that the whole head was read into.
fn value(headers: &HeaderMap, name: &str) -> Option<Bytes> {
    let value = headers.get(name)?;
    Some(Bytes::copy_from_slice(value.as_bytes()))
}
