//! HTTP/2: ALPN, prior knowledge, and the frames a fault sends.

use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Error, Reason};
use http::{Request, Response};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;

use super::*;
use crate::sandbox::{Fault, HttpVersion, Kind};

async fn connected(sandbox: &Sandbox) -> SendRequest<Bytes> {
    let tcp = tokio::net::TcpStream::connect(sandbox.address())
        .await
        .unwrap();
    let (client, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

fn post(token: &str, text: &str) -> (Request<()>, Bytes) {
    let request = Request::post("http://s/rest/posts")
        .header("authorization", format!("Bearer {token}"))
        .header("linkedin-version", "202609")
        .header("x-restli-protocol-version", "2.0.0")
        .body(())
        .unwrap();
    (
        request,
        Bytes::from(format!(
            r#"{{"author":"urn:li:person:a","commentary":"{text}"}}"#
        )),
    )
}

async fn sent(
    client: &SendRequest<Bytes>,
    (request, body): (Request<()>, Bytes),
) -> Result<Response<h2::RecvStream>, Error> {
    let mut client = client.clone().ready().await?;
    let (response, mut stream) = client.send_request(request, false)?;
    // A stream that is gone already says why in its response.
    drop(stream.send_data(body, true));
    response.await
}

#[tokio::test]
async fn a_post_by_prior_knowledge_is_created() {
    let sandbox = quiet();
    let token = sandbox.sign_in("ada").access_token;
    let client = connected(&sandbox).await;
    let response = sent(&client, post(&token, "one")).await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["x-li-proto"], "http/2");
    let counts = sandbox.counts();
    assert_eq!((counts.posts_created, counts.http2_requests), (1, 1));
    assert_eq!(
        sandbox.received("POST /rest/posts")[0].version,
        HttpVersion::Http2
    );
}

#[tokio::test]
async fn a_refused_stream_is_refused_and_the_connection_lives_on() {
    let sandbox = quiet();
    let token = sandbox.sign_in("ada").access_token;
    sandbox.fault(Fault::on("POST /rest/posts", Kind::RefusedStream));
    let client = connected(&sandbox).await;
    let refused = sent(&client, post(&token, "one")).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::REFUSED_STREAM));
    assert!(refused.is_remote());
    assert_eq!(sandbox.counts().posts_created, 0);
    assert_eq!(
        sent(&client, post(&token, "one")).await.unwrap().status(),
        201
    );
    assert_eq!(sandbox.counts().connections.accepted, 1);
}

#[tokio::test]
async fn a_goaway_leaves_its_stream_unprocessed_and_finishes_the_earlier_ones() {
    let sandbox = quiet();
    let token = sandbox.sign_in("ada").access_token;
    let client = connected(&sandbox).await;
    sandbox.fault(Fault::on(
        "POST /rest/posts",
        Kind::DelayAfter(Duration::from_millis(200)),
    ));
    sandbox.fault(Fault::on("POST /rest/posts", Kind::GoAway));
    let (request, body) = post(&token, "slow");
    let mut first_client = client.clone().ready().await.unwrap();
    let (first, mut stream) = first_client.send_request(request, false).unwrap();
    stream.send_data(body, true).unwrap();
    let disowned = sent(&client, post(&token, "disowned")).await.unwrap_err();
    assert!(
        disowned.is_go_away() && disowned.is_remote(),
        "{disowned:?}"
    );
    assert_eq!(disowned.reason(), Some(Reason::NO_ERROR));
    assert_eq!(
        first.await.unwrap().status(),
        201,
        "it came before the GOAWAY"
    );
    assert_eq!(sandbox.counts().posts_created, 1);
    assert_eq!(sandbox.counts().posts[0].text, "slow");
}

#[tokio::test]
async fn cuts_resets_and_garbage_end_the_connection() {
    for (kind, created) in [
        (Kind::CloseBefore, 0),
        (Kind::CloseAfterCommit, 1),
        (Kind::ResetBefore, 0),
        (Kind::ResetAfterCommit, 1),
        (Kind::Garbage, 1),
    ] {
        let sandbox = quiet();
        let token = sandbox.sign_in("ada").access_token;
        sandbox.fault(Fault::on("POST /rest/posts", kind.clone()));
        let client = connected(&sandbox).await;
        let error = sent(&client, post(&token, "one")).await.unwrap_err();
        assert!(
            error.reason() != Some(Reason::REFUSED_STREAM),
            "{kind:?}: {error:?}"
        );
        assert_eq!(sandbox.counts().posts_created, created, "{kind:?}");
    }
}

#[tokio::test]
async fn half_a_body_ends_in_a_reset_of_the_stream() {
    let sandbox = quiet();
    let token = sandbox.sign_in("ada").access_token;
    sandbox.fault(Fault::on("GET /v2/userinfo", Kind::HalfBody));
    let mut client = connected(&sandbox).await.ready().await.unwrap();
    let request = Request::get("http://s/v2/userinfo")
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .unwrap();
    let (response, _stream) = client.send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut read = 0;
    let error = loop {
        match body.data().await.unwrap() {
            Ok(bytes) => read += bytes.len(),
            Err(error) => break error,
        }
    };
    assert!(read > 0);
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
}

#[tokio::test]
async fn alpn_offers_both_protocols_under_a_certificate_for_localhost() {
    let sandbox = Sandbox::start();
    let mut roots = rustls::RootCertStore::empty();
    let ca =
        rustls::pki_types::CertificateDer::from_pem_slice(sandbox.ca_pem().as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for (offer, name) in [
        ("h2", "localhost"),
        ("http/1.1", "127.0.0.1"),
        ("h2", "::1"),
    ] {
        config.alpn_protocols = vec![offer.as_bytes().to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config.clone()));
        let tcp = tokio::net::TcpStream::connect(sandbox.tls_address().unwrap())
            .await
            .unwrap();
        let name = ServerName::try_from(name).unwrap();
        let stream = connector.connect(name, tcp).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(offer.as_bytes()));
        if offer == "h2" {
            let (client, connection) = h2::client::handshake(stream).await.unwrap();
            tokio::spawn(async move { drop(connection.await) });
            let token = sandbox.sign_in("ada").access_token;
            let text = format!("by tls {}", sandbox.counts().posts_created);
            assert_eq!(
                sent(&client, post(&token, &text)).await.unwrap().status(),
                201
            );
        }
    }
    assert_eq!(sandbox.counts().posts_created, 2);
    assert!(sandbox.wait_for_connections_closed().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_of_streams_a_goaway_disowns_exactly_those_not_processed() {
    for _round in 0..10 {
        let sandbox = quiet();
        let token = sandbox.sign_in("ada").access_token;
        sandbox.fault(Fault::on("POST /rest/posts", Kind::GoAway).share(0.05));
        let client = connected(&sandbox).await;
        let posts = (0..60).map(|number| {
            let (client, post) = (client.clone(), post(&token, &format!("storm {number}")));
            tokio::spawn(async move { sent(&client, post).await })
        });
        let posts: Vec<_> = posts.collect();
        let mut created = 0;
        for post in posts {
            match post.await.unwrap() {
                Ok(response) => {
                    assert_eq!(response.status(), 201);
                    created += 1;
                }
                Err(error) => assert!(error.is_go_away() || error.is_io(), "{error:?}"),
            }
        }
        assert_eq!(created, 19, "the twentieth met the GOAWAY");
        assert_eq!(sandbox.counts().posts_created, created);
    }
}
