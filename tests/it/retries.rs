//! What is sent again and what is not, row by row of the table, and where repeating ends.

use std::time::Duration;

use futures_util::{StreamExt as _, future::join_all, stream};
use linkgate::sandbox::{Fault, Kind, Sandbox, Shape};

use crate::support::{Gateway, Reply, post_saying};

use Call::{Create, Delete, Put, Read, TunnelledDelete, TunnelledRead, Upload};

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_good_while_a_tenth_of_them_meets_a_503() {
    const CALLS: usize = 600;
    let linkedin = Sandbox::start();
    // A share of all calls would now and then meet the same one four times in a row.
    let unlucky: Vec<String> = (0..CALLS / 10).map(|n| format!("unlucky{n}")).collect();
    let gateway = Gateway::before(&linkedin)
        .with("ada")
        .with_all(unlucky.iter().map(String::as_str))
        .start()
        .await;
    for name in &unlucky {
        let fault = Fault::on("GET /v2/userinfo", Kind::status(503));
        linkedin.fault(fault.for_member(name));
    }

    let calls = (0..CALLS).map(|n| {
        let is_unlucky = n % 10 == 0;
        gateway.get(
            "/v2/userinfo",
            if is_unlucky { &unlucky[n / 10] } else { "ada" },
        )
    });
    let replies: Vec<Reply> = stream::iter(calls).buffer_unordered(50).collect().await;

    for reply in &replies {
        let told = || gateway.incident(reply.id());
        assert_eq!(reply.status, 200, "{:#}", told().json());
    }
    let asked = linkedin.counts().routes["GET /v2/userinfo"];
    assert_eq!(asked.received, (CALLS + CALLS / 10) as u64);
    assert_eq!(asked.processed, CALLS as u64);
}

/// What the caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Read,
    Create,
    Put,
    Delete,
    TunnelledRead,
    TunnelledDelete,
    Upload,
}

