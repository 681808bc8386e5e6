//! One call to the gateway, as any app would make it: HTTP/1.1 on a connection of its own.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// Longer than the gateway's own total time.
const CALL_TIME: Duration = Duration::from_secs(60);
/// Longest answer.
const ANSWER_BYTES: usize = 1024 * 1024;

/// What the app asks.
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Stands where a LinkedIn client puts its access token.
    pub(super) key: String,
    pub(super) body: String,
}

impl Call<'_> {
    /// Sends it and reads the whole answer.
    pub(super) async fn send(self, to: SocketAddr) -> Result<Response<Bytes>> {
        let done = timeout(CALL_TIME, self.exchange(to)).await;
        done.context("the gateway did not answer")?
    }

    async fn exchange(self, to: SocketAddr) -> Result<Response<Bytes>> {
        let stream = TcpStream::connect(to)
            .await
            .context("the gateway cannot be reached")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.path)
            .header(header::HOST, to.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header("linkedin-version", "202609")
            .header("x-restli-protocol-version", "2.0.0");
        if !self.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let answer = sender
            .send_request(request.body(Full::new(Bytes::from(self.body)))?)
            .await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES)
            .collect()
            .await
            .map_err(anyhow::Error::from_boxed)?;
        drop(sender);
        connection.await.context("the connection's task")??;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}
