use std::collections::VecDeque;

use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;

use super::*;

/// A stream that takes as much at a time as it is told, and now and then nothing.
#[derive(Debug, Default)]
struct Fitful {
    taken: Vec<u8>,
    /// What the next writes take; none: not now.
    moods: VecDeque<Option<usize>>,
    writes: usize,
    unflushed: usize,
    is_shut: bool,
}

impl AsyncWrite for Fitful {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(limit) = self.moods.pop_front().unwrap_or(Some(usize::MAX)) else {
            task.waker().wake_by_ref();
            return Poll::Pending;
        };
        let taken = bytes.len().min(limit.max(1));
        self.taken.extend_from_slice(&bytes[..taken]);
        self.writes += 1;
        self.unflushed += taken;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unflushed = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_shut = true;
        Poll::Ready(Ok(()))
    }
}

/// Writes as the h2 crate does: some pieces and a flush, and at the poll's end what waits is sent.
async fn write_all(stream: &mut Gathered<Fitful>, polls: &[Vec<Vec<u8>>]) {
    for pieces in polls {
        for piece in pieces {
            let (one, two) = piece.split_at(piece.len() / 3);
            let mut left = bytes::Buf::chain(one, two);
            while bytes::Buf::has_remaining(&left) {
                stream.write_buf(&mut left).await.unwrap();
            }
            stream.flush().await.unwrap();
        }
        let _refused_now_sent_later =
            std::future::poll_fn(|task| Poll::Ready(stream.poll_send(task))).await;
    }
    stream.shutdown().await.unwrap();
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![4 => 1..600_usize, 2 => 600..20_000_usize, 1 => ROOM - 3..ROOM + 99];
    (0..=250_u8, length).prop_map(|(first, length)| {
        (first..=250)
            .chain((0..=250).cycle())
            .take(length)
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_that_was_written_arrives_in_order_whatever_the_stream_takes(
        polls in prop::collection::vec(prop::collection::vec(piece(), 0..6), 1..8),
        moods in prop::collection::vec(prop::option::of(0..40_000_usize), 0..60),
    ) {
        let stream = Fitful { moods: moods.into(), ..Fitful::default() };
        let mut gathered = Gathered::new(stream);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();

        runtime.block_on(write_all(&mut gathered, &polls));

        let gathering = gathered.0.borrow();
        let expected: Vec<u8> = polls.concat().concat();
        prop_assert!(gathering.stream.taken == expected, "{} bytes", gathering.stream.taken.len());
        prop_assert_eq!(gathering.stream.unflushed, 0);
        prop_assert!(gathering.stream.is_shut && gathering.waiting.capacity() == 0);
    }
}

#[tokio::test]
async fn what_one_poll_writes_leaves_in_one_piece() {
    let mut gathered = Gathered::new(Fitful::default());
    for _ in 0..10 {
        gathered.write_all(&[7; 1_500]).await.unwrap();
        gathered.flush().await.unwrap();
    }
    assert_eq!(gathered.0.borrow().stream.writes, 0, "it waits for the end");

    std::future::poll_fn(|task| gathered.poll_send(task))
        .await
        .unwrap();

    let gathering = gathered.0.borrow();
    assert_eq!(
        (gathering.stream.writes, gathering.stream.taken.len()),
        (1, 15_000)
    );
}

#[tokio::test]
async fn a_stream_that_takes_nothing_is_not_written_to_without_end() {
    let moods = std::iter::repeat_n(None, 1_000).collect();
    let mut gathered = Gathered::new(Fitful {
        moods,
        ..Fitful::default()
    });
    let mut taken = 0;
    while let Poll::Ready(written) = std::future::poll_fn(|task| {
        Poll::Ready(Pin::new(&mut gathered).poll_write(task, &[7; 5_000]))
    })
    .await
    {
        taken += written.unwrap();
        assert!(taken <= ROOM, "{taken} bytes were taken");
    }
    assert!(taken > ROOM - 5_000);
}
