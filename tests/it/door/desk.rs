//! The incidents' pages: from what an app shows to the incident, and what each role sees there.

use std::time::Duration;

use linkgate::{
    incident::reader::Record,
    operators::Role,
    sandbox::{Fault, Kind, Sandbox},
};
use tokio::{io::AsyncReadExt as _, time::timeout};

use super::{House, bearer, with_cookie};
use crate::support::{Connection, Reply, visitor::escaped};

/// A call that fails: LinkedIn's 503, or one that it does not know.
async fn failed(house: &House, path: &str, member: &str, headers: &str) -> Reply {
    let head = house.gateway.head("GET", path, member);
    let request = format!("{head}LinkedIn-Version: 202609\r\n{headers}\r\n");
    let reply = house.gateway.ask(request).await;
    assert!(reply.status >= 400, "{}", reply.text());
    reply
}

fn location(reply: &Reply) -> &str {
    assert_eq!(reply.status, 303, "{}", reply.text());
    reply.header("location").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_support_has_in_hand_leads_to_the_incident() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let cookie = house.sign_in(&house.token(Role::Support)).await;
    let path = "/rest/nowhere/1234";
    let reply = failed(&house, path, "ada", "X-Request-Id: 7f2c-of-the-app\r\n").await;
    failed(&house, "/rest/elsewhere", "ada", "").await;
    let id = reply.id().to_owned();
    let record = house.gateway.incident(&id);
    let x_li_uuid = record.text("/linkedin/x_li_uuid").unwrap();
    let x_li_request_id = record.text("/linkedin/x_li_request_id");
    let here = format!("/incidents/{id}");
    let pasted = format!(
        "{{\"status\":404,\n \"exchange_id\":\"{}\"}}",
        id.to_uppercase()
    );

    for (why, written, leads_to) in [
        ("the exchange's id", id.as_str(), here.as_str()),
        ("an app's whole error", &pasted, &here),
        ("LinkedIn's id", x_li_uuid, &here),
        (
            "LinkedIn's other id",
            x_li_request_id.unwrap_or(x_li_uuid),
            &here,
        ),
        ("the app's own id", "7f2c-of-the-app", &here),
        ("a member", "ada", "/incidents?member=ada"),
        ("a caller", "app", "/incidents?caller=app"),
        ("nothing known", "blue moon", "/incidents?text=blue+moon"),
        (
            "a time",
            "2026-11-23T10:00:00Z",
            "/incidents?since=2026-11-23T09%3A55%3A00Z&until=2026-11-23T10%3A05%3A00Z",
        ),
    ] {
        let found = house
            .page(&format!("/find?q={}", escaped(written)), &cookie)
            .await;
        assert_eq!(location(&found), leads_to, "{why}");
    }
    let by_beginning = house
        .page(&format!("/incidents/{}", &id[..30]), &cookie)
        .await;
    assert_eq!(location(&by_beginning), here);
    assert_tells(&house, &cookie, &record).await;
    let help = house.page("/find?q=+", &cookie).await;
    assert!(help.text().contains("its first 8 characters"));
}

