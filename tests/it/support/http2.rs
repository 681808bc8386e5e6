//! A caller that speaks HTTP/2: many calls on one connection, or single frames by hand.

use std::{net::SocketAddr, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

use super::{Gateway, certificate::Certificate};

/// Nothing in a story takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// One connection; dropping it hangs up.
pub(crate) struct Caller {
    pub(crate) sender: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
    authority: String,
    bearer: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The exchange's id.
    pub(crate) fn id(&self) -> &str {
        let id = self.header("linkgate-exchange");
        id.expect("every answer has an exchange id")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The problem code of an answer of our own.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Caller {
    /// By prior knowledge on the plain port.
    pub(crate) async fn of(gateway: &Gateway, member: &str) -> Self {
        let stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, gateway, member).await
    }

    /// By ALPN.
    pub(crate) async fn over_tls(gateway: &Gateway, own: &Certificate, member: &str) -> Self {
        let stream = own.connect_offering(gateway.address, &["h2", "http/1.1"]);
        let stream = stream.await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::over(stream, gateway, member).await
    }

    async fn over<S>(stream: S, gateway: &Gateway, member: &str) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        Self {
            sender,
            connection: tokio::spawn(connection),
            authority: gateway.address.to_string(),
            bearer: format!("Bearer {}~{member}", gateway.key),
        }
    }

    /// A request for the caller's member, ready for more headers.
    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.authority))
            .header("authorization", &self.bearer)
            .header("linkedin-version", "202609")
    }

    /// The same for one POST of JSON.
    pub(crate) fn posting(&self, path: &str) -> http::request::Builder {
        self.request("POST", path)
            .header("x-restli-protocol-version", "2.0.0")
            .header("content-type", "application/json")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(self.request("GET", path), None).await
    }

    /// One call with or without a body.
    pub(crate) async fn ask(&self, request: http::request::Builder, body: Option<&str>) -> Answer {
        let (response, mut sending) = self.begin(request, body.is_none()).await;
        if let Some(body) = body {
            let whole = Bytes::copy_from_slice(body.as_bytes());
            sending.send_data(whole, true).unwrap();
        }
        whole(response).await.unwrap()
    }

    /// Sends a head; the rest is the story's.
    pub(crate) async fn begin(
        &self,
        request: http::request::Builder,
        is_whole: bool,
    ) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
        let mut sender = self.sender.clone().ready().await.unwrap();
        sender
            .send_request(request.body(()).unwrap(), is_whole)
            .unwrap()
    }

    /// Waits until the other side closes; what it said of it.
    pub(crate) async fn closed(mut self) -> Result<(), h2::Error> {
        let ended = timeout(LIMIT, &mut self.connection).await;
        ended.expect("closed in time").unwrap()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Reads an answer to its end.
pub(crate) async fn whole(response: h2::client::ResponseFuture) -> Result<Answer, h2::Error> {
    let reading = async {
        let (head, mut body) = Response::into_parts(response.await?);
        let mut bytes = BytesMut::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: bytes.freeze(),
            trailers: body.trailers().await?,
        })
    };
    timeout(LIMIT, reading).await.expect("an answer in time")
}

/// A caller that writes its frames by hand.
pub(crate) struct Frames {
    stream: TcpStream,
    read: BytesMut,
}

/// A frame as it came: its type, its flags, its stream, its payload.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Bytes,
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The bytes of one frame (RFC 9113 §4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header as a literal that no table remembers (RFC 7541 §6.2.2).
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        let mut rest = text.len();
        if rest < 127 {
            bytes.push(u8::try_from(rest).unwrap());
        } else {
            bytes.push(127);
            rest -= 127;
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).unwrap() + 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).unwrap());
        }
        bytes.extend(text.as_bytes());
    }
    bytes
}

impl Frames {
    /// Connects, sends the preface and these settings.
    pub(crate) async fn to(address: SocketAddr, settings: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        first.extend(frame(SETTINGS, 0, 0, settings));
        first.extend(frame(SETTINGS, 1, 0, &[]));
        stream.write_all(&first).await.unwrap();
        let read = BytesMut::new();
        Self { stream, read }
    }

    /// The header block of a request.
    pub(crate) fn head(host: SocketAddr, method: &str, path: &str, bearer: &str) -> Vec<u8> {
        [
            literal(":method", method),
            literal(":scheme", "http"),
            literal(":path", path),
            literal(":authority", &host.to_string()),
            literal("authorization", &format!("Bearer {bearer}")),
        ]
        .concat()
    }

    /// Whether it was taken; a peer that closed takes nothing.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// The next frame; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.whole() {
                return Some(frame);
            }
            let read = timeout(LIMIT, self.stream.read_buf(&mut self.read)).await;
            if !matches!(read.expect("a frame in time"), Ok(1..)) {
                return None;
            }
        }
    }

    /// Frames that are there already.
    pub(crate) fn there(&mut self) -> Result<Vec<Frame>, ()> {
        let mut frames = Vec::new();
        loop {
            while let Some(frame) = self.whole() {
                frames.push(frame);
            }
            match self.stream.try_read_buf(&mut self.read) {
                Ok(1..) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(frames),
                Ok(0) | Err(_) if frames.is_empty() => return Err(()),
                Ok(0) | Err(_) => return Ok(frames),
            }
        }
    }

    /// Whether GOAWAY or the end comes before a long silence.
    pub(crate) async fn is_told_to_go(&mut self) -> bool {
        loop {
            match timeout(Duration::from_secs(20), self.next()).await {
                Err(_) => return false,
                Ok(None) => return true,
                Ok(Some(frame)) if frame.kind == GOAWAY => return true,
                Ok(Some(_)) => {}
            }
        }
    }

    fn whole(&mut self) -> Option<Frame> {
        let head = self.read.get(..9)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let kind = head[3];
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        self.read.get(9..9 + length)?;
        self.read.advance(9);
        let payload = self.read.split_to(length).freeze();
        Some(Frame {
            kind,
            stream,
            payload,
        })
    }
}
