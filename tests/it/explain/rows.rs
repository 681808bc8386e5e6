//! The mistakes and misfortunes, one a row.

use super::*;
use crate::support::grants::{bare, of_another_application, usual};

fn poor(linkedin: &Sandbox) -> TokenAnswer {
    linkedin.sign_in_to(&linkedin.client_id(), "ada", &["openid", "profile"])
}

fn nothing(_: &Sandbox) {}

fn read(gateway: &Gateway) -> String {
    gateway.head("GET", "/v2/userinfo", "ada") + "\r\n"
}

fn post(gateway: &Gateway) -> String {
    gateway.posting("/rest/posts", "ada", &post_saying("explained"))
}

fn get(gateway: &Gateway, target: &str, headers: &str) -> String {
    gateway.head("GET", target, "ada") + headers + "\r\n"
}

const V2: &str = "LinkedIn-Version: 202609\r\nX-Restli-Protocol-Version: 2.0.0\r\n";

/// LinkedIn does not take the parameters.
fn refuse_accounts(linkedin: &Sandbox) {
    let refused = Kind::Status {
        status: 400,
        retry_after: None,
        shape: Shape::Marketing,
    };
    linkedin.fault(Fault::on("GET /rest/adAccounts", refused).always());
}

fn fail_reads(linkedin: &Sandbox, kind: Kind) {
    linkedin.fault(Fault::on("GET /v2/userinfo", kind).always());
}

fn fail_posts(linkedin: &Sandbox, kind: Kind) {
    linkedin.fault(Fault::on("POST /rest/posts", kind).always());
}

