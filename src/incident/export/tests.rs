//! Exports of a record with something of everything, and of one that was tampered with.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::*;
use crate::{
    incident::redact::What,
    keyring::{KeyRing, LiveSecrets},
    sandbox::CANARY,
};

mod forms;
mod weight;

const ID: &str = "019ab1c2-3d4e-7f50-8a6b-9c0d1e2f3a4b";

/// A call that LinkedIn answered 503, then 401.
fn record() -> Value {
    json!({
        "v": 1, "id": ID, "seq": 7, "time": "2026-11-25T09:00:00.000001Z", "took_ms": 812.5,
        "fault": "linkedin", "kind": "failed", "signature": "POST /rest/posts 401 65602",
        "code": null, "linkedin_code": "65602", "verdict": "the access token expired",
        "caller": "app", "key_id": "k1", "outcome": "refused",
        "member": {"name": "ada", "urn": "urn:li:person:x1"},
        "application": {"name": "default", "client_id": "77abc"},
        "request": {
            "method": "POST", "url": "/rest/posts?a=b%20c", "version": "HTTP/1.1",
            "headers": [
                ["Host", "127.0.0.1:8080"],
                ["Authorization", "Bearer [redacted:0123456789abcdef]~ada"],
                ["X-Note", "it's \u{1b}[31m"],
                ["Cookie", "a=[redacted:0123456789abcdef]"],
            ],
            "body": {"bytes": 13, "captured": 13, "truncated": false, "complete": true,
                     "ref": "bodies:0:13", "text": "{\"a\":\"b'c\"}\r\n"},
        },
        "attempts": [
            attempt(1, 503, &json!({"bytes": 80, "captured": 80, "truncated": false, "ref": "bodies:1:80",
                "base64": BASE64.encode(&[0xfe; 80])})),
            attempt(2, 401, &json!({"bytes": 46, "captured": 46, "truncated": false, "ref": "bodies:2:46",
                "text": "{\"serviceErrorCode\":65602,\"message\":\"expired\"}"})),
        ],
        "answer": {"status": 401, "headers": [["content-type", "application/json"]],
                   "body": {"bytes": 46, "captured": 46, "truncated": false, "ref": "bodies:2:46"}},
        "linkedin": {"x_li_uuid": "AAYFBPDs9ZaGJ88vWwff2w==", "x_li_request_id": null,
                     "x_li_fabric": "prod-lor1", "time": "2023-09-10T17:57:20.333000Z"},
        "gateway": {"version": "0.1.0", "instance": "host", "config": "abcd"},
    })
}

fn attempt(n: u64, status: u16, body: &Value) -> Value {
    json!({
        "n": n, "started_ms": 100.5 * n as f64, "token": "00112233aabbccdd", "token_age_secs": 3_600,
        "version": "HTTP/1.1", "reused_connection": n > 1,
        "sent": {
            "method": "POST", "url": "https://api.linkedin.com/rest/posts?a=b%20c", "bytes": 13,
            "headers": [["host", "api.linkedin.com"], ["authorization", "Bearer [redacted:00112233aabbccdd]"],
                        ["linkedin-version", "202609"]],
        },
        "status": status, "error": null, "error_detail": null,
        "headers": [["X-LI-UUID", "AAYFBPDs9ZaGJ88vWwff2w=="], ["x-li-fabric", "prod-lor1"],
                    ["content-type", "application/json"]],
        "body": body,
        "timings": {"connected_ms": 5.0, "first_byte_ms": 40.25, "ended_ms": 41.5},
        "then": if n == 1 { json!("sent again: 503") } else { Value::Null },
    })
}

fn beside() -> Circumstances {
    Circumstances {
        now_micros: 1_764_064_800_000_000,
        standings: vec![Standing {
            member: Some("ada".into()),
            application: "default".into(),
            status: "expired".into(),
            fingerprint: Some("00112233aabbccdd".into()),
            asked_micros: 1_764_064_799_000_000,
        }],
    }
}

fn exported(record: Value, form: Form) -> Result<Vec<u8>, Refused> {
    export(&[Record::from(record)], form, &ByShape, &beside())
}

#[test]
fn a_form_has_one_word_and_is_found_by_it() {
    for form in Form::ALL {
        assert_eq!(form.as_str().parse(), Ok(form));
    }
    assert_eq!("TICKET".parse::<Form>(), Err(UnknownForm));
}

#[test]
fn a_clean_record_leaves_in_every_form_the_same_each_time() {
    for form in Form::ALL {
        let once = exported(record(), form).unwrap();

        assert!(!once.is_empty(), "{form}");
        assert_eq!(exported(record(), form).unwrap(), once, "{form}");
    }
}

