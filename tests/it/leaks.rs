//! Everything the program writes, searched for every secret it was given, after a day full of trouble.
//!
//! Its log at trace level, its support log and store, what its commands print, its metrics and its own
//! answers. A control plants each secret in each of them and must find it.

use std::{collections::BTreeMap, time::Duration};

use linkgate::{
    incident::export::Form,
    sandbox::{Fault, Kind, Sandbox},
};
use rustix::process::Signal;

use crate::support::{
    Connection, Peer, Reply,
    canary::Hunt,
    process::{Ended, Place, Served, head},
    unpacked,
};

mod echo;
mod signing_in;

use echo::Echo;

/// What was written, by where.
type Sinks = BTreeMap<String, Vec<u8>>;

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_written_anywhere_after_trouble_of_every_kind() {
    let linkedin = Sandbox::start();
    let receiver = Peer::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let place = told(watched(Place::before_tls(&linkedin)), &receiver);
    for name in ["ada", "grace", "joan", "mary"] {
        place.import(&linkedin, name);
    }
    let key = place.key();
    let hunt = hunt(&linkedin, &key)
        .and("webhook secret", WEBHOOK_SECRET)
        .and("webhook's address", WEBHOOK_PATH);
    let served = place.serve().await;
    let mut sinks = Sinks::new();

    trouble(&linkedin, &served, &key, &mut sinks).await;
    ask_commands(&place, &mut sinks);
    ask_admin(&place, &served, &mut sinks).await;
    sinks.insert("stderr".to_owned(), served.terminate().await.into_bytes());
    sinks.insert("notices".to_owned(), notices(&receiver));

    let hunt = with_live_tokens(hunt, &linkedin);
    assert_clean(&hunt, &place, &sinks);
    assert_plants_are_found(&hunt, &place, &sinks);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_linkedin_echoes_in_any_coding_are_written_nowhere() {
    let linkedin = Sandbox::start();
    let echo = Echo::start().await;
    let urls = [echo.url(), linkedin.oauth_url(), echo.url()];
    let place = watched(Place::of(&linkedin, &urls)).with("retry.max_retries", "1");
    place.import(&linkedin, "ada");
    let key = place.key();
    let hunt = with_live_tokens(hunt(&linkedin, &key), &linkedin);
    let served = place.serve().await;
    let mut sinks = Sinks::new();

    for coding in echo::CODINGS {
        for status in [400, 503] {
            let path = format!("/rest/{coding}/{status}");
            let request = served.head("GET", &path, &key, "ada");
            // An app may say its key where nobody asked for it.
            let request = format!(
                "{request}X-Debug: {key}\r\nReferer: https://app/?k={key}\r\nCookie: k={key}\r\n\r\n"
            );
            let reply = served.connect().await.ask(request).await;
            assert_eq!(reply.status, status, "{}", reply.text());
        }
    }
    let asked = CODINGS_AND_STATUSES;
    assert!(echo.asked() >= asked, "{} of {asked}", echo.asked());
    ask_commands(&place, &mut sinks);
    ask_admin(&place, &served, &mut sinks).await;
    sinks.insert("stderr".to_owned(), served.terminate().await.into_bytes());

    for sink in ["incidents show", "/api/incidents/{id}"] {
        let shown = String::from_utf8_lossy(&sinks[sink]).into_owned();
        assert!(shown.contains("you said"), "{sink}: the bodies were kept");
    }
    assert_clean(&hunt, &place, &sinks);
}

const CODINGS_AND_STATUSES: usize = 2 * echo::CODINGS.len();

/// Everything is written that can be.
fn watched(place: Place) -> Place {
    let logs = place.path("logs");
    std::fs::create_dir(&logs).unwrap();
    place
        .with("log.level", "trace")
        .with("log.directory", logs.to_str().unwrap())
        .with("retry.base_delay_ms", "1")
        .with("incidents.max_per_minute", "10000")
}

/// In base64, as it stands behind `whsec_`.
const WEBHOOK_SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const WEBHOOK_PATH: &str = "T0ChatTools/B0PathsAreSecrets";

/// Whose trouble is told to this receiver.
fn told(place: Place, receiver: &Peer) -> Place {
    place
        .with("alerts.webhooks.0.name", "chat")
        .with("alerts.webhooks.0.url_env", "CHAT_URL")
        .with("alerts.webhooks.0.secret_env", "CHAT_SECRET")
        .with_variable("CHAT_URL", &format!("{}/{WEBHOOK_PATH}", receiver.url()))
        .with_variable("CHAT_SECRET", &format!("whsec_{WEBHOOK_SECRET}"))
}

/// The bodies that the receiver was sent.
fn notices(receiver: &Peer) -> Vec<u8> {
    let body = |request: &bytes::Bytes| {
        let end = memchr::memmem::find(request, b"\r\n\r\n").unwrap();
        request.slice(end..).to_vec()
    };
    let all: Vec<u8> = receiver.requests().iter().flat_map(body).collect();
    for word in ["alerts.test", "member.sign_in_needed"] {
        let is_there = memchr::memmem::find(&all, word.as_bytes()).is_some();
        assert!(is_there, "{word}: {}", String::from_utf8_lossy(&all));
    }
    all
}

fn hunt(linkedin: &Sandbox, key: &str) -> Hunt {
    let secret = key.rsplit('_').next().unwrap();
    let (first, rest) = secret.split_at(secret.len() / 2);
    Hunt::for_canary()
        .and("client secret", &linkedin.client_secret())
        .and("key", secret)
        .and("half a key", first)
        .and("other half of a key", rest)
}

/// Also what stands before the first canary in each token.
fn with_live_tokens(hunt: Hunt, linkedin: &Sandbox) -> Hunt {
    let live = ["ada", "grace", "joan", "mary"]
        .into_iter()
        .flat_map(|member| linkedin.live_access_tokens(member));
    live.fold(hunt, |hunt, token| hunt.and("access token", &token[..40]))
}

async fn trouble(linkedin: &Sandbox, served: &Served, key: &str, sinks: &mut Sinks) {
    let mut replies = vec![
        served.get("/v2/userinfo", key, "ada").await,
        served.get("/v2/userinfo", key, "nobody").await,
        served.get("/rest/posts", key, "ada").await,
    ];
    linkedin.expire_access_token("ada");
    replies.push(served.get("/v2/userinfo", key, "ada").await);
    linkedin.revoke("grace");
    replies.push(served.get("/v2/userinfo", key, "grace").await);
    replies.push(served.get("/v2/userinfo", key, "grace").await);
    linkedin.restrict("joan");
    replies.push(served.get("/v2/userinfo", key, "joan").await);
    linkedin.fault(Fault::on("token", Kind::status(503)).always());
    linkedin.expire_access_token("mary");
    replies.push(served.get("/v2/userinfo", key, "mary").await);
    for kind in [
        Kind::status(503),
        Kind::HtmlPage { status: 502 },
        Kind::Garbage,
        Kind::ResetAfterCommit,
        Kind::HalfHead,
    ] {
        linkedin.fault(Fault::on("POST /rest/posts", kind));
        replies.push(post(served, "/rest/posts", key, "{}").await);
    }
    replies.extend(misplaced_keys(served, key).await);
    replies.extend(upload(linkedin, served, key).await);
    hang_up(linkedin, served, key).await;
    let own: Vec<u8> = replies
        .iter()
        .filter(|reply| reply.header("proxy-status").is_some())
        .flat_map(|reply| [&reply.raw_head[..], &reply.body[..]].concat())
        .collect();
    for code in [
        "caller_unknown",
        "sign_in_needed",
        "renewal_unavailable",
        "linkedin_unreachable",
    ] {
        let needle = format!("\"{code}\"");
        let is_told = memchr::memmem::find(&own, needle.as_bytes()).is_some();
        assert!(
            is_told,
            "no answer said {code}: {}",
            String::from_utf8_lossy(&own)
        );
    }
    sinks.insert("problem answers".to_owned(), own);
}

async fn post(served: &Served, path: &str, key: &str, body: &str) -> Reply {
    let head = served.head("POST", path, key, "ada");
    let request = format!(
        "{head}X-Restli-Protocol-Version: 2.0.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    served.connect().await.ask(request).await
}

/// Keys where they do not belong, and keys that are wrong by one character.
async fn misplaced_keys(served: &Served, key: &str) -> Vec<Reply> {
    let host = format!("Host: {}\r\nLinkedIn-Version: 202609\r\n", served.callers);
    let mut wrong = key.to_owned();
    wrong.replace_range(key.len() - 1.., "_");
    let basic = data_encoding::BASE64.encode(format!("user:{key}").as_bytes());
    let requests = [
        format!("GET /v2/userinfo?oauth2_access_token={key}~ada HTTP/1.1\r\n{host}\r\n"),
        format!("GET /rest/nothing?a=b&oauth2_access_token={key}~ada&c=d HTTP/1.1\r\n{host}\r\n"),
        head(
            served.callers,
            "GET",
            &format!("/v2/me?oauth2_access_token={key}"),
            key,
        ) + "\r\n",
        head(served.callers, "GET", "/v2/me", &wrong) + "\r\n",
        head(
            served.callers,
            "GET",
            &format!("/rest/{key}"),
            &format!("{key}~ada"),
        ) + "\r\n",
        format!("GET /v2/me HTTP/1.1\r\n{host}Authorization: Basic {basic}\r\n\r\n"),
        format!("GET /v2/me HTTP/1.1\r\n{host}Authorization: {key}\r\n\r\n"),
    ];
    let mut replies = Vec::new();
    for request in requests {
        replies.push(served.connect().await.ask(request).await);
    }
    let query = &replies[0];
    assert_eq!(
        query.status,
        200,
        "a key in the query counts: {}",
        query.text()
    );
    replies
}

/// An image's upload, whose URL carries a right of its own in `ut=`.
async fn upload(linkedin: &Sandbox, served: &Served, key: &str) -> Vec<Reply> {
    let owner = format!("urn:li:person:{}", linkedin.sub("ada"));
    let body = format!(r#"{{"initializeUploadRequest":{{"owner":"{owner}"}}}}"#);
    let begun = post(served, "/rest/images?action=initializeUpload", key, &body).await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    let url = begun.json()["value"]["uploadUrl"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = &url[url.find("/dms-uploads").unwrap()..];
    assert!(path.contains("ut="), "{path}");
    linkedin.fault(Fault::on("PUT /dms-uploads", Kind::status(500)));
    let mut replies = Vec::new();
    for _ in 0..2 {
        let request = served.head("PUT", path, key, "ada") + "Content-Length: 3\r\n\r\nabc";
        replies.push(served.connect().await.ask(request).await);
    }
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [500, 201]);
    replies
}

/// A caller who leaves a write that is under way.
async fn hang_up(linkedin: &Sandbox, served: &Served, key: &str) {
    let slow = Kind::DelayAfter(Duration::from_millis(200));
    linkedin.fault(Fault::on("POST /rest/posts", slow));
    let before = linkedin.counts().received("POST /rest/posts");
    let mut connection = served.connect().await;
    let head = served.head("POST", "/rest/posts", key, "ada");
    connection.send(head + "Content-Length: 2\r\n\r\n{}").await;
    crate::support::until("the write is under way", || {
        linkedin.counts().received("POST /rest/posts") > before
    })
    .await;
}

/// What every command prints while the gateway runs.
fn ask_commands(place: &Place, sinks: &mut Sinks) {
    let mut ask = |arguments: &[&str]| {
        let Ended { out, told, .. } = place.run(arguments, "");
        assert!(!out.is_empty(), "{arguments:?} printed nothing: {told}");
        let words: Vec<&str> = arguments.iter().take(2).copied().collect();
        let sink = sinks.entry(words.join(" ")).or_default();
        sink.extend_from_slice(out.as_bytes());
        sink.extend_from_slice(told.as_bytes());
    };
    for arguments in [
        &["check"][..],
        &["members", "list"],
        &["members", "list", "--json"],
        &["members", "show", "ada"],
        &["members", "show", "ada", "--json"],
        &["members", "introspect", "ada"],
        &["members", "introspect", "ada", "--json"],
        &["keys", "list"],
        &["keys", "list", "--json"],
        &["incidents", "list"],
        &["incidents", "list", "--json"],
        &["incidents", "tail"],
        &["incidents", "stats"],
        &["incidents", "stats", "--json"],
        &["incidents", "tail", "-n", "1000", "--json"],
        &["alerts", "test"],
        &["alerts", "list", "--json"],
    ] {
        ask(arguments);
    }
    let log = place.incidents();
    let records = log.list(linkgate::incident::reader::Filter::default());
    let ids: Vec<String> = records
        .filter_map(|record| Some(record.unwrap().id()?.to_owned()))
        .collect();
    for id in &ids {
        ask(&["incidents", "show", id]);
        ask(&["incidents", "show", id, "--json"]);
    }
    for form in ["ticket", "har", "curl", "json", "zip"] {
        export(place, &ids, form, sinks);
    }
}

/// What an export of all incidents holds; of an archive each file.
fn export(place: &Place, ids: &[String], form: &str, sinks: &mut Sinks) {
    let mut arguments = vec!["incidents", "export", "--as", form];
    arguments.extend(ids.iter().take(100).map(String::as_str));
    let made = place.command(&arguments).output().unwrap();
    let told = String::from_utf8_lossy(&made.stderr);
    assert!(
        made.status.success() && !made.stdout.is_empty(),
        "{form}: {told}"
    );
    let files = match form {
        "zip" => unpacked(&made.stdout),
        form => [(form.to_owned(), made.stdout)].into(),
    };
    for (name, text) in files {
        sinks.insert(format!("export as {form}: {name}"), text);
    }
}

async fn ask_admin(place: &Place, served: &Served, sinks: &mut Sinks) {
    let made = place.done(&["operators", "create", "olga", "--role", "operator"], "");
    let token = made.trim();
    for path in [
        "/",
        "/members",
        "/members/default/ada",
        "/api/members",
        "/api/forecast",
        "/api/callers",
        "/api/signatures",
        "/api/stats",
        "/api/openapi.json",
    ] {
        let reply = ask_as(served, token, path).await;
        assert_eq!(reply.status, 200, "{path}");
        sinks.insert(path.to_owned(), reply.body.to_vec());
    }
    ask_about_incidents(served, token, sinks).await;
    ask_pages(place, served, token, sinks).await;
    served.signal(Signal::HUP);
    for path in ["/metrics", "/readyz", "/livez"] {
        let text = served.admin(path).await.text();
        sinks.insert(path.to_owned(), text.into_bytes());
    }
}

async fn ask_as(served: &Served, token: &str, path: &str) -> Reply {
    let host = served.admin;
    let ask =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
    Connection::to(host).await.ask(ask).await
}

/// Every incident, whole and in every form, as the one who may see most sees it.
async fn ask_about_incidents(served: &Served, token: &str, sinks: &mut Sinks) {
    let list = ask_as(served, token, "/api/incidents?limit=200").await;
    sinks.insert("/api/incidents".to_owned(), list.body.to_vec());
    let list = list.json();
    let records = list["incidents"].as_array().unwrap();
    let ids: Vec<&str> = records
        .iter()
        .filter_map(|one| one["id"].as_str())
        .collect();
    assert!(!ids.is_empty(), "there was trouble");
    for id in ids {
        let forms = Form::ALL.map(|form| format!("/export?as={form}"));
        let ways = ["".to_owned(), "/explain".to_owned()];
        for way in ways.iter().chain(&forms) {
            let reply = ask_as(served, token, &format!("/api/incidents/{id}{way}")).await;
            assert_eq!(reply.status, 200, "{id}{way}: {}", reply.text());
            let sink = sinks
                .entry(format!("/api/incidents/{{id}}{way}"))
                .or_default();
            sink.extend_from_slice(&reply.body);
        }
    }
}

/// Every page about incidents, bodies and all, as an operator sees it.
async fn ask_pages(place: &Place, served: &Served, token: &str, sinks: &mut Sinks) {
    let mut pages: Vec<(&str, String)> = [
        "/incidents?limit=200",
        "/incidents?live=1",
        "/signatures?window=30d",
        "/callers",
        "/find?q=",
    ]
    .map(|path| (path, path.to_owned()))
    .to_vec();
    let all = linkgate::incident::reader::Filter::default();
    let records = place.incidents().list(all).flatten();
    let ids: Vec<String> = records
        .filter_map(|one| one.id().map(str::to_owned))
        .collect();
    assert!(!ids.is_empty(), "there was trouble");
    pages.extend(
        ids.iter()
            .map(|id| ("/incidents/{id}", format!("/incidents/{id}"))),
    );
    for (name, path) in pages {
        let reply = ask_as(served, token, &path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        sinks
            .entry(name.to_owned())
            .or_default()
            .extend_from_slice(&reply.body);
    }
}

fn assert_clean(hunt: &Hunt, place: &Place, sinks: &Sinks) {
    for (sink, bytes) in sinks {
        let leaks = hunt.leaks(bytes);
        assert!(leaks.is_empty(), "{sink}: {leaks:?}");
    }
    let leaks = hunt.leaks_below(&place.path("."));
    assert!(leaks.is_empty(), "{leaks:?}");
    let logs = std::fs::read_dir(place.path("logs")).unwrap().flatten();
    let logged: u64 = logs.map(|file| file.metadata().unwrap().len()).sum();
    assert!(logged > 1_000, "the log at trace level is not empty");
}

/// The control: the same search finds what is put there, in each file and each output.
fn assert_plants_are_found(hunt: &Hunt, place: &Place, sinks: &Sinks) {
    for (plant, bytes) in hunt.plants() {
        for (sink, clean) in sinks {
            let spoilt = [&clean[..], &bytes[..], b" after"].concat();
            assert!(is_found(&hunt.leaks(&spoilt), &plant), "{sink}: {plant}");
        }
    }
    let plants = hunt.plants();
    let files = files_below(&place.path("."));
    assert!(files.len() >= 6, "{files:?}");
    for (at, file) in files.iter().enumerate() {
        let (plant, bytes) = &plants[at % plants.len()];
        let clean = std::fs::read(file).unwrap();
        std::fs::write(file, [&clean[..], &bytes[..], b" after"].concat()).unwrap();
        let leaks = hunt.leaks_below(&place.path("."));
        std::fs::write(file, clean).unwrap();
        assert!(!leaks.is_empty(), "{}: {plant}", file.display());
    }
}

fn is_found(leaks: &[String], plant: &str) -> bool {
    let (coding, secret) = plant.split_once(": ").unwrap();
    leaks
        .iter()
        .any(|leak| leak.starts_with(coding) && leak.ends_with(secret))
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(files_below(&path));
        } else if path.is_file() {
            all.push(path);
        }
    }
    all
}
