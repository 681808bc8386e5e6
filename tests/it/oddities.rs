//! Single answers that LinkedIn should never give and the sandbox should not know.

use httpmock::prelude::*;

use linkgate::sandbox::Sandbox;

use crate::support::Gateway;

const HALF: &str = r#"{"status":401,"serviceErrorCode":6560"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_401_with_half_a_json_body_renews_for_reads_and_is_passed_on_for_writes() {
    let tokens = Sandbox::start();
    let odd = MockServer::start_async().await;
    let refusal = odd
        .mock_async(|when, then| {
            when.path("/v2/me");
            then.status(401)
                .header("content-type", "application/json")
                .body(HALF);
        })
        .await;
    let gateway = Gateway::before(&tokens)
        .reaching(&odd.base_url())
        .with("ada")
        .start()
        .await;

    let read = gateway.get("/v2/me", "ada").await;
    assert_eq!((read.status, read.text().as_str()), (401, HALF));
    assert_eq!(
        refusal.calls_async().await,
        2,
        "once more with the renewed token"
    );
    assert_eq!(tokens.counts().renewals["ada"], 1);

    let write = gateway.post("/v2/me", "ada", "{}").await;
    assert_eq!((write.status, write.text().as_str()), (401, HALF));
    assert_eq!(
        refusal.calls_async().await,
        3,
        "a write is not sent again on a 401 without a code"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_answer_with_a_wrong_content_type_and_times_as_text_is_taken() {
    let linkedin = Sandbox::start();
    let odd = MockServer::start_async().await;
    let fresh = linkedin.sign_in("ada").access_token;
    let answer =
        format!(r#"{{"access_token":"{fresh}","expires_in":"5184000","scope":"openid,profile"}}"#);
    let endpoint = odd
        .mock_async(|when, then| {
            when.method(POST)
                .path("/oauth/v2/accessToken")
                .body_includes("grant_type=refresh_token");
            then.status(200)
                .header("content-type", "text/plain")
                .body(&answer);
        })
        .await;
    let oauth_url = format!("{}/oauth/v2", odd.base_url());
    let mut old = linkedin.sign_in("ada");
    old.expires_in = 1;
    let gateway = Gateway::before(&linkedin)
        .renewing(move |settings| settings.oauth_url = oauth_url.parse().unwrap())
        .with_grant("ada", old)
        .start()
        .await;
    gateway.clock.advance(std::time::Duration::from_secs(60));

    let reply = gateway.get("/v2/userinfo", "ada").await;

    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(endpoint.calls_async().await, 1);
    let received = linkedin.received("GET /v2/userinfo");
    assert_eq!(
        received[0].header("authorization"),
        Some(&*format!("Bearer {fresh}"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_pass_unchanged() {
    let tokens = Sandbox::start();
    let odd = MockServer::start_async().await;
    let body: Vec<u8> = (0..=255).collect();
    odd.mock_async(|when, then| {
        when.path("/v2/me");
        then.status(200)
            .header("content-type", "application/json; charset=utf-8")
            .body(&body);
    })
    .await;
    let gateway = Gateway::before(&tokens)
        .reaching(&odd.base_url())
        .with("ada")
        .start()
        .await;

    let reply = gateway.get("/v2/me", "ada").await;

    assert_eq!(reply.body, body);
}
