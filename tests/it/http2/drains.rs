//! A gateway that stops while callers on HTTP/2 have yet to take what they asked for.

use std::time::Duration;

use linkgate::sandbox::{Fault, Kind, Sandbox};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::support::{
    Gateway,
    http2::{
        DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, WINDOW_UPDATE, frame, literal,
    },
    until,
};

/// Much longer than a connection has after GOAWAY when nothing can wait for its caller.
const PAUSE: Duration = Duration::from_secs(5);
/// The time of the process, which none of these shall need.
const LIMIT: Duration = Duration::from_secs(50);
/// The setting of a stream's first window (RFC 9113 §6.5.2).
const WINDOW: [u8; 2] = [0, 4];

/// A caller that asks for `path` on stream 1, and has so much window.
async fn asking(gateway: &Gateway, path: &str, window: u32) -> Frames {
    let settings = [&WINDOW[..], &window.to_be_bytes()].concat();
    let mut caller = Frames::to(gateway.address, &settings).await;
    let bearer = format!("{}~ada", gateway.key);
    let mut head = Frames::head(gateway.address, "GET", path, &bearer);
    head.extend(literal("linkedin-version", "202609"));
    let ask = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head);
    assert!(caller.send(&ask).await);
    caller
}

fn drained(gateway: &mut Gateway) -> JoinHandle<()> {
    let proxy = gateway.proxy.take().unwrap();
    tokio::spawn(proxy.drain(LIMIT))
}

/// Reads to a frame of this kind; how many bytes of an answer came before it.
async fn read_to(caller: &mut Frames, kind: u8) -> usize {
    let mut taken = 0;
    loop {
        let next = caller.next().await.expect("the connection stays");
        if next.kind == kind {
            return taken;
        }
        taken += if next.kind == DATA {
            next.payload.len()
        } else {
            0
        };
    }
}

/// Reads to the connection's end and answers PING; how many bytes of an answer came.
async fn read_to_end(caller: &mut Frames) -> usize {
    let mut taken = 0;
    while let Some(next) = caller.next().await {
        match next.kind {
            DATA => taken += next.payload.len(),
            PING => drop(caller.send(&frame(PING, 1, 0, &next.payload)).await),
            _ => {}
        }
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_pauses_gets_the_rest_of_its_answer() {
    let linkedin = Sandbox::start();
    let mut gateway = Gateway::before(&linkedin).with("ada").start().await;
    let mut caller = asking(&gateway, "/v2/userinfo", 1).await;
    until("h2 has the answer", || {
        linkedin.counts().requests() == 1 && gateway.proxy.as_ref().unwrap().in_flight() == 0
    })
    .await;

    let drained = drained(&mut gateway);
    let before = read_to(&mut caller, GOAWAY).await;
    sleep(PAUSE).await; // what the caller does
    let widen = frame(WINDOW_UPDATE, 0, 1, &[0, 1, 0, 0]);
    assert!(caller.send(&widen).await);

    let whole = before + read_to_end(&mut caller).await;
    assert!(before < 2 && whole > 100, "{before} and {whole} bytes");
    drained.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_socket_holds_for_a_caller_outlives_the_last_call() {
    const SIZE: usize = 1_000_000;
    let linkedin = Sandbox::start();
    let mut gateway = Gateway::before(&linkedin).with("ada").start().await;
    let slow = Kind::DelayBefore(Duration::from_secs(1));
    linkedin.fault(Fault::on("GET /rest/sandboxBytes", slow));
    let path = format!("/rest/sandboxBytes?size={SIZE}");
    let mut caller = asking(&gateway, &path, 1 << 24).await;
    let widen = frame(WINDOW_UPDATE, 0, 0, &[1, 0, 0, 0]);
    assert!(caller.send(&widen).await);
    until("under way", || linkedin.counts().requests() == 1).await;

    let drained = drained(&mut gateway);
    read_to(&mut caller, PING).await;
    let answer = frame(PING, 1, 0, b"\x0b\x7b\xa2\xf0\x8b\x9b\xfe\x54");
    assert!(caller.send(&answer).await);
    let mut taken = 0;
    while let Some(next) = caller.next().await {
        if next.kind == DATA {
            taken += next.payload.len();
            // As real callers do: sent to a closed socket, it would end all.
            caller
                .send(&frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))
                .await;
            sleep(Duration::from_millis(10)).await; // the pace of the reader
        }
    }

    assert_eq!(taken, SIZE);
    drop(caller);
    drained.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_never_takes_its_answer_is_cut() {
    let linkedin = Sandbox::start();
    let plan = Gateway::before(&linkedin).with("ada");
    let tuned = plan.tuned(|settings| settings.body_idle = PAUSE);
    let mut gateway = tuned.start().await;
    let mut caller = asking(&gateway, "/v2/userinfo", 1).await;
    read_to(&mut caller, HEADERS).await;

    let began = Instant::now();
    let drained = drained(&mut gateway);
    read_to(&mut caller, GOAWAY).await;
    assert_eq!(read_to_end(&mut caller).await, 0);

    drained.await.unwrap();
    assert!(began.elapsed() < LIMIT / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_on_http1_that_pauses_gets_its_whole_answer() {
    let linkedin = Sandbox::start();
    let mut gateway = Gateway::before(&linkedin).with("ada").start().await;
    let head = gateway.head("GET", "/rest/sandboxBytes?size=20000000", "ada");
    let mut caller = gateway.connect().await;
    caller.send(head + "LinkedIn-Version: 202609\r\n\r\n").await;
    until("under way", || linkedin.counts().requests() == 1).await;

    let drained = drained(&mut gateway);
    sleep(PAUSE).await; // what the caller does

    let reply = caller.reply().await;
    assert_eq!((reply.status, reply.body.len()), (200, 20_000_000));
    drained.await.unwrap();
}
