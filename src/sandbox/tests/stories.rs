//! Whole stories: consent to token, uploads, tunnels, control.

use serde_json::json;

use super::*;
use crate::sandbox::{Application, CANARY, Fault, Kind};

fn form(sandbox: &Sandbox, path: &str, fields: &str) -> Raw {
    let text = format!(
        "POST {path} HTTP/1.1\r\nHost: s\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{fields}",
        fields.len()
    );
    raw(sandbox, text.as_bytes(), Duration::from_secs(5))
}

fn get(sandbox: &Sandbox, target: &str) -> Raw {
    let text = format!("GET {target} HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n");
    raw(sandbox, text.as_bytes(), Duration::from_secs(5))
}

const ASK: &str = "/oauth/v2/authorization?response_type=code&client_id=78sandboxapp01\
    &redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fback&scope=openid%20profile&state=x%20y";

#[test]
fn consent_shows_a_page_and_redirects_with_code_or_refusal() {
    let sandbox = quiet();
    let page = get(&sandbox, ASK);
    assert_eq!(page.status(), 200);
    for decision in ["allow", "cancel_authorize", "cancel_login"] {
        assert!(
            page.body().contains(&format!("value=\"{decision}\"")),
            "{decision}"
        );
    }
    let allowed = get(
        &sandbox,
        &format!("{ASK}&sandbox_decision=allow&sandbox_member=grace"),
    );
    let location = allowed.header("location").unwrap();
    assert!(
        location.starts_with("http://127.0.0.1:9/back?code=AQT"),
        "{location}"
    );
    assert!(location.contains(CANARY) && location.ends_with("&state=x%20y"));
    for error in ["user_cancelled_authorize", "user_cancelled_login"] {
        let decision = error
            .strip_prefix("user_")
            .unwrap()
            .replace("cancelled", "cancel");
        let refused = get(&sandbox, &format!("{ASK}&sandbox_decision={decision}"));
        let start = format!("http://127.0.0.1:9/back?error={error}&error_description=");
        assert!(refused.header("location").unwrap().starts_with(&start));
    }
}

#[test]
fn a_wrong_client_or_redirect_is_shown_and_a_wrong_scope_redirected() {
    let sandbox = quiet();
    assert_eq!(
        get(&sandbox, &ASK.replace("78sandboxapp01", "abc")).status(),
        401
    );
    assert_eq!(
        get(&sandbox, &ASK.replace("127.0.0.1%3A9", "evil.example")).status(),
        401
    );
    assert_eq!(
        get(
            &sandbox,
            &ASK.replace("127.0.0.1%3A9", "127.0.0.1%40evil.example")
        )
        .status(),
        401
    );
    let unknown = get(&sandbox, &ASK.replace("profile", "offline_access"));
    let location = unknown.header("location").unwrap();
    assert!(location.contains("error=invalid_scope_error"), "{location}");
    assert!(location.contains("Unknown%20scope%20%22offline_access%22"));
    let poor = Application {
        scopes: vec![String::from("openid")],
        ..Application::default()
    };
    let options = Options {
        applications: vec![poor],
        tls_listen: None,
        ..Options::default()
    };
    let refused = get(&Sandbox::start_with(options).unwrap(), ASK);
    assert!(
        refused
            .header("location")
            .unwrap()
            .contains("error=unauthorized_scope_error")
    );
}

#[test]
fn a_native_client_proves_itself_with_its_verifier() {
    // The pair of RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let sandbox = quiet();
    let ask = ASK.replace("/v2/authorization", "/native-pkce/authorization");
    assert_eq!(get(&sandbox, &ask).status(), 401, "no challenge");
    let allowed = get(
        &sandbox,
        &format!(
            "{ask}&code_challenge={challenge}&code_challenge_method=S256&sandbox_decision=allow"
        ),
    );
    let location = allowed.header("location").unwrap();
    let code = location
        .split_once("code=")
        .unwrap()
        .1
        .split('&')
        .next()
        .unwrap();
    let fields = format!(
        "grant_type=authorization_code&code={code}&client_id=78sandboxapp01\
         &redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fback&code_verifier={verifier}"
    );
    let answer = form(&sandbox, "/oauth/v2/accessToken", &fields).json();
    assert!(
        answer["access_token"].as_str().unwrap().starts_with("AQ"),
        "{answer}"
    );
}

