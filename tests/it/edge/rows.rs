//! The table of hostile requests. `<host>` is the gateway's address, `<key>` a good key for ada,
//! `<many:C:N>` the character C, N times.

use Expected::{Bare, Closed, Either, Ours};

/// What must become of a request of which LinkedIn must see nothing.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// A problem of ours: status and code.
    Ours(u16, &'static str),
    /// The parser's own bare 4xx, and a close.
    Bare(u16),
    /// Refused by the parser or by us, with this status.
    Either(u16),
    /// Closed, with or without a status.
    Closed,
}

pub(super) type Row = (&'static str, Vec<u8>, Expected);

const MALFORMED: Expected = Ours(400, "request_malformed");
const FOREIGN: Expected = Ours(421, "wrong_authority");
const NOT_DONE: Expected = Ours(501, "not_implemented");

/// A request whose head is good but for what is given.
fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "{line}\r\nHost: <host>\r\nAuthorization: Bearer <key>\r\nLinkedIn-Version: 202609\r\n{headers}\r\n{body}"
    )
    .into()
}

/// A POST framed as given.
fn post(framing: &str, body: &str) -> Vec<u8> {
    request("POST /rest/posts HTTP/1.1", framing, body)
}

fn get(target: &str) -> Vec<u8> {
    request(&format!("GET {target} HTTP/1.1"), "", "")
}

/// A GET that is to be known under this Host line (or several, or none).
fn hosted(target: &str, host: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{host}Authorization: Bearer <key>\r\n\r\n").into()
}

/// Whom the request is addressed to: LinkedIn's address comes from the configuration alone.
pub(super) fn authority() -> Vec<Row> {
    let me = "/v2/userinfo";
    let at = |authority: &str, host: &str| {
        hosted(&format!("{authority}{me}"), &format!("Host: {host}\r\n"))
    };
    vec![
        (
            "absolute form, foreign host",
            at("http://evil.example", "evil.example"),
            FOREIGN,
        ),
        (
            "absolute form, foreign host, our Host",
            at("http://evil.example", "<host>"),
            FOREIGN,
        ),
        (
            "absolute form, ours, foreign Host",
            at("http://<host>", "evil.example"),
            FOREIGN,
        ),
        (
            "absolute https, foreign",
            at("https://169.254.169.254.evil.example", "<host>"),
            FOREIGN,
        ),
        (
            "user information",
            at("http://me@api.linkedin.com", "<host>"),
            FOREIGN,
        ),
        (
            "our name as user information",
            at("http://<host>@evil.example", "<host>"),
            FOREIGN,
        ),
    ]
}

/// The same by the `Host` header.
pub(super) fn host_lines() -> Vec<Row> {
    let host = |line: &str| hosted("/v2/userinfo", line);
    vec![
        ("foreign Host", host("Host: evil.example\r\n"), FOREIGN),
        (
            "the API's name as a prefix",
            host("Host: api.linkedin.com.evil.example\r\n"),
            FOREIGN,
        ),
        (
            "a port that is none",
            host("Host: localhost:80x\r\n"),
            FOREIGN,
        ),
        ("a path in Host", host("Host: localhost/evil\r\n"), FOREIGN),
        (
            "two names in one Host",
            host("Host: localhost, evil.example\r\n"),
            FOREIGN,
        ),
        (
            "user information in Host",
            host("Host: me@localhost\r\n"),
            FOREIGN,
        ),
        (
            "two Hosts",
            host("Host: <host>\r\nHost: evil.example\r\n"),
            MALFORMED,
        ),
        (
            "the same Host twice",
            host("Host: <host>\r\nHost: <host>\r\n"),
            MALFORMED,
        ),
        ("no Host", host(""), MALFORMED),
        ("an empty Host", host("Host:\r\n"), MALFORMED),
        (
            "a Host that is no text",
            host("Host: loc\u{e4}lhost\r\n"),
            MALFORMED,
        ),
    ]
}