/// The page of an incident says what was so, and leads on.
async fn assert_tells(house: &House, cookie: &str, record: &Record) {
    let page = house
        .page(&format!("/incidents/{}", record.id().unwrap()), cookie)
        .await
        .text();
    for says in [
        record.verdict().unwrap(),
        record.url().unwrap(),
        record.text("/linkedin/x_li_uuid").unwrap(),
        "7f2c-of-the-app",
        "/members/default/ada",
        "/incidents?caller=app",
        "/export?as=ticket",
        "Attempt 1",
        "linkedin-version",
    ] {
        let says = says.replace('\'', "&#39;");
        assert!(
            page.to_lowercase().contains(&says.to_lowercase()),
            "{says}: {page}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_filtered_and_goes_on_page_by_page() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let cookie = house.sign_in(&house.token(Role::Support)).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        let path = format!("/rest/nowhere/{n}");
        ids.push(failed(&house, &path, "ada", "").await.id().to_owned());
    }
    let other = failed(&house, "/rest/nowhere/9", "grace", "")
        .await
        .id()
        .to_owned();

    let first = house
        .page("/incidents?member=ada&limit=2", &cookie)
        .await
        .text();
    assert!(
        first.contains(&ids[2]) && first.contains(&ids[1]),
        "{first}"
    );
    assert!(
        !first.contains(&ids[0]) && !first.contains(&other),
        "{first}"
    );
    let (_, older) = first
        .split_once("rel=\"next\" href=\"")
        .expect("a next page");
    let older = older.split('"').next().unwrap().replace("&amp;", "&");
    assert!(
        older.starts_with("/incidents?member=ada&limit=2&after="),
        "{older}"
    );
    let second = house.page(&older, &cookie).await.text();
    assert!(
        second.contains(&ids[0]) && !second.contains(&ids[1]),
        "{second}"
    );
    assert!(
        second.contains("href=\"/incidents?member=ada&amp;limit=2\""),
        "back to the newest"
    );
    assert!(!second.contains("rel=\"next\""), "{second}");
    for (query, count) in [
        ("path=/nowhere/9", 1),
        ("status=4xx&since=1h", 4),
        ("status=5xx", 0),
        ("caller=app&fault=caller&method=GET", 4),
        ("text=NOWHERE/1", 1),
    ] {
        let page = house
            .page(&format!("/incidents?{query}"), &cookie)
            .await
            .text();
        assert_eq!(
            page.matches("href=\"/incidents/0").count(),
            count,
            "{query}: {page}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_shown_by_role() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let body = r#"{"commentary":"unpublished <b>thoughts</b>"}"#;
    linkedin.fault(Fault::on("POST /rest/posts", Kind::status(422)));
    let reply = house.gateway.post("/rest/posts", "ada", body).await;
    assert_eq!(reply.status, 422, "{}", reply.text());
    let path = format!("/incidents/{}", reply.id());
    let [operator, support] = [Role::Operator, Role::Support].map(|role| house.token(role));

    let operators = house
        .page(&path, &house.sign_in(&operator).await)
        .await
        .text();
    let supports = house
        .page(&path, &house.sign_in(&support).await)
        .await
        .text();

    let shown = "unpublished &lt;b&gt;thoughts";
    assert!(operators.contains(shown), "{operators}");
    assert!(!supports.contains("unpublished"), "{supports}");
    assert!(
        supports.contains("Bodies are shown to operators only"),
        "{supports}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_content_of_an_incident_is_text() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let cookie = house.sign_in(&house.token(Role::Operator)).await;
    let long = "a".repeat(30_000);
    let path = format!("/rest/%3Cb%3E\"\u{202e}gnp?x={long}");
    let headers = "X-Request-Id: \"><script>alert(2)</script>\u{202e}\r\nX-B: <img src=x onerror=alert(3)>\r\n";
    let head = house.gateway.head("GET", &path, "ada");
    let reply = house.gateway.ask(format!("{head}{headers}\r\n")).await;
    assert!(reply.status >= 400, "{}", reply.text());
    let record = house.gateway.all_incidents().pop().expect("an incident");
    let id = record.id().unwrap();

    for path in [
        format!("/incidents/{id}"),
        "/incidents".to_owned(),
        "/incidents?live=1".to_owned(),
    ] {
        let page = house.page(&path, &cookie).await.text();
        let scripts = page.matches("<script").count();
        assert_eq!(
            scripts,
            page.matches("<script src=\"/script.js\" defer></script>")
                .count(),
            "{path}"
        );
        assert!(!page.contains("<img"), "{path}");
        assert!(!page.contains('\u{202e}'), "{path} turns text around");
        assert!(page.contains("\\u{202e}gnp"), "{path}: {page}");
    }
    let page = house
        .page(&format!("/incidents/{id}"), &cookie)
        .await
        .text();
    assert!(page.contains("&lt;script&gt;alert(2)"), "{page}");
    assert!(page.contains(&long[300..]), "the incident has all of it");
    let list = house.page("/incidents", &cookie).await;
    assert!(
        list.body.len() < 20_000,
        "a list cuts what is long: {}",
        list.body.len()
    );
}

/// A tail that was opened, and what has come of it so far.
struct Tail {
    connection: Connection,
    come: String,
}

impl Tail {
    async fn open(house: &House, path: &str, headers: &str) -> Self {
        let host = house.host();
        let mut connection = Connection::to(host.parse().unwrap()).await;
        connection
            .send(format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n"
            ))
            .await;
        let mut tail = Self {
            connection,
            come: String::new(),
        };
        tail.until("\r\n\r\n").await;
        tail
    }

    /// Reads until this has come.
    async fn until(&mut self, wanted: &str) {
        let reading = async {
            while !self.come.contains(wanted) {
                let mut buffer = vec![0; 65_536];
                let read = self.connection.stream.read(&mut buffer).await.unwrap();
                assert_ne!(read, 0, "it ended without {wanted}: {}", self.come);
                self.come
                    .push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        };
        let read = timeout(Duration::from_secs(30), reading).await;
        assert!(read.is_ok(), "no {wanted}: {}", self.come);
    }

    async fn ends(&mut self) -> bool {
        self.connection
            .is_closed_within(Duration::from_secs(30))
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_tells_what_comes_and_what_came_while_one_was_away() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let cookie = house.sign_in(&house.token(Role::Support)).await;
    let before = failed(&house, "/rest/nowhere/1", "ada", "")
        .await
        .id()
        .to_owned();
    let page = house
        .page("/incidents?member=ada&live=1", &cookie)
        .await
        .text();
    let (_, tail) = page
        .split_once("data-tail=\"")
        .expect("a page that goes on");
    let path = tail.split('"').next().unwrap().replace("&amp;", "&");
    let missed = failed(&house, "/rest/nowhere/2", "ada", "")
        .await
        .id()
        .to_owned();

    let mut tail = Tail::open(&house, &path, &with_cookie(&cookie)).await;
    tail.until(&missed).await;
    let other = failed(&house, "/rest/nowhere/3", "grace", "")
        .await
        .id()
        .to_owned();
    let new = failed(&house, "/rest/nowhere/4", "ada", "")
        .await
        .id()
        .to_owned();
    tail.until(&new).await;

    assert!(
        tail.come.contains("content-type: text/event-stream"),
        "{}",
        tail.come
    );
    assert!(
        !tail.come.contains(&before),
        "it stood on the page: {}",
        tail.come
    );
    assert!(
        !tail.come.contains(&other),
        "another member's: {}",
        tail.come
    );
    assert_eq!(tail.come.matches(&missed).count(), 1, "{}", tail.come);
    let seq = house.gateway.incident(&missed).seq().unwrap();
    let headers = format!("{}Last-Event-ID: {seq}\r\n", with_cookie(&cookie));
    let mut again = Tail::open(&house, &path, &headers).await;
    again.until(&new).await;
    assert!(!again.come.contains(&missed), "{}", again.come);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_ends_with_the_session_and_with_the_token() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let token = house.token(Role::Operator);
    let cookie = house.sign_in(&token).await;
    let own = with_cookie(&cookie);
    let mut of_session = Tail::open(&house, "/incidents/tail", &own).await;
    let mut of_token = Tail::open(&house, "/incidents/tail", &bearer(&token)).await;

    let form = format!("form_token={}", house.form_token(&cookie).await);
    assert_eq!(house.post("/sign-out", &cookie, &form).await.status, 303);
    assert!(of_session.ends().await);

    house
        .operators
        .revoke(token.split('_').nth(1).unwrap())
        .unwrap();
    assert!(of_token.ends().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_are_bounded_and_a_place_is_given_back() {
    let linkedin = Sandbox::start();
    let house = House::open(&linkedin).await;
    let mut tails = Vec::new();
    let mut token = String::new();
    for _ in 0..4 {
        token = bearer(&house.token(Role::Support));
        for _ in 0..4 {
            let tail = Tail::open(&house, "/incidents/tail", &token).await;
            assert!(tail.come.starts_with("HTTP/1.1 200"), "{}", tail.come);
            tails.push(tail);
        }
        let one_more = house.ask("GET", "/incidents/tail", &token, "").await;
        assert_eq!(
            (one_more.status, &*one_more.code()),
            (503, "too_many_followers"),
            "four of one"
        );
    }

    let other = bearer(&house.token(Role::Support));
    let one_more = house.ask("GET", "/incidents/tail", &other, "").await;

    assert_eq!(
        (one_more.status, &*one_more.code()),
        (503, "too_many_followers"),
        "sixteen of all"
    );
    tails.pop();
    let free = async {
        while !Tail::open(&house, "/incidents/tail", &token)
            .await
            .come
            .starts_with("HTTP/1.1 200")
        {}
    };
    let is_free = timeout(Duration::from_secs(10), free).await;
    assert!(is_free.is_ok(), "the place was not given back");
}
