//! What stands in a HAR, a curl line and an archive.

use super::*;

fn har(record: Value) -> Value {
    serde_json::from_slice(&exported(record, Form::Har).unwrap()).unwrap()
}

#[test]
fn a_har_has_an_entry_for_each_attempt_and_the_callers_exchange() {
    let log = &har(record())["log"];

    assert_eq!(log["version"], "1.2");
    assert_eq!(log["entries"].as_array().unwrap().len(), 2);
    let [first, second] = [&log["entries"][0], &log["entries"][1]];
    assert_eq!(first["startedDateTime"], "2026-11-25T09:00:00.100501Z");
    assert_eq!(
        first["timings"],
        json!({"blocked": -1, "dns": -1.0, "connect": 5.0, "ssl": -1.0, "send": 0.0, "wait": 35.25, "receive": 1.25})
    );
    assert_eq!(first["time"], 41.5);
    let mut told = record();
    told["attempts"][0]["timings"] = json!({"wait_ms": 9.0, "token_ms": 1.0, "dns_ms": 1.0, "connect_ms": 2.0,
        "tls_ms": 3.0, "connected_ms": 6.5, "sent_ms": 7.0, "first_byte_ms": 17.0, "ended_ms": 18.0});
    assert_eq!(
        har(told)["log"]["entries"][0]["timings"],
        json!({"blocked": -1, "dns": 1.0, "connect": 5.0, "ssl": 3.0, "send": 0.5, "wait": 10.0, "receive": 1.0})
    );
    assert_eq!(
        second["timings"]["connect"], -1.0,
        "a connection used again"
    );
    assert_eq!(
        (
            &second["_exchange_id"],
            &second["_attempt"],
            &second["_x_li_uuid"]
        ),
        (&json!(ID), &json!(2), &json!("AAYFBPDs9ZaGJ88vWwff2w=="))
    );
    assert_eq!(
        second["request"]["queryString"],
        json!([{"name": "a", "value": "b c"}])
    );
    assert_eq!(second["request"]["postData"]["text"], "{\"a\":\"b'c\"}\r\n");
    assert_eq!(second["response"]["status"], 401);
    assert_eq!(first["response"]["content"]["encoding"], "base64");
    let exchange = &log["_exchanges"][0];
    assert_eq!(exchange["request"]["url"], "/rest/posts?a=b%20c");
    assert_eq!(exchange["response"]["status"], 401);
    assert_eq!(exchange["response"]["content"]["comment"], case::UNOPENED);
    assert_eq!(exchange["verdict"], "the access token expired");
}

#[test]
fn a_har_of_a_call_that_was_not_sent_shows_the_callers_exchange() {
    let mut unsent = record();
    unsent["attempts"] = json!([]);
    unsent["request"]["url"] = json!("/rest/x?k=[redacted:0123456789abcdef]");
    let entry = &har(unsent)["log"]["entries"][0];

    assert_eq!(entry["_attempt"], 0);
    assert_eq!(
        entry["request"]["url"],
        "http://127.0.0.1:8080/rest/x?k=%5Bredacted:0123456789abcdef%5D"
    );
    assert_eq!(entry["response"]["status"], 401);
}

fn curl(record: Value) -> String {
    let script = String::from_utf8(exported(record, Form::Curl).unwrap()).unwrap();
    script.split_once("\n\n").unwrap().1.to_owned()
}

#[test]
fn a_curl_line_says_what_it_sends_and_what_it_cannot() {
    let mut posted = record();
    posted["request"]["headers"][2][1] = json!("it's $HOME");
    posted["request"]["body"]["text"] = json!("{\"a\":\"b'c\"}\n");
    assert_eq!(
        curl(posted),
        format!(
            r#"# incident {ID}: 2026-11-25T09:00:00.000001Z the access token expired
# left out: Cookie, whose value is not kept
printf %s '{{"a":"b'\''c"}}
' |
curl --silent --show-error --include \
  --request 'POST' \
  --url "${{LINKGATE_URL:?}}"'/rest/posts?a=b%20c' \
  --path-as-is --globoff \
  --header "Authorization: Bearer ${{LINKGATE_KEY:?}}" \
  --header 'Linkgate-Member: ada' \
  --header 'Linkgate-Application: default' \
  --header 'X-Note: it'\''s $HOME' \
  --header 'accept:' \
  --header 'content-type:' \
  --header 'user-agent:' \
  --header 'expect:' \
  --data-binary @-
"#
        )
    );
}

