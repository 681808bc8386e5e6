//! The table of who × method × path: every route of the listener, for everyone who may come.

use std::{
    fs,
    path::{Path, PathBuf},
};

use linkgate::{operators::Role, sandbox::Sandbox};
use serde_json::Value;

use super::{House, bearer, with_cookie};

/// Who asks, in the order of a row's statuses.
const WHO: [&str; 7] = [
    "nobody",
    "a wrong token",
    "an expired token",
    "a revoked token",
    "support, by token",
    "an operator, by token",
    "an operator, by session",
];

/// Method, path, a status for each of [`WHO`].
type Row = (&'static str, &'static str, [u16; 7]);

/// Open to all: machines ask these.
const OPEN: [u16; 7] = [200; 7];
/// A page: the way to sign in, or the page.
const PAGE: [u16; 7] = [303, 401, 401, 401, 200, 200, 200];
/// Data for programs.
const DATA: [u16; 7] = [401, 401, 401, 401, 200, 200, 200];

const TABLE: &[Row] = &[
    ("GET", "/livez", OPEN),
    ("GET", "/readyz", OPEN),
    ("GET", "/metrics", OPEN),
    ("GET", "/style.css", OPEN),
    ("GET", "/icon.svg", OPEN),
    ("HEAD", "/livez", OPEN),
    ("POST", "/livez", [405; 7]),
    ("GET", "/sign-in", [200, 200, 200, 200, 200, 200, 303]),
    // The token stands in a form, and none of these sent one; a session's form has no such field.
    ("POST", "/sign-in", [400, 400, 400, 400, 400, 400, 401]),
    ("PUT", "/sign-in", [405; 7]),
    ("GET", "/", PAGE),
    ("HEAD", "/", PAGE),
    ("GET", "/members", PAGE),
    ("GET", "/members?state=fresh&text=a", PAGE),
    (
        "GET",
        "/members?state=nonsense",
        [303, 401, 401, 401, 400, 400, 400],
    ),
    ("GET", "/members/default/ada", PAGE),
    (
        "GET",
        "/members/default/nobody",
        [303, 401, 401, 401, 404, 404, 404],
    ),
    (
        "GET",
        "/members/default/a%20b",
        [303, 401, 401, 401, 404, 404, 404],
    ),
    ("GET", "/members/default/ada/disconnect", PAGE),
    (
        "GET",
        "/members/default/ada/renew",
        [303, 401, 401, 401, 405, 405, 405],
    ),
    (
        "POST",
        "/members/default/ada/renew",
        [303, 401, 401, 401, 403, 303, 303],
    ),
    (
        "POST",
        "/members/default/ada/connect-link",
        [303, 401, 401, 401, 403, 200, 200],
    ),
    (
        "POST",
        "/members/default/nobody/renew",
        [303, 401, 401, 401, 403, 404, 404],
    ),
    (
        "DELETE",
        "/members/default/ada",
        [303, 401, 401, 401, 403, 405, 405],
    ),
    ("GET", "/script.js", OPEN),
    ("GET", "/incidents", PAGE),
    ("GET", "/incidents?status=5xx&live=1", PAGE),
    (
        "GET",
        "/incidents?status=nonsense",
        [303, 401, 401, 401, 400, 400, 400],
    ),
    (
        "GET",
        "/incidents/019ab2c4-1f2e-7d3c-8a9b-0c1d2e3f4a5b",
        [303, 401, 401, 401, 404, 404, 404],
    ),
    (
        "GET",
        "/incidents/nonsense",
        [303, 401, 401, 401, 400, 400, 400],
    ),
    ("GET", "/find", PAGE),
    (
        "GET",
        "/find?q=anything",
        [303, 401, 401, 401, 303, 303, 303],
    ),
    // What it answers to those whom it lets in goes on until they leave: see `desk`.
    (
        "GET",
        "/incidents/tail?status=nonsense",
        [303, 401, 401, 401, 400, 400, 400],
    ),
    ("GET", "/signatures", PAGE),
    ("GET", "/signatures?window=30d", PAGE),
    (
        "GET",
        "/signatures?window=nonsense",
        [303, 401, 401, 401, 400, 400, 400],
    ),
    // Support's own tool: every role decides; a session's form here says no decision.
    (
        "POST",
        "/signatures/mark",
        [303, 401, 401, 401, 400, 400, 400],
    ),
    ("GET", "/callers", PAGE),
    ("GET", "/nowhere", [303, 401, 401, 401, 404, 404, 404]),
    ("GET", "/sign-out", [303, 401, 401, 401, 405, 405, 405]),
    ("GET", "/api/session", DATA),
    ("GET", "/api/members", DATA),
    ("GET", "/api/members?limit=1", DATA),
    (
        "GET",
        "/api/members?limit=0",
        [401, 401, 401, 401, 400, 400, 400],
    ),
    ("GET", "/api/members/default/ada", DATA),
    (
        "GET",
        "/api/members/default/nobody",
        [401, 401, 401, 401, 404, 404, 404],
    ),
    (
        "GET",
        "/api/members/default/~",
        [401, 401, 401, 401, 404, 404, 404],
    ),
    (
        "GET",
        "/api/members/x/ada",
        [401, 401, 401, 401, 404, 404, 404],
    ),
    (
        "POST",
        "/api/members/default/ada/renew",
        [401, 401, 401, 401, 403, 200, 200],
    ),
    (
        "POST",
        "/api/members/default/nobody/renew",
        [401, 401, 401, 401, 403, 404, 404],
    ),
    (
        "POST",
        "/api/members/default/nobody/disconnect",
        [401, 401, 401, 401, 403, 404, 404],
    ),
    (
        "POST",
        "/api/members/default/~/disconnect",
        [401, 401, 401, 401, 403, 409, 409],
    ),
    (
        "POST",
        "/api/members/default/ada/connect-link",
        [401, 401, 401, 401, 403, 200, 200],
    ),
    (
        "POST",
        "/api/members/default/~/connect-link",
        [401, 401, 401, 401, 403, 409, 409],
    ),
    (
        "DELETE",
        "/api/members/default/ada",
        [401, 401, 401, 401, 403, 405, 405],
    ),
    ("GET", "/api/forecast", DATA),
    (
        "GET",
        "/api/incidents/01920000-0000-7000-8000-000000000000/explain",
        [401, 401, 401, 401, 404, 404, 404],
    ),
    (
        "GET",
        "/api/incidents/01920000-0000-7000-8000-000000000000/export?as=json",
        [401, 401, 401, 401, 404, 404, 404],
    ),
    (
        "GET",
        "/api/incidents/01920000-0000-7000-8000-000000000000/export?as=pdf",
        [401, 401, 401, 401, 400, 400, 400],
    ),
    (
        "GET",
        "/api/incidents/export?id=01920000-0000-7000-8000-000000000000&as=ticket",
        [401, 401, 401, 401, 404, 404, 404],
    ),
    (
        "GET",
        "/api/incidents/export?as=ticket",
        [401, 401, 401, 401, 400, 400, 400],
    ),
    ("GET", "/api/openapi.json", DATA),
    ("GET", "/api/callers", DATA),
    ("GET", "/api/stats", DATA),
    (
        "GET",
        "/api/stats?after=1",
        [401, 401, 401, 401, 400, 400, 400],
    ),
    ("GET", "/api/signatures", DATA),
    ("GET", "/api/signatures?since=2h&limit=1", DATA),
    (
        "GET",
        "/api/signatures?after=1",
        [401, 401, 401, 401, 400, 400, 400],
    ),
    (
        "GET",
        "/api/members/%FF/ada",
        [401, 401, 401, 401, 404, 404, 404],
    ),
    (
        "GET",
        "/api/incidents/%FF",
        [401, 401, 401, 401, 400, 400, 400],
    ),
    ("GET", "/api/incidents", DATA),
    ("GET", "/api/incidents?status=5xx&limit=1", DATA),
    (
        "GET",
        "/api/incidents?status=9xx",
        [401, 401, 401, 401, 400, 400, 400],
    ),
    (
        "GET",
        "/api/incidents/01920000-0000-7000-8000-000000000000",
        [401, 401, 401, 401, 404, 404, 404],
    ),
    (
        "GET",
        "/api/incidents/0192",
        [401, 401, 401, 401, 400, 400, 400],
    ),
    (
        "GET",
        "/members/default/ada/portrait",
        [303, 401, 401, 401, 404, 404, 404],
    ),
    ("GET", "/api/nowhere", [401, 401, 401, 401, 404, 404, 404]),
    (
        "OPTIONS",
        "/api/members",
        [401, 401, 401, 401, 405, 405, 405],
    ),
    // Names nobody: what it does with a name stands in `pages`.
    ("POST", "/connect-link", [303, 401, 401, 401, 403, 400, 400]),
    // The last: each ends what it is about, so that whoever comes after finds nobody.
    (
        "POST",
        "/members/default/grace/disconnect",
        [303, 401, 401, 401, 403, 303, 404],
    ),
    (
        "POST",
        "/api/members/default/ada/disconnect",
        [401, 401, 401, 401, 403, 204, 404],
    ),
    // Every role leaves; the session is over with it.
    ("POST", "/sign-out", [303, 401, 401, 401, 303, 303, 303]),
];