/// Methods, protocols and upgrades that are not forwarded.
pub(super) fn protocols() -> Vec<Row> {
    let line = |line: &str| request(line, "", "");
    let with = |headers: &str| request("GET /v2/userinfo HTTP/1.1", headers, "");
    let no_method = Ours(405, "method_not_allowed");
    let websocket = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n";
    let h2c = "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n";
    let h2c_body = format!("{h2c}Content-Length: 3\r\n");
    vec![
        ("TRACE", line("TRACE /v2/userinfo HTTP/1.1"), no_method),
        ("CONNECT to us", line("CONNECT <host> HTTP/1.1"), no_method),
        (
            "CONNECT elsewhere",
            line("CONNECT evil.example:443 HTTP/1.1"),
            no_method,
        ),
        ("OPTIONS *", line("OPTIONS * HTTP/1.1"), MALFORMED),
        ("GET *", line("GET * HTTP/1.1"), MALFORMED),
        ("websocket", with(websocket), NOT_DONE),
        ("h2c", with(h2c), NOT_DONE),
        (
            "h2c with a body",
            request("POST /rest/posts HTTP/1.1", &h2c_body, "abc"),
            NOT_DONE,
        ),
        (
            "Upgrade without Connection",
            with("Upgrade: tls/1.0\r\n"),
            NOT_DONE,
        ),
        (
            "half of the HTTP/2 preface",
            b"PRI * HTTP/2.0\r\n\r\n".into(),
            Closed,
        ),
        ("HTTP/0.9", b"GET /v2/userinfo\r\n\r\n".into(), Bare(400)),
        ("HTTP/2.0", line("GET /v2/userinfo HTTP/2.0"), Bare(400)),
        ("HTTP/1.2", line("GET /v2/userinfo HTTP/1.2"), Bare(400)),
        ("http/1.1", line("GET /v2/userinfo http/1.1"), Bare(400)),
        ("no version", line("GET /v2/userinfo "), Bare(400)),
        (
            "text behind the version",
            line("GET /v2/userinfo HTTP/1.1 x"),
            Bare(400),
        ),
        (
            "bytes of no protocol",
            b"\x00\x01\x02\xff\xfe garbage\r\n\r\n".into(),
            Closed,
        ),
        (
            "a TLS hello",
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".into(),
            Closed,
        ),
    ]
}

/// Where a body ends: whatever two servers could read differently.
pub(super) fn framing() -> Vec<Row> {
    let coded = |value: &str| post(&format!("Transfer-Encoding: {value}\r\n"), "0\r\n\r\n");
    let (both, tail) = (
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
    );
    let turned = "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n";
    let cased = "transfer-encoding: chunked\r\ncontent-length: 5\r\n";
    let after_blank = [b"\r\n".to_vec(), post(both, tail)].concat();
    let old = request(
        "POST /rest/posts HTTP/1.0",
        "Transfer-Encoding: chunked\r\n",
        tail,
    );
    let two = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    let mixed = "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n";
    vec![
        ("CL, then TE", post(both, tail), MALFORMED),
        ("TE, then CL", post(turned, tail), MALFORMED),
        ("TE and CL in lower case", post(cased, tail), MALFORMED),
        ("CL and TE behind an empty line", after_blank, MALFORMED),
        (",chunked", coded(",chunked"), NOT_DONE),
        ("chunked twice", coded("chunked, chunked"), NOT_DONE),
        ("deflate, chunked", coded("deflate, chunked"), NOT_DONE),
        ("xchunked", coded("xchunked"), Either(400)),
        (
            "chunked with an argument",
            coded("chunked;a=b"),
            Either(400),
        ),
        (
            "chunked, then identity",
            coded("chunked, identity"),
            Either(400),
        ),
        ("gzip alone", coded("gzip"), Either(400)),
        ("an empty coding", coded(""), Either(400)),
        (
            "a vertical tab before chunked",
            coded("\x0bchunked"),
            Either(400),
        ),
        ("two TE headers", post(two, tail), NOT_DONE),
        ("identity, then chunked", post(mixed, tail), NOT_DONE),
        ("chunked in HTTP/1.0", old, Either(400)),
    ]
}

/// Lengths that are none.
pub(super) fn lengths() -> Vec<Row> {
    let long = |value: &str| post(&format!("Content-Length: {value}\r\n"), "hello");
    let differing = "Content-Length: 5\r\nContent-Length: 6\r\n";
    vec![
        (
            "two lengths that differ",
            post(differing, "hello"),
            Bare(400),
        ),
        ("a list of lengths", long("5, 5"), Bare(400)),
        ("a negative length", long("-5"), Bare(400)),
        ("a length with a plus", long("+5"), Bare(400)),
        ("a length with a space", long("5 5"), Bare(400)),
        ("a hexadecimal length", long("0x5"), Bare(400)),
        ("an empty length", long(""), Bare(400)),
        (
            "a length beyond 64 bits",
            long("99999999999999999999"),
            Bare(400),
        ),
    ]
}

