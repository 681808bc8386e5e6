//! LinkedIn that cannot be reached, or is not LinkedIn: no request byte leaves, and the caller is told.

use linkgate::sandbox::{CANARY, Sandbox};
use rcgen::{CertificateParams, date_time_ymd};
use tokio::net::TcpListener;

use crate::support::{Authority, Gateway, Peer, Reply};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// A gateway that trusts the authority and reaches this URL; one attempt, so that none takes long.
async fn reaching(linkedin: &Sandbox, authority: &Authority, url: &str) -> Gateway {
    let plan = Gateway::before(linkedin).with("ada").reaching(url);
    let plan = plan.trusting(&authority.pem);
    plan.tuned(|settings| settings.retry.max_retries = 1)
        .start()
        .await
}

fn assert_unreachable(why: &str, gateway: &Gateway, reply: &Reply, error: &str) {
    let problem = reply.json();
    assert_eq!(
        (reply.status, &*reply.code()),
        (502, "linkedin_unreachable"),
        "{why}"
    );
    assert_eq!(problem["outcome"], "not_sent", "{why}");
    assert_eq!(reply.header("retry-after"), Some("1"), "{why}");
    assert_eq!(problem["retry_after_secs"], 1, "{why}");
    assert_eq!(reply.header("linkgate-outcome"), None, "{why}");
    let status = reply.header("proxy-status").unwrap();
    assert!(
        status.contains(&format!("error={error}")),
        "{why}: {status}"
    );
    let incident = gateway.incident(reply.id());
    assert_eq!(incident.fault(), Some("linkedin"), "{why}");
    let attempts = incident.json()["attempts"].as_array().unwrap().clone();
    assert_eq!(
        attempts.len(),
        2,
        "{why}: tried again, since nothing was sent"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_certificate_is_not_linkedins_gets_no_request_byte() {
    let linkedin = Sandbox::start();
    let (trusted, foreign) = (Authority::new(), Authority::new());
    let past = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) =
            (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    };
    let future = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) =
            (date_time_ymd(2090, 1, 1), date_time_ymd(2091, 1, 1));
    };
    for (why, config) in [
        ("expired", trusted.server("localhost", past)),
        ("not yet valid", trusted.server("localhost", future)),
        ("another name", trusted.server("evil.example", |_| {})),
        ("a name below ours", trusted.server("api.localhost", |_| {})),
        (
            "an authority nobody trusts",
            foreign.server("localhost", |_| {}),
        ),
    ] {
        let peer = Peer::answering_over_tls(OK, config).await;
        let gateway = reaching(&linkedin, &trusted, &peer.url()).await;
        let reply = gateway.post("/rest/posts", "ada", "{}").await;
        assert_unreachable(why, &gateway, &reply, "tls_protocol_error");
        assert_eq!(peer.connections(), 2, "{why}");
        assert!(peer.all_bytes().is_empty(), "{why}: {:?}", peer.all_bytes());
    }
    let peer = Peer::answering_over_tls(OK, trusted.server("localhost", |_| {})).await;
    let gateway = reaching(&linkedin, &trusted, &peer.url()).await;
    let reply = gateway.get("/v2/me", "ada").await;
    assert_eq!(
        reply.status,
        200,
        "a good certificate of that authority: {}",
        reply.text()
    );
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_tls_gets_a_hello_and_nothing_more() {
    let linkedin = Sandbox::start();
    let loud = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shouting = loud.local_addr().unwrap();
    let seen = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut seen = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = loud.accept().await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
            // Ends with the other side's alert and close, or its reset.
            stream.read_to_end(&mut seen).await.ok();
        }
        seen
    });
    let url = format!("https://localhost:{}", shouting.port());
    let gateway = reaching(&linkedin, &Authority::new(), &url).await;

    let reply = gateway.post("/rest/posts", "ada", "{}").await;

    assert_unreachable("plain text", &gateway, &reply, "tls_protocol_error");
    let seen = seen.await.unwrap();
    assert_eq!(seen.first(), Some(&22), "a TLS handshake record");
    for secret in [CANARY, "POST", "posts", "authorization"] {
        assert!(
            memchr::memmem::find(&seen, secret.as_bytes()).is_none(),
            "{secret}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_and_an_unknown_name_are_told_apart() {
    let linkedin = Sandbox::start();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let authority = Authority::new();
    let gateway = reaching(&linkedin, &authority, &format!("http://127.0.0.1:{port}")).await;
    for (method, body) in [("GET", ""), ("POST", "{}")] {
        let head = gateway.head(method, "/rest/posts", "ada");
        let length = body.len();
        let reply = gateway
            .ask(format!("{head}Content-Length: {length}\r\n\r\n{body}"))
            .await;
        assert_unreachable(method, &gateway, &reply, "connection_refused");
    }
    let gateway = reaching(&linkedin, &authority, "https://linkedin.invalid").await;
    let reply = gateway.post("/rest/posts", "ada", "{}").await;
    assert_unreachable("no such name", &gateway, &reply, "dns_error");
}