#[tokio::test(flavor = "multi_thread")]
async fn who_may_do_what_is_one_table() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let operator = house.token(Role::Operator);
    let cookie = house.sign_in(&operator).await;
    let own = format!("{}{}", house.own(), with_cookie(&cookie));
    let form = format!("form_token={}", house.form_token(&cookie).await);
    let headers = [
        String::new(),
        bearer("lgo_0123456789AB_wrong"),
        bearer(&house.token_until(Role::Operator, Some(house.gateway.clock.seconds()))),
        bearer(&revoked(&house)),
        bearer(&house.token(Role::Support)),
        bearer(&operator),
        own,
    ];
    for (method, path, expected) in TABLE {
        for ((who, headers), expected) in WHO.iter().zip(&headers).zip(expected) {
            // Forgives the wrong tokens of this address, which are not what this table is about.
            house
                .ask("GET", "/api/session", &bearer(&operator), "")
                .await;
            let is_session = headers.contains("Cookie");
            let body = match is_session && !["GET", "HEAD"].contains(method) {
                true => form.as_str(),
                false => "",
            };
            let reply = house.ask(method, path, headers, body).await;
            let told = format!("{method} {path} for {who}: {}", reply.text());
            assert_eq!(reply.status, *expected, "{told}");
            assert_form(path, &reply);
        }
    }
}

