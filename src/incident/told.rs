//! How those who wait for a record hear of it: each for itself, or all of one thread by one wake-up.
//!
//! Waking another thread takes a system call; the writer commits thirty records at once when there is much to do, and
//! most of their answers wait on the same thread.
//!
//! **Invariant:** every ticket is answered once, whatever becomes of its record: dropping it is an answer.

use std::{
    mem::swap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use tokio::sync::oneshot;

use super::NotWritten;

/// What became of a record.
pub type Fate = Result<(), NotWritten>;

/// Where one thread hears of its records. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Mailbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// What came since the thread looked, by the numbers of the tickets.
    came: Mutex<Vec<(usize, Fate)>>,
    reader: AtomicWaker,
}

impl Mailbox {
    /// A promise to be told of one record under `number`.
    pub fn ticket(&self, number: usize) -> Ticket {
        Ticket {
            mailbox: self.clone(),
            number,
            fate: Err(NotWritten::WriteFailed),
        }
    }

    /// Takes all that came into `letters`, which is empty; waits while there is nothing.
    pub fn poll_take(&self, task: &Context<'_>, letters: &mut Vec<(usize, Fate)>) -> Poll<()> {
        // Before looking: what comes after the look wakes.
        self.0.reader.register(task.waker());
        swap(&mut *self.came(), letters);
        match letters.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }

    fn put(&self, number: usize, fate: Fate) {
        let is_first = {
            let mut came = self.came();
            came.push((number, fate));
            came.len() == 1
        };
        // Who has been woken takes what comes meanwhile as well.
        if is_first {
            self.0.reader.wake();
        }
    }

    fn came(&self) -> MutexGuard<'_, Vec<(usize, Fate)>> {
        self.0.came.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One record's answer; unsaid, it is that the record was not written.
#[derive(Debug)]
pub struct Ticket {
    mailbox: Mailbox,
    number: usize,
    fate: Fate,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.mailbox.put(self.number, self.fate);
    }
}

/// Who is to be told of a record.
#[derive(Debug)]
pub(super) enum Listener {
    Alone(oneshot::Sender<Fate>),
    Among(Ticket),
}

impl Listener {
    /// Tells it; false if nobody listens any more.
    pub(super) fn tell(self, fate: Fate) -> bool {
        match self {
            Self::Alone(told) => told.send(fate).is_ok(),
            Self::Among(mut ticket) => {
                ticket.fate = fate;
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::{Wake, Waker},
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_comes_before_the_thread_looks_wakes_it_once() {
        let (mailbox, woken) = (Mailbox::default(), Arc::new(Woken::default()));
        let waker = Waker::from(Arc::clone(&woken));
        let task = Context::from_waker(&waker);
        let mut letters = Vec::new();
        assert!(mailbox.poll_take(&task, &mut letters).is_pending());

        let tickets = [1, 2, 3].map(|number| Listener::Among(mailbox.ticket(number)));
        let told: Vec<bool> = tickets.map(|ticket| ticket.tell(Ok(()))).into();

        assert_eq!(told, [true; 3]);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(mailbox.poll_take(&task, &mut letters).is_ready());
        assert_eq!(letters, [(1, Ok(())), (2, Ok(())), (3, Ok(()))]);
        letters.clear();
        drop(mailbox.ticket(4));
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert!(mailbox.poll_take(&task, &mut letters).is_ready());
        assert_eq!(letters, [(4, Err(NotWritten::WriteFailed))]);
    }
}
