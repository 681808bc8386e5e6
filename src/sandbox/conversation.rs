//! One request's way through LinkedIn, whichever protocol carried it.
//!
//! **Invariant:** the fault is chosen when the head arrives, before anything else is read, and
//! nothing is processed that a fault says is not.
//! **Neighbours:** `h1` and `h2` bring the request and carry out the [`Manner`].

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::answer::{Answer, Shape};
use super::api::{self, Intake};
use super::faults::Kind;
use super::ledger::hold;
use super::request::{Head, RequestBody};
use super::site::Site;
use super::{admission, consent, control, oauth, profile, uploads};

/// Bodies are kept up to here for the resources; beyond it they are only counted.
const KEPT_BODY_BYTES: usize = 4 << 20;
/// Bodies are kept up to here in the record.
const RECORDED_BODY_BYTES: usize = 64 << 10;

/// How an answer goes onto the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Manner {
    Whole,
    Close,
    Reset,
    Hang,
    HalfHead,
    HalfBody,
    Garbage,
    BadContentLength,
    HugeHead,
    Slow(u64),
    Stall,
    GoAway,
    Refused,
    Informational(u16),
    Early,
}

/// A request that has been counted and for which the fault is known.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) head: Head,
    pub(crate) number: u64,
    route: String,
    fault: Option<Kind>,
    token_call: Option<TokenCall>,
}

/// Counts a call of the token endpoint as under way for as long as it lives.
#[derive(Debug)]
struct TokenCall(Arc<Site>);

impl TokenCall {
    fn begin(site: &Arc<Site>) -> Self {
        site.ledger.note(|counts| {
            counts.token_calls += 1;
            counts.token_calls_now += 1;
            counts.token_calls_at_once = counts.token_calls_at_once.max(counts.token_calls_now);
        });
        Self(Arc::clone(site))
    }
}

impl Drop for TokenCall {
    fn drop(&mut self) {
        self.0.ledger.note(|counts| counts.token_calls_now -= 1);
    }
}

impl Turn {
    /// Counts the request and chooses what goes wrong with it.
    pub(crate) fn begin(site: &Arc<Site>, head: Head, connection: u64) -> Self {
        if control::is_control(head.path()) {
            return Self {
                head,
                number: u64::MAX,
                route: String::new(),
                fault: None,
                token_call: None,
            };
        }
        let route = route_key(&head);
        let number = site.ledger.head_arrived(&head, &route, connection);
        let token_call = (head.path() == oauth::TOKEN_PATH).then(|| TokenCall::begin(site));
        let member = member_of(site, &head);
        let fault = hold(&site.faults).choose(&head.method, head.path(), member.as_deref());
        Self {
            head,
            number,
            route,
            fault,
            token_call,
        }
    }

    /// HTTP/2 decides on these before the stream is handed to a task.
    pub(crate) fn fault(&self) -> Option<&Kind> {
        self.fault.as_ref()
    }

    /// Reads the body, does what is asked, and says how to answer.
    pub(crate) async fn answer(
        &mut self,
        site: &Site,
        body: &mut impl RequestBody,
    ) -> (Answer, Manner) {
        let mut fault = self.fault.take();
        if let Some(unread) = fault.as_ref().and_then(|kind| unread(site, kind)) {
            return unread;
        }
        if let Some(Kind::DelayBefore(wait)) = fault {
            site.pause(wait).await;
        }
        let intake = match self.take_in(site, body).await {
            Ok(intake) => intake,
            Err(_broken) => {
                site.ledger.note(|counts| counts.broken_bodies += 1);
                return (Answer::empty(400), Manner::Close);
            }
        };
        self.count_again(site, &intake);
        if fault.is_none() && self.token_call.is_some() {
            fault = self.fault_for_the_form(site, &intake);
            if let Some(unread) = fault.as_ref().and_then(|kind| unread(site, kind)) {
                return unread;
            }
        }
        if let Some(instead) = fault
            .as_ref()
            .and_then(|kind| instead(site, &self.head, kind))
        {
            return (instead, Manner::Whole);
        }
        let answer = respond(site, &self.head, &intake);
        if answer.status < 400 {
            self.count_processed(site, &intake);
        }
        if let Some(Kind::DelayAfter(wait)) = fault {
            site.pause(wait).await;
        }
        spoil(site, &self.head, fault.as_ref(), answer)
    }

