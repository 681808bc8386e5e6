//! The headers LinkedIn puts on every answer, in its own case and order (linkedin.md §5).
//!
//! **Invariant:** protocol 1.0.0 is answered with the old header names (`x-linkedin-id`).

use super::answer::{Answer, Payload, RESTLI_ERROR, RESTLI_ID, request_id};
use super::clock::SECOND;
use super::request::{Head, HttpVersion};
use super::site::Site;
use super::tokens;

/// An answer with all its headers but those of the framing.
#[derive(Debug, Clone)]
pub(crate) struct Dressed {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Payload,
}

/// Adds LinkedIn's headers to an answer.
pub(crate) fn dress(site: &Site, head: &Head, answer: Answer) -> Dressed {
    let Answer {
        status,
        headers: mut own,
        body,
    } = answer;
    let now = site.clock.micros();
    let modern = head.header("x-restli-protocol-version") == Some("2.0.0");
    let is_api = head.path().starts_with("/rest/") || head.path().starts_with("/v2/");
    let mut headers = Vec::with_capacity(own.len() + 14);
    take(&mut own, "Location", &mut headers);
    if is_api {
        let version = if modern { "2.0.0" } else { "1.0.0" };
        headers.push(("x-restli-protocol-version", version.to_owned()));
    }
    for (name, value) in own {
        let name = match (name, modern) {
            (RESTLI_ID, false) => "x-linkedin-id",
            (RESTLI_ERROR, false) => "x-linkedin-error-response",
            (other, _) => other,
        };
        headers.push((name, value));
    }
    let proto = match head.version {
        HttpVersion::Http1 => "http/1.1",
        HttpVersion::Http2 => "http/2",
    };
    let route = route_cookie(now / SECOND);
    headers.push(("x-li-responseorigin", String::from("RGW")));
    headers.push(("X-Li-Fabric", String::from("prod-ltx1")));
    headers.push(("X-Li-Source-Fabric", String::from("prod-lva1")));
    headers.push(("X-Li-Pop", String::from("prod-lva1-x")));
    headers.push(("X-LI-Proto", String::from(proto)));
    headers.push(("X-LI-UUID", tokens::li_uuid(now)));
    if site.options.send_request_id {
        headers.push(("x-li-request-id", request_id()));
    }
    headers.push(("X-LI-Route-Key", format!("\"{route}\"")));
    headers.push(("Set-Cookie", browser_cookie()));
    headers.push(("Set-Cookie", consent_cookie()));
    headers.push((
        "Set-Cookie",
        format!("lidc=\"{route}\"; Domain=.linkedin.com; Path=/; Secure; SameSite=None"),
    ));
    headers.push(("Date", http_date(now / SECOND)));
    Dressed {
        status,
        headers,
        body,
    }
}

fn take(from: &mut Vec<(&'static str, String)>, name: &str, to: &mut Vec<(&'static str, String)>) {
    if let Some(position) = from.iter().position(|(header, _)| *header == name) {
        to.push(from.remove(position));
    }
}

/// The data-centre routing cookie, with its own expiry inside (`t=`).
fn route_cookie(now_secs: u64) -> String {
    let until = now_secs + 67_614;
    let signature: u64 = rand::random();
    format!(
        "b=TB87:s=T:r=T:a=T:p=T:g=3043:u=909:x=1:i={now_secs}:t={until}:v=2:sig=AQ{signature:016x}"
    )
}

fn browser_cookie() -> String {
    let id: u128 = rand::random();
    format!(
        "bcookie=\"v=2&{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}\"; Domain=.linkedin.com; Path=/; \
         Max-Age=31536000; Secure; SameSite=None",
        id >> 96,
        (id >> 80) & 0xffff,
        (id >> 64) & 0xfff,
        (id >> 48) & 0xfff,
        id & 0xffff_ffff_ffff
    )
}

fn consent_cookie() -> String {
    let id: u64 = rand::random();
    format!(
        "li_gc=MTsy{id:016x}; Domain=.linkedin.com; Path=/; Max-Age=15552000; Secure; SameSite=None"
    )
}

fn http_date(now_secs: u64) -> String {
    let since = std::time::Duration::from_secs(now_secs);
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since)
}
