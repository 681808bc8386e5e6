//! What a problem code or a status of LinkedIn's means, and what to do: the tables behind a record's `try` and
//! behind the findings.
//!
//! **Invariant:** every problem code of docs/contract.md §5 has its row; a test holds them equal.
//! **Neighbours:** `record` writes `try`; `explain` says more, once somebody asks.

use http::Method;

use super::Incident;
use crate::exchange::Outcome;

/// The meaning of one of our own problem codes.
#[derive(Debug)]
pub(super) struct Meaning {
    /// The code, and the rule's name.
    pub(super) code: &'static str,
    /// What is so.
    pub(super) says: &'static str,
    /// What to do.
    pub(super) what_to_try: &'static str,
}

const fn row(code: &'static str, says: &'static str, what_to_try: &'static str) -> Meaning {
    Meaning {
        code,
        says,
        what_to_try,
    }
}

#[rustfmt::skip]
const CODES: &[Meaning] = &[
    row("request_malformed", "The request is no HTTP as Linkgate accepts it; nothing was sent to LinkedIn.",
        "Mend the request: the answer's detail says what is wrong with it."),
    row("member_not_named", "The request does not say for which member it is; nothing was sent.",
        "Append ~NAME to the key, send Linkgate-Member: NAME, or use a key made for one member."),
    row("member_ambiguous", "The request names two different members or keys; nothing was sent.",
        "Name the member once: with the key, or in Linkgate-Member."),
    row("caller_unknown", "The app presented no valid Linkgate key: none, an unknown, expired or revoked one. Nothing was sent.",
        "Send Authorization: Bearer lgk_… with a key that linkgate keys list shows; make a new one with linkgate keys create. A LinkedIn token is no key."),
    row("caller_not_allowed", "The key does not cover this member, method or path; nothing was sent.",
        "linkgate keys list shows what a key covers; make one that covers it (--member NAME, --allow 'METHOD /path/**')."),
    row("method_not_allowed", "CONNECT and TRACE are not forwarded; nothing was sent.",
        "Do not use Linkgate as a proxy (HTTPS_PROXY): set it as the base URL of the API client."),
    row("request_timeout", "The app did not send its body in time.",
        "Look at the app's connection to Linkgate; gateway.body_idle_ms and gateway.min_body_rate are the limits."),
    row("wrong_authority", "The request is addressed to another host than Linkgate's; nothing was sent.",
        "Use Linkgate's own address as base URL, or let an operator add the name under gateway.hosts."),
    row("not_implemented", "The request asks for something that HTTP allows and Linkgate does not do (an upgrade, an odd transfer encoding).",
        "Send it as plain HTTP/1.1 or HTTP/2 with Content-Length or chunked."),
    row("body_too_large", "The body is larger than gateway.max_body_bytes lets through.",
        "Send less at once, or let an operator raise gateway.max_body_bytes."),
    row("uri_too_long", "The URL is longer than gateway.max_uri_bytes lets through; LinkedIn takes 8 KB, and 4 KB of query.",
        "Tunnel the query: POST with X-HTTP-Method-Override: GET and the query as a form body."),
    row("headers_too_large", "The head is larger than gateway.max_head_bytes lets through; LinkedIn takes 28 KB.",
        "Send fewer or shorter headers: cookies of a browser, for one."),
    row("sign_in_needed", "There is no token that LinkedIn would take for this member, and nothing here can renew it.",
        "Let the member sign in again: linkgate members connect NAME makes the link, and so does connect_url in the answer."),
    row("renewed_send_again", "The token had been refused and is renewed now, but the body was too large to keep, so it was not sent twice. LinkedIn did nothing.",
        "Send it again: the new token is in place. retry.keep_body_bytes says how large a body is kept."),
    row("renewal_unavailable", "The token cannot be renewed right now; the member need not sign in, and no grant is lost.",
        "Send it again after Retry-After. If it goes on: linkgate members show NAME tells why, and /readyz whether the store works."),
    row("linkedin_unreachable", "LinkedIn could not be reached, or the connection was lost before it answered.",
        "Read the attempt's error: dns, connect and connect_timeout are the network here or linkedin.proxy_url; tls is a certificate (linkedin.ca_file behind a corporate proxy); cut is LinkedIn's."),
    row("linkedin_protocol_error", "What came back is no HTTP answer that can be passed on.",
        "Look whether linkedin.api_url or a corporate proxy answers in LinkedIn's place."),
    row("linkedin_timeout", "LinkedIn did not answer in time.",
        "Send a read again, or ask for less at once. linkedin.attempt_time_ms limits one attempt, retry.total_time_ms all together."),
    row("overloaded", "Too many exchanges at once: Linkgate refused this one unsent.",
        "Send it again after Retry-After, fewer at once; an operator looks at gateway.max_in_flight and at what LinkedIn takes so long for."),
    row("shutting_down", "Linkgate was being stopped.",
        "Send it again: to another instance, or once it is up again."),
    row("internal_error", "A bug in Linkgate broke this exchange, and no other.",
        "Report it with this record; the operations log has a line with the same id."),
];

