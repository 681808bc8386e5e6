//! Incidents handed on, by the real program: every form, with a gateway and without one.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use data_encoding::BASE64;
use linkgate::sandbox::{CANARY, Fault, Kind, Sandbox};
use serde_json::{Value, json};

use crate::support::{
    Reply,
    canary::Hunt,
    process::{Place, Served},
};

const FORMS: [&str; 5] = ["ticket", "har", "curl", "json", "zip"];

async fn post(served: &Served, path: &str, key: &str, body: &str) -> Reply {
    let head = served.head("POST", path, key, "ada");
    let request = format!(
        "{head}X-Restli-Protocol-Version: 2.0.0\r\nX-Request-Id: mine\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    served.connect().await.ask(request).await
}

/// A gateway with ada, and the id of a call that LinkedIn answered 503.
async fn failed(linkedin: &Sandbox, place: &Place, body: &str) -> (Served, String, String) {
    place.import(linkedin, "ada");
    let key = place.key();
    let served = place.serve().await;
    linkedin.fault(Fault::on("POST /rest/posts", Kind::status(503)));
    let reply = post(&served, "/rest/posts", &key, body).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    let id = reply.header("linkgate-exchange").unwrap().to_owned();
    (served, key, id)
}

fn exported(place: &Place, id: &str, form: &str) -> Vec<u8> {
    let file = place.path("export");
    let output = file.to_str().unwrap();
    let said = place.done(
        &["incidents", "export", id, "--as", form, "--output", output],
        "",
    );
    assert_eq!(said, "");
    let bytes = fs::read(&file).unwrap();
    fs::remove_file(file).unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_call_leaves_in_every_form_with_its_bodies_and_without_a_secret() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin);
    let (served, key, id) = failed(&linkedin, &place, r#"{"commentary":"it's $HOME"}"#).await;
    let hunt = Hunt::for_canary()
        .and("client secret", &linkedin.client_secret())
        .and("key", key.rsplit('_').next().unwrap());

    let texts: Vec<String> = FORMS[..4]
        .iter()
        .map(|form| String::from_utf8(exported(&place, &id[..13], form)).unwrap())
        .collect();
    let archive = exported(&place, &id, "zip");
    let printed = place.done(&["incidents", "export", &id, "--as", "har"], "");

    let [ticket, har, curl, json] = &texts[..] else {
        panic!()
    };
    for line in [
        &format!("Application Client ID: {}", linkedin.client_id()),
        "    {\"commentary\":\"it's $HOME\"}",
        "  Status: LinkedIn answered 503",
    ] {
        assert!(
            ticket.lines().any(|found| found == line),
            "{line}\n{ticket}"
        );
    }
    let now = "  Token status now: active, by introspection at ";
    assert!(
        ticket.contains(now) && ticket.contains("(the same token)"),
        "{ticket}"
    );
    assert!(har.contains("it's $HOME") && har == &printed, "{har}");
    assert!(curl.contains(r"it'\''s $HOME"), "{curl}");
    let records: Value = serde_json::from_str(json).unwrap();
    assert_eq!(records[0]["id"], json!(id));
    assert_eq!(
        records[0]["request"]["body"]["text"],
        json!(r#"{"commentary":"it's $HOME"}"#)
    );
    let files = crate::support::unpacked(&archive);
    assert_eq!(files.len(), 6, "{:?}", files.keys());
    for text in texts
        .iter()
        .map(String::as_bytes)
        .chain(files.values().map(Vec::as_slice))
    {
        assert_eq!(hunt.leaks(text), Vec::<String>::new());
    }
    served.terminate().await;
    let ended = place.run(&["incidents", "export", &id, "--as", "ticket"], "");
    assert!(ended.told.contains("no gateway runs"), "{ended:?}");
    assert!(
        ended.out.contains("not opened for this export"),
        "{ended:?}"
    );
}

/// Puts a record with this verdict into the log, and takes the log back when dropped.
struct Tampered {
    segment: PathBuf,
    clean: Vec<u8>,
}

impl Tampered {
    fn with(place: &Place, id: &str, place_in_it: &str, text: &str) -> Self {
        let mut segments = fs::read_dir(place.path("data/incidents"))
            .unwrap()
            .flatten();
        let segment = segments
            .find(|file| file.path().extension().is_some_and(|kind| kind == "ndjson"))
            .unwrap()
            .path();
        let clean = fs::read(&segment).unwrap();
        let spoilt: String = String::from_utf8(clean.clone())
            .unwrap()
            .lines()
            .map(|line| {
                let mut record: Value = serde_json::from_str(line).unwrap();
                if record["id"] == json!(id) {
                    *record.pointer_mut(place_in_it).unwrap() = json!(text);
                }
                format!("{record}\n")
            })
            .collect();
        fs::write(&segment, spoilt).unwrap();
        Self { segment, clean }
    }
}

impl Drop for Tampered {
    fn drop(&mut self) {
        fs::write(&self.segment, &self.clean).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_tampered_with_is_exported_in_no_form() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin);
    let (served, _, id) = failed(&linkedin, &place, "{}").await;
    let token = linkedin.live_access_tokens("ada").remove(0);
    let percent: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let codings = [
        ("plain", token.clone()),
        ("percent", percent),
        ("base64", BASE64.encode(format!("x{token}").as_bytes())),
    ];

    let refuses = |why: &str, form: &str, word: &str| {
        let file = place.path("export");
        let output = file.to_str().unwrap();
        let arguments = ["incidents", "export", &id, "--as", form, "--output", output];
        let ended = place.run(&arguments, "");
        assert_eq!(ended.code, Some(1), "{why} as {form}: {ended:?}");
        assert!(ended.told.contains(word), "{why} as {form}: {ended:?}");
        assert_eq!(ended.out, "", "{why} as {form}");
        assert!(!ended.told.contains(CANARY), "{why} as {form}: {ended:?}");
        assert!(!file.exists(), "{why} as {form}");
    };
    for (coding, text) in &codings {
        let spoilt = Tampered::with(&place, &id, "/verdict", text);
        for form in FORMS {
            refuses(coding, form, "nothing was exported");
        }
        drop(spoilt);
    }
    let spoilt = Tampered::with(&place, &id, "/verdict", &linkedin.client_secret());
    refuses(
        "a live secret without a shape",
        "json",
        "a secret that is alive",
    );
    drop(spoilt);
    served.terminate().await;
    for (coding, text) in &codings {
        let spoilt = Tampered::with(&place, &id, "/verdict", text);
        for form in FORMS {
            refuses(coding, form, "a token of LinkedIn's");
        }
        drop(spoilt);
    }
    // The control: as it stands, it is handed out.
    exported(&place, &id, "json");
}

/// Runs the script of an export with the gateway and the key that it asks for.
fn replayed(script: &[u8], served: &Served, key: &str) -> String {
    let mut shell = Command::new("sh")
        .env("LINKGATE_URL", format!("http://{}", served.callers))
        .env("LINKGATE_KEY", key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap().write_all(script).unwrap();
    let output = shell.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_curl_line_asks_the_same_again_and_is_answered_the_same() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin).with("retry.max_retries", "0");
    place.import(&linkedin, "ada");
    let key = place.key();
    let served = place.serve().await;
    let host = format!(
        "Host: {}\r\nAuthorization: Bearer {key}~ada\r\n",
        served.callers
    );
    for (why, request) in [
        (
            "no version",
            format!("GET /rest/posts HTTP/1.1\r\n{host}\r\n"),
        ),
        (
            "what a shell would expand",
            format!(
                "GET /rest/nothing?a=$HOME'%20`id`!*[1-3]{{a,b}}&b=/../.. HTTP/1.1\r\n{host}LinkedIn-Version: 202609\r\n\r\n"
            ),
        ),
        (
            "headers of every kind",
            format!(
                "GET /rest/nothing HTTP/1.1\r\n{host}LinkedIn-Version: 202609\r\nX-Empty:\r\nX-Two: 1\r\nX-Two: 2\r\nX-Quote: it's \"$HOME\" \\ `id`\r\nX-Latin: caf\u{e9}\r\nUser-Agent: mine/1\r\nAccept: a/b\r\n\r\n"
            ),
        ),
        (
            "a body with quotes, a line end and an at sign",
            format!(
                "POST /rest/nothing HTTP/1.1\r\n{host}LinkedIn-Version: 202609\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n@{{\"a\":\"it's\"}}\n\n"
            ),
        ),
        (
            "a body that is no text",
            format!(
                "POST /rest/nothing HTTP/1.1\r\n{host}LinkedIn-Version: 202609\r\nContent-Length: 5\r\n\r\n\0\u{1}%s\r"
            ),
        ),
    ] {
        let first = served.connect().await.ask(request).await;
        assert!(first.status >= 400, "{why}: {}", first.status);
        let id = first.header("linkgate-exchange").unwrap();

        let said = replayed(&exported(&place, id, "curl"), &served, &key);

        assert!(
            said.starts_with(&format!("HTTP/1.1 {} ", first.status)),
            "{why}: {said}"
        );
        let again = said
            .lines()
            .find_map(|line| line.strip_prefix("linkgate-exchange: "))
            .unwrap();
        assert_eq!(asked(&place, again.trim()), asked(&place, id), "{why}");
    }
}

/// What a caller asked: method, target, headers in lower case without the key's, and body.
fn asked(place: &Place, id: &str) -> Value {
    let shown = place.done(&["incidents", "show", id, "--json"], "");
    let record: Value = serde_json::from_str(&shown).unwrap();
    let request = &record["request"];
    let mut headers: Vec<(String, String)> = request["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|header| {
            let text = |at: usize| header[at].as_str().unwrap().to_owned();
            (text(0).to_ascii_lowercase(), text(1))
        })
        .filter(|(name, _)| {
            !["authorization", "linkgate-member", "linkgate-application"].contains(&name.as_str())
        })
        .collect();
    headers.sort();
    json!([
        request["method"],
        request["url"],
        headers,
        request["body"]["text"],
        request["body"]["base64"]
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_nothing_or_for_nobody_is_a_word_and_an_exit_code() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin);
    for (why, arguments, code) in [
        ("no id", &["--as", "har"][..], 64),
        ("no form", &["01234567"], 64),
        ("an unknown form", &["01234567", "--as", "pdf"], 64),
        ("too short an id", &["0123", "--as", "har"], 64),
        ("nobody's id", &["01234567", "--as", "har"], 1),
    ] {
        let arguments = [&["incidents", "export"], arguments].concat();
        let ended = place.run(&arguments, "");
        assert_eq!(ended.code, Some(code), "{why}: {ended:?}");
        assert!(
            !ended.told.is_empty() && ended.out.is_empty(),
            "{why}: {ended:?}"
        );
    }
}
