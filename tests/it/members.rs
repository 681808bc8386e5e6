//! What operators do with members, on a gateway that runs: brought in, asked about, logged out.

use std::time::Duration;

use linkgate::sandbox::{Application, Fault, Kind, Options, Sandbox};

use crate::support::{
    Connection, Gateway,
    gateway::member,
    post_saying,
    process::{Place, Served},
    until,
};

const USERINFO: &str = "/v2/userinfo";

fn introspected(place: &Place, member: &str) -> serde_json::Value {
    let told = place.done(&["members", "introspect", member, "--json"], "");
    serde_json::from_str(&told).unwrap()
}

fn shown(place: &Place, member: &str) -> serde_json::Value {
    let told = place.done(&["members", "show", member, "--json"], "");
    serde_json::from_str(&told).unwrap()
}

async fn before(linkedin: &Sandbox) -> (Place, Served) {
    let place = Place::before(linkedin);
    let served = place.serve().await;
    (place, served)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_token_is_completed_and_served_when_the_command_returns() {
    let linkedin = Sandbox::start();
    let (place, served) = before(&linkedin).await;
    let key = place.key();
    let answer: serde_json::Value = serde_json::from_str(&linkedin.sign_in("ada").json()).unwrap();
    let bare = serde_json::json!({"access_token": answer["access_token"]}).to_string();

    let ended = place.run(&["members", "import", "ada"], &bare);

    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        (&*ended.out, &*ended.told),
        ("imported ada/default (fresh)\n", "")
    );
    assert_eq!(served.get(USERINFO, &key, "ada").await.status, 200);
    let shown = shown(&place, "ada");
    assert_eq!(shown["full_name"], "Ada Lovelace");
    assert_eq!(shown["renewable"], false);
    assert_eq!(
        shown["urn"],
        format!("urn:li:person:{}", linkedin.sub("ada"))
    );
    assert!(shown["access_expires_at"].as_i64().is_some());
    let told = introspected(&place, "ada");
    assert_eq!(
        (&told["active"], &told["status"]),
        (&true.into(), &"active".into())
    );
    assert_eq!(told["client_id"], linkedin.client_id());
    assert_eq!(told["auth_type"], "3L");
    assert!(
        told["scopes"]
            .as_array()
            .unwrap()
            .contains(&"openid".into())
    );
    served.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_linkedin_calls_worthless_is_not_imported() {
    let other = Application::new("78other");
    let options = Options {
        applications: vec![Application::default(), other],
        ..Options::default()
    };
    let linkedin = Sandbox::start_with(options).unwrap();
    let (place, served) = before(&linkedin).await;
    // By the gateway's clock they are no tokens that LinkedIn may not know of yet.
    linkedin.advance_clock(Duration::from_secs(600));
    let foreign = linkedin
        .sign_in_to("78other", "ada", &["openid", "profile"])
        .json();
    let gone = linkedin.sign_in("grace").json();
    linkedin.revoke("grace");
    for (member, answer, says) in [
        ("ada", foreign, "another LinkedIn application"),
        ("grace", gone, "the member revoked"),
    ] {
        let ended = place.run(&["members", "import", member], &answer);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.told.contains(says), "{ended:?}");
    }
    assert_eq!(place.done(&["members", "list", "--json"], ""), "[]\n");
    served.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_as_given_while_linkedin_is_down_and_that_is_said() {
    let linkedin = Sandbox::start();
    let (place, served) = before(&linkedin).await;
    let answer = linkedin.sign_in("ada").json();
    for route in ["POST /oauth/v2/introspectToken", "GET /v2/userinfo"] {
        linkedin.fault(Fault::on(route, Kind::status(503)).always());
    }

    let ended = place.run(&["members", "import", "ada"], &answer);

    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.told.contains("taken as given"), "{ended:?}");
    linkedin.clear_faults();
    assert_eq!(introspected(&place, "ada")["active"], true);
    served.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_member_is_out_at_once_and_their_bodies_are_unreadable() {
    let linkedin = Sandbox::start();
    let (place, served) = before(&linkedin).await;
    place.import(&linkedin, "ada");
    place.import(&linkedin, "grace");
    let key = place.key();
    let mut ids = Vec::new();
    for member in ["ada", "grace"] {
        let reply = served.get("/v2/nothing", &key, member).await;
        assert_eq!(reply.status, 404);
        ids.push(reply.id().to_owned());
    }
    let bodies = |id: &str| place.done(&["incidents", "show", id, "--json"], "");
    assert!(bodies(&ids[0]).contains("No virtual resource found"));

    let told = place.done(&["members", "disconnect", "ada"], "");

    assert_eq!(told, "disconnected ada/default (tokens destroyed)\n");
    let reply = served.get(USERINFO, &key, "ada").await;
    // Not even that there was such a member can be told from the answer.
    assert_eq!((reply.status, &*reply.code()), (403, "caller_not_allowed"));
    assert!(!bodies(&ids[0]).contains("No virtual resource found"));
    assert!(bodies(&ids[1]).contains("No virtual resource found"));
    assert_eq!(served.get(USERINFO, &key, "grace").await.status, 200);
    let again = place.run(&["members", "disconnect", "ada"], "");
    assert_eq!(again.code, Some(1), "{again:?}");
    served.terminate().await;
}

async fn with_one_under_way(linkedin: &Sandbox, stops: bool) -> (Gateway, Connection) {
    linkedin.fault(Fault::on("GET /v2/userinfo", Kind::DelayAfter(SHORT)));
    let gateway = Gateway::before(linkedin).with("ada");
    let gateway = gateway.tuned(|settings| settings.stops_on_disconnect = stops);
    let gateway = gateway.start().await;
    let mut caller = gateway.connect().await;
    let request = gateway.head("GET", USERINFO, "ada") + "\r\n";
    caller.send(request).await;
    let received = || linkedin.counts().received("GET /v2/userinfo") == 1;
    until("the call is under way", received).await;
    (gateway, caller)
}

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_of_a_disconnected_member_finish_or_stop_as_configured() {
    for (stops, status) in [(false, 200), (true, 401)] {
        let linkedin = Sandbox::start();
        let (gateway, mut caller) = with_one_under_way(&linkedin, stops).await;

        gateway
            .credentials
            .disconnect(&member("ada"))
            .await
            .unwrap();

        let reply = caller.reply().await;
        assert_eq!(reply.status, status, "{}", reply.text());
        if stops {
            assert_eq!(reply.code(), "sign_in_needed");
            let incident = gateway.incident(reply.id());
            assert!(incident.verdict().unwrap().contains("was disconnected"));
            assert_eq!(incident.fault(), Some("member"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_write_of_which_bytes_left_is_said_to_be_open() {
    let linkedin = Sandbox::start();
    linkedin.fault(Fault::on("POST /rest/posts", Kind::DelayAfter(SHORT)));
    let gateway = Gateway::before(&linkedin).with_all(["ada", "grace"]);
    let gateway = gateway.tuned(|settings| settings.stops_on_disconnect = true);
    let gateway = gateway.start().await;
    let mut caller = gateway.connect().await;
    caller
        .send(gateway.posting("/rest/posts", "ada", &post_saying("hello")))
        .await;
    let received = || linkedin.counts().received("POST /rest/posts") == 1;
    until("the write is under way", received).await;

    gateway
        .credentials
        .disconnect(&member("ada"))
        .await
        .unwrap();

    let reply = caller.reply().await;
    assert_eq!((reply.status, &*reply.code()), (401, "sign_in_needed"));
    assert_eq!(reply.json()["outcome"], "unknown");
    assert_eq!(reply.header("linkgate-outcome"), Some("unknown"));
    assert_eq!(gateway.get(USERINFO, "grace").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_on_its_way_is_cut_for_the_disconnected_member_alone() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with_all(["ada", "grace"]);
    let gateway = gateway.tuned(|settings| settings.stops_on_disconnect = true);
    let gateway = gateway.start().await;
    let path = "/rest/sandboxBytes?size=524288&delayMs=100";
    let mut streams = Vec::new();
    for name in ["ada", "grace"] {
        let mut caller = gateway.connect().await;
        let head = gateway.head("GET", path, name);
        let more = "LinkedIn-Version: 202609\r\nConnection: close\r\n\r\n";
        caller.send(head + more).await;
        assert_eq!(caller.reply_to_head().await.status, 200);
        streams.push(caller);
    }

    gateway
        .credentials
        .disconnect(&member("ada"))
        .await
        .unwrap();

    let cut = streams[0].rest().await.len();
    assert!(cut < 524_288, "{cut}");
    let incident =
        gateway.incident_where("an answer was cut", |record| record.kind() == Some("cut"));
    let incident = incident.await;
    assert!(
        incident
            .json()
            .to_string()
            .contains("the member was disconnected")
    );
    let whole = streams[1].rest().await.len();
    assert!(whole > 400_000, "{whole}");
}
