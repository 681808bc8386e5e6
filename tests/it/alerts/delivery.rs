//! Receivers that are down, slow, gone, somewhere else or somebody else.

use super::*;

/// A gateway whose member's end is to be told to these.
async fn one_fact(linkedin: &Sandbox) -> Gateway {
    let gateway = Gateway::before(linkedin).with("ada").start().await;
    revoke(linkedin, &gateway, &["ada"]).await;
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_is_told_once_when_it_is_back() {
    let linkedin = Sandbox::start();
    let gateway = one_fact(&linkedin).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let url = format!("http://localhost:{}", address.port());

    let told = Told::start(&gateway, settings(vec![webhook("chat", &url)]));
    until("tries failed", || {
        told.count("member.sign_in_needed", "failed") >= 3
    })
    .await;
    assert_eq!(told.alerts.list().await.unwrap()[0].webhook, "chat");
    let receiver = Peer::answering_at(address, TAKEN).await;

    received(&receiver, 1).await;
    until("it was struck off", || told.alerts.waiting() == 0).await;
    assert_eq!(notices(&receiver).len(), 1);
    assert_eq!(told.count("member.sign_in_needed", "delivered"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_in_trouble_gets_the_same_notice_again_no_sooner_than_it_asks() {
    let linkedin = Sandbox::start();
    let gateway = one_fact(&linkedin).await;
    let busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    let receiver = Peer::answering(busy).await;

    let began = tokio::time::Instant::now();
    let told = Told::start(&gateway, settings(vec![webhook("chat", &receiver.url())]));
    received(&receiver, 1).await;
    receiver.now_answers(TAKEN);
    let all = received(&receiver, 2).await;

    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "it asked for a second"
    );
    assert_eq!(all[0].id, all[1].id);
    until("it was struck off", || told.alerts.waiting() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_holds_up_no_other() {
    let linkedin = Sandbox::start();
    let gateway = one_fact(&linkedin).await;
    let (slow, quick) = (Peer::answering("").await, Peer::answering(TAKEN).await);

    let webhooks = vec![webhook("slow", &slow.url()), webhook("quick", &quick.url())];
    let told = Told::start(&gateway, settings(webhooks));
    received(&quick, 1).await;
    received(&slow, 1).await;

    until("one was struck off", || told.alerts.waiting() == 1).await;
    let left = told.alerts.list().await.unwrap();
    assert_eq!((left[0].webhook.as_str(), left[0].attempts), ("slow", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_says_410_is_left_alone_until_a_test_is_taken() {
    let linkedin = Sandbox::start();
    let gateway = one_fact(&linkedin).await;
    let receiver = Peer::answering("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n").await;

    let told = Told::start(&gateway, settings(vec![webhook("chat", &receiver.url())]));
    until("it said 410", || {
        told.count("member.sign_in_needed", "failed") == 1
    })
    .await;
    let gone = told.alerts.test(None).await.unwrap();
    // That nothing comes can only be waited for: five times the longest wait between tries.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let so_far = receiver.requests().len();
    receiver.now_answers(TAKEN);
    let taken = told.alerts.test(Some(&name("chat"))).await.unwrap();

    assert_eq!(so_far, 2, "the notice once, and the test");
    assert_eq!((gone[0].ok, gone[0].status), (false, Some(410)));
    assert!(taken[0].ok, "{taken:?}");
    until("it was struck off", || told.alerts.waiting() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_and_long_answers_are_not_read() {
    let linkedin = Sandbox::start();
    let gateway = one_fact(&linkedin).await;
    let elsewhere = Peer::answering(TAKEN).await;
    let away = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}/x\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url()
    );
    let moved = Peer::answering(away).await;
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1 << 20));
    let wordy = Peer::answering(endless).await;

    let webhooks = vec![
        webhook("moved", &moved.url()),
        webhook("wordy", &wordy.url()),
    ];
    let told = Told::start(&gateway, settings(webhooks));
    received(&moved, 2).await;

    until("the wordy one was struck off", || {
        told.alerts.waiting() == 1
    })
    .await;
    assert_eq!(
        notices(&wordy).len(),
        1,
        "the status was said before all that"
    );
    assert_eq!(elsewhere.connections(), 0);
    let why = &told.alerts.test(Some(&name("moved"))).await.unwrap()[0];
    assert!(
        why.problem
            .as_ref()
            .unwrap()
            .contains("redirects are not followed"),
        "{why:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_the_receiver_itself_gets_a_byte() {
    let linkedin = Sandbox::start();
    let gateway = one_fact(&linkedin).await;
    let (trusted, foreign) = (Authority::new(), Authority::new());
    let ca_file = gateway.folder().join("receivers.pem");
    std::fs::write(&ca_file, &trusted.pem).unwrap();
    let dialer = Dialer::new(dial::Settings {
        ca_file: Some(ca_file),
        proxy_url: None,
        proxy_authorization: None,
        connect_time: Duration::from_secs(5),
    });
    let right = Peer::answering_over_tls(TAKEN, trusted.server("localhost", |_| {})).await;
    let misnamed = Peer::answering_over_tls(TAKEN, trusted.server("evil.example", |_| {})).await;
    let unknown = Peer::answering_over_tls(TAKEN, foreign.server("localhost", |_| {})).await;

    let webhooks = vec![
        webhook("right", &right.url()),
        webhook("misnamed", &misnamed.url()),
        webhook("unknown", &unknown.url()),
    ];
    let told = Told::by(&gateway, dialer.unwrap(), settings(webhooks));
    received(&right, 1).await;
    until("the others were tried", || {
        misnamed.connections() > 1 && unknown.connections() > 1
    })
    .await;

    assert_eq!(right.requests().len(), 1);
    assert!(misnamed.all_bytes().is_empty() && unknown.all_bytes().is_empty());
    let tested = told.alerts.test(None).await.unwrap();
    let ok: Vec<bool> = tested.iter().map(|one| one.ok).collect();
    assert_eq!(ok, [true, false, false], "{tested:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_takes_is_given_up_at_last() {
    let linkedin = Sandbox::start();
    let gateway = one_fact(&linkedin).await;
    let down = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let receiver = Peer::answering(down).await;
    let told = Told::start(&gateway, settings(vec![webhook("chat", &receiver.url())]));
    received(&receiver, 1).await;

    gateway.clock.advance(Duration::from_secs(3 * 86_400));

    until("it was given up", || {
        told.count("member.sign_in_needed", "given_up") == 1
    })
    .await;
    until("nothing waits", || told.alerts.waiting() == 0).await;
}
