//! Keys and members: who may ask what for whom, in every spelling a caller may use.

use linkgate::{
    callers::{Covers, Terms},
    sandbox::Sandbox,
};

use crate::support::{Gateway, Reply, gateway::name};

/// The alphabet of a key's check.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The same key with another secret, its check right.
fn with_wrong_secret(key: &str) -> String {
    let checked = &key[..key.len() - 6];
    let turned = if checked.ends_with('x') { "y" } else { "x" };
    let forged = format!("{}{turned}", &checked[..checked.len() - 1]);
    let mut rest = crc32fast::hash(forged.as_bytes());
    let mut digit = || {
        let low = BASE62[(rest % 62) as usize];
        rest /= 62;
        char::from(low)
    };
    let check: String = (0..6).map(|_| digit()).collect();
    format!("{forged}{check}")
}

/// One GET with these header lines.
async fn ask(gateway: &Gateway, target: &str, headers: &str) -> Reply {
    let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    gateway.ask(head).await
}

async fn two_members(linkedin: &Sandbox) -> Gateway {
    let plan = Gateway::before(linkedin).with_all(["ada", "grace"]);
    plan.logging(|log| log.max_per_minute = 100_000)
        .start()
        .await
}

/// Keys that are revoked and expired.
fn ended_keys(gateway: &Gateway) -> (String, String) {
    let revoked = gateway.key_for(&["ada"]);
    let id = revoked.split('_').nth(1).unwrap().to_owned();
    gateway.callers.revoke(&id).unwrap();
    let (expired, stored) = gateway.callers.create(Terms {
        caller: name("app"),
        covers: Covers::AnyMember,
        allow: Vec::new(),
        expires_at: Some(gateway.clock.seconds() - 1),
    });
    gateway.callers.insert(stored);
    (revoked, expired.to_string())
}

