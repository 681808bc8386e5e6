//! Sessions and their forms: what another site's page cannot do, and what a cookie is worth.

use linkgate::{operators::Role, sandbox::Sandbox};

use super::{House, with_cookie};

const RENEW: &str = "/members/default/ada/renew";
const KIND: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// Why, Origin, Sec-Fetch-Site, and how the door calls it.
const FOREIGN: &[(&str, &str, &str, &str)] = &[
    (
        "another site",
        "https://evil.example",
        "cross-site",
        "cross_site",
    ),
    ("an old browser", "https://evil.example", "", "cross_site"),
    (
        "another port",
        "http://127.0.0.1:1",
        "same-site",
        "cross_site",
    ),
    ("no origin", "", "cross-site", "cross_site"),
    ("hidden origin", "null", "", "cross_site"),
    ("nothing said", "", "", "cross_site"),
];

/// A form with these words about where it comes from.
fn from(origin: &str, site: &str) -> String {
    let line = |name: &str, value: &str| match value {
        "" => String::new(),
        value => format!("{name}: {value}\r\n"),
    };
    let (origin, site) = (line("Origin", origin), line("Sec-Fetch-Site", site));
    format!("{KIND}{origin}{site}")
}

/// Asks page and API to renew ada.
async fn assert_refused(house: &House, why: &str, headers: &str, body: &str, code: &str) {
    let api = format!("/api{RENEW}");
    let api = house.ask("POST", &api, headers, body).await;
    assert_eq!((api.status, &*api.code()), (403, code), "{why}");
    let page = house.ask("POST", RENEW, headers, body).await;
    assert_eq!(page.status, 403, "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_page_changes_nothing() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let cookie = house.sign_in(&house.token(Role::Operator)).await;
    let form = format!("form_token={}", house.form_token(&cookie).await);
    for (why, origin, site, code) in FOREIGN {
        let headers = from(origin, site) + &with_cookie(&cookie);
        assert_refused(&house, why, &headers, &form, code).await;
    }
    let other = house.sign_in(&house.token(Role::Operator)).await;
    let foreign = format!("form_token={}", house.form_token(&other).await);
    let own = house.own() + &with_cookie(&cookie);
    for (why, body) in [("no form token", "a=b"), ("another session's", &*foreign)] {
        assert_refused(&house, why, &own, body, "form_token_wrong").await;
    }
    let no_form = own.replace("application/x-www-form-urlencoded", "text/plain");
    assert_refused(&house, "no form", &no_form, &form, "form_token_wrong").await;
    assert_eq!(linkedin.counts().renewals.get("ada"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_our_own_page_is_taken() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let cookie = house.sign_in(&house.token(Role::Operator)).await;
    let token = house.form_token(&cookie).await;
    let own = house.own() + &with_cookie(&cookie);
    let header = format!("{own}Linkgate-Form-Token: {token}\r\n");
    for (headers, body) in [
        (own, format!("form_token={token}")),
        (header, String::new()),
    ] {
        let reply = house.ask("POST", RENEW, &headers, &body).await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        let led = reply.header("location");
        assert_eq!(led, Some("/members/default/ada?told=renewed"));
    }
    assert_eq!(linkedin.counts().renewals.get("ada"), Some(&2));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_signed_in_by_another_sites_page() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let body = format!("token={}", house.token(Role::Operator));
    for origin in ["", "Origin: https://evil.example\r\n", "Origin: null\r\n"] {
        let headers = format!("{origin}{KIND}");
        let reply = house.ask("POST", "/sign-in", &headers, &body).await;
        assert_eq!(reply.status, 403, "{origin}");
        assert_eq!(reply.header("set-cookie"), None);
    }
    let by_url = house.ask("GET", &format!("/sign-in?{body}"), "", "").await;
    assert_eq!((by_url.status, by_url.header("set-cookie")), (200, None));
    let no_form = house
        .ask(
            "POST",
            "/sign-in",
            "Content-Type: application/json\r\n",
            "{}",
        )
        .await;
    assert_eq!(no_form.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_a_new_id_at_each_sign_in_and_the_old_one_is_dead() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let token = format!("token={}", house.token(Role::Operator));
    let planted = "linkgate_session=planted-by-somebody-else-000000000000000000";

    let first = house.post("/sign-in", planted, &token).await;
    let first = house.cookie_of(&first);
    assert_ne!(first, planted, "an id is never taken from a visitor");
    assert_eq!(house.page("/", planted).await.status, 303);

    let second = house.post("/sign-in", &first, &token).await;
    let second = house.cookie_of(&second);
    assert_ne!(first, second);
    assert_eq!(house.page("/", &first).await.status, 303, "the old one");
    assert_eq!(house.page("/", &second).await.status, 200, "the new one");
    let both = format!("{second}; {second}");
    assert_eq!(house.page("/", &both).await.status, 303, "two are none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_at_sign_out_and_with_its_token() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let token = house.token(Role::Support);
    let (left, kept) = (house.sign_in(&token).await, house.sign_in(&token).await);

    let form = format!("form_token={}", house.form_token(&left).await);
    let bare = house.post("/sign-out", &left, "").await;
    assert_eq!(bare.status, 403, "not by a foreign form");
    let out = house.post("/sign-out", &left, &form).await;
    assert_eq!(
        (out.status, out.header("location")),
        (303, Some("/sign-in"))
    );
    let cleared = out.header("set-cookie").unwrap();
    assert!(cleared.starts_with("linkgate_session=;") && cleared.contains("Max-Age=0"));
    assert_eq!(house.page("/", &left).await.status, 303);
    assert_eq!(house.page("/", &kept).await.status, 200, "another browser");

    let id = token.split('_').nth(1).unwrap();
    house.operators.revoke(id).unwrap();
    assert_eq!(house.page("/", &kept).await.status, 303, "revoked");

    let end = house.gateway.clock.seconds() + 60;
    let brief = house
        .sign_in(&house.token_until(Role::Operator, Some(end)))
        .await;
    assert_eq!(house.page("/", &brief).await.status, 200);
    house
        .gateway
        .clock
        .advance(std::time::Duration::from_secs(60));
    assert_eq!(house.page("/", &brief).await.status, 303, "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_guarded_as_the_way_to_the_listener_allows() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let body = format!("token={}", house.token(Role::Operator));
    let plain = house.post("/sign-in", "", &body).await;
    house.cookie_of(&plain);
    let (_, attributes) = plain.header("set-cookie").unwrap().split_once(';').unwrap();
    assert_eq!(attributes.trim(), "Path=/; HttpOnly; SameSite=Strict");

    let public = "https://ops.example";
    let tune = |settings: &mut linkgate::admin::Settings| {
        settings.public_url = public.parse().ok();
    };
    let proxied = House::with(&linkedin, tune).await;
    let body = format!("token={}", proxied.token(Role::Operator));
    let headers = format!("Origin: {public}\r\n{KIND}");
    let signed_in = proxied
        .ask_host("ops.example", "POST", "/sign-in", &headers, &body)
        .await;
    let cookie = proxied.cookie_of(&signed_in);
    assert!(cookie.starts_with("__Host-linkgate_session="), "{cookie}");
    let set = signed_in.header("set-cookie").unwrap();
    assert!(
        set.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"),
        "{set}"
    );
    assert_eq!(proxied.page("/", &cookie).await.status, 200);
    let downgraded = format!("Origin: http://ops.example\r\n{KIND}");
    let refused = proxied
        .ask_host("ops.example", "POST", "/sign-in", &downgraded, &body)
        .await;
    assert_eq!(refused.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_signing_in_one_is_led_to_a_page_of_ours_only() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let token = house.token(Role::Operator);
    for (next, expected) in [
        ("%2Fmembers%3Fstate%3Dfresh", "/members?state=fresh"),
        ("", "/"),
        ("https%3A%2F%2Fevil.example", "/"),
        ("%2F%2Fevil.example", "/"),
        ("%2F%5Cevil.example", "/"),
        ("%2F%09%2Fevil.example", "/"),
        ("%2F.%2F%2Fevil.example", "/"),
        ("%2Fa%0D%0ASet-Cookie%3A%20x%3Dy", "/"),
    ] {
        let body = format!("token={token}&next={next}");
        let reply = house.post("/sign-in", "", &body).await;
        house.cookie_of(&reply);
        assert_eq!(reply.header("location"), Some(expected), "{next}");
    }
    let asked = house.page("/members?text=%22%3E%3Cb%3E", "").await;
    let location = asked.header("location").unwrap();
    assert!(
        location.starts_with("/sign-in?next=%2Fmembers%3Ftext"),
        "{location}"
    );
}
