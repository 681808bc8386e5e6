//! Spares a connection's task the wake-up that hyper gives it with each frame taken out of it, where that
//! was the last: the task would look at a connection that has nothing to do. One poll in five, 1,100
//! instructions of an exchange.
//!
//! **Invariant:** only wake-ups from inside [`Muffle::around`] are held back, on the path thread itself, and
//! those are made up for unless the body was at its end. What the reactor or a request tells the
//! connection always passes.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    task::{Wake, Waker},
};

/// Wake-ups pass.
const OPEN: u8 = 0;
/// They are held back.
const SHUT: u8 = 1;
/// One was.
const RUNG: u8 = 2;

/// Stands before the waker of one connection's task.
#[derive(Debug, Default)]
pub(super) struct Muffle {
    /// A task's waker stays the same.
    task: OnceLock<Waker>,
    state: AtomicU8,
}

impl Muffle {
    /// Says whose waker this is.
    pub(super) fn stand_before(&self, task: &Waker) {
        self.task.get_or_init(|| task.clone());
    }

    /// Polls a body of this connection: `poll` says what came of it, and whether the body is at its end.
    pub(super) fn around<T>(&self, poll: impl FnOnce() -> (T, bool)) -> T {
        let open = OpenAgain(self);
        self.state.store(SHUT, Ordering::Relaxed);
        let (came, has_ended) = poll();
        if has_ended {
            self.state.store(OPEN, Ordering::Relaxed);
        }
        drop(open);
        came
    }
}

/// Opens a muffle, whatever happened meanwhile, and makes up for what it held back.
struct OpenAgain<'a>(&'a Muffle);

impl Drop for OpenAgain<'_> {
    fn drop(&mut self) {
        if self.0.state.swap(OPEN, Ordering::Relaxed) == RUNG
            && let Some(task) = self.0.task.get()
        {
            task.wake_by_ref();
        }
    }
}

impl Wake for Muffle {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.load(Ordering::Relaxed) != OPEN {
            self.state.store(RUNG, Ordering::Relaxed);
        } else if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::atomic::AtomicUsize,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_the_wake_up_of_a_bodys_end_is_held_back() {
        let count = Arc::new(Count::default());
        let muffle = Arc::new(Muffle::default());
        muffle.stand_before(&Waker::from(Arc::clone(&count)));
        let waker = Waker::from(Arc::clone(&muffle));
        let woken = || count.0.swap(0, Ordering::Relaxed);

        waker.wake_by_ref();
        assert_eq!(woken(), 1, "from elsewhere");
        muffle.around(|| (waker.wake_by_ref(), true));
        assert_eq!(woken(), 0, "with the last frame");
        muffle.around(|| (waker.wake_by_ref(), false));
        assert_eq!(woken(), 1, "with a frame that others follow");
        muffle.around(|| ((), false));
        assert_eq!(woken(), 0, "there was none");
        let panics = || muffle.around::<()>(|| panic!("inside"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        waker.wake_by_ref();
        assert_eq!(woken(), 1, "after a panic");
    }
}