/// Each place where text from outside stands in a record that is exported.
const PLACES: [&str; 9] = [
    "/verdict",
    "/request/url",
    "/request/headers/2/1",
    "/request/body/text",
    "/attempts/1/sent/url",
    "/attempts/1/sent/headers/2/1",
    "/attempts/1/headers/0/1",
    "/attempts/1/body/text",
    "/application/client_id",
];

#[test]
fn a_token_that_was_planted_in_a_record_leaves_in_no_form() {
    let token = format!("AQX1234{CANARY}abcdefghijklmnopqrstuvwxyz0123456789");
    let percent: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for (coding, text) in [
        ("plain", token.clone()),
        ("percent", percent),
        (
            "base64",
            BASE64.encode(format!("Bearer {token}").as_bytes()),
        ),
        ("bearer", "Bearer 0123456789abcdef0123456789".to_owned()),
        ("key", "lgk_0123456789abcdef".to_owned()),
    ] {
        for place in PLACES {
            let mut tampered = record();
            *tampered.pointer_mut(place).unwrap() = Value::from(format!("x {text} y"));
            for form in Form::ALL {
                let refused = exported(tampered.clone(), form);

                assert!(
                    matches!(refused, Err(Refused::Secret { .. })) || !is_shown(form, place),
                    "{coding} at {place} as {form}: {refused:?}"
                );
                if let Err(refused) = refused {
                    let told = refused.to_string();
                    assert!(!told.contains(CANARY) && told.contains(ID), "{told}");
                }
            }
        }
    }
}

/// Whether a form shows what stands there: what it leaves out cannot leak by it.
fn is_shown(form: Form, place: &str) -> bool {
    match form {
        Form::Ticket => !["/request/url", "/request/headers/2/1"].contains(&place),
        Form::Curl => place == "/verdict" || place.starts_with("/request/"),
        Form::Har | Form::Json | Form::Zip => true,
    }
}

#[test]
fn a_token_inside_of_a_binary_body_leaves_in_no_form_that_has_it() {
    let mut tampered = record();
    let token = format!("\0AQX1234{CANARY}abcdefghijklmnopqrstuvwxyz0123456789\u{1}");
    tampered["attempts"][0]["body"]["base64"] = Value::from(BASE64.encode(token.as_bytes()));

    let refused = exported(tampered, Form::Json).unwrap_err();

    let Refused::Secret { finds, .. } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(finds[0].what, What::Token);
}

#[test]
fn random_bytes_in_base64_are_taken_for_what_they_mean() {
    let blob: Vec<u8> = std::iter::repeat_n(BASE64.decode(b"AQAAAAAAAAAA").unwrap(), 20)
        .flatten()
        .collect();
    let mut image = record();
    image["attempts"][0]["body"]["base64"] = Value::from(BASE64.encode(&blob));

    let let_through = exported(image.clone(), Form::Json);

    assert!(let_through.is_ok(), "{let_through:?}");
    image["verdict"] = Value::from(BASE64.encode(&blob));
    image["attempts"][0]["body"]["base64"] = Value::Null;
    assert!(
        exported(image, Form::Json).is_err(),
        "the control: it looks like a token"
    );
}

#[test]
fn the_whole_door_finds_what_has_no_shape() {
    let ring = KeyRing::random();
    let live = LiveSecrets::new(ring.clone());
    let secret = "WPL_AP1.0a1b2c3d4e5f6g7h";
    let fingerprint = live.add(secret.as_bytes()).to_string();
    let door = Redaction::new(ring, live);
    let mut tampered = record();
    tampered["verdict"] = Value::from(format!("the secret is {secret}"));
    for form in Form::ALL {
        let refused = export(&[Record::from(tampered.clone())], form, &door, &beside());

        // A shell's line says nothing of the verdict.
        assert!(
            matches!(&refused, Err(refused) if refused.to_string().contains(&fingerprint)),
            "{form}: {refused:?}"
        );
        assert!(exported(tampered.clone(), form).is_ok(), "{form}: no shape");
    }
}

#[test]
fn a_door_that_cannot_be_asked_stays_shut() {
    struct Stuck;
    impl Door for Stuck {
        fn finds(&self, _: &[u8]) -> Result<Vec<Find>, NotAsked> {
            Err(NotAsked("the gateway went".into()))
        }
    }
    for form in Form::ALL {
        let refused = export(&[Record::from(record())], form, &Stuck, &beside());
        assert!(matches!(refused, Err(Refused::NotAsked(_))), "{form}");
    }
}

