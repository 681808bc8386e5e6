//! The ledger of successful writes: "who posted this twice" is a question about two 201s.

use linkgate::sandbox::Sandbox;
use serde_json::Value;

use crate::support::{
    caller::Reply,
    posts::post_saying,
    process::{Place, Served},
};

async fn post(served: &Served, key: &str, member: &str, text: &str) -> Reply {
    let body = post_saying(text);
    let head = served.head("POST", "/rest/posts", key, member);
    let head = format!(
        "{head}Content-Type: application/json\r\nX-Restli-Protocol-Version: 2.0.0\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let reply = served.connect().await.ask(head + &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply
}

/// The lines that a command of `incidents` prints.
fn listed(place: &Place, options: &[&str]) -> Vec<Value> {
    let command = [&["incidents", "list", "--json"], options].concat();
    let out = place.done(&command, "");
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_posted_this_twice_is_answered_by_member_and_by_what_was_made() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin).with("incidents.ledger", "true");
    place.import(&linkedin, "ada");
    place.import(&linkedin, "grace");
    let key = place.key();
    let served = place.serve().await;

    let first = post(&served, &key, "ada", "the same news").await;
    let second = post(&served, &key, "ada", "the same news!").await;
    post(&served, &key, "grace", "other news").await;
    let read = served.get("/v2/userinfo", &key, "ada").await;
    served.terminate().await;

    assert_eq!(read.status, 200, "a read is in no ledger");
    assert_eq!(
        listed(&place, &[]),
        Vec::<Value>::new(),
        "no incident, and no self-test"
    );
    assert_eq!(listed(&place, &["--kind", "written"]).len(), 3);
    assert_eq!(listed(&place, &["--ledger"]).len(), 3);
    let row = place.done(&["incidents", "list", "--ledger", "--member", "grace"], "");
    assert!(row.contains("written: 201 POST /rest/posts by "), "{row}");
    let of_ada = listed(
        &place,
        &["--kind", "written", "--member", "ada", "--status", "201"],
    );
    let ids: Vec<&str> = of_ada
        .iter()
        .rev()
        .map(|line| line["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [first.id(), second.id()]);
    let made = second.header("x-restli-id").unwrap();
    let found = listed(&place, &["--kind", "written", "--text", made]);
    let [line] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(line["x_restli_id"], made);
    assert_eq!(
        (&line["caller"], &line["request"]["method"]),
        (&"app".into(), &"POST".into())
    );
    assert_eq!(
        (&line["request"]["url"], &line["attempts_made"]),
        (&"/rest/posts".into(), &1.into())
    );
    assert!(line.get("headers").is_none() && line["request"].get("headers").is_none());
    let verified = place.done(&["incidents", "verify", "--json"], "");
    let verified: Value = serde_json::from_str(&verified).unwrap();
    assert_eq!(
        (&verified["written"], &verified["self_tests"]),
        (&3.into(), &1.into())
    );
    assert_eq!(verified["is_whole"], true, "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_ledger_a_good_write_leaves_no_line() {
    let linkedin = Sandbox::start();
    let place = Place::before(&linkedin);
    place.import(&linkedin, "ada");
    let key = place.key();
    let served = place.serve().await;

    post(&served, &key, "ada", "news").await;
    served.terminate().await;

    assert_eq!(listed(&place, &["--kind", "written"]), Vec::<Value>::new());
}