/// What stands in `Authorization`, and why it is no key.
fn broken(gateway: &Gateway, key: &str) -> Vec<(&'static str, String)> {
    let bearer = |text: &str| format!("Bearer {text}");
    let (revoked, expired) = ended_keys(gateway);
    vec![
        ("an empty key", bearer("")),
        ("no scheme", key.to_owned()),
        ("another scheme", format!("Basic {key}")),
        ("wrong secret", bearer(&with_wrong_secret(key))),
        ("mistyped", bearer(&key.replacen("lgk_", "lgk_A", 1))),
        ("cut short", bearer(&key[..key.len() - 1])),
        ("too long", bearer(&key.repeat(5))),
        ("revoked", bearer(&revoked)),
        ("expired", bearer(&format!("{expired}~ada"))),
        ("no text", bearer("\u{e4}\u{f6}")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_no_valid_key_is_answered_alike() {
    let linkedin = Sandbox::start();
    let gateway = two_members(&linkedin).await;
    let key = gateway.key_for(&["ada"]);
    let foreign = format!("Bearer {}", linkedin.sign_in("mallory").access_token);
    let mut rows = vec![("no key", String::new())];
    for (why, text) in broken(&gateway, &key)
        .into_iter()
        .chain([("a LinkedIn token", foreign)])
    {
        rows.push((why, format!("Authorization: {text}\r\n")));
    }
    let mut said = Vec::new();
    for (why, header) in rows {
        let reply = ask(&gateway, "/v2/userinfo", &header).await;
        assert_eq!(
            (reply.status, &*reply.code()),
            (401, "caller_unknown"),
            "{why}"
        );
        assert_eq!(reply.json()["outcome"], "not_sent", "{why}");
        assert_eq!(
            gateway.incident(reply.id()).fault(),
            Some("caller"),
            "{why}"
        );
        said.push(without_id(&reply));
    }
    said.dedup();
    assert_eq!(said.len(), 1, "one answer for all: {said:?}");
    assert_eq!(linkedin.counts().requests(), 0);
    let good = ask(
        &gateway,
        "/v2/userinfo",
        &format!("Authorization: Bearer {key}\r\n"),
    )
    .await;
    assert_eq!(
        good.status,
        200,
        "the key all these were made from works: {}",
        good.text()
    );
}

/// A problem without what names this one exchange.
fn without_id(reply: &Reply) -> serde_json::Value {
    let mut problem = reply.json();
    problem.as_object_mut().unwrap().remove("exchange_id");
    problem
}

/// The member who answers, or status and code.
type Answered = Result<&'static str, (u16, &'static str)>;

const AMBIGUOUS: Answered = Err((400, "member_ambiguous"));
const NOT_NAMED: Answered = Err((400, "member_not_named"));
const REFUSED: Answered = Err((403, "caller_not_allowed"));
const MALFORMED: Answered = Err((400, "request_malformed"));

/// Asks with this key and these headers, and compares.
async fn check(gateway: &Gateway, linkedin: &Sandbox, row: (&str, &str, &str, Answered)) {
    let (why, presented, headers, expected) = row;
    let authorization = format!("Authorization: Bearer {presented}\r\n{headers}");
    let before = linkedin.counts().requests();
    let reply = ask(gateway, "/v2/userinfo", &authorization).await;
    match expected {
        Ok(member) => {
            assert_eq!(reply.status, 200, "{why}: {}", reply.text());
            assert_eq!(reply.json()["sub"], linkedin.sub(member), "{why}");
        }
        Err((status, code)) => {
            assert_eq!((reply.status, &*reply.code()), (status, code), "{why}");
            assert_eq!(linkedin.counts().requests(), before, "{why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_member_is_the_keys_own_or_named_behind_it() {
    let linkedin = Sandbox::start();
    let gateway = two_members(&linkedin).await;
    let (one, two) = (
        gateway.key_for(&["ada"]),
        gateway.key_for(&["ada", "grace"]),
    );
    let (any, nobody) = (gateway.key.clone(), gateway.key_for(&[]));
    for (why, key, suffix, expected) in [
        ("the key's own", &one, "", Ok("ada")),
        ("its own, named", &one, "~ada", Ok("ada")),
        ("another than its own", &one, "~grace", REFUSED),
        ("two, none named", &two, "", NOT_NAMED),
        ("two, one named", &two, "~grace", Ok("grace")),
        ("any, none named", &any, "", NOT_NAMED),
        ("any, one named", &any, "~grace", Ok("grace")),
        ("with its application", &any, "~ada/default", Ok("ada")),
        ("an unknown application", &any, "~ada/ads", REFUSED),
        ("an unknown member", &any, "~nobody", REFUSED),
        ("a key for nobody", &nobody, "~ada", REFUSED),
        ("a key for nobody, none named", &nobody, "", NOT_NAMED),
        ("an empty name", &any, "~", MALFORMED),
        ("a name that cannot be", &any, "~a\\b", MALFORMED),
    ] {
        check(
            &gateway,
            &linkedin,
            (why, &format!("{key}{suffix}"), "", expected),
        )
        .await;
    }
    assert_no_key_at_linkedin(&linkedin);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_named_by_header_must_agree_and_is_never_guessed() {
    let linkedin = Sandbox::start();
    let gateway = two_members(&linkedin).await;
    let (one, two) = (
        gateway.key_for(&["ada"]),
        gateway.key_for(&["ada", "grace"]),
    );
    let any = gateway.key.clone();
    let (ada, grace) = ("Linkgate-Member: ada\r\n", "Linkgate-Member: grace\r\n");
    let both = &*[ada, grace].concat();
    let (application, ads) = (
        "Linkgate-Application: default\r\n",
        "Linkgate-Application: ads\r\n",
    );
    for (why, key, suffix, headers, expected) in [
        ("the key's own", &one, "", ada, Ok("ada")),
        ("another than its own", &one, "", grace, REFUSED),
        ("one of two", &two, "", ada, Ok("ada")),
        ("the same twice", &any, "~ada", ada, Ok("ada")),
        ("two that differ", &any, "~ada", grace, AMBIGUOUS),
        ("two headers", &any, "", both, AMBIGUOUS),
        ("the application", &any, "~ada", application, Ok("ada")),
        ("two applications", &any, "~ada/default", ads, AMBIGUOUS),
        ("no name", &any, "", "Linkgate-Member: a b\r\n", MALFORMED),
        (
            "line ends in it",
            &any,
            "",
            "Linkgate-Member: a%0d%0ab\r\n",
            MALFORMED,
        ),
    ] {
        check(
            &gateway,
            &linkedin,
            (why, &format!("{key}{suffix}"), headers, expected),
        )
        .await;
    }
    assert_no_key_at_linkedin(&linkedin);
}

fn assert_no_key_at_linkedin(linkedin: &Sandbox) {
    for received in linkedin.all_received() {
        let head = String::from_utf8_lossy(&received.raw_head).into_owned();
        assert!(!has_key(&head), "{head}");
        assert!(!head.to_ascii_lowercase().contains("\nlinkgate"), "{head}");
    }
}

/// Whether a key begins in it. In the midst of a token its first four characters stand by chance, once in a few thousand.
fn has_key(head: &str) -> bool {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    head.match_indices("lgk_")
        .any(|(at, _)| !head[..at].ends_with(is_of_token))
}

#[test]
fn a_key_is_told_from_a_token_that_reads_like_one() {
    for (head, is_key) in [
        ("authorization: Bearer lgk_abc_def", true),
        (
            "GET /v2/userinfo?oauth2_access_token=lgk_abc HTTP/1.1",
            true,
        ),
        ("authorization: Bearer AQVlgk_HeZq7", false),
    ] {
        assert_eq!(has_key(head), is_key, "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_outside_the_key_is_refused_alike_whether_known_or_not() {
    let linkedin = Sandbox::start();
    let gateway = two_members(&linkedin).await;
    let (one, any) = (gateway.key_for(&["ada"]), gateway.key.clone());
    let mut said = Vec::new();
    for presented in [
        format!("{one}~grace"),
        format!("{one}~nobody"),
        format!("{any}~nobody"),
        format!("{any}~ada/nowhere"),
    ] {
        let authorization = format!("Authorization: Bearer {presented}\r\n");
        let reply = ask(&gateway, "/v2/userinfo", &authorization).await;
        assert_eq!(reply.status, 403);
        said.push(without_id(&reply));
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_credentials_are_never_chosen_between() {
    let linkedin = Sandbox::start();
    let gateway = two_members(&linkedin).await;
    let key = gateway.key_for(&["ada"]);
    let header = format!("Authorization: Bearer {key}\r\n");
    let argument = format!("/v2/userinfo?oauth2_access_token={key}");
    for (why, target, headers) in [
        ("two headers", "/v2/userinfo", header.repeat(2)),
        ("header and argument", &argument, header.clone()),
        (
            "two arguments",
            &format!("{argument}&oauth2_access_token={key}"),
            String::new(),
        ),
        (
            "another scheme beside",
            "/v2/userinfo",
            format!("{header}Authorization: Basic eA==\r\n"),
        ),
    ] {
        let reply = ask(&gateway, target, &headers).await;
        assert_eq!(reply.status, 400, "{why}: {}", reply.text());
        assert!(
            !gateway
                .incident(reply.id())
                .json()
                .to_string()
                .contains(&key),
            "{why}"
        );
    }
    assert_eq!(linkedin.counts().requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_query_is_cut_out_with_one_ampersand() {
    let linkedin = Sandbox::start();
    let gateway = two_members(&linkedin).await;
    let key = format!("{}~ada", gateway.key);
    for (target, expected) in [
        (
            format!("/v2/userinfo?oauth2_access_token={key}"),
            "/v2/userinfo",
        ),
        (
            format!("/v2/userinfo?oauth2_access_token={key}&a=(b)"),
            "/v2/userinfo?a=(b)",
        ),
        (
            format!("/v2/userinfo?a=%3A&oauth2_access_token={key}"),
            "/v2/userinfo?a=%3A",
        ),
        (
            format!("/v2/userinfo?a=b&oauth2_access_token={key}&c=d&&"),
            "/v2/userinfo?a=b&c=d&&",
        ),
    ] {
        let reply = ask(&gateway, &target, "").await;
        assert_eq!(reply.status, 200, "{target}: {}", reply.text());
        assert_eq!(linkedin.all_received().pop().unwrap().target, expected);
    }
    assert_no_key_at_linkedin(&linkedin);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_key_reaches_what_its_rules_allow_and_nothing_else() {
    let linkedin = Sandbox::start();
    let gateway = two_members(&linkedin).await;
    let rules = ["GET /v2/userinfo", "* /rest/posts/**"];
    let key = gateway.make_key(Covers::AnyMember, &rules);
    for (method, target, is_allowed) in [
        ("GET", "/v2/userinfo", true),
        ("GET", "/v2/userinfo?projection=(id)", true),
        ("GET", "/rest/posts", true),
        ("DELETE", "/rest/posts/urn%3Ali%3Ashare%3A1", true),
        ("POST", "/v2/userinfo", false),
        ("GET", "/v2/me", false),
        ("GET", "/v2/userinfo/", false),
        ("GET", "/rest/postscript", false),
        ("GET", "/rest/posts/../../v2/me", false),
        ("GET", "/rest/posts/%2e%2e/x", false),
        ("GET", "/rest/posts//x", false),
        ("GET", "/rest/posts/%2fx", false),
        ("GET", "//v2/userinfo", false),
        ("GET", "/https://api.linkedin.com/v2/me", false),
        ("PUT", "/dms-uploads/x", false),
    ] {
        let before = linkedin.counts().requests();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}~ada\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let reply = gateway.ask(head).await;
        let asked = linkedin.counts().requests() - before;
        match is_allowed {
            true => assert_eq!(asked, 1, "{method} {target}: {}", reply.text()),
            false => {
                assert_eq!(reply.status, 403, "{method} {target}: {}", reply.text());
                assert_eq!(asked, 0, "{method} {target}");
            }
        }
    }
}