/// What a problem code means.
pub(super) fn of_code(code: &str) -> Option<&'static Meaning> {
    CODES.iter().find(|row| row.code == code)
}

/// All of them.
#[cfg(test)]
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    CODES.iter().map(|row| row.code)
}

/// What to do about an error of LinkedIn's; none for a status that is no error.
pub(super) fn of_linkedin(status: u16, code: Option<&str>) -> Option<&'static str> {
    let by_code = match code {
        Some("VERSION_MISSING") => {
            Some("Send LinkedIn-Version: YYYYMM with a month that LinkedIn serves.")
        }
        Some("NONEXISTENT_VERSION") => Some("Send a newer month in LinkedIn-Version."),
        Some("DUPLICATE_POST") => {
            Some("Do not post again: LinkedIn's answer names the post that is there.")
        }
        Some("65600" | "65601" | "65602") => {
            Some("Let the member sign in again: linkgate members connect NAME.")
        }
        Some("65608") => Some(
            "The member has to settle the restriction with LinkedIn; a new token does not help.",
        ),
        _ => None,
    };
    by_code.or_else(|| by_status(status))
}

#[rustfmt::skip]
fn by_status(status: u16) -> Option<&'static str> {
    Some(match status {
        400 | 422 => "Read LinkedIn's message in the answer's body: it names the parameter or field.",
        401 => "Let the member sign in again: linkgate members connect NAME.",
        403 => "Give the application the product and scope that this resource takes, and let the member sign in again.",
        404 => "Check path and id, and whether the member may see it.",
        409 => "Read the entity and write again: somebody else changed it meanwhile.",
        411 => "Send Content-Length: 0 with a POST that has no body.",
        414 => "Tunnel the query: POST with X-HTTP-Method-Override: GET and the query as a form body.",
        426 => "Send a newer month in LinkedIn-Version.",
        429 => "Wait: minutes if LinkedIn protects itself, until 00:00 UTC if a daily limit is used up.",
        400..500 => "Compare the request with LinkedIn's page about the resource.",
        500.. => "Send a read again after a while; check before a write is sent again. If it goes on, write to LinkedIn with x-li-uuid.",
        _ => return None,
    })
}

/// What to do about `incident`, in a sentence; none if it ended well.
pub(super) fn of(incident: &Incident) -> Option<&'static str> {
    let is_write = !matches!(incident.request.method, Method::GET | Method::HEAD);
    if incident.outcome == Outcome::Unknown && is_write {
        return Some(
            "Check whether LinkedIn did it before sending it again: its fate is not known.",
        );
    }
    if let Some(meaning) = incident.code.and_then(of_code) {
        return Some(meaning.what_to_try);
    }
    let last = incident.attempts.last().and_then(|attempt| attempt.status);
    let status = incident
        .answer
        .as_ref()
        .map(|answer| answer.status)
        .or(last)?;
    of_linkedin(status.as_u16(), incident.linkedin_code.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_code_of_the_contract_is_explained_and_no_other() {
        let contract = include_str!("../../docs/contract.md");
        let table = contract.split("| status | code | when |").nth(1).unwrap();
        let rows = table
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with('|'));
        let mut named: Vec<&str> = rows
            .filter_map(|row| row.split('|').nth(2))
            .flat_map(|codes| codes.split('`').skip(1).step_by(2))
            .collect();
        let mut explained: Vec<&str> = CODES.iter().map(|row| row.code).collect();

        named.sort_unstable();
        explained.sort_unstable();

        assert_eq!(explained, named);
    }
}
