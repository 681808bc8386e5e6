//! LinkedIn behind a corporate proxy that is asked to CONNECT.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use linkgate::sandbox::Sandbox;

use crate::support::Gateway;

/// A proxy that opens tunnels, or refuses with this status, and remembers what it was asked.
async fn proxy(refuses: Option<u16>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(tunnel(stream, refuses, Arc::clone(&notes)));
        }
    });
    (url, asked)
}

async fn tunnel(mut caller: TcpStream, refuses: Option<u16>, notes: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(caller.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    notes.lock().unwrap().push(head);
    if let Some(status) = refuses {
        let refusal = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
        caller.write_all(refusal.as_bytes()).await.unwrap();
        return;
    }
    let mut linkedin = TcpStream::connect(target).await.unwrap();
    caller.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    // How the tunnel ends is its two sides' affair.
    copy_bidirectional(&mut caller, &mut linkedin).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_renewals_go_through_the_corporate_proxy_with_tls_inside() {
    let linkedin = Sandbox::start();
    let (url, asked) = proxy(None).await;
    let gateway = Gateway::before(&linkedin)
        .over_tls()
        .through(url)
        .with("ada")
        .start()
        .await;
    linkedin.expire_access_token("ada");

    let reply = gateway.get("/v2/userinfo", "ada").await;

    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(linkedin.counts().renewals["ada"], 1);
    let asked = asked.lock().unwrap();
    assert!(
        asked.len() >= 2,
        "one tunnel for the API, one for the token endpoint: {asked:?}"
    );
    for head in asked.iter() {
        assert!(head.starts_with("CONNECT localhost:"), "{head}");
        assert!(
            head.to_ascii_lowercase()
                .contains("proxy-authorization: basic dtpw"),
            "{head}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_is_told_as_linkedin_unreachable_with_nothing_sent() {
    let linkedin = Sandbox::start();
    let (url, _asked) = proxy(Some(407)).await;
    let tuned = |settings: &mut linkgate::proxy::Settings| settings.retry.max_retries = 0;
    let plan = Gateway::before(&linkedin)
        .over_tls()
        .through(url)
        .tuned(tuned);
    let gateway = plan.with("ada").start().await;

    let reply = gateway.post("/rest/posts", "ada", "{}").await;

    assert_eq!(
        (reply.status, reply.code().as_str()),
        (502, "linkedin_unreachable")
    );
    assert_eq!(reply.json()["outcome"], "not_sent");
    assert_eq!(linkedin.counts().requests(), 0);
}