    async fn take_in(&self, site: &Site, body: &mut impl RequestBody) -> io::Result<Intake> {
        let streamed = is_streamed(self.head.path());
        let keep = if streamed {
            RECORDED_BODY_BYTES
        } else {
            KEPT_BODY_BYTES
        };
        let mut kept = BytesMut::new();
        let mut length: u64 = 0;
        let mut hasher = crc32fast::Hasher::new();
        let ended = loop {
            match body.next().await {
                Ok(Some(chunk)) => {
                    length += u64::try_from(chunk.len()).unwrap_or(0);
                    hasher.update(&chunk);
                    let room = keep.saturating_sub(kept.len()).min(chunk.len());
                    kept.extend_from_slice(chunk.get(..room).unwrap_or_default());
                }
                Ok(None) => break Ok(()),
                Err(broken) => break Err(broken),
            }
        };
        let (kept, crc32) = (kept.freeze(), hasher.finalize());
        let recorded = kept.slice(..kept.len().min(RECORDED_BODY_BYTES));
        if self.number != u64::MAX && length > 0 {
            site.ledger
                .body_arrived(self.number, length, recorded, crc32);
        }
        ended.map(|()| Intake {
            kept,
            length,
            crc32,
        })
    }

    fn fault_for_the_form(&self, site: &Site, intake: &Intake) -> Option<Kind> {
        let (method, path) = (&self.head.method, self.head.path());
        if !hold(&site.faults).waits_for_member(method, path) {
            return None;
        }
        let member = oauth::member_of_form(site, &String::from_utf8_lossy(&intake.kept))?;
        hold(&site.faults).choose(method, path, Some(&member))
    }

    fn count_again(&self, site: &Site, intake: &Intake) {
        if let Some(key) = self.second_key(intake) {
            site.ledger.also_received(&key);
        }
    }

    fn count_processed(&self, site: &Site, intake: &Intake) {
        if self.number == u64::MAX {
            return;
        }
        site.ledger.processed(&self.route);
        if let Some(key) = self.second_key(intake) {
            site.ledger.processed(&key);
        }
    }

    /// The route's key with its action or grant type.
    fn second_key(&self, intake: &Intake) -> Option<String> {
        let word = if self.token_call.is_some() {
            oauth::grant_type(&String::from_utf8_lossy(&intake.kept))
        } else {
            super::query::value(self.head.query(), "action").filter(|action| {
                ["initializeUpload", "registerUpload", "finalizeUpload"].contains(&action.as_str())
            })
        };
        word.map(|word| format!("{} {word}", self.route))
    }
}

fn respond(site: &Site, head: &Head, intake: &Intake) -> Answer {
    let path = head.path();
    if control::is_control(path) {
        return control::answer(site, head, &intake.kept);
    }
    let form = || String::from_utf8_lossy(&intake.kept);
    match path {
        oauth::TOKEN_PATH => oauth::token(site, head, &form()),
        "/oauth/v2/introspectToken" => oauth::introspect(site, &form()),
        "/oauth/.well-known/openid-configuration" => oauth::discovery(),
        "/oauth/v2/authorization" | consent::NATIVE_PATH => consent::answer(site, head),
        _ if path.starts_with(profile::PORTRAITS) => profile::picture(path),
        _ if path.starts_with("/dms-uploads/") => uploads::put(site, head, intake),
        _ => api::answer(site, head, intake),
    }
}

/// Faults that come before the body is read.
fn unread(site: &Site, kind: &Kind) -> Option<(Answer, Manner)> {
    let manner = match kind {
        Kind::CloseBefore => Manner::Close,
        Kind::ResetBefore => Manner::Reset,
        Kind::HangBefore => Manner::Hang,
        Kind::GoAway => Manner::GoAway,
        Kind::RefusedStream => Manner::Refused,
        Kind::EarlyAnswer { status } => {
            let answer = Answer::error(*status, Shape::Natural, site.clock.micros());
            return Some((answer, Manner::Early));
        }
        _ => return None,
    };
    Some((Answer::empty(500), manner))
}