/// The router cannot be asked for its list, but its sources can: a route without a row fails here.
#[test]
fn the_table_has_a_row_for_every_route() {
    let routes = routes();
    for (method, path) in &routes {
        let mut rows = TABLE.iter();
        let has_row = rows.any(|row| row.0 == *method && fits(path, row.1));
        assert!(has_row, "no row for {method} {path}");
    }
    assert!(routes.len() >= 24, "only {} were found", routes.len());
}

#[test]
fn the_apis_document_has_every_route_and_no_other() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/api/openapi.json");
    let document: Value = serde_json::from_str(&fs::read_to_string(source).unwrap()).unwrap();
    let mut told = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            if method != "parameters" {
                told.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    let mut routes: Vec<_> = routes()
        .into_iter()
        .filter(|(_, path)| path.starts_with("/api/"))
        .map(|(method, path)| (method.to_owned(), path))
        .collect();
    told.sort();
    routes.sort();

    assert_eq!(told, routes);
}

/// Method and path of every route that the sources make.
fn routes() -> Vec<(&'static str, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![source.join("admin.rs"), source.join("web/page.rs")];
    files.extend(sources(&source.join("admin")));
    files.retain(|file| file.extension().is_some_and(|kind| kind == "rs"));
    let text: String = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let mut routes = Vec::new();
    for route in text.split(".route(").skip(1) {
        let (path, handlers) = route.split_once(',').unwrap();
        let path = path_of(path.trim(), &text);
        let handlers = ended(handlers);
        for (called, method) in [("get(", "GET"), ("post(", "POST"), ("delete(", "DELETE")] {
            if is_called(called, handlers) {
                routes.push((method, path.clone()));
            }
        }
        let others = ["put(", "patch(", "any(", "on(", "head("];
        assert!(!others.iter().any(|called| is_called(called, handlers)));
    }
    routes
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false => found.push(path),
        }
    }
    found
}

/// The text of a path: in quotes, or a constant's.
fn path_of(written: &str, text: &str) -> String {
    let quoted = match written.starts_with('"') {
        true => written,
        false => {
            let declared = format!("const {written}: &str = ");
            text.split(&declared).nth(1).expect(written)
        }
    };
    quoted.split('"').nth(1).unwrap().to_owned()
}

/// Up to the parenthesis that ends the call.
fn ended(text: &str) -> &str {
    let mut depth = 1;
    let end = text.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    &text[..end.unwrap()]
}

