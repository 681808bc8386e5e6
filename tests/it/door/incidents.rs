//! The support log by the API: what is found, by whom, and what a bad question is told.

use std::collections::BTreeSet;

use linkgate::{
    operators::Role,
    sandbox::{Fault, Kind, Sandbox},
};
use serde_json::Value;

use super::{House, bearer};

/// What LinkedIn says in the body of a failure.
const SAID: &str = "something went wrong on our end";

impl House {
    /// What the API says to whoever has this token.
    async fn get(&self, token: &str, path: &str) -> crate::support::Reply {
        self.ask("GET", path, &bearer(token), "").await
    }

    /// The same, which must be an answer.
    async fn told(&self, token: &str, path: &str) -> Value {
        let reply = self.get(token, path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }
}

/// Calls that fail, each in its own way; their ids, the oldest first.
async fn trouble(linkedin: &Sandbox, house: &House) -> Vec<String> {
    let mut ids = Vec::new();
    for (path, member) in [
        ("/v2/nowhere", "ada"),
        ("/v2/nowhere/else", "grace"),
        ("/v2/userinfo", "nobody"),
    ] {
        let reply = house.gateway.get(path, member).await;
        ids.push(reply.id().to_owned());
    }
    let refusal = Kind::HtmlPage { status: 422 };
    linkedin.fault(Fault::on("GET /v2/userinfo", refusal));
    let reply = house.gateway.get("/v2/userinfo", "ada").await;
    assert!(reply.text().contains(SAID));
    ids.push(reply.id().to_owned());
    ids
}

fn ids(page: &Value) -> Vec<String> {
    let all = page["incidents"].as_array().unwrap().iter();
    all.map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_what_its_filter_says_a_page_at_a_time() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let all = trouble(&linkedin, &house).await;
    let token = house.token(Role::Support);
    for (query, expected) in [
        ("", vec![3, 2, 1, 0]),
        ("?order=oldest", vec![0, 1, 2, 3]),
        ("?member=ada", vec![3, 0]),
        ("?member=ada&status=404", vec![0]),
        ("?status=4xx&order=oldest", vec![0, 1, 2, 3]),
        ("?path=/else", vec![1]),
        ("?fault=caller&status=403", vec![2]),
        ("?text=NOWHERE%2Felse", vec![1]),
        ("?since=1h", vec![3, 2, 1, 0]),
        ("?until=1h", vec![]),
        ("?kind=recovered", vec![]),
        ("?method=POST", vec![]),
        ("?caller=app&limit=1", vec![3]),
        ("?member=&status=&text=", vec![3, 2, 1, 0]),
    ] {
        let page = house.told(&token, &format!("/api/incidents{query}")).await;
        let expected: Vec<String> = expected
            .into_iter()
            .map(|n: usize| all[n].clone())
            .collect();
        assert_eq!(ids(&page), expected, "{query}");
        assert_eq!(page["skipped"], 0, "{query}");
        assert!(page["indexed_through"].is_object(), "{query}");
    }
    let by_id = house
        .told(&token, &format!("/api/incidents?id={}", all[2]))
        .await;
    assert_eq!(ids(&by_id), all[2..3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn following_next_shows_each_incident_once_however_many_come_meanwhile() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let all = trouble(&linkedin, &house).await;
    let token = house.token(Role::Support);
    let mut path = "/api/incidents?limit=1".to_owned();
    let mut seen = Vec::new();

    loop {
        let reply = house.get(&token, &path).await;
        let page = reply.json();
        seen.extend(ids(&page));
        house.gateway.get("/v2/meanwhile", "ada").await;
        let links = reply.raw_head_text();
        let Some(next) = page["next"].as_str() else {
            assert!(!links.contains("rel=\"next\""), "{links}");
            break;
        };
        path = format!("/api/incidents?limit=1&after={next}");
        assert!(
            links.contains(&format!("<{path}>; rel=\"next\"")),
            "{links}"
        );
    }

    let newest_first: Vec<String> = all.into_iter().rev().collect();
    assert_eq!(seen, newest_first);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_incident_is_found_by_its_id_and_by_its_beginning() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let all = trouble(&linkedin, &house).await;
    let token = house.token(Role::Support);
    let first = &all[0];

    for id in [first.clone(), first.to_uppercase(), first[..30].to_owned()] {
        let one = house.told(&token, &format!("/api/incidents/{id}")).await;
        assert_eq!(one["id"], *first, "{id}");
    }
    // All ids begin with the time: its first digits are the same within a minute.
    let several = house
        .get(&token, &format!("/api/incidents/{}", &first[..8]))
        .await;
    assert_eq!((several.status, &*several.code()), (409, "ambiguous"));
    let named: BTreeSet<String> = serde_json::from_value(several.json()["ids"].clone()).unwrap();
    assert_eq!(named, all.iter().cloned().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_question_is_told_which_word_and_what_it_may_be() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let token = house.token(Role::Operator);
    for (path, parameter, allowed) in [
        ("/api/incidents?status=9xx", "status", "5xx"),
        ("/api/incidents?staus=503", "\"staus\"", "no such parameter"),
        ("/api/incidents?since=never", "since", "2h"),
        ("/api/incidents?after=x", "after", "next"),
        ("/api/incidents/0192", "id", "8 characters"),
        ("/api/incidents/0192abcd/export?as=pdf", "as", "ticket"),
        ("/api/incidents/export?as=json", "id", "1 to 100"),
        ("/api/signatures?order=oldest", "order", "left out"),
        ("/api/signatures?limit=0", "limit", "1 to 200"),
    ] {
        let reply = house.get(&token, path).await;
        assert_eq!(
            (reply.status, &*reply.code()),
            (400, "request_malformed"),
            "{path}"
        );
        let problem = reply.json();
        assert_eq!(problem["parameter"], parameter, "{path}");
        let told = problem["allowed"].as_str().unwrap();
        assert!(told.contains(allowed), "{path}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_for_operators_and_for_support_where_it_is_set() {
    let linkedin = Sandbox::start();
    for (role, support_sees, is_shown) in [
        (Role::Operator, false, true),
        (Role::Support, false, false),
        (Role::Support, true, true),
    ] {
        let house = House::with(&linkedin, |settings| {
            settings.support_sees_bodies = support_sees;
        })
        .await;
        let all = trouble(&linkedin, &house).await;
        let token = house.token(role);
        let id = &all[3];
        for path in [
            format!("/api/incidents/{id}"),
            format!("/api/incidents/{id}/export?as=json"),
            format!("/api/incidents/{id}/export?as=ticket"),
            format!("/api/incidents/{id}/export?as=har"),
        ] {
            let reply = house.get(&token, &path).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            assert_eq!(
                reply.text().contains(SAID),
                is_shown,
                "{role:?} {support_sees} {path}"
            );
        }
        let explained = house
            .get(&token, &format!("/api/incidents/{id}/explain"))
            .await;
        assert!(
            is_shown || !explained.text().contains(SAID),
            "{}",
            explained.text()
        );
        let list = house.get(&token, "/api/incidents").await;
        assert!(!list.text().contains(SAID), "a list has no bodies");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_a_disconnected_member_open_for_nobody() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let all = trouble(&linkedin, &house).await;
    let token = house.token(Role::Operator);
    let path = format!("/api/incidents/{}", all[3]);
    assert!(house.get(&token, &path).await.text().contains(SAID));

    let gone = "/api/members/default/ada/disconnect";
    assert_eq!(
        house.ask("POST", gone, &bearer(&token), "").await.status,
        204
    );

    let left = house.get(&token, &path).await;
    assert_eq!(left.status, 200);
    assert!(!left.text().contains(SAID), "{}", left.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_alike_is_counted_together() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    for _ in 0..3 {
        house.gateway.get("/v2/nowhere", "ada").await;
    }
    house.gateway.get("/v2/nowhere", "grace").await;
    house.gateway.get("/v2/elsewhere", "ada").await;
    let token = house.token(Role::Support);

    let told = house.told(&token, "/api/signatures?since=1h&limit=1").await;

    let group = &told["signatures"][0];
    assert_eq!((&group["count"], &group["members"]), (&4.into(), &2.into()));
    assert_eq!(told["has_more"], true);
    let narrowed = house.told(&token, "/api/signatures?member=grace").await;
    assert_eq!(narrowed["signatures"][0]["count"], 1);
    let stats = house.told(&token, "/api/stats?member=ada").await;
    assert_eq!(
        (&stats["total"], &stats["faults"][0]["count"]),
        (&4.into(), &4.into())
    );
    assert_eq!(stats["members"].as_array().unwrap().len(), 1);
    let callers = house.told(&token, "/api/callers").await;
    assert_eq!(callers["callers"][0]["incidents_24h"], 5);
    let before = house.told(&token, "/api/signatures?until=1h").await;
    assert_eq!(before["signatures"].as_array().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_explained_and_exported() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let all = trouble(&linkedin, &house).await;
    let token = house.token(Role::Operator);
    let id = &all[0];

    let explained = house
        .told(&token, &format!("/api/incidents/{id}/explain"))
        .await;
    assert_eq!(explained["id"], **id);
    assert!(!explained["findings"].as_array().unwrap().is_empty());

    for (path, kind, name) in [
        (
            format!("{id}/export?as=ticket"),
            "text/plain; charset=utf-8",
            format!("linkgate-{id}.txt"),
        ),
        (
            format!("{id}/export?as=json"),
            "application/json",
            format!("linkgate-{id}.json"),
        ),
        (
            format!("{id}/export?as=zip"),
            "application/zip",
            format!("linkgate-{id}.zip"),
        ),
        (
            format!("export?id={id}&id={}&as=json", all[1]),
            "application/json",
            "linkgate-incidents.json".to_owned(),
        ),
    ] {
        let reply = house.get(&token, &format!("/api/incidents/{path}")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(reply.header("content-type").unwrap(), kind, "{path}");
        let disposition = reply.header("content-disposition").unwrap();
        assert_eq!(
            disposition,
            format!("attachment; filename=\"{name}\""),
            "{path}"
        );
        assert!(reply.text().contains(&**id), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_what_was_asked_for_and_how_the_token_stands() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let all = trouble(&linkedin, &house).await;
    let token = house.token(Role::Operator);
    let id = &all[0];

    let both = house
        .told(
            &token,
            &format!("/api/incidents/export?id={id}&id={}&as=json", all[1]),
        )
        .await;
    assert_eq!(both.as_array().unwrap().len(), 2);
    let one_missing =
        format!("/api/incidents/export?id={id}&id=01920000-0000-7000-8000-000000000000&as=json");
    assert_eq!(house.get(&token, &one_missing).await.status, 404);
    let ticket = house
        .get(&token, &format!("/api/incidents/{id}/export?as=ticket"))
        .await;
    assert!(
        ticket.text().contains("active"),
        "LinkedIn was asked: {}",
        ticket.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_says_nothing_of_a_token_of_which_linkedin_said_nothing() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let all = trouble(&linkedin, &house).await;
    let token = house.token(Role::Operator);
    linkedin.fault(Fault::on("/oauth/v2/introspectToken", Kind::status(503)).always());

    let path = format!("/api/incidents/{}/export?as=ticket", all[0]);
    let ticket = house.get(&token, &path).await.text();

    assert!(ticket.contains("Token status:"), "{ticket}");
    assert!(!ticket.contains("by introspection at"), "{ticket}");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_told_with_their_keys_and_without_secrets() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let token = house.token(Role::Support);

    let told = house.told(&token, "/api/callers").await;

    let caller = &told["callers"][0];
    assert_eq!(caller["name"], "app");
    let key = &caller["keys"][0];
    assert_eq!(
        (&key["state"], &key["any_member"]),
        (&"live".into(), &true.into())
    );
    let secret = house.gateway.key.rsplit('_').next().unwrap();
    assert!(!told.to_string().contains(&secret[..12]));
}