/// Bytes that no head may hold.
pub(super) fn heads() -> Vec<Row> {
    let with = |headers: &str| request("GET /v2/userinfo HTTP/1.1", headers, "");
    let bare_line =
        "GET /v2/userinfo HTTP/1.1\nHost: <host>\r\nAuthorization: Bearer <key>\r\n\r\n";
    let all_bare = "GET /v2/userinfo HTTP/1.1\nHost: <host>\nAuthorization: Bearer <key>\n\n";
    let folded_first = "GET /v2/userinfo HTTP/1.1\r\n X: y\r\nHost: <host>\r\n\r\n";
    vec![
        (
            "a bare LF between headers",
            with("X-A: b\nX-C: d\r\n"),
            MALFORMED,
        ),
        (
            "a bare LF behind the request line",
            bare_line.into(),
            MALFORMED,
        ),
        ("bare LFs alone", all_bare.into(), MALFORMED),
        ("a folded header", with("X-A: b\r\n c\r\n"), Bare(400)),
        (
            "a first header that is folded",
            folded_first.into(),
            Bare(400),
        ),
        ("NUL in a value", with("X-A: b\0c\r\n"), Bare(400)),
        ("NUL in a name", with("X\0A: b\r\n"), Bare(400)),
        ("a bell in a value", with("X-A: b\x07c\r\n"), Bare(400)),
        ("DEL in a value", with("X-A: b\x7fc\r\n"), Bare(400)),
        ("CR in a value", with("X-A: b\rc\r\n"), Bare(400)),
        ("a space before the colon", with("X-A : b\r\n"), Bare(400)),
        (
            "a tab before the colon",
            with("Content-Length\t: 5\r\n"),
            Bare(400),
        ),
        ("a space in a name", with("X A: b\r\n"), Bare(400)),
        ("no name", with(": b\r\n"), Bare(400)),
        ("no colon", with("X-A\r\n"), Bare(400)),
        (
            "a name that is no ASCII",
            with("X-\u{e4}: b\r\n"),
            Bare(400),
        ),
        (
            "too many headers",
            with(&"X-A: b\r\n".repeat(120)),
            Bare(431),
        ),
        (
            "a head over our limit",
            with("X-A: <many:a:66000>\r\n"),
            Ours(431, "headers_too_large"),
        ),
        (
            "a head over the parser's",
            with("X-A: <many:a:200000>\r\n"),
            Bare(431),
        ),
    ]
}

/// Targets that are no path of the API.
pub(super) fn targets() -> Vec<Row> {
    vec![
        ("a fragment", get("/v2/userinfo#x"), MALFORMED),
        (
            "a fragment in the query",
            get("/v2/userinfo?a=b#x"),
            MALFORMED,
        ),
        ("no ASCII", get("/v2/m\u{e9}"), Either(400)),
        (
            "no ASCII in the query",
            get("/v2/userinfo?q=\u{e9}"),
            Either(400),
        ),
        ("a control character", get("/v2/use\x01rinfo"), Bare(400)),
        ("DEL", get("/v2/use\x7frinfo"), Bare(400)),
        ("NUL", get("/v2/use\0rinfo"), Bare(400)),
        ("a space", get("/v2/user info"), Bare(400)),
        ("a tab", get("/v2/user\tinfo"), Bare(400)),
        ("no slash", get("v2/userinfo"), Either(400)),
        (
            "a target over our limit",
            get("/v2/x?<many:a:33000>"),
            Ours(414, "uri_too_long"),
        ),
        (
            "a target over the parser's",
            get("/v2/x?<many:a:66000>"),
            Bare(414),
        ),
    ]
}

/// Bodies larger than allowed: here 1,000 bytes.
pub(super) fn sizes() -> Vec<Row> {
    let over = "<many:a:1001>";
    vec![
        (
            "a body over the limit",
            post("Content-Length: 1001\r\n", over),
            Ours(413, "body_too_large"),
        ),
        (
            "announced, not sent",
            post("Content-Length: 99999999999\r\n", ""),
            Ours(413, "body_too_large"),
        ),
    ]
}

/// Heads of requests for `/v2/userinfo` that are meant well; the key's line and the end follow.
pub(super) fn unusual() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            "absolute form, our host",
            "GET http://<host>/v2/userinfo HTTP/1.1\r\nHost: <host>\r\n",
        ),
        (
            "absolute form, the API",
            "GET https://api.linkedin.com/v2/userinfo HTTP/1.1\r\nHost: api.linkedin.com\r\n",
        ),
        (
            "Host of the API",
            "GET /v2/userinfo HTTP/1.1\r\nHost: api.linkedin.com\r\n",
        ),
        (
            "a URL behind our base URL",
            "GET /https://api.linkedin.com/v2/userinfo HTTP/1.1\r\nHost: localhost\r\n",
        ),
        (
            "an empty line before",
            "\r\nGET /v2/userinfo HTTP/1.1\r\nHost: localhost\r\n",
        ),
        ("HTTP/1.0 without Host", "GET /v2/userinfo HTTP/1.0\r\n"),
        (
            "settings without an upgrade",
            "GET /v2/userinfo HTTP/1.1\r\nHost: localhost\r\nHTTP2-Settings: AAMA\r\n",
        ),
        (
            "an empty length",
            "GET /v2/userinfo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n",
        ),
        (
            "a value that is no ASCII",
            "GET /v2/userinfo HTTP/1.1\r\nHost: localhost\r\nX-Name: Ad\u{e4}\r\n",
        ),
    ]
}
