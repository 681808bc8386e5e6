//! A caller: plain HTTP/1.1 over a socket of its own, every byte in its own hands.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Nothing in a story takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// An answer as it stood on the wire.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names and values in order, as they stood there.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) raw_head: Bytes,
    pub(crate) body: Bytes,
}

impl Reply {
    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        all.next().map(|(_, value)| value.as_str())
    }

    /// The exchange's id.
    pub(crate) fn id(&self) -> &str {
        self.header("linkgate-exchange")
            .expect("every answer has an exchange id")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn raw_head_text(&self) -> String {
        String::from_utf8_lossy(&self.raw_head).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The problem code of an answer of our own.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A connection to the gateway.
pub(crate) struct Connection<S = TcpStream> {
    pub(crate) stream: S,
    ahead: VecDeque<u8>,
}

impl Connection {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            ahead: VecDeque::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends, not minding that the other side may have closed already.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _closed_is_fine = self.stream.write_all(bytes.as_ref()).await;
    }

    /// One request, one answer.
    pub(crate) async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.send(bytes).await;
        self.reply().await
    }

    pub(crate) async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("an answer comes")
    }

    /// The next answer; none if the connection is closed before it is whole.
    pub(crate) async fn try_reply(&mut self) -> Option<Reply> {
        timeout(LIMIT, self.read_reply(false))
            .await
            .expect("an answer in time")
    }

    /// The next answer to a HEAD request.
    pub(crate) async fn reply_to_head(&mut self) -> Reply {
        timeout(LIMIT, self.read_reply(true))
            .await
            .expect("an answer in time")
            .unwrap()
    }

    /// Whether the other side closes.
    pub(crate) async fn is_closed_within(&mut self, limit: Duration) -> bool {
        timeout(limit, async { while self.byte().await.is_some() {} })
            .await
            .is_ok()
    }

    /// All bytes until the other side closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let all = async {
            let mut bytes = Vec::new();
            while let Some(byte) = self.byte().await {
                bytes.push(byte);
            }
            bytes
        };
        timeout(LIMIT, all).await.expect("closed in time")
    }

    async fn byte(&mut self) -> Option<u8> {
        if self.ahead.is_empty() {
            // On the heap: as part of the future it would stand on the stack many times over.
            let mut buffer = vec![0; 65536];
            let read = self.stream.read(&mut buffer).await.ok()?;
            self.ahead.extend(&buffer[..read]);
        }
        self.ahead.pop_front()
    }

    async fn line(&mut self, into: &mut Vec<u8>) -> Option<usize> {
        let start = into.len();
        while !into[start..].ends_with(b"\r\n") {
            into.push(self.byte().await?);
        }
        Some(into.len() - start)
    }

    async fn read_reply(&mut self, is_head: bool) -> Option<Reply> {
        let mut raw = Vec::new();
        loop {
            while self.line(&mut raw).await? > 2 {}
            if !raw.starts_with(b"HTTP/1.1 1") {
                break;
            }
            raw.clear();
        }
        let text = String::from_utf8_lossy(&raw).into_owned();
        let mut lines = text.trim_end().split("\r\n");
        let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let split = |line: &str| {
            line.split_once(':')
                .map(|(n, v)| (n.to_owned(), v.trim().to_owned()))
        };
        let headers: Vec<(String, String)> = lines.filter_map(split).collect();
        let mut reply = Reply {
            status,
            headers,
            raw_head: raw.into(),
            body: Bytes::new(),
        };
        if !is_head && status != 204 && status != 304 {
            reply.body = self.body(&reply).await?;
        }
        Some(reply)
    }

    async fn body(&mut self, reply: &Reply) -> Option<Bytes> {
        let mut body = Vec::new();
        if reply.header("transfer-encoding") == Some("chunked") {
            loop {
                let mut line = Vec::new();
                self.line(&mut line).await?;
                let size =
                    usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
                self.bytes(size, &mut body).await?;
                let mut end = Vec::new();
                while self.line(&mut end).await? > 2 && size == 0 {}
                if size == 0 {
                    return Some(body.into());
                }
            }
        }
        match reply.header("content-length") {
            Some(length) => self.bytes(length.parse().ok()?, &mut body).await?,
            None => {
                while let Some(byte) = self.byte().await {
                    body.push(byte);
                }
            }
        }
        Some(body.into())
    }

    async fn bytes(&mut self, count: usize, into: &mut Vec<u8>) -> Option<()> {
        for _ in 0..count {
            into.push(self.byte().await?);
        }
        Some(())
    }
}