#[test]
fn a_curl_line_holds_no_surprise_for_shell_or_terminal() {
    for (why, place, value, part) in [
        (
            "a token in the query goes",
            "/request/url",
            json!("/v2/me?a=1&oauth2_access_token=[redacted:0123456789abcdef]&b=2"),
            "'/v2/me?a=1&b=2'",
        ),
        (
            "another redacted argument is said",
            "/request/url",
            json!("/dms?ut=[redacted:0123456789abcdef]"),
            "# a part of its URL is redacted",
        ),
        (
            "an odd target goes as it is",
            "/request/url",
            json!("/a#b'\u{1b}"),
            "--request-target \"$(printf '/a#b\\047\\033')\"",
        ),
        (
            "a header without a value",
            "/request/headers/2/1",
            json!(""),
            "--header 'X-Note;'",
        ),
        (
            "no header at all",
            "/request/headers/2/0",
            json!("@/etc/passwd"),
            "# left out: @/etc/passwd, which is no header",
        ),
        (
            "a header with a line end",
            "/request/headers/2/1",
            json!("a\nb"),
            "# left out: X-Note, which is no header",
        ),
    ] {
        assert_line(why, place, value, part);
    }
}

#[test]
fn a_curl_line_is_a_comment_a_body_and_a_key_that_can_be_read() {
    for (why, place, value, part) in [
        (
            "a body that a terminal would obey",
            "/request/body/text",
            json!("\u{1b}[31m"),
            "printf %s G1szMW0= | base64 --decode |",
        ),
        (
            "a body that was not opened",
            "/request/body/text",
            Value::Null,
            "# left out: its body, kept apart, and not opened for this export",
        ),
        (
            "a body that is not kept any more",
            "/request/body",
            json!({"bytes": 13, "captured": 13, "ref": null}),
            "# left out: its body, which is not kept any more",
        ),
        (
            "the application's own token",
            "/member",
            Value::Null,
            "--header \"Authorization: Bearer ${LINKGATE_KEY:?}\"'~/default'",
        ),
        ("HEAD", "/request/method", json!("HEAD"), "--head"),
        (
            "a verdict of several lines stays a comment",
            "/verdict",
            json!("a\nrm -rf /"),
            "Z a\\u{a}rm -rf /",
        ),
    ] {
        assert_line(why, place, value, part);
    }
}

/// With `value` at `place` of the record, the line has this part, and no control character.
fn assert_line(why: &str, place: &str, value: Value, part: &str) {
    let mut odd = record();
    *odd.pointer_mut(place).unwrap() = value;
    let script = curl(odd);
    assert!(script.contains(part), "{why}: {part}\n{script}");
    let hidden = |letter: char| letter.is_control() && letter != '\n';
    assert!(!script.contains(hidden), "{why}: {script}");
}

#[test]
fn a_header_in_latin1_is_sent_in_its_own_bytes() {
    let mut latin1 = record();
    latin1["request"]["latin1"] = json!(true);
    latin1["request"]["headers"][2][1] = json!("caf\u{e9}");
    let script = curl(latin1);
    assert!(
        script.contains("\"$(printf 'X\\055Note: caf\\351')\""),
        "{script}"
    );
}

/// Names and contents of an archive.
fn unpacked(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    use std::io::Read as _;
    let archive = rawzip::ZipArchive::from_slice(archive).unwrap();
    let entries = archive.entries().collect::<Result<Vec<_>, _>>().unwrap();
    entries
        .iter()
        .map(|header| {
            let name = header
                .file_path()
                .try_normalize()
                .unwrap()
                .as_ref()
                .to_owned();
            let entry = archive.get_entry(header.wayfinder()).unwrap();
            let mut text = Vec::new();
            flate2::read::DeflateDecoder::new(entry.data())
                .read_to_end(&mut text)
                .unwrap();
            (name, text)
        })
        .collect()
}

#[test]
fn the_archive_holds_every_form_of_each_incident() {
    let mut odd = record();
    odd["id"] = json!("../../etc/passwd");
    let records = [Record::from(record()), Record::from(odd)];

    let archive = export(&records, Form::Zip, &ByShape, &beside()).unwrap();

    let files = unpacked(&archive);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let folder = format!("01-{ID}");
    let expected: Vec<String> = ["README.txt", "ticket.txt"]
        .map(str::to_owned)
        .into_iter()
        .chain([folder.as_str(), "02"].iter().flat_map(|folder| {
            ["ticket.txt", "har.har", "curl.sh", "json.json"].map(|name| format!("{folder}/{name}"))
        }))
        .collect();
    assert_eq!(names, expected);
    let har = exported(record(), Form::Har).unwrap();
    assert_eq!(files[3].1, har, "the same as by itself");
}
