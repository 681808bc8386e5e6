//! Each rule against a record that it knows, and one that only looks like it.

use serde_json::{Value, json};

use super::*;

/// A record with what the rules ask about; `with` goes over it.
fn record(with: Value) -> Record {
    let mut record = json!({
        "v": 1, "id": "0197", "seq": 1, "time": "2026-11-25T10:00:00.000000Z",
        "kind": "failed", "fault": "caller", "signature": "GET /rest/posts 400 -",
        "code": null, "linkedin_code": null, "linkedin_about": null,
        "verdict": "LinkedIn answered it; it was passed on unchanged",
        "caller": "app", "member": {"name": "ada"}, "outcome": "answered",
        "request": {"method": "GET", "url": "/rest/posts", "headers": []},
        "attempts": [{"n": 1, "sent": {"bytes": 200}, "status": 400, "headers": []}],
        "answer": {"status": 400, "headers": []},
    });
    merge(&mut record, with);
    Record::from(record)
}

fn merge(into: &mut Value, with: Value) {
    match (into, with) {
        (Value::Object(into), Value::Object(with)) => {
            for (name, value) in with {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, with) => *into = with,
    }
}

fn answered(status: u16, code: Option<&str>, with: Value) -> Record {
    let mut all = json!({
        "linkedin_code": code,
        "answer": {"status": status},
        "attempts": [{"n": 1, "sent": {"bytes": 200}, "status": status, "headers": []}],
        "fault": if status >= 500 || status == 429 { "linkedin" } else { "caller" },
    });
    merge(&mut all, with);
    record(all)
}

fn own(status: u16, code: &str, fault: &str, verdict: &str) -> Record {
    record(json!({
        "code": code, "fault": fault, "verdict": verdict, "answer": {"status": status}, "attempts": [],
    }))
}

fn asked(method: &str, url: &str, headers: &Value) -> Value {
    json!({"request": {"method": method, "url": url, "headers": headers}})
}

fn rules(record: &Record, around: &Around) -> Vec<&'static str> {
    explain(record, around)
        .iter()
        .map(|found| found.rule)
        .collect()
}

const QUIET: Around = Around {
    alike: 1,
    alike_members: 1,
    failing: 1,
    failing_members: 1,
    failing_callers: 1,
    is_more: false,
};
const LOUD: Around = Around {
    alike: 40,
    alike_members: 9,
    failing: 60,
    failing_members: 12,
    failing_callers: 3,
    is_more: false,
};
const ONE_CALLER: Around = Around {
    failing_callers: 1,
    ..LOUD
};

/// The rule, why this record is a case of it or is not, the record, what is around, whether it is found.
type Row = (&'static str, &'static str, Record, Around, bool);

fn check(rows: Vec<Row>) {
    for (rule, why, record, around, is_found) in rows {
        let found = rules(&record, &around);
        assert!(!found.is_empty(), "{rule}, {why}: nothing is found");
        assert_eq!(found.contains(&rule), is_found, "{rule}, {why}: {found:?}");
    }
}

