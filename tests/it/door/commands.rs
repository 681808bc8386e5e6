//! `linkgate operators` against a running gateway: in force when the command returns, and nothing of it in
//! what the program writes.

use linkgate::{bearer, sandbox::Sandbox};
use serde_json::Value;

use crate::support::{
    Connection, Reply,
    canary::Hunt,
    gateway::free_address,
    process::{Place, Served},
};

async fn ask(served: &Served, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let (host, length) = (served.admin, body.len());
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    Connection::to(host).await.ask(request).await
}

fn create(place: &Place, role: &str) -> String {
    let made = place.run(
        &[
            "operators",
            "create",
            "olga",
            "--role",
            role,
            "--expires",
            "1h",
        ],
        "",
    );
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.told.contains("shown this once"), "{made:?}");
    let token = made.out.strip_suffix('\n').unwrap().to_owned();
    assert!(
        bearer::OPERATOR.is_well_formed(token.as_bytes()),
        "it alone"
    );
    assert!(!made.told.contains(&token));
    token
}

/// A gateway that writes everything it can, into a folder beside its own.
fn watched(linkedin: &Sandbox, logs: &std::path::Path) -> Place {
    let place = Place::before(linkedin)
        .with("log.level", "trace")
        .with("log.directory", logs.to_str().unwrap());
    place.import(linkedin, "ada");
    place
}

/// Signs in as a browser does; gives the cookie.
async fn sign_in(served: &Served, token: &str) -> String {
    let own = format!(
        "Origin: http://{}\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        served.admin
    );
    let wrong = ask(
        served,
        "POST",
        "/sign-in",
        &own,
        "token=lgo_wrongwrong_wrong",
    )
    .await;
    assert_eq!(wrong.status, 401);
    let body = format!("token={token}");
    let signed_in = ask(served, "POST", "/sign-in", &own, &body).await;
    let cookie = signed_in.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_in_force_when_the_command_returns_whoever_runs() {
    let linkedin = Sandbox::start();
    let logs = tempfile::tempdir().unwrap();
    let place = watched(&linkedin, logs.path());
    let early = create(&place, "support");
    let served = place.serve().await;
    let late = create(&place, "operator");
    let member = "/api/members/default/ada";
    for (token, status) in [(&early, 403), (&late, 200)] {
        let headers = format!("Authorization: Bearer {token}\r\n");
        let looked = ask(&served, "GET", member, &headers, "").await;
        assert_eq!(looked.status, 200);
        let renewed = ask(&served, "POST", &format!("{member}/renew"), &headers, "").await;
        assert_eq!(renewed.status, status, "{}", renewed.text());
    }
    for (arguments, code) in [
        (&["operators", "revoke", "nobody"][..], 1),
        (&["operators", "create", "x", "--role", "admin"], 64),
        (&["operators", "create", "a b", "--role", "support"], 64),
        (&["operators", "create", "x"], 64),
    ] {
        let ended = place.run(arguments, "");
        assert_eq!(ended.code, Some(code), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_takes_its_sessions_along_and_none_of_it_is_written() {
    let linkedin = Sandbox::start();
    let logs = tempfile::tempdir().unwrap();
    let place = watched(&linkedin, logs.path());
    let served = place.serve().await;
    let token = create(&place, "operator");
    let cookie = sign_in(&served, &token).await;
    let session = format!("Cookie: {cookie}\r\n");
    let page = ask(&served, "GET", "/members/default/ada", &session, "").await;
    assert_eq!(page.status, 200);

    let listed = place.done(&["operators", "list", "--json"], "");
    let all: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        (&all[0]["role"], &all[0]["state"]),
        (&"operator".into(), &"live".into())
    );
    place.done(&["operators", "revoke", all[0]["id"].as_str().unwrap()], "");
    let page = ask(&served, "GET", "/members/default/ada", &session, "").await;
    assert_eq!(page.status, 303);
    assert!(place.done(&["operators", "list"], "").contains("revoked"));

    served.says("a wrong operator token was presented").await;
    let said = served.terminate().await;
    let trail = [
        "operator=olga",
        "role=\"operator\"",
        "action=\"sign in\"",
        "action=\"look\"",
        "about=ada/default",
    ];
    for says in trail {
        assert!(said.contains(says), "{says} in {said}");
    }
    let hunt = Hunt::for_canary()
        .and("session", cookie.split('=').nth(1).unwrap())
        .and("token", token.split('_').nth(2).unwrap());
    let mut leaks = hunt.leaks_below(&place.path("."));
    leaks.extend(hunt.leaks_below(logs.path()));
    leaks.extend(hunt.leaks(said.as_bytes()));
    leaks.extend(hunt.leaks(listed.as_bytes()));
    leaks.extend(hunt.leaks(&page.body));
    assert!(leaks.is_empty(), "{leaks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_the_operators_door_lasts_as_long_as_those_in_answers() {
    let linkedin = Sandbox::start();
    let door = free_address().to_string();
    let place = Place::before(&linkedin)
        .with("connect.listen", &door)
        .with("connect.public_url", &format!("http://{door}"))
        .with("connect.link_days", "2");
    let served = place.serve().await;
    let headers = format!("Authorization: Bearer {}\r\n", create(&place, "operator"));
    let before = linkgate::clock::Clock::system().seconds();

    let path = "/api/members/default/ada/connect-link";
    let link = ask(&served, "POST", path, &headers, "").await.json();

    let lasts = link["ends_at"].as_i64().unwrap() - before;
    assert!((2 * 86_400..2 * 86_400 + 60).contains(&lasts), "{link}");
    let url = link["connect_url"].as_str().unwrap();
    assert!(url.starts_with(&format!("http://{door}/connect/start/")));
}
