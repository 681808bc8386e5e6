//! The thin ledger of successful writes: who created or changed what, and when. Off by default.
//!
//! "Who posted this twice" is a question about two 201s, which are no incidents. A line says who, what and
//! LinkedIn's ids, without headers or bodies, and stands among the incidents in the same segments.
//!
//! **Invariant:** goes through the redaction door like everything else; nobody's answer waits for it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;

use super::{
    Settings,
    record::{VERSION, timestamp},
    redact::{End, Redaction, Redactor},
    whose::{ApplicationSeen, MemberSeen},
};
use crate::exchange::{CallerSeen, ExchangeId, Member};

/// The word that stands in `kind`.
pub(super) const KIND: &str = "written";

/// A write that LinkedIn answered with 2xx or 3xx, as the path saw it: redacted before anything else.
#[derive(Debug)]
pub struct Write {
    /// The exchange's id.
    pub id: ExchangeId,
    /// When the request's head arrived, in Unix microseconds.
    pub started_micros: i64,
    /// Who called.
    pub caller: Option<CallerSeen>,
    /// For whom.
    pub member: Option<Member>,
    /// LinkedIn's URN of the member.
    pub member_urn: Option<Arc<str>>,
    /// LinkedIn's client id of the application.
    pub client_id: Option<Arc<str>>,
    /// Method as sent.
    pub method: Method,
    /// Target as it stood on the request line.
    pub target: Bytes,
    /// LinkedIn's status.
    pub status: StatusCode,
    /// What was made: `x-restli-id`, or `x-linkedin-id` of the older APIs.
    pub x_restli_id: Option<Bytes>,
    /// LinkedIn's `x-li-uuid`.
    pub x_li_uuid: Option<Bytes>,
    /// LinkedIn's `x-li-request-id`.
    pub x_li_request_id: Option<Bytes>,
    /// Trips to LinkedIn that it took.
    pub attempts: usize,
    /// The exchange's own secrets: whatever they look like, they are found and replaced.
    pub secrets: Vec<Bytes>,
}

impl Write {
    /// Roughly the memory it holds while it waits.
    pub(super) fn weight(&self) -> usize {
        let ids = [&self.x_restli_id, &self.x_li_uuid, &self.x_li_request_id];
        let ids: usize = ids.into_iter().flatten().map(Bytes::len).sum();
        let secrets: usize = self.secrets.iter().map(Bytes::len).sum();
        size_of::<Self>() + self.target.len() + ids + secrets
    }
}

/// The line of one write: the fields that it shares with an incident's have the same names and places.
#[derive(Debug, Serialize)]
pub(super) struct WriteLine {
    v: u8,
    id: String,
    pub(super) seq: u64,
    time: String,
    kind: &'static str,
    caller: Option<String>,
    key_id: Option<String>,
    member: Option<MemberSeen>,
    application: Option<ApplicationSeen>,
    request: RequestLine,
    answer: StatusLine,
    x_restli_id: Option<String>,
    linkedin: Ids,
    attempts_made: usize,
    gateway: Gateway,
}

#[derive(Debug, Serialize)]
struct RequestLine {
    method: String,
    url: String,
}

#[derive(Debug, Serialize)]
struct StatusLine {
    status: u16,
}

#[derive(Debug, Serialize)]
struct Ids {
    x_li_uuid: Option<String>,
    x_li_request_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct Gateway {
    instance: String,
}

impl WriteLine {
    /// Redacts `write`; its sequence number is still open.
    pub(super) fn of(write: &Write, redaction: &Redaction, settings: &Settings) -> Self {
        let door = redaction.of(&write.secrets);
        let id = |id: &Option<Bytes>| id.as_ref().map(|id| clean(&door, id));
        Self {
            v: VERSION,
            id: write.id.to_string(),
            seq: 0,
            time: timestamp(write.started_micros),
            kind: KIND,
            caller: write.caller.as_ref().map(|seen| seen.name.to_string()),
            key_id: write.caller.as_ref().map(|seen| seen.key_id.to_string()),
            member: MemberSeen::of(write.member.as_ref(), write.member_urn.as_deref()),
            application: ApplicationSeen::of(write.member.as_ref(), write.client_id.as_deref()),
            request: RequestLine {
                method: clean(&door, write.method.as_str().as_bytes()),
                url: clean(&door, &write.target),
            },
            answer: StatusLine {
                status: write.status.as_u16(),
            },
            x_restli_id: id(&write.x_restli_id),
            linkedin: Ids {
                x_li_uuid: id(&write.x_li_uuid),
                x_li_request_id: id(&write.x_li_request_id),
            },
            attempts_made: write.attempts,
            gateway: Gateway {
                instance: settings.instance.clone(),
            },
        }
    }
}

fn clean(door: &Redactor<'_>, text: &[u8]) -> String {
    String::from_utf8_lossy(&door.text(text, End::Whole)).into_owned()
}
