//! Sign-ins of every end, at trace level: no code, state, verifier or cookie stands in what is written or shown.

use super::*;
use crate::support::{Visitor, gateway::free_address};

#[tokio::test(flavor = "multi_thread")]
async fn neither_code_nor_state_nor_cookie_is_written_or_shown_when_members_sign_in() {
    let linkedin = Sandbox::start();
    let address = free_address().to_string();
    let place = watched(Place::before(&linkedin))
        .with("connect.listen", &address)
        .with("connect.public_url", &format!("http://{address}"));
    let key = place.key();
    let served = place.serve().await;
    let mut secrets = hunt(&linkedin, &key);
    let mut sinks = Sinks::new();

    let refused = served.get("/v2/userinfo", &key, "ada").await;
    let link = refused.json()["connect_url"].as_str().map(str::to_owned);
    // A member who was never here is not told from one whom the key does not cover.
    assert_eq!(link, None, "{}", refused.text());
    place.import(&linkedin, "ada");
    linkedin.expire_access_token("ada");
    linkedin.revoke("ada");
    let refused = served.get("/v2/userinfo", &key, "ada").await;
    let link = refused.json()["connect_url"].as_str().unwrap().to_owned();
    let mut pages = Vec::new();
    for (way, decision) in [
        ("taken", "allow"),
        ("cancelled", "cancel_authorize"),
        ("down", "allow"),
        ("elsewhere", "allow"),
    ] {
        let mut ada = Visitor::default();
        let consent = ada.go_to_linkedin(&link).await;
        let callback = ada.decide(&consent, "ada", decision).await;
        if way == "down" {
            linkedin.fault(Fault::on("token", Kind::status(503)));
        }
        if way == "elsewhere" {
            pages.push(Visitor::default().come_back(&callback).await.text());
        }
        pages.push(ada.come_back(&callback).await.text());
        pages.push(ada.come_back(&callback).await.text());
        for (name, value) in arguments(&callback) {
            secrets = secrets.and(&format!("{way} {name}"), &value);
        }
        secrets = secrets.and("cookie", ada.cookie());
    }
    sinks.insert("pages".to_owned(), pages.concat().into_bytes());
    ask_commands(&place, &mut sinks);
    ask_admin(&place, &served, &mut sinks).await;
    sinks.insert("stderr".to_owned(), served.terminate().await.into_bytes());

    let shown = String::from_utf8_lossy(&sinks["pages"]).into_owned();
    for said in [
        "Signed in as Ada Lovelace",
        "You did not allow access",
        "LinkedIn did not answer",
        "another browser",
        "already done",
    ] {
        assert!(shown.contains(said), "no page said {said:?}");
    }
    let secrets = with_live_tokens(secrets, &linkedin);
    assert_clean(&secrets, &place, &sinks);
}

/// Code and state, a part of each that chance does not make.
fn arguments(callback: &str) -> Vec<(String, String)> {
    let (_, query) = callback.split_once('?').unwrap();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| matches!(*name, "code" | "state"))
        .map(|(name, value)| (name.to_owned(), value[..value.len().min(40)].to_owned()))
        .collect()
}