fn is_called(name: &str, text: &str) -> bool {
    let mut calls = text.match_indices(name);
    calls.any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Whether a row's path is one of the route's.
fn fits(route: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap();
    let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    let mut both = route.iter().zip(&path);
    route.len() == path.len() && both.all(|(route, path)| route.starts_with('{') || route == path)
}

/// A program's refusal is a problem; a page never is.
fn assert_form(path: &str, reply: &crate::support::Reply) {
    let kind = reply.header("content-type").unwrap_or_default();
    let is_refused = reply.status >= 400;
    match path.starts_with("/api/") {
        true if is_refused && !reply.body.is_empty() => {
            assert_eq!(kind, "application/problem+json", "{path}");
            assert!(!reply.code().is_empty(), "{path}");
        }
        false if is_refused && !path.ends_with("z") => {
            let programs = [
                "/sign-in",
                "/connect-link",
                "/signatures/mark",
                "/incidents/tail?status=nonsense",
            ];
            assert!(
                kind.starts_with("text/html") || programs.contains(&path),
                "{path}: {kind}"
            );
        }
        _ => {}
    }
    if reply.status == 401 {
        let challenge = reply.header("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("Bearer realm=\"linkgate\""), "{path}");
    }
}

fn revoked(house: &House) -> String {
    let token = house.token(Role::Operator);
    let id = token.split('_').nth(1).unwrap();
    house.operators.revoke(id).unwrap();
    token
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_an_expired_and_a_revoked_token_are_told_alike() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let good = house.token(Role::Operator);
    let mut said = Vec::new();
    for token in [
        "x".to_owned(),
        good.replacen("lgo_", "lgk_", 1),
        format!("{good}~ada"),
        house.token_until(Role::Support, Some(0)),
        revoked(&house),
        house.gateway.key.clone(),
    ] {
        let api = house.ask("GET", "/api/members", &bearer(&token), "").await;
        let page = house.post("/sign-in", "", &format!("token={token}")).await;
        said.push((api.status, api.text(), page.status, page.text()));
        house.ask("GET", "/api/session", &bearer(&good), "").await;
    }
    said.dedup();
    assert_eq!(said.len(), 1, "one answer for all: {said:?}");
    assert_eq!((said[0].0, said[0].2), (401, 401));
    let two = format!("{}{}", bearer(&good), bearer(&good));
    assert_eq!(house.ask("GET", "/api/members", &two, "").await.status, 401);
    let basic = "Authorization: Basic eDp4\r\n";
    assert_eq!(
        house.ask("GET", "/api/members", basic, "").await.status,
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_name_is_served_nothing_even_with_a_session() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let cookie = house.sign_in(&house.token(Role::Operator)).await;
    for path in ["/", "/members", "/api/members", "/livez", "/sign-in"] {
        let headers = with_cookie(&cookie);
        let reply = house
            .ask_host("evil.example", "GET", path, &headers, "")
            .await;
        assert_eq!(reply.status, 421, "{path}");
        assert!(!reply.text().contains("ada"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_tells_what_the_commands_tell() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let token = bearer(&house.token(Role::Support));
    let get = async |path: &str| house.ask("GET", path, &token, "").await.json();

    let first = get("/api/members?limit=1").await;
    let next = first["next"].as_str().unwrap();
    let second = get(&format!("/api/members?limit=1&after={next}")).await;
    let both = [&first["members"][0], &second["members"][0]];
    for (told, name) in both.into_iter().zip(["ada", "grace"]) {
        let member = crate::support::gateway::member(name);
        let summary = house.gateway.credentials.show(&member).unwrap();
        assert_eq!(*told, serde_json::to_value(&summary).unwrap());
        assert_eq!(*told, get(&format!("/api/members/default/{name}")).await);
    }
    assert!(second["next"].is_null());
    let found = get("/api/members?text=GRA&state=fresh&application=default").await;
    assert_eq!(found["members"].as_array().unwrap().len(), 1);
    let session = get("/api/session").await;
    assert_eq!(session["role"], "support");
    assert_eq!(session["name"], "olga");
    assert_eq!(session["signed_in_by"], "token");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_renews_and_disconnects_by_the_api() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let token = bearer(&house.token(Role::Operator));
    let post = async |path: &str| house.ask("POST", path, &token, "").await;

    let renewed = post("/api/members/default/ada/renew").await;
    assert_eq!(renewed.status, 200, "{}", renewed.text());
    assert_eq!(linkedin.counts().renewals.get("ada"), Some(&1));
    let link = post("/api/members/default/ada/connect-link").await.json();
    assert!(
        link["connect_url"]
            .as_str()
            .unwrap()
            .ends_with("linkfor-ada/default")
    );

    linkedin.revoke("grace");
    let refused = post("/api/members/default/grace/renew").await;
    assert_eq!((refused.status, &*refused.code()), (409, "sign_in_needed"));

    assert_eq!(
        post("/api/members/default/ada/disconnect").await.status,
        204
    );
    let again = post("/api/members/default/ada/disconnect").await;
    assert_eq!((again.status, &*again.code()), (404, "not_found"));
    assert_eq!(house.gateway.get("/v2/userinfo", "ada").await.status, 403);
}
