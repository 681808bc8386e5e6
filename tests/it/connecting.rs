//! A member signs in: the link, LinkedIn's consent, and back; and every way in which that can end.

use std::time::Duration;

use linkgate::{
    connect::Progress,
    credentials::GrantState,
    sandbox::{Fault, Kind, Sandbox},
};

use crate::support::{
    Gateway, Visitor,
    gateway::{Plan, member},
    until,
};

mod command;
mod refusals;
mod returning;

fn before(linkedin: &Sandbox) -> Plan<'_> {
    Gateway::before(linkedin).with_door(|_| ())
}

fn link(gateway: &Gateway, name: &str) -> String {
    gateway.door().link(&member(name)).unwrap()
}

fn state(gateway: &Gateway, name: &str) -> Option<GrantState> {
    let summary = gateway.credentials.show(&member(name)).ok()?;
    Some(summary.state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_signs_in_and_is_shown_with_name_and_portrait() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let mut ada = Visitor::default();
    let link = link(&gateway, "ada");

    let start = ada.get(&link).await.text();
    let done = ada.sign_in(&link, "ada").await;

    for said in [
        "Example App",
        "See your name and photo",
        "openid",
        "default",
    ] {
        assert!(start.contains(said), "{said}: {start}");
    }
    assert!(
        !start.contains("Lovelace"),
        "a link shows no profile: {start}"
    );
    assert_eq!(done.status, 200);
    let page = done.text();
    assert!(page.contains("Signed in as Ada Lovelace"), "{page}");
    assert!(page.contains("You can close this window"), "{page}");
    let portrait = page
        .split("src=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let portrait = format!("http://{}{portrait}", gateway.door_address());
    let shown = ada.get(&portrait).await;
    assert_eq!(
        (shown.status, shown.header("content-type")),
        (200, Some("image/png"))
    );
    assert!(shown.body.starts_with(b"\x89PNG"));
    assert_eq!(
        Visitor::default().get(&portrait).await.status,
        404,
        "to nobody else"
    );
    let call = gateway.get("/v2/userinfo", "ada").await;
    assert_eq!(call.status, 200, "{}", call.text());
    assert_eq!(call.json()["sub"], linkedin.sub("ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn linkedin_is_asked_once_for_all_scopes_with_the_exact_redirect_uri() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin)
        .renewing(|settings| {
            let all = ["openid", "profile", "email", "w_member_social"];
            settings.applications[0].scopes = all.map(str::to_owned).to_vec();
        })
        .start()
        .await;
    let mut ada = Visitor::default();

    let consent = ada.go_to_linkedin(&link(&gateway, "ada")).await;
    let callback = ada.decide(&consent, "ada", "allow").await;
    ada.come_back(&callback).await;

    let redirect = format!("http://{}/connect/callback", gateway.door_address());
    let asked = crate::support::visitor::escaped(&redirect);
    assert!(
        consent.contains(&format!("redirect_uri={asked}&")),
        "{consent}"
    );
    assert!(
        consent.contains("scope=openid%20profile%20email%20w_member_social"),
        "{consent}"
    );
    assert!(
        callback.starts_with(&format!("{redirect}?code=")),
        "{callback}"
    );
    let granted = gateway.credentials.show(&member("ada")).unwrap().scopes;
    assert_eq!(granted.len(), 4, "{granted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_the_browsers_alone_and_every_page_is_guarded() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let mut ada = Visitor::default();
    let link = link(&gateway, "ada");

    let start = ada.get(&link).await;
    let done = ada.sign_in(&link, "ada").await;

    let cookie = start.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=900"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    for page in [&start, &done] {
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
    }
    let policy = start.header("content-security-policy").unwrap();
    let forms = format!("form-action 'self' {};", linkedin.api_url());
    assert!(policy.contains(&forms), "{policy}");
    let policy = done.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self';"), "{policy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_revoked_signs_in_again_by_the_link_in_the_refusal_and_is_served_at_once() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let mut ada = Visitor::default();
    ada.sign_in(&link(&gateway, "ada"), "ada").await;
    // A token this young may only be LinkedIn's lag (linkedin.md §1.5).
    gateway.clock.advance(Duration::from_secs(120));
    linkedin.revoke("ada");

    let refused = gateway.get("/v2/userinfo", "ada").await;
    assert_eq!((refused.status, &*refused.code()), (401, "sign_in_needed"));
    let connect_url = refused.json()["connect_url"].as_str().unwrap().to_owned();
    let page = ada.sign_in(&connect_url, "ada").await.text();

    assert!(page.contains("Signed in as Ada Lovelace"), "{page}");
    let call = gateway.get("/v2/userinfo", "ada").await;
    assert_eq!(call.status, 200, "{}", call.text());
    assert_ne!(state(&gateway, "ada"), Some(GrantState::SignInNeeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_never_signed_in_is_given_the_link_too() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).with("grace").start().await;
    let key = gateway.key_for(&["ada"]);
    let ask = format!(
        "GET /v2/userinfo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
    );

    let refused = gateway.ask(&ask).await;

    assert_eq!(&*refused.code(), "sign_in_needed", "{}", refused.text());
    let connect_url = refused.json()["connect_url"].as_str().unwrap().to_owned();
    Visitor::default().sign_in(&connect_url, "ada").await;
    assert_eq!(gateway.ask(&ask).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_leaves_in_the_middle_loses_nothing() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let awaited = gateway.door().awaited_link(&member("ada")).unwrap();
    let mut ada = Visitor::default();
    let consent = ada.go_to_linkedin(&awaited.url).await;
    let callback = ada.decide(&consent, "ada", "allow").await;
    linkedin.fault(Fault::on(
        "token",
        Kind::DelayAfter(Duration::from_millis(300)),
    ));

    let left = tokio::time::timeout(Duration::from_millis(100), ada.get(&callback)).await;

    assert!(left.is_err(), "the exchange was still under way");
    until("the grant is kept", || state(&gateway, "ada").is_some()).await;
    until("whoever waits is told", || {
        let progress = gateway.door().progress(&awaited.id);
        matches!(progress, Some(Progress::Connected { .. }))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_application_proves_itself_with_a_verifier_and_no_secret() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin)
        .renewing(|settings| {
            settings.applications[0].native_pkce = true;
            settings.applications[0].client_secret = "not the secret".into();
        })
        .start()
        .await;
    let mut ada = Visitor::default();

    let consent = ada.go_to_linkedin(&link(&gateway, "ada")).await;
    let callback = ada.decide(&consent, "ada", "allow").await;
    let page = ada.come_back(&callback).await.text();

    assert!(
        consent.contains("/oauth/native-pkce/authorization?"),
        "{consent}"
    );
    assert!(consent.contains("code_challenge_method=S256"), "{consent}");
    assert!(page.contains("Signed in as Ada Lovelace"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_other_scopes_than_were_granted_is_warned_about_first() {
    let linkedin = Sandbox::start();
    // The imported grant has every scope there is.
    let gateway = before(&linkedin).with("ada").start().await;

    let page = Visitor::default().get(&link(&gateway, "ada")).await.text();
    let fresh = Visitor::default()
        .get(&link(&gateway, "grace"))
        .await
        .text();

    assert!(
        page.contains("LinkedIn then ends what you allowed"),
        "{page}"
    );
    assert!(!fresh.contains("LinkedIn then ends"), "{fresh}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sign_ins_in_one_browser_do_not_disturb_each_other() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).start().await;
    let mut browser = Visitor::default();

    let first = browser.go_to_linkedin(&link(&gateway, "ada")).await;
    let second = browser.go_to_linkedin(&link(&gateway, "grace")).await;
    let second = browser.decide(&second, "grace", "allow").await;
    let first = browser.decide(&first, "ada", "allow").await;
    let first = browser.come_back(&first).await.text();
    let second = browser.come_back(&second).await.text();

    assert!(first.contains("Signed in as Ada Lovelace"), "{first}");
    assert!(second.contains("Signed in as Grace Hopper"), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_stands_below_a_path_too() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin)
        .with_door(|door| door.public_url = format!("{}/in", door.public_url).parse().unwrap())
        .start()
        .await;
    let mut ada = Visitor::default();

    let page = ada.sign_in(&link(&gateway, "ada"), "ada").await.text();

    assert!(page.contains("Signed in as Ada Lovelace"), "{page}");
    assert!(page.contains("href=\"/in/connect/style.css\""), "{page}");
    let cut_off = format!("http://{}/connect/style.css", gateway.door_address());
    assert_eq!(
        ada.get(&cut_off).await.status,
        200,
        "where a proxy cuts the path off"
    );
}
