//! Tells HTTP/2 by its first bytes, which no HTTP/1 request begins with (RFC 9113 §3.4).
//!
//! **Invariant:** nothing read here is lost: it stays ahead in the stream, for whoever serves it.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Poll, ready},
};

use tokio::{io::AsyncRead, time::sleep};

use super::{
    super::{
        head_tap::Tapped,
        thread::{ConnectionSlot, Thread},
    },
    timer::Timer,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether the preface comes; none if the connection ended, was too slow, or is not wanted any more.
pub(super) async fn comes<I: AsyncRead + Unpin>(
    thread: &Thread,
    slot: &mut ConnectionSlot,
    stream: &mut Tapped<I>,
    mut timer: Pin<&mut Timer>,
) -> Option<bool> {
    let tap = stream.tap();
    // The timer takes the preface's first line for a whole head.
    let mut rest = None;
    poll_fn(|task| {
        slot.remember(task.waker());
        while let Poll::Ready(read) = stream.poll_ahead(task) {
            if !matches!(read, Ok(1..)) {
                return Poll::Ready(None);
            }
            if let Some(is_preface) = is_preface(stream.ahead()) {
                return Poll::Ready(Some(is_preface));
            }
        }
        if stream.ahead().is_empty() {
            if !thread.is_draining() {
                ready!(timer.as_mut().poll_overdue(&thread.settings, &tap, task));
            }
            return Poll::Ready(None);
        }
        let rest = rest.get_or_insert_with(|| Box::pin(sleep(thread.settings.head_time)));
        rest.as_mut().poll(task).map(|()| None)
    })
    .await
}

/// Whether these first bytes are the preface; none if that cannot be told yet.
fn is_preface(bytes: &[u8]) -> Option<bool> {
    let length = bytes.len().min(PREFACE.len());
    match bytes.get(..length) == PREFACE.get(..length) {
        true => (length == PREFACE.len()).then_some(true),
        false => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_told_as_soon_as_it_can_be() {
        for length in 0..PREFACE.len() {
            assert_eq!(is_preface(&PREFACE[..length]), None, "{length} bytes of it");
        }
        assert_eq!(is_preface(PREFACE), Some(true));
        assert_eq!(is_preface(&[PREFACE, b"more"].concat()), Some(true));
        for other in ["G", "POST", "PRI * HTTP/1.1\r\n", "\r\nPRI *", "\x16\x03"] {
            assert_eq!(is_preface(other.as_bytes()), Some(false), "{other:?}");
        }
    }
}
