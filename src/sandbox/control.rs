//! `/_sandbox/…`: what a test or an app developer may ask of the sandbox itself (contract.md §8).
//!
//! **Invariant:** control requests are neither counted nor recorded, and meet no fault.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Shape};
use super::faults::{Fault, FaultId, FaultState, Kind, Route, Times};
use super::grants::Standing;
use super::ledger::hold;
use super::received;
use super::request::Head;
use super::site::Site;

const ROOT: &str = "/_sandbox/";

/// Whether a path is for the sandbox itself.
pub(crate) fn is_control(path: &str) -> bool {
    path.starts_with(ROOT)
}

/// Answers a control request.
pub(crate) fn answer(site: &Site, head: &Head, body: &[u8]) -> Answer {
    let place = head.path().strip_prefix(ROOT).unwrap_or_default();
    match (head.method.as_str(), place) {
        ("GET", "faults") => {
            let faults: Vec<Value> = hold(&site.faults).list().iter().map(fault_json).collect();
            Answer::json(200, &json!({ "faults": faults }))
        }
        ("POST", "faults") => parsed(body)
            .and_then(|form| set_fault(site, form))
            .unwrap_or_else(|why| refused(&why)),
        ("DELETE", "faults") => {
            hold(&site.faults).clear();
            Answer::empty(204)
        }
        ("DELETE", _) => match place.strip_prefix("faults/").and_then(|id| id.parse().ok()) {
            Some(id) => {
                hold(&site.faults).remove(FaultId(id));
                Answer::empty(204)
            }
            None => Answer::page(404),
        },
        ("GET", "counts") => Answer::json(200, &counts_json(site)),
        ("GET", "received") => received::answer(site, head),
        ("GET", "clock") => Answer::json(200, &json!({ "now_secs": site.clock.secs() })),
        ("POST", "clock") => parsed(body).map_or_else(
            |why| refused(&why),
            |form: ClockForm| {
                site.clock.advance(Duration::from_secs(form.advance_secs));
                Answer::json(200, &json!({ "now_secs": site.clock.secs() }))
            },
        ),
        ("GET", "members") => {
            Answer::json(200, &json!({ "members": hold(&site.grants).members() }))
        }
        ("POST", "members") => parsed(body)
            .and_then(|form| member(site, &form))
            .unwrap_or_else(|why| refused(&why)),
        _ => Answer::page(404),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockForm {
    advance_secs: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberForm {
    name: String,
    client_id: Option<String>,
    action: Option<String>,
}

/// A fault as JSON; which of the optional fields matter depends on `kind`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultForm {
    route: String,
    kind: String,
    times: Option<Value>,
    share: Option<f64>,
    member: Option<String>,
    status: Option<u16>,
    retry_after: Option<String>,
    shape: Option<String>,
    delay_ms: Option<u64>,
    bytes_per_sec: Option<u64>,
    location: Option<String>,
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn refused(why: &str) -> Answer {
    Answer::json(400, &json!({ "status": 400, "message": why }))
}

fn set_fault(site: &Site, form: FaultForm) -> Result<Answer, String> {
    let times = match &form.times {
        None => Times::Count(1),
        Some(Value::String(word)) if word == "always" => Times::Always,
        Some(number) => Times::Count(number.as_u64().ok_or("times is a number or \"always\"")?),
    };
    let fault = Fault {
        route: Route::from(form.route.as_str()),
        times,
        share: form.share,
        member: form.member.clone(),
        kind: kind(form)?,
    };
    let id = hold(&site.faults).set(fault);
    Ok(Answer::json(201, &json!({ "id": id.0 })))
}

fn kind(form: FaultForm) -> Result<Kind, String> {
    let status = form.status.filter(|status| (100..1_000).contains(status));
    let status = |otherwise: u16| status.unwrap_or(otherwise);
    let delay = Duration::from_millis(form.delay_ms.unwrap_or(1_000));
    Ok(match form.kind.as_str() {
        "status" => Kind::Status {
            status: status(503),
            retry_after: form.retry_after,
            shape: shape(form.shape.as_deref())?,
        },
        "status_after_commit" => Kind::StatusAfterCommit {
            status: status(500),
        },
        "delay_before" => Kind::DelayBefore(delay),
        "delay_after" => Kind::DelayAfter(delay),
        "hang_before" | "hang" => Kind::HangBefore,
        "hang_after" => Kind::HangAfter,
        "close_before" => Kind::CloseBefore,
        "close_after_commit" | "token_lost" => Kind::CloseAfterCommit,
        "reset_before" => Kind::ResetBefore,
        "reset_after_commit" => Kind::ResetAfterCommit,
        "half_head" => Kind::HalfHead,
        "half_body" | "token_trunc" => Kind::HalfBody,
        "garbage" => Kind::Garbage,
        "html_page" => Kind::HtmlPage {
            status: status(502),
        },
        "go_away" => Kind::GoAway,
        "refused_stream" => Kind::RefusedStream,
        "bad_content_length" => Kind::BadContentLength,
        "huge_head" => Kind::HugeHead,
        "slow_body" => Kind::SlowBody {
            bytes_per_sec: form.bytes_per_sec.unwrap_or(1_000),
        },
        "stall_body" => Kind::StallBody,
        "informational" => Kind::Informational(status(103)),
        "switching_protocols" => Kind::SwitchingProtocols,
        "redirect" => Kind::Redirect {
            location: form.location.ok_or("redirect needs a location")?,
        },
        "early_answer" => Kind::EarlyAnswer {
            status: status(413),
        },
        other => return Err(format!("unknown kind {other}")),
    })
}

fn shape(name: Option<&str>) -> Result<Shape, String> {
    Ok(match name {
        None | Some("natural") => Shape::Natural,
        Some("classic" | "A") => Shape::Classic,
        Some("gateway" | "B") => Shape::Gateway,
        Some("no_number" | "C") => Shape::NoNumber,
        Some("marketing" | "D") => Shape::Marketing,
        Some("plain" | "E") => Shape::Plain,
        Some("legacy" | "F") => Shape::Legacy,
        Some("oauth" | "G") => Shape::OAuth,
        Some("html" | "H") => Shape::Html,
        Some("empty") => Shape::Empty,
        Some(other) => return Err(format!("unknown shape {other}")),
    })
}

fn fault_json(state: &FaultState) -> Value {
    let left = match state.fault.times {
        Times::Count(left) => Value::from(left),
        Times::Always => Value::from("always"),
    };
    json!({
        "id": state.id.0,
        "route": format!("{}", state.fault.route),
        "times_left": left,
        "met": state.met,
        "share": state.fault.share,
        "member": state.fault.member,
        "kind": format!("{:?}", state.fault.kind),
    })
}

fn counts_json(site: &Site) -> Value {
    let counts = site.ledger.snapshot();
    let routes: serde_json::Map<String, Value> = counts
        .routes
        .iter()
        .map(|(route, count)| {
            let count = json!({ "received": count.received, "processed": count.processed });
            (route.clone(), count)
        })
        .collect();
    let posts: Vec<Value> = counts
        .posts
        .iter()
        .rev()
        .take(1_000)
        .map(|post| {
            json!({
                "urn": post.urn, "author": post.author, "member": post.member,
                "text": post.text, "text_crc32": post.text_crc32, "at_micros": post.at_micros,
            })
        })
        .collect();
    json!({
        "routes": routes,
        "posts_created": counts.posts_created,
        "newest_posts": posts,
        "renewals": counts.renewals,
        "refresh_replays": counts.refresh_replays,
        "token_calls": counts.token_calls,
        "token_calls_at_once": counts.token_calls_at_once,
        "connections": {
            "accepted": counts.connections.accepted,
            "closed": counts.connections.closed,
            "open": counts.connections.open(),
        },
        "http1_requests": counts.http1_requests,
        "http2_requests": counts.http2_requests,
        "body_bytes": counts.body_bytes,
        "broken_bodies": counts.broken_bodies,
        "malformed": counts.malformed,
    })
}

/// Signs a member in, or does to the member what `action` says.
fn member(site: &Site, form: &MemberForm) -> Result<Answer, String> {
    let name_fits = !form.name.is_empty() && form.name.len() <= 64;
    if !name_fits {
        return Err(String::from("name has 1 to 64 characters"));
    }
    let application = match &form.client_id {
        Some(client_id) => site.application(client_id),
        None => site.options.applications.first(),
    };
    let Some(action) = &form.action else {
        let application = application.ok_or("no such application")?;
        let answer = site.sign_in(
            &application.client_id,
            &form.name,
            application.scopes.clone(),
        );
        hold(&site.grants).usable_now(&answer.access_token);
        return Ok(Answer::json_text(200, answer.json()));
    };
    let mut grants = hold(&site.grants);
    match action.as_str() {
        "expire" => grants.end_access(&form.name, Standing::Expired),
        "revoke" => {
            grants.end_access(&form.name, Standing::Revoked);
            grants.kill_refresh(&form.name);
        }
        "restrict" => grants.restrict(&form.name),
        "kill_refresh" => grants.kill_refresh(&form.name),
        other => return Err(format!("unknown action {other}")),
    }
    Ok(Answer::empty(204))
}