#[test]
#[rustfmt::skip]
fn what_the_request_does_wrong_is_found() {
    let v2 = json!([["X-Restli-Protocol-Version", "2.0.0"]]);
    let long = format!("/rest/adAnalytics?ids=List({})", "1,".repeat(2_200));
    check(vec![
        ("version_missing", "LinkedIn's code", answered(400, Some("VERSION_MISSING"), json!({})), QUIET, true),
        ("version_missing", "another 400", answered(400, Some("PARAM_INVALID"), json!({})), QUIET, false),
        ("version_sunset", "LinkedIn's code", answered(426, Some("NONEXISTENT_VERSION"), json!({})), QUIET, true),
        ("version_sunset", "426 for another reason", answered(426, None, json!({})), QUIET, false),
        ("protocol_header_missing", "a list without it", answered(400, None, asked("GET", "/rest/x?ids=List(1,2)", &json!([]))), QUIET, true),
        ("protocol_header_missing", "1.0.0", answered(404, None, asked("GET", "/rest/x/(a:1,b:2)", &json!([["x-restli-protocol-version", "1.0.0"]]))), QUIET, true),
        ("protocol_header_missing", "it is there", answered(400, None, asked("GET", "/rest/x?ids=List(1,2)", &v2.clone())), QUIET, false),
        ("protocol_header_missing", "no structure", answered(400, None, asked("GET", "/rest/x?q=search", &json!([]))), QUIET, false),
        ("list_encoding", "its own signs encoded", answered(400, None, asked("GET", "/rest/x?ids=List%281%2C2%29", &v2.clone())), QUIET, true),
        ("list_encoding", "right", answered(400, None, asked("GET", "/rest/x?ids=List(urn%3Ali%3Ax%3A1)", &v2.clone())), QUIET, false),
        ("list_encoding", "wrong, but LinkedIn took it", answered(500, None, asked("GET", "/rest/x?ids=List%281%2C2%29", &v2.clone())), QUIET, false),
        ("urn_encoding", "raw in the path", answered(404, None, asked("GET", "/rest/posts/urn:li:share:1", &v2.clone())), QUIET, true),
        ("urn_encoding", "twice in an argument", answered(400, None, asked("GET", "/rest/posts?author=urn%253Ali%253Aperson%253A1", &v2.clone())), QUIET, true),
        ("urn_encoding", "right", answered(404, None, asked("GET", "/rest/posts/urn%3Ali%3Ashare%3A1", &v2)), QUIET, false),
        ("query_too_long", "over 4 KB", answered(414, Some("URI_TOO_LONG"), asked("GET", &long, &json!([]))), QUIET, true),
        ("query_too_long", "414 with a short query", answered(414, None, json!({})), QUIET, false),
        ("head_too_large", "414 with a short query", answered(414, None, json!({})), QUIET, true),
        ("head_too_large", "it is the query", answered(414, None, asked("GET", &long, &json!([]))), QUIET, false),
        ("content_length_missing", "411", answered(411, None, asked("POST", "/rest/x?action=a", &json!([]))), QUIET, true),
        ("content_length_missing", "400", answered(400, None, asked("POST", "/rest/x?action=a", &json!([]))), QUIET, false),
        ("field_refused", "LinkedIn names it", answered(422, None, json!({"linkedin_about": "/commentary"})), QUIET, true),
        ("field_refused", "LinkedIn names nothing", answered(422, None, json!({})), QUIET, false),
        ("not_found", "404", answered(404, Some("RESOURCE_NOT_FOUND"), json!({})), QUIET, true),
        ("not_found", "403", answered(403, None, json!({})), QUIET, false),
        ("html_answer", "a page", answered(404, None, json!({"attempts": [{"status": 404, "headers": [["Content-Type", "text/html; charset=utf-8"]]}]})), QUIET, true),
        ("html_answer", "JSON", answered(404, None, json!({"attempts": [{"status": 404, "headers": [["Content-Type", "application/json"]]}]})), QUIET, false),
    ]);
}

#[test]
#[rustfmt::skip]
fn what_linkedin_refuses_or_fails_is_found() {
    let sandbox_words = json!({"linkedin_about": null});
    check(vec![
        ("permission_missing", "LinkedIn's code", answered(403, Some("100"), json!({"linkedin_about": "posts.CREATE.20260901"})), QUIET, true),
        ("permission_missing", "the verdict says so", answered(403, None, json!({"verdict": "the token is good, but lacks the scope that this call needs; it has openid"})), QUIET, true),
        ("permission_missing", "403 for another reason", answered(403, Some("4242"), json!({})), QUIET, false),
        ("throttled_member", "LinkedIn says so", answered(429, Some("101"), json!({"linkedin_about": "application_and_member"})), LOUD, true),
        ("throttled_member", "nobody else is hit", answered(429, Some("101"), sandbox_words.clone()), QUIET, true),
        ("throttled_member", "others are hit", answered(429, Some("101"), sandbox_words.clone()), LOUD, false),
        ("throttled_application", "others are hit", answered(429, Some("101"), sandbox_words), LOUD, true),
        ("throttled_application", "LinkedIn names the member", answered(429, Some("101"), json!({"linkedin_about": "member"})), LOUD, false),
        ("throttled_analytics", "metric values", answered(429, Some("101"), json!({"linkedin_about": "metric_values"})), QUIET, true),
        ("throttled_analytics", "any limit", answered(429, Some("101"), json!({})), QUIET, false),
        ("throttled_infrastructure", "no code", answered(429, None, json!({})), QUIET, true),
        ("throttled_infrastructure", "a daily limit", answered(429, Some("101"), json!({})), QUIET, false),
        ("duplicate_post", "LinkedIn's code", answered(422, Some("DUPLICATE_POST"), json!({"linkedin_about": "urn:li:share:7"})), QUIET, true),
        ("duplicate_post", "another 422", answered(422, Some("FIELD_INVALID"), json!({})), QUIET, false),
        ("unknown_fate", "a write, open", answered(500, None, json!({"outcome": "unknown", "request": {"method": "POST"}})), QUIET, true),
        ("unknown_fate", "a read, open", answered(500, None, json!({"outcome": "unknown"})), QUIET, false),
        ("unknown_fate", "a tunnelled read, open", answered(500, None, json!({"outcome": "unknown", "request": {"method": "POST", "headers": [["X-HTTP-Method-Override", "GET"]]}})), QUIET, false),
        ("linkedin_outage", "several members and callers", answered(503, None, json!({})), LOUD, true),
        ("linkedin_outage", "unreachable for all", own(502, "linkedin_unreachable", "linkedin", "it is lost"), LOUD, true),
        ("linkedin_outage", "one caller alone", answered(503, None, json!({})), ONE_CALLER, false),
        ("linkedin_outage", "a 429 in the midst of it", answered(429, Some("101"), json!({})), LOUD, false),
        ("linkedin_outage", "the member's 500", answered(500, None, json!({"fault": "member"})), LOUD, false),
        ("linkedin_error", "one 500", answered(500, None, json!({})), QUIET, true),
        ("linkedin_error", "an outage", answered(500, None, json!({})), LOUD, false),
        ("clock_skew", "two minutes", answered(500, None, json!({"linkedin": {"skew_ms": -120_000}})), QUIET, true),
        ("clock_skew", "LinkedIn's working time", answered(500, None, json!({"linkedin": {"skew_ms": -9_000}})), QUIET, false),
    ]);
}

