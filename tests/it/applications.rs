//! Several LinkedIn applications behind one gateway, and the tokens that are the applications' own.

use std::time::Duration;

use linkgate::{
    credentials,
    sandbox::{Application, Options, Sandbox},
};

use crate::support::{Gateway, Reply, gateway::name, until};

const OTHER: &str = "78other";

fn linkedin() -> Sandbox {
    let other = Application {
        client_secret: "the other one's secret".to_owned(),
        ..Application::new(OTHER)
    };
    let options = Options {
        applications: vec![Application::default(), other],
        ..Options::default()
    };
    Sandbox::start_with(options).unwrap()
}

/// Two applications; the second one's secret is this.
async fn gateway(linkedin: &Sandbox, secret: &str) -> Gateway {
    let other = credentials::Application {
        name: name("ads"),
        client_id: OTHER.to_owned(),
        client_secret: secret.into(),
        scopes: vec!["r_ads".to_owned(), "r_ads_reporting".to_owned()],
        native_pkce: false,
    };
    let gateway = Gateway::before(linkedin).with("ada");
    let gateway = gateway.renewing(move |settings| settings.applications.push(other));
    gateway.start().await
}

async fn one_byte(gateway: &Gateway, member: &str) -> Reply {
    let head = gateway.head("GET", "/rest/sandboxBytes?size=1", member);
    gateway.ask(head + "LinkedIn-Version: 202609\r\n\r\n").await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_application_asks_members_for_its_own_scopes() {
    let linkedin = linkedin();
    let gateway = gateway(&linkedin, "the other one's secret").await;
    let credentials = &gateway.credentials;
    let url = |application: &str| {
        let redirect = "http://127.0.0.1:1/connect/callback";
        let url = credentials.authorization_url(&name(application), redirect, "s", None);
        url.unwrap()
    };

    assert_eq!(credentials.default_application(), &name("default"));
    let (default, ads) = (url("default"), url("ads"));
    assert!(default.contains(&linkedin.client_id()) && ads.contains(OTHER));
    assert!(default.ends_with("&scope=openid%20profile"), "{default}");
    assert!(ads.ends_with("&scope=r_ads%20r_ads_reporting"), "{ads}");
    let elsewhere = gateway.get("/v2/userinfo", "ada/ads").await;
    assert_eq!(elsewhere.status, 403, "ada granted nothing to ads");
    assert_eq!(gateway.get("/v2/userinfo", "ada").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_own_token_is_minted_once_and_renewed_ahead_of_its_end() {
    let linkedin = linkedin();
    let gateway = gateway(&linkedin, "the other one's secret").await;
    let minted = || {
        linkedin
            .counts()
            .received("POST /oauth/v2/accessToken client_credentials")
    };

    for member in ["/ads", "/ads", "/default", "/ads"] {
        let reply = one_byte(&gateway, member).await;
        assert_eq!(reply.status, 200, "{member}: {}", reply.text());
    }
    assert_eq!(minted(), 2, "one for each application");
    // A token serves before it is saved, and no other is asked for meanwhile.
    let flights = || gateway.credentials.flights_under_way();
    until("both are saved", || flights() == 0).await;

    // Of its 30 minutes the last tenth has begun.
    let most = Duration::from_secs(28 * 60);
    gateway.clock.advance(most);
    linkedin.advance_clock(most);
    for member in ["/ads", "/default"] {
        assert_eq!(one_byte(&gateway, member).await.status, 200);
    }
    until("both are renewed ahead", || minted() == 4).await;
    linkedin.advance_clock(Duration::from_secs(3 * 60));
    gateway.clock.advance(Duration::from_secs(3 * 60));
    let reply = one_byte(&gateway, "/ads").await;
    assert_eq!(reply.status, 200, "the first one is over: {}", reply.text());
    assert_eq!(minted(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_of_one_application_is_told_as_such_and_touches_nobody_else() {
    let linkedin = linkedin();
    let gateway = gateway(&linkedin, "mistyped").await;

    let refused = one_byte(&gateway, "/ads").await;

    assert_eq!(
        (refused.status, &*refused.code()),
        (503, "renewal_unavailable")
    );
    let text = refused.text();
    assert!(text.contains("client id or client secret"), "{text}");
    assert!(refused.header("retry-after").is_some());
    let asked = linkedin.counts().token_calls;
    assert_eq!(one_byte(&gateway, "/ads").await.status, 503);
    assert_eq!(
        linkedin.counts().token_calls,
        asked,
        "answered here while it cools down"
    );
    assert_eq!(one_byte(&gateway, "/default").await.status, 200);
    assert_eq!(gateway.get("/v2/userinfo", "ada").await.status, 200);
    assert!(
        gateway
            .credentials
            .list()
            .iter()
            .all(|grant| grant.verdict.is_none())
    );
}
