//! A LinkedIn that repeats the caller's token in its answers, in every coding: what the sandbox, which is
//! faithful, never does.

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// The first part of the path after `/rest/` says how the token comes back.
pub(super) const CODINGS: [&str; 13] = [
    "plain",
    "percent",
    "escaped",
    "base64-0",
    "base64-1",
    "base64-2",
    "base64url",
    "gzip",
    "gzip-chunked",
    "split",
    "header",
    "cookie",
    "reason",
];

pub(super) struct Echo {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Echo {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&counted)));
            }
        });
        Self {
            address,
            asked,
            accepting,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Answers until the connection ends.
async fn serve(stream: TcpStream, asked: Arc<AtomicUsize>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut line) = (String::new(), String::new());
        while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
            head.push_str(&line);
            line.clear();
        }
        if head.is_empty() {
            return;
        }
        asked.fetch_add(1, Ordering::Relaxed);
        let answer = answer(&head);
        if stream.get_mut().write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn answer(head: &str) -> Vec<u8> {
    let token = header(head, "authorization")
        .trim_start_matches("Bearer ")
        .to_owned();
    let mut parts = head
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .split('/')
        .skip(2);
    let (coding, status) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let said =
        |text: String| format!(r#"{{"message":"you said {text}","debug":"{text}"}}"#).into_bytes();
    let base64 = |shift: usize| {
        let text = format!("{}Bearer {token}", &"zz"[..shift]);
        data_encoding::BASE64.encode(text.as_bytes())
    };
    let plain = said(format!("Bearer {token}"));
    match coding {
        "percent" => whole(
            status,
            "",
            &said(token.bytes().map(|b| format!("%{b:02x}")).collect()),
        ),
        "escaped" => whole(
            status,
            "",
            &said(token.bytes().map(|b| format!("\\u{b:04x}")).collect()),
        ),
        "base64-0" => whole(status, "", &said(base64(0))),
        "base64-1" => whole(status, "", &said(base64(1))),
        "base64-2" => whole(status, "", &said(base64(2))),
        "base64url" => whole(
            status,
            "",
            &said(data_encoding::BASE64URL_NOPAD.encode(token.as_bytes())),
        ),
        "gzip" => whole(status, "Content-Encoding: gzip\r\n", &gzip(&plain)),
        "gzip-chunked" => chunked(status, "Content-Encoding: gzip\r\n", &gzip(&plain), 100),
        "split" => chunked(status, "", &plain, 37),
        "header" => {
            let lines = format!("X-You-Said: Bearer {token}\r\nX-Coded: {}\r\n", base64(1));
            whole(status, &lines, b"you said it above")
        }
        "cookie" => whole(
            status,
            &format!("Set-Cookie: t={token}; Path=/\r\n"),
            b"you said it above",
        ),
        // In the reason phrase, which is dropped on the way, and in plain text.
        "reason" => whole(&format!("{status} {}", &token[..100]), "", &plain),
        _ => whole(status, "", &plain),
    }
}

fn whole(status: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}{}\r\n{lines}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        if status.contains(' ') { "" } else { " Echo" },
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn chunked(status: &str, lines: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut out =
        format!("HTTP/1.1 {status} Echo\r\n{lines}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(size) {
        out.extend(format!("{:x}\r\n", chunk.len()).bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(plain).unwrap();
    packed.finish().unwrap()
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value.trim())
}
