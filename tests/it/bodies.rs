//! Bodies of any size, in both directions: whole, in flat memory, at the pace of whoever is slower.

use std::time::Duration;

use linkgate::sandbox::{Fault, Kind, Sandbox};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};

use crate::support::{Gateway, caller::Connection, until};

const MIB: usize = 1 << 20;
const SOON: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);
/// What kernels may hold of one connection's bytes on two hops, with room to spare.
const IN_SOCKETS: usize = 48 * MIB;

async fn before(linkedin: &Sandbox) -> Gateway {
    Gateway::before(linkedin).with("ada").start().await
}

fn piece() -> Vec<u8> {
    (0..=250).cycle().take(MIB).collect()
}

/// A head that asks the sandbox's stream resource.
fn streaming(gateway: &Gateway, method: &str, query: &str) -> String {
    gateway.head(method, &format!("/rest/sandboxBytes{query}"), "ada")
        + "LinkedIn-Version: 202609\r\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_mebibytes_go_up_whole_with_a_length_and_in_chunks() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).await;
    let piece = piece();
    let mut sum = crc32fast::Hasher::new();
    (0..64).for_each(|_| sum.update(&piece));
    let sum = sum.finalize();
    for is_chunked in [false, true] {
        let framing = match is_chunked {
            true => "Transfer-Encoding: chunked".to_owned(),
            false => format!("Content-Length: {}", 64 * MIB),
        };
        let mut connection = gateway.connect().await;
        let head = streaming(&gateway, "POST", "");
        connection.send(format!("{head}{framing}\r\n\r\n")).await;
        let chunk = [b"100000\r\n", &*piece, b"\r\n"].concat();
        for _ in 0..64 {
            match is_chunked {
                true => connection.send(&chunk).await,
                false => connection.send(&piece).await,
            }
        }
        if is_chunked {
            connection.send("0\r\n\r\n").await;
        }
        let reply = connection.reply().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["bytes"], 64 * MIB);
        assert_eq!(reply.json()["crc32"], sum);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_mebibytes_come_down_whole_with_a_length_and_in_chunks() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).await;
    let mut sums = Vec::new();
    for query in ["", "&chunked=1"] {
        let query = format!("?size={}{query}", 64 * MIB);
        let mut connection = gateway.connect().await;
        connection
            .send(streaming(&gateway, "GET", &query) + "Connection: close\r\n\r\n")
            .await;
        let mut all = Vec::new();
        let reading = connection.stream.read_to_end(&mut all);
        timeout(SOON, reading).await.unwrap().unwrap();
        let start = memchr::memmem::find(&all, b"\r\n\r\n").unwrap() + 4;
        let body = match query.contains("chunked") {
            true => unchunked(&all[start..]),
            false => all[start..].to_vec(),
        };
        assert_eq!(body.len(), 64 * MIB);
        sums.push(crc32fast::hash(&body));
    }
    assert_eq!(sums[0], sums[1]);
}