#[test]
fn notes_nothing_and_too_many_are_no_export() {
    let note = Record::from(json!({"kind": "gap", "seq": 9, "dropped": 3}));
    let many = vec![Record::from(record()); MOST_RECORDS + 1];
    for (records, refused) in [
        (&[][..], Refused::Count(0)),
        (&[note][..], Refused::Note(9)),
        (&many[..], Refused::Count(MOST_RECORDS + 1)),
    ] {
        let result = export(records, Form::Json, &ByShape, &beside());
        assert_eq!(result, Err(refused));
    }
}

#[test]
fn the_json_form_is_the_records_themselves() {
    let records = [Record::from(record()), Record::from(record())];

    let json = export(&records, Form::Json, &ByShape, &beside()).unwrap();

    let read: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(read, json!([record(), record()]));
    let text = String::from_utf8(json).unwrap();
    assert!(!text.contains('\u{1b}'), "{text}");
    assert_eq!(text.lines().count(), 4);
}

#[test]
fn the_ticket_says_what_linkedin_asks_for() {
    let ticket = String::from_utf8(exported(record(), Form::Ticket).unwrap()).unwrap();

    for line in [
        "Application Client ID: 77abc",
        "What was expected: a success (2xx) in answer to POST https://api.linkedin.com/rest/posts?a=b%20c",
        "What happened: LinkedIn answered 401, at 2026-11-25T09:00:00.000001Z. the access token expired",
        "How often: 2 of 2 attempts within this call failed",
        "  1. 2026-11-25T09:00:00.100501Z: LinkedIn answered 503 after 41.5 ms, x-li-uuid AAYFBPDs9ZaGJ88vWwff2w==",
        "  Request URL: https://api.linkedin.com/rest/posts?a=b%20c",
        "  Method: POST",
        "    linkedin-version: 202609",
        "    authorization: Bearer [redacted:00112233aabbccdd]",
        "    {\"a\":\"b'c\"}",
        "  Access token: fingerprint 00112233aabbccdd, 3600 s old",
        "  Token status: expired, as LinkedIn answered this call (65602)",
        "  Token status now: expired, by introspection at 2025-11-25T09:59:59.000000Z (the same token)",
        "  Status: LinkedIn answered 401",
        "  x-li-uuid: AAYFBPDs9ZaGJ88vWwff2w==",
        "  x-li-fabric: prod-lor1",
        "  x-li-request-id: (none)",
        "    {\"serviceErrorCode\":65602,\"message\":\"expired\"}",
    ] {
        assert!(
            ticket.lines().any(|found| found == line),
            "{line}\n{ticket}"
        );
    }
}

#[test]
fn a_ticket_says_what_is_missing_and_why() {
    let mut bare = record();
    bare["request"]["body"] = json!({"bytes": 13, "captured": 13, "ref": "bodies:0:13"});
    let unopened = String::from_utf8(exported(bare.clone(), Form::Ticket).unwrap()).unwrap();
    let line =
        "  Body: 13 bytes, kept apart, and not opened for this export: its maker may not see it";
    assert!(unopened.contains(line), "{unopened}");
    assert!(!unopened.contains("not kept any more"), "{unopened}");
    bare["request"]["body"]["ref"] = Value::Null;
    bare["attempts"][1]["body"] = json!({"bytes": 0});
    bare["application"] = Value::Null;
    let ticket = String::from_utf8(exported(bare, Form::Ticket).unwrap()).unwrap();
    for line in [
        "Application Client ID: -",
        "  Body: 13 bytes, not kept any more",
        "  Body: (empty)",
        // The code that the record keeps outlives the body.
        "  Token status: expired, as LinkedIn answered this call (65602)",
    ] {
        assert!(
            ticket.lines().any(|found| found == line),
            "{line}\n{ticket}"
        );
    }

    let mut unsent = record();
    unsent["attempts"] = json!([]);
    let ticket = String::from_utf8(exported(unsent, Form::Ticket).unwrap()).unwrap();
    assert!(
        ticket.contains("Nothing was sent to LinkedIn for this call."),
        "{ticket}"
    );
}

#[test]
fn a_record_of_any_shape_makes_no_form_panic() {
    for odd in [
        json!({"kind": "failed"}),
        json!({"kind": "failed", "attempts": [null, 7, {"started_ms": 1e300}, {"headers": [[1], "x", ["a"]]}]}),
        json!({"kind": "failed", "time": "never", "request": [], "answer": 5}),
        json!({"kind": "failed", "request": {"url": "\u{0}\u{202e}", "headers": [["", ""], ["@x", "y"]]}}),
    ] {
        for form in Form::ALL {
            exported(odd.clone(), form).unwrap();
        }
    }
}
