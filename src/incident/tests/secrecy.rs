//! No secret in any file of the log, in any encoding; and a control that must be found.

use std::io::Write;

use data_encoding::{BASE64, HEXLOWER};
use http::{HeaderMap, HeaderName};

use super::*;
use crate::exchange::TokenUsed;

/// Shaped like nothing that is known: only its value gives it away.
const SECRET: &str = "s3cr3t/Value+with=odd.chars_0123456789";

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn json_escaped(text: &str) -> String {
    text.chars()
        .map(|character| format!("\\u{:04X}", u32::from(character)))
        .collect()
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Every form in which the secret could stand in a text.
fn forms() -> Vec<String> {
    let shifted = |shift: &str| BASE64.encode(format!("{shift}{SECRET}!").as_bytes());
    vec![
        SECRET.into(),
        percent_encoded(SECRET),
        json_escaped(SECRET),
        HEXLOWER.encode(SECRET.as_bytes()),
        shifted(""),
        shifted("a"),
        shifted("ab"),
    ]
}

/// Pieces that would betray it: the middle of each form.
fn pieces() -> Vec<String> {
    forms()
        .iter()
        .map(|form| form[6..form.len() - 8].to_owned())
        .collect()
}

/// An incident that has the secret in every place there is.
fn poisoned(world: &World) -> Incident {
    let all = forms().join(" | ");
    let in_path = SECRET.replace('+', "%2B");
    let head = |first: &str| {
        let text = format!(
            "{first}\r\nAuthorization: Bearer {SECRET}\r\nCookie: a={SECRET}; b={SECRET}\r\nSet-Cookie: c={SECRET}; Path=/{SECRET}\r\nX-Echo: {all}\r\nX-{}: x\r\n\r\n",
            HEXLOWER.encode(SECRET.as_bytes())
        );
        Head::Wire(text.into())
    };
    let mut incident = incident();
    incident.data_key = Some(world.ring.new_data_key());
    incident.secrets = vec![Bytes::from_static(SECRET.as_bytes())];
    incident.verdict = format!("it said {all}");
    incident.linkedin_code = Some(all.clone());
    incident.request.target =
        format!("/rest/{in_path}?a={}&q={SECRET}", percent_encoded(SECRET)).into();
    incident.request.head = head("POST / HTTP/1.1");
    incident.request.body = body(all.clone());
    let attempt = &mut incident.attempts[0];
    attempt.url = format!("https://api.linkedin.com/{in_path}");
    attempt.sent = Some(head("POST / HTTP/1.1"));
    attempt.head = Some(Head::Wire(
        "HTTP/1.1 400 x\r\nContent-Encoding: gzip\r\n\r\n".into(),
    ));
    attempt.body = body(gzipped(&all));
    attempt.broken = Some((Broken::Protocol, all.clone()));
    attempt.then = Some(all.clone());
    let answer = incident.answer.as_mut().unwrap();
    answer.headers = headers("x-echo", &all);
    answer.body = body(gzipped(&format!("again {all}")));
    incident
}

fn headers(name: &'static str, value: &str) -> HeaderList {
    let line = (HeaderName::from_static(name), value.parse().unwrap());
    HeaderList::of(&HeaderMap::from_iter([line]))
}

fn betrayed(text: &str) -> Vec<String> {
    // Undoes the escaping that JSON adds to a backslash.
    let text = text.to_lowercase().replace(r"\\", r"\");
    pieces()
        .into_iter()
        .filter(|piece| text.contains(&piece.to_lowercase()))
        .collect()
}

#[tokio::test]
async fn an_exchanges_own_secret_is_in_no_line_and_no_body() {
    let world = World::start();
    let incident = poisoned(&world);
    let key = incident.data_key.clone().unwrap();

    world.recorder.record(incident).await.unwrap();

    assert_eq!(betrayed(&world.text()), Vec::<String>::new());
    let record = world.records().remove(0);
    for place in ["/request/body", "/attempts/0/body", "/answer/body"] {
        let place = record.text(&format!("{place}/ref")).unwrap();
        let text = world.incidents().open_body(place, &key).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("[redacted:"), "{text}");
        assert_eq!(betrayed(&text), Vec::<String>::new(), "{place}");
    }
    assert_eq!(record.json()["answer"]["body"]["decoded"], true);
    assert_eq!(record.text("/answer/body/raw_ref"), None);
}

#[tokio::test]
async fn the_control_a_secret_nobody_named_is_found() {
    let world = World::start();
    let mut incident = poisoned(&world);
    incident.secrets.clear();
    incident.request.head = Head::Decoded(HeaderList::default());
    incident.attempts[0].sent = None;

    world.recorder.record(incident).await.unwrap();

    assert_eq!(betrayed(&world.text()).len(), forms().len());
}

#[tokio::test]
async fn a_live_secret_of_another_exchange_is_replaced_by_its_fingerprint() {
    let world = World::start();
    let fingerprint = world.live.add(b"0123456789abcdefghijklmnopqrstuvwxyz");
    let mut incident = incident();
    incident.verdict = "see https://x/?t=0123456789abcdefghijklmnopqrstuvwxyz&u=1".into();

    world.recorder.record(incident).await.unwrap();

    let expected = format!("see https://x/?t=[redacted:{fingerprint}]&u=1");
    assert_eq!(world.records()[0].verdict(), Some(&*expected));
}

#[tokio::test]
async fn a_token_that_was_sent_is_shown_by_the_fingerprint_it_has() {
    let world = World::start();
    let mut incident = incident();
    let attempt = &mut incident.attempts[1];
    attempt.token = Some(TokenUsed {
        fingerprint: "00c0ffee00c0ffee".into(),
        age_secs: None,
    });
    let sent =
        format!("GET / HTTP/1.1\r\nAuthorization: Bearer {SECRET}\r\nX-Echo: {SECRET}\r\n\r\n");
    attempt.sent = Some(Head::Wire(sent.into()));

    world.recorder.record(incident).await.unwrap();

    let record = world.records().remove(0);
    let headers = &record.json()["attempts"][1]["sent"]["headers"];
    let expected = serde_json::json!([
        ["Authorization", "Bearer [redacted:00c0ffee00c0ffee]"],
        ["X-Echo", "[redacted:00c0ffee00c0ffee]"],
    ]);
    assert_eq!(*headers, expected);
}

#[tokio::test]
async fn a_body_that_was_passed_on_is_noted_like_linkedins_if_it_is_packed_alike() {
    let world = World::start();
    let opaque = "HTTP/1.1 503 x\r\nContent-Encoding: zstd\r\n\r\n";
    for head in ["HTTP/1.1 503 x\r\n\r\n", opaque] {
        let mut incident = incident();
        incident.data_key = Some(world.ring.new_data_key());
        incident.attempts[1].head = Some(Head::Wire(head.into()));
        world.recorder.record(incident).await.unwrap();
    }

    let records = world.records();
    let reference = |n: usize, whose: &str| records[n].text(&format!("/{whose}/body/ref"));
    assert!(reference(0, "answer").is_some());
    assert_eq!(reference(0, "answer"), reference(0, "attempts/1"));
    assert!(reference(1, "answer").is_some());
    assert_eq!(reference(1, "attempts/1"), None);
}

#[tokio::test]
async fn a_verdict_goes_on_if_linkedins_code_is_the_one_it_waits_for() {
    let world = World::start();
    for code in ["BUSY", "100"] {
        let mut incident = incident();
        incident.verdict_by_code = Some((code, format!("{SECRET} is so")));
        incident.secrets = vec![Bytes::from_static(SECRET.as_bytes())];
        world.recorder.record(incident).await.unwrap();
    }

    let records = world.records();
    let went_on = records[0].verdict().unwrap();
    assert!(
        went_on.starts_with("LinkedIn answered 503 twice; [redacted:"),
        "{went_on}"
    );
    assert_eq!(records[1].verdict(), Some("LinkedIn answered 503 twice"));
}

#[tokio::test]
async fn packed_bodies_are_kept_packed_only_if_nothing_in_them_is_secret() {
    let world = World::start();
    let key = world.ring.new_data_key();
    let clean = gzipped("{\"message\":\"nothing here\"}");
    let mut bomb = gzipped(&"0".repeat(4 << 20));
    bomb.truncate(60_000);
    let cut = clean[..clean.len() - 9].to_vec();
    let (clean, encodings) = (Bytes::from(clean), ["gzip", "gzip", "gzip", "zstd"]);
    let bodies = [
        clean.clone(),
        cut.into(),
        bomb.into(),
        Bytes::from_static(b"\x28\xb5\x2f\xfd"),
    ];
    for (encoding, bytes) in encodings.into_iter().zip(bodies) {
        let mut incident = incident();
        incident.data_key = Some(key.clone());
        let answer = incident.answer.as_mut().unwrap();
        answer.headers = headers("content-encoding", encoding);
        answer.body = body(bytes);
        world.recorder.record(incident).await.unwrap();
    }

    let records = world.records();
    let raw: Vec<bool> = records
        .iter()
        .map(|record| record.text("/answer/body/raw_ref").is_some())
        .collect();
    assert_eq!(
        raw,
        [true, false, false, false],
        "whole, cut, bomb, unknown"
    );
    let open = |n: usize, what: &str| {
        let place = records[n].text(&format!("/answer/body/{what}")).unwrap();
        world.incidents().open_body(place, &key).unwrap()
    };
    assert_eq!(open(0, "raw_ref"), clean);
    assert_eq!(open(0, "ref"), b"{\"message\":\"nothing here\"}");
    assert!(open(2, "ref").len() <= 1 << 20);
    assert!(records[3].text("/answer/body/withheld").is_some());
}