const REFUSED: Kind = Kind::Status {
    status: 401,
    retry_after: None,
    shape: Shape::Plain,
};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    Row { rule: "version_missing", grant: usual, trouble: nothing, before: 0, status: 400, part: "Send LinkedIn-Version",
        ask: |gateway| get(gateway, "/rest/adAccounts?q=search", "") },
    Row { rule: "version_sunset", grant: usual, trouble: nothing, before: 0, status: 426, part: "sent LinkedIn-Version: 202401",
        ask: |gateway| get(gateway, "/rest/adAccounts?q=search", "LinkedIn-Version: 202401\r\n") },
    Row { rule: "protocol_header_missing", grant: usual, trouble: refuse_accounts, before: 0, status: 400, part: "X-Restli-Protocol-Version: 2.0.0",
        ask: |gateway| get(gateway, "/rest/adAccounts?ids=List(1,2)", "LinkedIn-Version: 202609\r\n") },
    Row { rule: "list_encoding", grant: usual, trouble: refuse_accounts, before: 0, status: 400, part: "ids=List(1,2)",
        ask: |gateway| get(gateway, "/rest/adAccounts?ids=List%281%2C2%29", V2) },
    Row { rule: "urn_encoding", grant: usual, trouble: nothing, before: 0, status: 404, part: "urn%3Ali%3Ashare%3A1",
        ask: |gateway| get(gateway, "/rest/posts/urn:li:share:1", V2) },
    Row { rule: "query_too_long", grant: usual, trouble: nothing, before: 0, status: 414, part: "X-HTTP-Method-Override: GET",
        ask: |gateway| get(gateway, &format!("/rest/adAccounts?ids=List({})", "1,".repeat(2_200)), V2) },
    Row { rule: "head_too_large", grant: usual, trouble: nothing, before: 0, status: 414, part: "the app sends cookies",
        ask: |gateway| get(gateway, "/rest/adAccounts?q=search", &format!("{V2}Cookie: {}\r\n", "c".repeat(30_000))) },
    Row { rule: "content_length_missing", grant: usual, trouble: nothing, before: 0, status: 411, part: "no Content-Length",
        ask: |gateway| gateway.head("POST", "/rest/images?action=initializeUpload", "ada") + V2 + "\r\n" },
    Row { rule: "permission_missing", grant: poor, trouble: nothing, before: 0, status: 403, part: "w_member_social", ask: post },
    Row { rule: "throttled_member", grant: usual, trouble: |linkedin| linkedin.limit_daily_calls(Some(0), None), before: 0, status: 429, part: "00:00 UTC", ask: read },
    Row { rule: "throttled_infrastructure", grant: usual, before: 0, status: 429, part: "protect itself", ask: read,
        trouble: |linkedin| fail_reads(linkedin, Kind::Status { status: 429, retry_after: None, shape: Shape::Plain }) },
    Row { rule: "duplicate_post", grant: usual, trouble: nothing, before: 1, status: 422, part: "urn:li:share:", ask: post },
    Row { rule: "field_refused", grant: usual, trouble: nothing, before: 0, status: 422, part: "/mood",
        ask: |gateway| gateway.posting("/rest/posts", "ada", r#"{"mood":"good"}"#) },
    Row { rule: "unknown_fate", grant: usual, trouble: |linkedin| fail_posts(linkedin, Kind::StatusAfterCommit { status: 500 }), before: 0, status: 500, part: "q=author", ask: post },
    Row { rule: "unknown_fate", grant: usual, trouble: |linkedin| fail_posts(linkedin, Kind::CloseAfterCommit), before: 0, status: 502, part: "the attempt broke (cut)", ask: post },
    Row { rule: "token_revoked", grant: usual, trouble: |linkedin| linkedin.revoke("ada"), before: 0, status: 401, part: "members connect", ask: read },
    Row { rule: "token_expired", grant: bare, trouble: |linkedin| linkedin.expire_access_token("ada"), before: 0, status: 401, part: "forecast", ask: read },
    Row { rule: "member_restricted", grant: usual, trouble: |linkedin| linkedin.restrict("ada"), before: 0, status: 401, part: "www.linkedin.com", ask: read },
    Row { rule: "fresh_token_refused", grant: usual, trouble: |linkedin| fail_reads(linkedin, REFUSED), before: 0, status: 401, part: "its fault", ask: read },
    Row { rule: "token_of_other_application", grant: of_another_application, trouble: |linkedin| { linkedin.expire_access_token("ada"); linkedin.kill_refresh_token("ada"); }, before: 0, status: 401, part: "--application", ask: read },
    Row { rule: "token_verification", grant: usual, before: 0, status: 500, part: "the token", ask: read,
        trouble: |linkedin| { linkedin.revoke("ada"); fail_reads(linkedin, Kind::status(500)); } },
    Row { rule: "linkedin_error", grant: usual, trouble: |linkedin| fail_reads(linkedin, Kind::status(500)), before: 0, status: 500, part: "LinkedIn answered 500", ask: read },
    Row { rule: "html_answer", grant: usual, trouble: |linkedin| fail_reads(linkedin, Kind::HtmlPage { status: 404 }), before: 0, status: 404, part: "text/html", ask: read },
    Row { rule: "not_found", grant: usual, trouble: nothing, before: 0, status: 404, part: "no such resource", ask: |gateway| get(gateway, "/rest/novelties", V2) },
    Row { rule: "recovered", grant: usual, before: 0, status: 200, part: "attempt 1 was sent again", ask: read,
        trouble: |linkedin| { linkedin.fault(Fault::on("GET /v2/userinfo", Kind::status(503))); } },
    Row { rule: "linkedin_unreachable", grant: usual, trouble: |linkedin| fail_reads(linkedin, Kind::CloseBefore), before: 0, status: 502, part: "(cut)", ask: read },
    Row { rule: "linkedin_protocol_error", grant: usual, trouble: |linkedin| fail_reads(linkedin, Kind::Garbage), before: 0, status: 502, part: "no HTTP", ask: read },
    Row { rule: "renewal_unavailable", grant: usual, before: 0, status: 503, part: "Retry-After", ask: read,
        trouble: |linkedin| { linkedin.expire_access_token("ada"); linkedin.fault(Fault::on("token", Kind::status(503)).always()); } },
    Row { rule: "sign_in_needed", grant: usual, trouble: |linkedin| linkedin.revoke("ada"), before: 0, status: 401, part: "connect_url", ask: read },
    Row { rule: "caller_unknown", grant: usual, trouble: nothing, before: 0, status: 401, part: "linkgate keys",
        ask: |gateway| format!("GET /v2/me HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer nonsense\r\n\r\n", gateway.address) },
    Row { rule: "member_not_named", grant: usual, trouble: nothing, before: 0, status: 400, part: "Linkgate-Member",
        ask: |gateway| format!("GET /v2/me HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n", gateway.address, gateway.key) },
    Row { rule: "caller_not_allowed", grant: usual, trouble: nothing, before: 0, status: 403, part: "keys list",
        ask: |gateway| format!("GET /v2/me HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}~grace\r\n\r\n", gateway.address, gateway.key_for(&["ada"])) },
    Row { rule: "wrong_authority", grant: usual, trouble: nothing, before: 0, status: 421, part: "gateway.hosts",
        ask: |gateway| format!("GET /v2/me HTTP/1.1\r\nHost: example.org\r\nAuthorization: Bearer {}~ada\r\n\r\n", gateway.key) },
    Row { rule: "by_fault", grant: usual, trouble: |linkedin| fail_reads(linkedin, Kind::status(409)), before: 0, status: 409, part: "somebody else", ask: read },
];