#[test]
#[rustfmt::skip]
fn what_is_wrong_with_a_token_is_found() {
    let judged = |verdict: &str| own(401, "sign_in_needed", "member", verdict);
    check(vec![
        ("token_revoked", "LinkedIn's code", answered(401, Some("65601"), json!({})), QUIET, true),
        ("token_revoked", "the verdict", judged("the member must sign in again: the member revoked the permission at LinkedIn"), QUIET, true),
        ("token_revoked", "a new token that LinkedIn does not know yet", answered(401, Some("65601"), json!({"verdict": "LinkedIn refused a token that it has just issued"})), QUIET, false),
        ("token_expired", "LinkedIn's code", answered(401, Some("65602"), json!({})), QUIET, true),
        ("token_expired", "the verdict", judged("the member must sign in again: the token expired on 2026-11-01"), QUIET, true),
        ("token_expired", "revoked", answered(401, Some("65601"), json!({})), QUIET, false),
        ("token_invalid", "LinkedIn's code", answered(401, Some("65600"), json!({})), QUIET, true),
        ("token_invalid", "expired", answered(401, Some("65602"), json!({})), QUIET, false),
        ("token_empty", "LinkedIn's code", answered(401, Some("65604"), json!({})), QUIET, true),
        ("token_empty", "expired", answered(401, Some("65602"), json!({})), QUIET, false),
        ("member_restricted", "LinkedIn's code", answered(401, Some("65608"), json!({})), QUIET, true),
        ("member_restricted", "expired", answered(401, Some("65602"), json!({})), QUIET, false),
        ("fresh_token_refused", "the verdict", answered(401, Some("65601"), json!({"verdict": "LinkedIn refused a token that it has just issued"})), QUIET, true),
        ("fresh_token_refused", "revoked", answered(401, Some("65601"), json!({})), QUIET, false),
        ("token_verification", "the verdict", answered(500, None, json!({"verdict": "LinkedIn answered 500 because it could not verify the token, which it calls revoked"})), QUIET, true),
        ("token_verification", "any 500", answered(500, None, json!({})), QUIET, false),
        ("token_of_other_application", "the verdict", judged("the token belongs to another LinkedIn application"), QUIET, true),
        ("token_of_other_application", "expired", answered(401, Some("65602"), json!({})), QUIET, false),
        ("application_misconfigured", "the verdict", own(503, "renewal_unavailable", "linkedin", "no usable token: LinkedIn refuses this application's client id or client secret"), QUIET, true),
        ("application_misconfigured", "the endpoint is down", own(503, "renewal_unavailable", "linkedin", "no usable token: the token endpoint answered 503"), QUIET, false),
    ]);
}