#[test]
fn introspection_tells_the_standing_of_a_token() {
    let sandbox = quiet();
    let token = sandbox.sign_in("ada").access_token;
    let fields = |token: &str, secret: &str| {
        format!(
            "client_id={}&client_secret={secret}&token={token}",
            sandbox.client_id()
        )
    };
    let secret = sandbox.client_secret();
    let path = "/oauth/v2/introspectToken";
    let active = form(&sandbox, path, &fields(&token, &secret)).json();
    assert_eq!(
        (&active["active"], &active["auth_type"]),
        (&json!(true), &json!("3L"))
    );
    let life = active["expires_at"].as_u64().unwrap() - active["created_at"].as_u64().unwrap();
    assert_eq!(life, 5_184_000);
    sandbox.revoke("ada");
    assert_eq!(
        form(&sandbox, path, &fields(&token, &secret)).json()["status"],
        "revoked"
    );
    assert_eq!(form(&sandbox, path, &fields(&token, "wrong")).status(), 401);
    assert_eq!(
        form(&sandbox, path, &fields("AQXnone", &secret)).status(),
        400
    );
}

#[test]
fn a_video_of_three_parts_becomes_available() {
    let sandbox = quiet();
    let body = r#"{"initializeUploadRequest":{"owner":"urn:li:person:a","fileSizeBytes":9000000}}"#;
    let line = "POST /rest/videos?action=initializeUpload";
    let start = request(&sandbox, line, "", body).json();
    let parts = start["value"]["uploadInstructions"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[2]["lastByte"], 8_999_999);
    let video = start["value"]["video"].as_str().unwrap().to_owned();
    let etags: Vec<String> = parts
        .iter()
        .map(|part| {
            let url = part["uploadUrl"].as_str().unwrap();
            let path = url
                .strip_prefix("https://www.linkedin.com/dms-uploads/")
                .unwrap();
            let line = format!("PUT /dms-uploads/{path}");
            let answer = request(&sandbox, &line, "", "bytes");
            assert_eq!(answer.status(), 200);
            answer.header("etag").unwrap().to_owned()
        })
        .collect();
    let status = |expected: &str| {
        let line = format!("GET /rest/videos/{}", video.replace(':', "%3A"));
        assert_eq!(request(&sandbox, &line, "", "").json()["status"], expected);
    };
    status("PROCESSING");
    let finish = json!({ "finalizeUploadRequest": {
        "video": video, "uploadToken": "", "uploadedPartIds": etags,
    } });
    let line = "POST /rest/videos?action=finalizeUpload";
    assert_eq!(
        request(&sandbox, line, "", &finish.to_string()).status(),
        200
    );
    status("AVAILABLE");
    let counts = sandbox.counts();
    assert_eq!(counts.processed("PUT /dms-uploads"), 3);
    assert_eq!(counts.received("POST /rest/videos initializeUpload"), 1);
}

#[test]
fn an_image_is_uploaded_in_one_piece() {
    let sandbox = quiet();
    let body = r#"{"initializeUploadRequest":{"owner":"urn:li:person:a"}}"#;
    let start = request(
        &sandbox,
        "POST /rest/images?action=initializeUpload",
        "",
        body,
    )
    .json();
    let url = start["value"]["uploadUrl"].as_str().unwrap();
    assert!(
        url.contains("?ca=vector_ads&cn=uploads&sync=0&v=beta&ut="),
        "{url}"
    );
    let line = url.replace("https://www.linkedin.com", "PUT ");
    assert_eq!(request(&sandbox, &line, "", "pixels").status(), 201);
    let line = format!(
        "GET /rest/images/{}",
        start["value"]["image"].as_str().unwrap()
    );
    assert_eq!(
        request(&sandbox, &line, "", "").json()["status"],
        "AVAILABLE"
    );
}