impl Call {
    fn target(self) -> &'static str {
        match self {
            Read => "GET /v2/me",
            Create => "POST /rest/posts",
            Put => "PUT /rest/adAccounts/512345001",
            Delete => "DELETE /rest/adAccounts/512345002",
            TunnelledRead | TunnelledDelete => "POST /rest/adAccounts",
            Upload => "PUT /dms-uploads/C4/x",
        }
    }

    fn headers(self) -> &'static str {
        match self {
            Read | Delete => "",
            Create | Put | Upload => "Content-Type: application/json\r\n",
            TunnelledRead => {
                "X-HTTP-Method-Override: GET\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n"
            }
            TunnelledDelete => {
                "X-HTTP-Method-Override: GET\r\nX-RestLi-Method: BATCH_DELETE\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n"
            }
        }
    }

    fn body(self, why: &str) -> Option<String> {
        match self {
            Read | Delete => None,
            Create => Some(post_saying(why)),
            Put => Some(String::from(r#"{"name":"Difference Engines"}"#)),
            TunnelledRead => Some(String::from("q=search")),
            TunnelledDelete => Some(String::from("ids=List(9)")),
            Upload => Some(String::from("bytes")),
        }
    }
}

/// Why, the call, what it meets, its status in the end, how often LinkedIn was asked.
type Row = (&'static str, Call, Kind, u16, usize);

fn waiting(status: u16, retry_after: &str) -> Kind {
    Kind::Status {
        status,
        retry_after: Some(retry_after.to_owned()),
        shape: Shape::Natural,
    }
}

fn rows(soon: &str) -> Vec<Row> {
    let done = Kind::StatusAfterCommit { status: 500 };
    vec![
        ("500", Read, Kind::status(500), 200, 2),
        ("lost", Read, Kind::CloseBefore, 200, 2),
        ("half a head", Read, Kind::HalfHead, 200, 2),
        ("garbage", Read, Kind::Garbage, 200, 2),
        ("503, seconds", Read, waiting(503, "1"), 200, 2),
        ("503, date", Read, waiting(503, soon), 200, 2),
        ("503, far", Read, waiting(503, "3600"), 503, 1),
        ("429, silent", Read, Kind::status(429), 200, 2),
        ("429, seconds", Read, waiting(429, "1"), 200, 2),
        ("429, far", Read, waiting(429, "3600"), 429, 1),
        ("429, seconds", Create, waiting(429, "1"), 201, 2),
        ("429, date", Create, waiting(429, soon), 201, 2),
        ("429, silent", Create, Kind::status(429), 429, 1),
        ("503, seconds", Create, waiting(503, "1"), 503, 1),
        ("503", Put, Kind::status(503), 204, 2),
        ("500, but done", Put, done, 204, 2),
        ("lost, but done", Put, Kind::CloseAfterCommit, 204, 2),
        ("503, far", Put, waiting(503, "3600"), 503, 1),
        ("503", Delete, Kind::status(503), 503, 1),
        ("lost", Delete, Kind::CloseBefore, 502, 1),
        ("503", TunnelledRead, Kind::status(503), 200, 2),
        ("lost", TunnelledRead, Kind::ResetBefore, 200, 2),
        ("503", TunnelledDelete, Kind::status(503), 503, 1),
        ("lost", TunnelledDelete, Kind::ResetBefore, 502, 1),
        ("503", Upload, Kind::status(503), 503, 1),
        ("lost", Upload, Kind::CloseBefore, 502, 1),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_sent_as_often_as_the_table_says() {
    let linkedin = Sandbox::start();
    let names: Vec<String> = (0..rows("").len()).map(|n| format!("row{n}")).collect();
    let gateway = Gateway::before(&linkedin)
        .with_all(names.iter().map(String::as_str))
        .start()
        .await;
    // A date has whole seconds, so the wait is two to three of them.
    let soon = gateway.clock.now() + Duration::from_secs(3);
    let rows = rows(&httpdate::fmt_http_date(soon.into()));

    let met = rows.iter().zip(&names);
    join_all(met.map(|(row, member)| meet(&linkedin, &gateway, row, member))).await;
}

async fn meet(linkedin: &Sandbox, gateway: &Gateway, row: &Row, member: &str) {
    let (why, call, kind, status, times) = row;
    let why = format!("{call:?}, {why}");
    let (method, path) = call.target().split_once(' ').unwrap();
    linkedin.fault(Fault::on(call.target(), kind.clone()).for_member(member));
    let path = format!("{path}?of={member}");
    let body = call.body(&why);
    let length = body.as_ref().map_or_else(String::new, |body| {
        format!("Content-Length: {}\r\n", body.len())
    });
    let body = body.unwrap_or_default();
    let request = gateway.head(method, &path, member)
        + "LinkedIn-Version: 202609\r\nX-Restli-Protocol-Version: 2.0.0\r\n"
        + call.headers()
        + &length
        + "\r\n"
        + &body;

    let reply = gateway.ask(request).await;

    assert_eq!(reply.status, *status, "{why}: {}", reply.text());
    let asked = linkedin.all_received();
    let asked: Vec<_> = asked.iter().filter(|call| call.target == path).collect();
    assert_eq!(asked.len(), *times, "{why}");
    if *times > 1 {
        // What LinkedIn lost before it read the body has none on record.
        assert_eq!(asked.last().unwrap().body, body, "{why}: the same body");
    }
    let incident = gateway.incident_where(&why, |record| record.id() == Some(reply.id()));
    let incident = incident.await;
    let attempts = incident.json()["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), *times, "{why}");
    let then = attempts[0]["then"].as_str().unwrap();
    let said = if *times > 1 {
        "sent again after "
    } else {
        "not sent again, because "
    };
    assert!(then.starts_with(said), "{why}: {then}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_says_429_three_times_is_left_alone() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin)
        .with_all(["ada", "grace"])
        .tuned(|settings| settings.threads = 1)
        .start()
        .await;
    linkedin.fault(Fault::on("GET /v2/me", Kind::status(429)).always());

    let mut then = Vec::new();
    for member in ["ada", "ada", "grace"] {
        let reply = gateway.get("/v2/me", member).await;
        assert_eq!(reply.status, 429);
        let incident = gateway.incident(reply.id());
        let attempts = incident.json()["attempts"].as_array().unwrap().clone();
        then.push((attempts.len(), attempts.last().unwrap()["then"].clone()));
    }

    let silent = "not sent again, because LinkedIn does not say when to come again";
    let closed = "not sent again, because LinkedIn has throttled this endpoint for this member";
    let expected = [(2, silent), (1, closed), (2, silent)];
    assert_eq!(then, expected.map(|(n, why)| (n, why.into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_not_made_worse_than_the_budget_allows() {
    const CALLS: u64 = 60;
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.fault(Fault::on("GET /v2/me", Kind::status(500)).always());

    let calls = (0..CALLS).map(|_| gateway.get("/v2/me", "ada"));
    let replies = join_all(calls).await;

    assert!(replies.iter().all(|reply| reply.status == 500));
    let asked = linkedin.counts().received("GET /v2/me");
    // 3 a second for the 10 s of the window, and 20 % of the exchanges; the window moves as the test runs.
    let most = CALLS + 30 + CALLS / 5 + 30;
    assert!((CALLS + 30..=most).contains(&asked), "{asked}");
    let why = "not sent again, because the retry budget is used up";
    let told = gateway.all_incidents().into_iter().filter(|record| {
        let attempts = record.json()["attempts"].as_array().unwrap().clone();
        attempts.last().unwrap()["then"] == why
    });
    assert!(told.count() >= 10);
}