#[test]
#[rustfmt::skip]
fn our_own_answers_and_other_endings_are_found() {
    let mut rows = vec![
        ("caller_left", "it hung up", record(json!({"kind": "caller_left", "answer": null})), QUIET, true),
        ("caller_left", "it failed", record(json!({})), QUIET, false),
        ("cut", "broke off", record(json!({"kind": "cut", "answer": {"status": 200}})), QUIET, true),
        ("cut", "it failed", record(json!({})), QUIET, false),
        ("recovered", "after a 503", record(json!({"kind": "recovered", "answer": {"status": 200}, "attempts": [{"n": 1, "status": 503, "then": "sent again"}, {"n": 2, "status": 200}]})), QUIET, true),
        ("recovered", "it failed", record(json!({})), QUIET, false),
        ("by_fault", "nothing else is known", answered(409, None, json!({})), QUIET, true),
        ("by_fault", "something is", answered(404, None, json!({})), QUIET, false),
        ("by_fault", "the clocks differ, which explains nothing", answered(409, None, json!({"linkedin": {"skew_ms": 120_000}})), QUIET, true),
        ("by_fault", "a kind of record that nobody knows", record(json!({"kind": "of_a_later_version", "fault": null, "answer": null, "attempts": null})), QUIET, true),
        ("note", "the log itself", Record::from(json!({"kind": "gap", "reason": "the queue was full"})), QUIET, true),
        ("note", "an incident", record(json!({})), QUIET, false),
    ];
    for code in crate::incident::advice::codes() {
        rows.push((code, "our own code", own(503, code, "gateway", "it was so"), QUIET, true));
        rows.push((code, "another code", own(503, "none_of_ours", "gateway", "it was so"), QUIET, false));
    }
    check(rows);
}

#[test]
fn the_two_byte_strings_of_a_wrong_encoding_are_shown() {
    let headers = json!([["X-Restli-Protocol-Version", "2.0.0"]]);
    let wrong = asked(
        "GET",
        "/rest/x?q=a&ids=List%28urn%3Ali%3Ax%3A1%29",
        &headers,
    );

    let found = explain(&answered(400, None, wrong), &QUIET);

    let evidence = &found[0].evidence;
    assert!(
        evidence[0].ends_with(" ids=List%28urn%3Ali%3Ax%3A1%29"),
        "{evidence:?}"
    );
    assert!(
        evidence[1].ends_with(" ids=List(urn%3Ali%3Ax%3A1)"),
        "{evidence:?}"
    );
}

#[test]
fn a_missing_permission_names_the_scope_by_resource_and_by_what_is_done() {
    for (why, method, url, about, scope) in [
        (
            "a post",
            "POST",
            "/rest/posts",
            Some("posts.CREATE.20260901"),
            "w_member_social",
        ),
        (
            "analytics",
            "GET",
            "/rest/adAnalytics?q=analytics",
            None,
            "r_ads_reporting",
        ),
        (
            "an account, read",
            "GET",
            "/rest/adAccounts/1",
            None,
            "r_ads or rw_ads",
        ),
        (
            "an account, written",
            "POST",
            "/rest/adAccounts",
            None,
            "takes rw_ads",
        ),
        (
            "the old profile",
            "GET",
            "/v2/me",
            Some("me.GET.NO_VERSION"),
            "r_liteprofile",
        ),
        (
            "nothing that we know",
            "GET",
            "/rest/novelties",
            None,
            "LinkedIn's page",
        ),
    ] {
        let mut with = asked(method, url, &json!([]));
        merge(&mut with, json!({ "linkedin_about": about }));

        let found = explain(&answered(403, Some("100"), with), &QUIET);

        assert!(
            found[0].what_to_try.contains(scope),
            "{why}: {}",
            found[0].what_to_try
        );
    }
}

#[test]
fn no_record_however_odd_stops_it() {
    for odd in [
        json!({"kind": "failed"}),
        json!({"kind": "failed", "attempts": 7, "answer": [], "request": "x", "linkedin": null}),
        json!({"kind": "recovered", "attempts": [null, 1, {"then": 1}]}),
        json!({"kind": "cut", "fault": 9, "verdict": {}}),
        json!({"kind": ""}),
    ] {
        let found = explain(&Record::from(odd), &Around::default());
        assert!(found.iter().all(|finding| !finding.says.is_empty()));
        assert!(!found.is_empty());
    }
}