/// Faults that answer in place of the resource, which is not asked.
fn instead(site: &Site, head: &Head, kind: &Kind) -> Option<Answer> {
    match kind {
        Kind::Status {
            status,
            retry_after,
            shape,
        } => {
            let shape = match shape {
                Shape::Natural if head.path().starts_with("/oauth/") => Shape::OAuth,
                shape => *shape,
            };
            let answer = Answer::error(*status, shape, site.clock.micros());
            Some(match retry_after {
                Some(wait) => answer.with("Retry-After", wait.as_str()),
                None => answer,
            })
        }
        Kind::HtmlPage { status } => Some(Answer::page(*status)),
        Kind::Redirect { location } => Some(Answer::empty(302).with("Location", location.as_str())),
        Kind::SwitchingProtocols => Some(
            Answer::empty(101)
                .with("Upgrade", "linkedin")
                .with("Connection", "Upgrade"),
        ),
        _ => None,
    }
}

/// Faults that come after the resource has done its work.
fn spoil(site: &Site, head: &Head, fault: Option<&Kind>, answer: Answer) -> (Answer, Manner) {
    let manner = match fault {
        Some(Kind::StatusAfterCommit { status }) => {
            let oauth = head.path().starts_with("/oauth/");
            let shape = if oauth { Shape::OAuth } else { Shape::Natural };
            return (
                Answer::error(*status, shape, site.clock.micros()),
                Manner::Whole,
            );
        }
        Some(Kind::HangAfter) => Manner::Hang,
        Some(Kind::CloseAfterCommit) => Manner::Close,
        Some(Kind::ResetAfterCommit) => Manner::Reset,
        Some(Kind::HalfHead) => Manner::HalfHead,
        Some(Kind::HalfBody) => Manner::HalfBody,
        Some(Kind::Garbage) => Manner::Garbage,
        Some(Kind::BadContentLength) => Manner::BadContentLength,
        Some(Kind::HugeHead) => Manner::HugeHead,
        Some(Kind::SlowBody { bytes_per_sec }) => Manner::Slow((*bytes_per_sec).max(1)),
        Some(Kind::StallBody) => Manner::Stall,
        Some(Kind::Informational(status)) => Manner::Informational(*status),
        _ => Manner::Whole,
    };
    (answer, manner)
}

fn is_streamed(path: &str) -> bool {
    path.starts_with("/dms-uploads/") || path.starts_with("/rest/sandboxBytes")
}

fn member_of(site: &Site, head: &Head) -> Option<String> {
    let token = admission::presented_token(head)?;
    let grants = hold(&site.grants);
    grants
        .access(0, &token)
        .and_then(|(access, _)| access.member.clone())
}

/// Known roots get a key of their own; all others share one, so that keys stay few.
fn route_key(head: &Head) -> String {
    const ROOTS: [&str; 13] = [
        "/rest/posts",
        "/v2/ugcPosts",
        "/rest/adAccounts",
        "/rest/adAnalytics",
        "/rest/images",
        "/rest/videos",
        "/rest/documents",
        "/v2/assets",
        "/v2/userinfo",
        "/v2/me",
        "/rest/sandboxBytes",
        "/dms-uploads",
        "/dms/image",
    ];
    let method = match head.method.as_str() {
        known @ ("GET" | "POST" | "PUT" | "DELETE" | "HEAD" | "PATCH" | "OPTIONS") => known,
        _ => "OTHER",
    };
    let path = head.path();
    if path.starts_with("/oauth/") && path.len() < 64 {
        let known = path == oauth::TOKEN_PATH
            || path == consent::NATIVE_PATH
            || ["/oauth/v2/authorization", "/oauth/v2/introspectToken"].contains(&path);
        return format!("{method} {}", if known { path } else { "/oauth" });
    }
    let key = ROOTS.iter().find_map(|root| {
        let rest = path.strip_prefix(root)?;
        match rest {
            "" => Some((*root).to_owned()),
            _ if !rest.starts_with('/') => None,
            _ if *root == "/dms-uploads" => Some((*root).to_owned()),
            _ => Some(format!("{root}/{{id}}")),
        }
    });
    format!("{method} {}", key.as_deref().unwrap_or("other"))
}

/// Bytes that are no HTTP.
pub(crate) fn garbage() -> Bytes {
    Bytes::from_static(b"\x16\x03\x01\x02\x00 not a protocol anyone speaks\r\n\r\n")
}
