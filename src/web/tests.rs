//! The listener over real sockets: who holds a place, and for how long.

use axum::routing::post;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn settings(max_connections: usize) -> Settings {
    Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        hosts: Vec::new(),
        max_connections,
    }
}

/// Reads to the connection's end.
async fn read(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let ended = timeout(Duration::from_secs(60), stream.read_to_end(&mut bytes)).await;
    // A reset is an end, too.
    drop(ended.unwrap());
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn whoever_sends_half_a_form_gives_the_place_back_when_its_time_is_over() {
    let routes = Router::new().route("/form", post(|form: String| async { form }));
    let listener = Listener::start(settings(1), "test", routes).await.unwrap();
    let head = "POST /form HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n";
    let mut slow = TcpStream::connect(listener.local_addr()).await.unwrap();
    slow.write_all(format!("{head}\r\na=").as_bytes())
        .await
        .unwrap();
    let mut next = TcpStream::connect(listener.local_addr()).await.unwrap();
    next.write_all(format!("{head}connection: close\r\n\r\na=bc").as_bytes())
        .await
        .unwrap();

    let (slow, next) = (read(slow).await, read(next).await);

    assert!(slow.starts_with("HTTP/1.1 400"), "{slow}");
    assert!(next.ends_with("a=bc"), "{next}");
}

#[tokio::test]
async fn a_network_that_holds_its_share_is_turned_away_and_the_place_stays_free() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (_stop, stopped) = watch::channel(false);
    let routes = Router::new().layer(middleware::from_fn_with_state(Arc::default(), guard));
    let (room, crowd) = (
        Arc::new(Semaphore::new(4)),
        Crowd::of(4).counting_loopback(),
    );
    let accepting = tokio::spawn(accept(socket, routes, (Arc::clone(&room), crowd), stopped));
    let request = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(request.as_bytes()).await.unwrap();
    assert_ne!(first.read(&mut [0; 1024]).await.unwrap(), 0, "it is served");

    for _ in 0..8 {
        let mut further = TcpStream::connect(address).await.unwrap();
        // It may be closed already.
        further.write_all(request.as_bytes()).await.ok();
        assert_eq!(read(further).await, "");
    }

    // One is held by the first, one by the wait for the next.
    assert!(room.available_permits() >= 2, "{room:?}");
    accepting.abort();
}