#[test]
fn ad_accounts_live_and_die_by_every_method() {
    let sandbox = quiet();
    let created = request(&sandbox, "POST /rest/adAccounts", "", r#"{"name":"New"}"#);
    let id = created.header("x-restli-id").unwrap().to_owned();
    assert_eq!(created.status(), 201);
    let item = format!("/rest/adAccounts/{id}");
    let patch = r#"{"patch":{"$set":{"name":"Newer"}}}"#;
    let partial = "X-RestLi-Method: PARTIAL_UPDATE\r\n";
    assert_eq!(
        request(&sandbox, &format!("POST {item}"), partial, patch).status(),
        204
    );
    assert_eq!(
        request(&sandbox, &format!("GET {item}"), "", "").json()["name"],
        "Newer"
    );
    assert_eq!(
        request(&sandbox, &format!("PUT {item}"), "", r#"{"name":"Put"}"#).status(),
        204
    );
    let batch = format!("GET /rest/adAccounts?ids=List({id},1)");
    let batch = request(&sandbox, &batch, "X-RestLi-Method: BATCH_GET\r\n", "").json();
    assert_eq!(batch["results"][&id]["name"], "Put");
    assert_eq!(batch["errors"]["1"]["status"], 404);
    let tunnel = "X-HTTP-Method-Override: GET\r\nX-RestLi-Method: finder\r\n\
        Content-Type: application/x-www-form-urlencoded\r\n";
    let found = request(
        &sandbox,
        "POST /rest/adAccounts",
        tunnel,
        "q=search&count=2",
    )
    .json();
    assert_eq!(found["elements"].as_array().unwrap().len(), 2);
    let tunnel = "X-HTTP-Method-Override: GET\r\nX-RestLi-Method: DELETE\r\n";
    assert_eq!(
        request(&sandbox, &format!("POST {item}"), tunnel, "").status(),
        204
    );
    assert_eq!(
        request(&sandbox, &format!("DELETE {item}"), "", "").status(),
        404
    );
}

#[test]
fn any_number_of_bytes_streams_both_ways() {
    let sandbox = quiet();
    let down = request(&sandbox, "GET /rest/sandboxBytes?size=1000000", "", "");
    assert_eq!(down.header("content-length"), Some("1000000"));
    let token = sandbox.sign_in("ada").access_token;
    let up = format!(
        "PUT /rest/sandboxBytes HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer {token}\r\n\
         LinkedIn-Version: 202609\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
         5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n"
    );
    let answer = raw(&sandbox, up.as_bytes(), Duration::from_secs(5)).json();
    assert_eq!(answer["bytes"], 6);
    assert_eq!(answer["crc32"], crc32fast::hash(b"hello!"));
}

#[test]
fn the_control_endpoints_do_what_the_library_does() {
    let sandbox = quiet();
    let control = |line: &str, body: &str| {
        let text = format!(
            "{line} HTTP/1.1\r\nHost: s\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        raw(&sandbox, text.as_bytes(), Duration::from_secs(5))
    };
    let token = control("POST /_sandbox/members", r#"{"name":"ada"}"#).json();
    assert_eq!(
        sandbox.live_access_tokens("ada"),
        [token["access_token"].as_str().unwrap()]
    );
    let fault =
        r#"{"route":"GET /v2/me","kind":"status","status":503,"times":"always","shape":"html"}"#;
    assert_eq!(control("POST /_sandbox/faults", fault).status(), 201);
    assert_eq!(
        control(
            "POST /_sandbox/faults",
            r#"{"route":"x","kind":"nonsense"}"#
        )
        .status(),
        400
    );
    assert_eq!(request(&sandbox, "GET /v2/me", "", "").status(), 503);
    let listed = control("GET /_sandbox/faults", "").json();
    assert_eq!(
        (
            &listed["faults"][0]["met"],
            &listed["faults"][0]["times_left"]
        ),
        (&json!(1), &json!("always"))
    );
    assert_eq!(control("DELETE /_sandbox/faults", "").status(), 204);
    assert!(sandbox.faults().is_empty());
    let before = control("GET /_sandbox/clock", "").json()["now_secs"]
        .as_u64()
        .unwrap();
    let after = control("POST /_sandbox/clock", r#"{"advance_secs":3600}"#).json();
    assert!(after["now_secs"].as_u64().unwrap() >= before + 3_600);
    assert_eq!(
        control(
            "POST /_sandbox/members",
            r#"{"name":"ada","action":"expire"}"#
        )
        .status(),
        204
    );
    assert!(sandbox.live_access_tokens("ada").is_empty());
    let counts = control("GET /_sandbox/counts", "").json();
    assert_eq!(counts["routes"]["GET /v2/me"]["received"], 1);
    assert_eq!(
        counts["http1_requests"], 1,
        "control requests are not counted"
    );
    let received = control("GET /_sandbox/received?from=0", "").json();
    assert_eq!(received["received"][0]["target"], "/v2/me");
    assert_eq!(received["received"][0]["status"], 503);
    let later = control("GET /_sandbox/received?from=1", "").json();
    assert_eq!(later["received"], json!([]));
}

#[test]
fn a_members_fault_at_the_token_endpoint_spares_the_others() {
    let sandbox = quiet();
    sandbox.fault(
        Fault::on("token", Kind::status(500))
            .for_member("ada")
            .always(),
    );
    let refresh = |member: &str| {
        let token = sandbox.sign_in(member).refresh_token.unwrap();
        let (id, secret) = (
            sandbox.client_id(),
            sandbox.client_secret().replace('=', "%3D"),
        );
        let fields = format!(
            "grant_type=refresh_token&refresh_token={token}&client_id={id}&client_secret={secret}"
        );
        form(&sandbox, "/oauth/v2/accessToken", &fields).status()
    };
    assert_eq!((refresh("ada"), refresh("grace")), (500, 200));
    let counts = sandbox.counts();
    assert_eq!(counts.all_renewals(), 1);
    assert_eq!(
        counts.received("POST /oauth/v2/accessToken refresh_token"),
        2
    );
    assert_eq!(
        counts.processed("POST /oauth/v2/accessToken refresh_token"),
        1
    );
    assert_eq!((counts.token_calls, counts.token_calls_at_once), (2, 1));
}

#[test]
fn waiting_is_bounded_and_ends_when_the_counts_fit() {
    let sandbox = quiet();
    assert!(!sandbox.wait_until(
        "never",
        Duration::from_millis(20),
        |counts| counts.posts_created > 0
    ));
    std::thread::scope(|scope| {
        scope.spawn(|| request(&sandbox, "POST /rest/posts", "", POST));
        assert!(sandbox.wait_until(
            "a post",
            Duration::from_secs(5),
            |counts| counts.posts_created == 1
        ));
    });
}

#[test]
#[should_panic(expected = "inside the sandbox")]
fn a_panic_inside_is_raised_again_when_the_sandbox_is_dropped() {
    let sandbox = quiet();
    let site = std::sync::Arc::clone(&sandbox.site);
    let (told, tell) = std::sync::mpsc::channel();
    sandbox.runtime.spawn(async move {
        site.spawn(async { panic!("inside the sandbox") });
        told.send(()).unwrap();
    });
    tell.recv().unwrap();
    let panicked = || super::super::hold(&sandbox.site.panicked).is_some();
    while !panicked() {
        std::thread::yield_now();
    }
}

#[test]
fn a_renewed_token_is_refused_for_as_long_as_the_lag_lasts() {
    let options = Options {
        fresh_token_lag: Duration::from_secs(5),
        tls_listen: None,
        ..Options::default()
    };
    let sandbox = Sandbox::start_with(options).unwrap();
    let old = sandbox.sign_in("ada");
    let (id, secret) = (
        sandbox.client_id(),
        sandbox.client_secret().replace('=', "%3D"),
    );
    let token = old.refresh_token.unwrap();
    let fields = format!(
        "grant_type=refresh_token&refresh_token={token}&client_id={id}&client_secret={secret}"
    );
    let new = form(&sandbox, "/oauth/v2/accessToken", &fields).json();
    let new = new["access_token"].as_str().unwrap();
    let me = |token: &str| {
        raw(
            &sandbox,
            rest(token, "GET /v2/me", "", "").as_bytes(),
            Duration::from_secs(5),
        )
    };
    assert_eq!(me(new).json()["serviceErrorCode"], 65_601);
    assert_eq!(
        me(&old.access_token).status(),
        200,
        "the old token is still good"
    );
    sandbox.advance_clock(Duration::from_secs(5));
    assert_eq!(me(new).status(), 200);
}

#[test]
fn the_upload_host_can_demand_a_token_and_the_ca_file_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let options = Options {
        uploads_need_token: true,
        ca_file: Some(file.clone()),
        ..Options::default()
    };
    let sandbox = Sandbox::start_with(options).unwrap();
    let put = "PUT /dms-uploads/C4x/uploaded-image/0 HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\n\
        Connection: close\r\n\r\n";
    let refused = raw(&sandbox, put.as_bytes(), Duration::from_secs(5));
    assert_eq!(refused.json()["serviceErrorCode"], 65_604);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), sandbox.ca_pem());
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o644);
}
