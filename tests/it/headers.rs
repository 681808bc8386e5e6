//! Byte transparency: what goes to LinkedIn and what comes back is what was sent, but for the few
//! things the contract names.

use linkgate::sandbox::{Fault, Kind, Sandbox};

use crate::support::{Gateway, Peer, Reply};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

async fn before_peer(linkedin: &Sandbox, peer: &Peer) -> Gateway {
    let plan = Gateway::before(linkedin).with("ada").reaching(&peer.url());
    plan.start().await
}

/// Asks a hand-made LinkedIn that gives this answer.
async fn answered(answer: impl Into<bytes::Bytes>) -> Reply {
    let linkedin = Sandbox::start();
    let peer = Peer::answering(answer).await;
    before_peer(&linkedin, &peer)
        .await
        .get("/v2/me", "ada")
        .await
}

/// Names and values, the names in lower case, without the gateway's own.
fn headers(reply: &Reply) -> Vec<(String, String)> {
    let lower = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
    let all = reply.headers.iter().map(lower);
    all.filter(|(name, _)| !["linkgate-exchange", "server-timing"].contains(&&**name))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn path_and_query_reach_linkedin_byte_for_byte() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    for target in [
        "/rest/adAnalytics?q=analytics&accounts=List(urn%3Ali%3AsponsoredAccount%3A1)",
        "/v2/people/(id:abc)?projection=(id,first~name!,profilePicture(x~:playableStreams))",
        "/rest/posts/urn%3Ali%3Ashare%3A1?viewContext=AUTHOR",
        "/rest/adAccounts?search=(status:(values:List(ACTIVE)),name:(values:List(a%20b%2Cc)))",
        "/a//b/./../c/%2e%2E/%2f%5c/%00?x=%0d%0a%28%29",
        "/v2/me?",
        "/v2/me??a=b",
        "/v2/me?a=b&a=b&&=&",
        "/v2/me?fields=a,b$c;d|e{f}'g*!h@i:j[0]",
        "/v2/me?q=^`\\",
        "/v2/me%",
        "/v2/~ada;v=1,2",
        "/",
    ] {
        let reply = gateway.get(target, "ada").await;
        let received = linkedin.all_received().pop().unwrap();
        assert_eq!(received.target, target, "{}", reply.text());
        let line = format!("GET {target} HTTP/1.1\r\n");
        assert!(received.raw_head.starts_with(line.as_bytes()), "{target}");
    }
    let malformed = linkedin.counts().malformed;
    assert!(malformed.is_empty(), "{malformed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn linkedins_own_414_passes_through() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    let target = format!("/v2/userinfo?ids=List({})", "a,".repeat(4_096));

    let reply = gateway.get(&target, "ada").await;

    assert_eq!(reply.status, 414);
    assert_eq!(reply.json()["code"], "URI_TOO_LONG");
    assert!(
        reply.header("proxy-status").is_none(),
        "not an answer of ours"
    );
    assert_eq!(linkedin.all_received().pop().unwrap().target, target);
    assert_eq!(gateway.incident(reply.id()).status(), Some(414));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_headers_go_on_in_order_without_one_hops_and_ours() {
    let linkedin = Sandbox::start();
    let peer = Peer::answering(OK).await;
    let gateway = before_peer(&linkedin, &peer).await;
    let key = &gateway.key;
    let request = format!(
        "POST /rest/posts HTTP/1.1\r\nAccept: */*\r\nX-Dup: one\r\nX-Dup: two\r\nX-Dup: one\r\n\
         Host: localhost\r\nConnection: close, X-Hop, Authorization, Linkgate-Member, Content-Length\r\n\
         X-Hop: gone\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\n\
         Trailer: X-T\r\nProxy-Authorization: Basic eA==\r\nHTTP2-Settings: AAMA\r\nVia: 1.1 old\r\n\
         Authorization: bearer {key}\r\nLinkgate-Member: ada\r\nLinkgate_Member: grace\r\n\
         Linkgate-Other: x\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Anything: x\r\nX-Real-IP: 1.2.3.4\r\n\
         traceparent: 00-a-b-01\r\ntracestate: a=b\r\nbaggage: a=b\r\nReferer: https://app.example/x\r\n\
         Cookie: lidc=1; bcookie=\"v=2\"\r\nUser-Agent: app/1 (x)\r\nAccept-Encoding: gzip, br\r\n\
         X-Empty:\r\nX-Spaces:  a  b \t\r\nX-RestLi-Method: CREATE\r\nX_Under: kept\r\n\
         Content-Length: 0\r\nLinkedIn-Version: 202609\r\nX-Request-Id: mine\r\n\r\n"
    );

    let reply = gateway.ask(request).await;

    assert_eq!(reply.status, 200, "{}", reply.text());
    let token = linkedin.live_access_tokens("ada").remove(0);
    let expected = format!(
        "POST /rest/posts HTTP/1.1\r\naccept: */*\r\nx-dup: one\r\nx-dup: two\r\nx-dup: one\r\n\
         host: {}\r\nauthorization: Bearer {token}\r\nreferer: https://app.example/x\r\n\
         cookie: lidc=1; bcookie=\"v=2\"\r\nuser-agent: app/1 (x)\r\naccept-encoding: gzip, br\r\n\
         x-empty: \r\nx-spaces: a  b\r\nx-restli-method: CREATE\r\nx_under: kept\r\n\
         content-length: 0\r\nlinkedin-version: 202609\r\nx-request-id: mine\r\n\r\n",
        peer.url().trim_start_matches("http://")
    );
    assert_eq!(peer.last(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_is_in_the_record_all_the_same() {
    let linkedin = Sandbox::start();
    let gateway = Gateway::before(&linkedin).with("ada").start().await;
    linkedin.fault(Fault::on("POST /rest/posts", Kind::status(422)));
    let head = gateway.head("POST", "/rest/posts", "ada");
    let request = format!(
        "{head}X-Forwarded-For: 192.0.2.7\r\nTraceParent: 00-a-b-01\r\nVia: 1.1 old\r\n\
         LinkedIn-Version: 202609\r\nContent-Length: 2\r\n\r\n{{}}"
    );

    let reply = gateway.ask(request).await;

    assert_eq!(reply.status, 422);
    let incident = gateway.incident(reply.id());
    let request = incident.json()["request"]["headers"].to_string();
    let sent = incident.json()["attempts"][0]["sent"]["headers"].to_string();
    for (name, value) in [
        ("X-Forwarded-For", "192.0.2.7"),
        ("TraceParent", "00-a-b-01"),
        ("Via", "1.1 old"),
    ] {
        assert!(
            request.contains(&format!("[\"{name}\",\"{value}\"]")),
            "{request}"
        );
        assert!(!sent.contains(value), "{sent}");
    }
}

/// Why, method, the end of the head and the body, how it is to be framed, and its plain bytes.
type Framed = (
    &'static str,
    &'static str,
    String,
    &'static str,
    &'static str,
);

fn bodies() -> Vec<Framed> {
    let sized = |why, method, head: &str| {
        let rest = format!("{head}\r\nabc");
        (why, method, rest, "content-length: 3", "abc")
    };
    let chunked = |why, method, trailers: &str| {
        let chunks = "4\r\nabcd\r\n3;ext=1\r\nefg\r\n0\r\n";
        let rest = format!("Transfer-Encoding: Chunked\r\n\r\n{chunks}{trailers}\r\n");
        (why, method, rest, "transfer-encoding: chunked", "abcdefg")
    };
    let bare = |why, method| (why, method, "\r\n".to_owned(), "", "");
    let zero = "Content-Length: 0\r\n\r\n".to_owned();
    let one = "Content-Length: 3\r\n";
    vec![
        bare("GET alone", "GET"),
        bare("POST without a word", "POST"),
        ("POST of nothing", "POST", zero, "content-length: 0", ""),
        sized("POST", "POST", one),
        sized("the same length twice", "PUT", &one.repeat(2)),
        sized("GET with a body", "GET", one),
        sized("DELETE with a body", "DELETE", one),
        chunked("chunks", "POST", ""),
        chunked("GET with chunks", "GET", ""),
        chunked(
            "trailers",
            "POST",
            "Authorization: Bearer stolen\r\nX-T: t\r\n",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_and_body_is_framed_anew() {
    let linkedin = Sandbox::start();
    let peer = Peer::answering(OK).await;
    let gateway = before_peer(&linkedin, &peer).await;
    for (why, method, rest, framing, body) in bodies() {
        let rest = &*rest;
        let reply = gateway.ask(gateway.head(method, "/x", "ada") + rest).await;
        assert_eq!(reply.status, 200, "{why}: {}", reply.text());
        let request = peer.last();
        let (head, sent) = request.split_once("\r\n\r\n").unwrap();
        assert_eq!(plain(sent, head), body, "{why}");
        let said: Vec<&str> = head
            .lines()
            .filter(|line| line.starts_with("content-length") || line.starts_with("transfer-"))
            .collect();
        assert_eq!(said.join("\n"), framing, "{why}");
        assert!(
            !request.contains("stolen") && !request.to_lowercase().contains("x-t"),
            "{why}: {request}"
        );
    }
}

/// The body without its chunks.
fn plain(sent: &str, head: &str) -> String {
    if !head.contains("chunked") {
        return sent.to_owned();
    }
    let lines = sent.split("\r\n").skip(1).step_by(2);
    lines.collect::<String>()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_back_as_linkedin_gave_it() {
    let reply = answered(
        "HTTP/1.1 201 Created\r\nX-RestLi-Id: urn:li:share:1\r\nSet-Cookie: a=1; Path=/\r\n\
         Set-Cookie: b=2\r\nX-LI-UUID: AAYx==\r\nLocation: https://api.linkedin.com/rest/posts/1\r\n\
         Date: Mon, 23 Nov 2026 00:00:00 GMT\r\nServer: Play\r\nX-Empty:\r\nVary: a\r\nVary: b\r\n\
         Content-Length: 0\r\n\r\n",
    )
    .await;

    assert_eq!(reply.status, 201);
    let expected = [
        ("x-restli-id", "urn:li:share:1"),
        ("set-cookie", "a=1; Path=/"),
        ("set-cookie", "b=2"),
        ("x-li-uuid", "AAYx=="),
        ("location", "https://api.linkedin.com/rest/posts/1"),
        ("date", "Mon, 23 Nov 2026 00:00:00 GMT"),
        ("server", "Play"),
        ("x-empty", ""),
        ("vary", "a"),
        ("vary", "b"),
        ("content-length", "0"),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    assert_eq!(headers(&reply), expected);
    assert!(reply.header("linkgate-exchange").is_some() && reply.header("server-timing").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hops_headers_of_an_answer_stay_behind_and_the_others_keep_their_order() {
    let reply = answered(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nA: 1\r\nX-Hop: gone\r\nB: 2\r\n\
         Keep-Alive: timeout=5\r\nC: 3\r\nLinkgate-Outcome: unknown\r\nLinkgate-Exchange: forged\r\n\
         D: 4\r\nContent-Length: 2\r\nE: 5\r\n\r\n{}",
    )
    .await;

    assert!(reply.id().len() == 36, "our own id: {}", reply.id());
    let names: Vec<String> = headers(&reply).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "b", "c", "d", "content-length", "e", "date"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_with_its_reason_passes_whatever_it_is() {
    for (line, status) in [
        ("HTTP/1.1 999 Request denied", 999),
        ("HTTP/1.1 418 I'm LinkedIn", 418),
        ("HTTP/1.1 200 Fine", 200),
        ("HTTP/1.1 299 ", 299),
        ("HTTP/1.1 451 Unavailable For Legal Reasons", 451),
    ] {
        let reply = answered(format!("{line}\r\nContent-Length: 4\r\n\r\nbody")).await;
        assert_eq!(
            (reply.status, &*reply.body),
            (status, &b"body"[..]),
            "{line}"
        );
        let head = String::from_utf8_lossy(&reply.raw_head).into_owned();
        assert!(head.starts_with(&format!("{line}\r\n")), "{line}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_end_with_their_head() {
    let linkedin = Sandbox::start();
    for (method, answer, length) in [
        ("GET", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", None),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
            None,
        ),
        // hyper leaves the length of a 304 out, as RFC 9110 §15.4.5 allows.
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n",
            None,
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
            Some("1234"),
        ),
        (
            "HEAD",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 55\r\n\r\n",
            Some("55"),
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n", None),
    ] {
        let peer = Peer::answering(answer).await;
        let gateway = before_peer(&linkedin, &peer).await;
        let mut connection = gateway.connect().await;
        for round in 0..2 {
            connection
                .send(gateway.head(method, "/v2/me", "ada") + "\r\n")
                .await;
            let reply = connection.reply_to_head().await;
            assert!(answer.contains(&format!(" {} ", reply.status)), "{answer}");
            assert_eq!(reply.header("content-length"), length, "{answer}");
            let is_recorded = gateway.find(reply.id()).is_some();
            assert_eq!(is_recorded, reply.status >= 400, "round {round}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_is_never_looked_into() {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&b"{\"elements\":[]}".repeat(1_000)).unwrap();
    let body = gzip.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );

    let reply = answered([head.into_bytes(), body.clone()].concat()).await;

    assert_eq!(reply.body, body);
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    assert_eq!(
        reply.header("content-length"),
        Some(&*body.len().to_string())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_an_answer_go_to_callers_that_take_them() {
    let linkedin = Sandbox::start();
    let answer = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
                  4\r\nabcd\r\n0\r\nX-Sum: 10\r\n\r\n";
    let peer = Peer::answering(answer).await;
    let gateway = before_peer(&linkedin, &peer).await;
    for (te, takes) in [("TE: trailers\r\n", true), ("", false)] {
        let request = gateway.head("GET", "/v2/me", "ada") + te + "Connection: close, TE\r\n\r\n";
        let mut connection = gateway.connect().await;
        connection.send(request).await;
        let all = connection.rest().await;
        let text = String::from_utf8_lossy(&all).to_lowercase();
        assert!(text.contains("abcd"), "{text}");
        assert_eq!(text.contains("\r\nx-sum: 10\r\n"), takes, "{text}");
        assert_eq!(text.contains("trailer: x-sum"), takes, "{text}");
        assert!(text.ends_with("\r\n\r\n"), "{text}");
    }
    assert!(
        !peer.last().to_lowercase().contains("\r\nte:"),
        "TE is one hop's"
    );
}