fn unchunked(mut wire: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = memchr::memmem::find(wire, b"\r\n").expect("a size");
        let size = usize::from_str_radix(std::str::from_utf8(&wire[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            assert_eq!(&wire[end..], b"\r\n\r\n");
            return body;
        }
        body.extend_from_slice(&wire[end + 2..end + 2 + size]);
        wire = &wire[end + 4 + size..];
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_no_faster_than_linkedin_reads() {
    let linkedin = Sandbox::start();
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    let gateway = Gateway::before(&linkedin)
        .with("ada")
        .reaching(&url)
        .start()
        .await;
    let mut connection = gateway.connect().await;
    let head = gateway.head("POST", "/rest/x", "ada");
    connection
        .send(format!("{head}Content-Length: {}\r\n\r\n", 1024 * MIB))
        .await;
    let (_deaf, _) = timeout(SOON, deaf.accept()).await.unwrap().unwrap();

    let taken = taken_before_stalling(&mut connection).await;

    assert!(taken < IN_SOCKETS, "{taken} bytes were swallowed");
}

/// Writes until nothing is taken for a while.
async fn taken_before_stalling(connection: &mut Connection) -> usize {
    let piece = vec![0; 64 * 1024];
    let mut taken = 0;
    while let Ok(written) = timeout(Duration::from_secs(1), connection.stream.write(&piece)).await {
        taken += written.unwrap();
        assert!(taken < 512 * MIB, "everything is swallowed");
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_no_faster_than_the_caller_reads() {
    let linkedin = Sandbox::start();
    let loud = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", loud.local_addr().unwrap());
    let gateway = Gateway::before(&linkedin)
        .with("ada")
        .reaching(&url)
        .start()
        .await;
    let mut connection = gateway.connect().await;
    connection
        .send(gateway.head("GET", "/rest/x", "ada") + "\r\n")
        .await;
    let (loud, _) = timeout(SOON, loud.accept()).await.unwrap().unwrap();
    let mut loud = Connection::over(loud);
    let mut request = [0; 16];
    let reading = loud.stream.read_exact(&mut request);
    timeout(SOON, reading).await.unwrap().unwrap();
    loud.send(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        1024 * MIB
    ))
    .await;

    let taken = taken_before_stalling(&mut loud).await;

    assert!(taken < IN_SOCKETS, "{taken} bytes were swallowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_does_not_read_is_closed_and_linkedin_is_let_go() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada");
    let plan = plan.tuned(|settings| {
        (settings.first_byte_time, settings.body_idle) = (SHORT, SHORT);
    });
    let gateway = plan.start().await;
    let mut connection = gateway.connect().await;
    let query = format!("?size={}", 512 * MIB);
    connection
        .send(streaming(&gateway, "GET", &query) + "\r\n")
        .await;

    until("the caller is closed", || {
        linkedin.counts().received("GET /rest/sandboxBytes") == 1
            && gateway.proxy.as_ref().unwrap().connections() == 0
    })
    .await;

    assert!(linkedin.wait_for_connections_closed().await);
    let incident = gateway.incident_where("it is recorded", |_| true).await;
    assert_eq!(
        (incident.kind(), incident.fault()),
        (Some("caller_left"), Some("caller"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_total_time_stands_still_while_a_body_flows() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada").tuned(|settings| {
        (settings.retry.total_time, settings.linkedin.attempt_time) = (SHORT * 2, SHORT * 2);
        (settings.body_idle, settings.min_body_rate) = (Duration::from_secs(5), 1);
    });
    let gateway = plan.start().await;
    let mut connection = gateway.connect().await;
    connection
        .send(streaming(&gateway, "POST", "") + "Content-Length: 80\r\n\r\n")
        .await;
    for _ in 0..8 {
        tokio::time::sleep(SHORT / 2).await; // the caller's pace: 1.2 s in all
        connection.send("0123456789").await;
    }
    let reply = connection.reply().await;
    assert_eq!(reply.status, 200, "a slow upload: {}", reply.text());
    assert_eq!(reply.json()["bytes"], 80);

    let query = format!("?size={}&delayMs=150", 8 * 64 * 1024);
    let reply = gateway
        .ask(streaming(&gateway, "GET", &query) + "\r\n")
        .await;
    assert_eq!(
        (reply.status, reply.body.len()),
        (200, 8 * 64 * 1024),
        "a slow download"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_is_a_408() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada");
    let gateway = plan
        .tuned(|settings| settings.body_idle = SHORT)
        .start()
        .await;
    for (why, framing, start) in [
        ("a length", "Content-Length: 100", "half of it"),
        ("chunks", "Transfer-Encoding: chunked", "4\r\nhalf\r\n"),
        ("nothing at all", "Content-Length: 100", ""),
    ] {
        let mut connection = gateway.connect().await;
        let head = streaming(&gateway, "POST", "");
        connection
            .send(format!("{head}{framing}\r\n\r\n{start}"))
            .await;
        let reply = connection.reply().await;
        assert_eq!(
            (reply.status, &*reply.code()),
            (408, "request_timeout"),
            "{why}"
        );
        assert_eq!(
            gateway.incident(reply.id()).fault(),
            Some("caller"),
            "{why}"
        );
        assert!(connection.is_closed_within(SOON).await, "{why}");
    }
    assert_eq!(linkedin.counts().processed("POST /rest/sandboxBytes"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_a_408() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada").tuned(|settings| {
        (settings.body_idle, settings.min_body_rate) = (Duration::from_secs(1), 1_000);
    });
    let gateway = plan.start().await;
    let (mut reading, mut writing) = gateway.connect().await.stream.into_split();
    let head = streaming(&gateway, "POST", "") + "Content-Length: 100000\r\n\r\n";
    writing.write_all(head.as_bytes()).await.unwrap();
    let drip = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await; // 20 bytes a second
        }
    });
    let mut status = [0; 12];
    timeout(SOON, reading.read_exact(&mut status))
        .await
        .unwrap()
        .unwrap();
    drip.abort();
    assert_eq!(&status, b"HTTP/1.1 408");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_cut_for_the_caller_too_and_recorded() {
    for (why, kind) in [
        ("stalled", Kind::StallBody),
        ("half a body", Kind::HalfBody),
        ("a wrong length", Kind::BadContentLength),
    ] {
        let linkedin = Sandbox::start();
        let plan = Gateway::before(&linkedin).with("ada");
        let gateway = plan
            .tuned(|settings| settings.body_idle = SHORT)
            .start()
            .await;
        linkedin.fault(Fault::on("GET /v2/userinfo", kind));
        let mut connection = gateway.connect().await;
        connection
            .send(gateway.head("GET", "/v2/userinfo", "ada") + "\r\n")
            .await;
        assert!(
            connection.try_reply().await.is_none(),
            "{why}: no whole answer"
        );
        let incident = gateway.incident_where(why, |_| true).await;
        assert_eq!(
            (incident.kind(), incident.fault()),
            (Some("cut"), Some("linkedin")),
            "{why}"
        );
        assert_eq!(
            linkedin.counts().requests(),
            1,
            "{why}: too late to send again"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_before_the_body_is_through_reaches_its_caller() {
    let linkedin = Sandbox::start();
    let gateway = before(&linkedin).await;
    linkedin.fault(Fault::on(
        "POST /rest/sandboxBytes",
        Kind::EarlyAnswer { status: 413 },
    ));
    let (mut reading, mut writing) = gateway.connect().await.stream.into_split();
    let head = streaming(&gateway, "POST", "") + &format!("Content-Length: {}\r\n\r\n", 256 * MIB);
    let sending = tokio::spawn(async move {
        let piece = vec![0; 64 * 1024];
        let mut written = writing.write_all(head.as_bytes()).await;
        while written.is_ok() {
            written = writing.write_all(&piece).await;
        }
    });
    let mut status = [0; 12];
    timeout(SOON, reading.read_exact(&mut status))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
    timeout(SOON, sending)
        .await
        .expect("the connection is closed")
        .unwrap();
    assert_eq!(linkedin.counts().requests(), 1);
}
