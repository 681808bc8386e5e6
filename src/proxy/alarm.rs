//! Deadlines without a timer per request: one slow tick per path thread looks after all of them.
//!
//! Registering a tokio timer for every request costs 2 % of a whole exchange; a deadline that is
//! almost never reached may as well be checked every [`TICK`] by whoever is on duty.
//!
//! The same goes for looks at the clock, 24 ns each: where a tick more or less does not matter, the moment
//! of the last look serves.
//!
//! **Invariant:** a future under [`Alarm::until`] ends at most one tick after its deadline. While no
//! deadline is registered nothing ticks.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{sync::Notify, time::Instant};

/// How late a deadline may be noticed.
const TICK: Duration = Duration::from_millis(25);

/// The deadline was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late;

/// The deadlines of one path thread. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alarm(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    last_look: Cell<Instant>,
    slots: RefCell<Vec<Option<Place>>>,
    free: RefCell<Vec<usize>>,
    armed: Cell<usize>,
    first_armed: Notify,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            last_look: Cell::new(Instant::now()),
            slots: RefCell::default(),
            free: RefCell::default(),
            armed: Cell::new(0),
            first_armed: Notify::new(),
        }
    }
}

/// Who is to be woken when.
#[derive(Debug)]
struct Place {
    deadline: Instant,
    waker: Waker,
    /// The tick that found the deadline reached says so here: whoever waits need not ask the clock.
    is_reached: bool,
}

impl Alarm {
    /// Keeps watch for ever; to be spawned once on the thread.
    pub(crate) async fn keep_watch(self) {
        loop {
            if self.0.armed.get() == 0 {
                self.0.first_armed.notified().await;
            }
            tokio::time::sleep(TICK).await;
            let now = self.look();
            self.ring(|place| {
                place.is_reached = place.deadline <= now;
                place.is_reached
            });
        }
    }

    /// Looks at the clock.
    pub(crate) fn look(&self) -> Instant {
        self.looked(Instant::now())
    }

    /// Somebody else just did.
    pub(crate) fn looked(&self, now: Instant) -> Instant {
        self.0.last_look.set(now);
        now
    }

    /// When somebody on this thread last looked at the clock. Each exchange looks when it begins, and
    /// the tick does while one waits, so that this is less than two ticks ago at its end.
    pub(crate) fn last_look(&self) -> Instant {
        self.0.last_look.get()
    }

    /// Wakes everyone who waits under a deadline, reached or not.
    pub(crate) fn wake_all(&self) {
        self.ring(|_| true);
    }

    fn ring(&self, mut is_due: impl FnMut(&mut Place) -> bool) {
        let mut due: Vec<Waker> = Vec::new();
        for place in self.0.slots.borrow_mut().iter_mut().flatten() {
            if is_due(place) {
                due.push(place.waker.clone());
            }
        }
        due.iter().for_each(Waker::wake_by_ref);
    }

    /// Gives `future` until `deadline`; dropping the result drops `future`.
    pub(crate) fn until<F: Future>(&self, deadline: Instant, future: F) -> Until<F> {
        Until {
            future,
            watch: self.watch(deadline),
        }
    }

    /// Gives `future` until `deadline`; whether it got done shows in what it did.
    pub(crate) async fn at_most(&self, deadline: Instant, future: impl Future<Output = ()>) {
        match self.until(deadline, future).await {
            Ok(()) | Err(Late) => {}
        }
    }

    /// The same with a deadline that may move.
    pub(crate) fn until_moving<F, D>(&self, deadline: D, future: F) -> UntilMoving<F, D>
    where
        F: Future,
        D: Fn() -> Instant,
    {
        UntilMoving {
            future,
            watch: self.watch_unset(),
            deadline,
        }
    }

    /// A watch on `deadline` for hand-written futures and bodies.
    pub(crate) fn watch(&self, deadline: Instant) -> Watch {
        let mut watch = self.watch_unset();
        watch.reset(deadline);
        watch
    }

    /// A watch whose deadline is still to be set.
    pub(crate) fn watch_unset(&self) -> Watch {
        Watch {
            alarm: self.clone(),
            deadline: None,
            slot: None,
        }
    }
}

/// One deadline under watch; nothing is registered before the first [`Watch::poll_late`].
#[derive(Debug)]
pub(crate) struct Watch {
    alarm: Alarm,
    deadline: Option<Instant>,
    slot: Option<usize>,
}

impl Watch {
    /// Ready once a tick found the deadline reached; the task is woken then.
    pub(crate) fn poll_late(&mut self, task: &Context<'_>) -> Poll<Late> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let shared = &self.alarm.0;
        let mut slots = shared.slots.borrow_mut();
        let slot = *self.slot.get_or_insert_with(|| {
            shared.armed.set(shared.armed.get() + 1);
            if shared.armed.get() == 1 {
                shared.first_armed.notify_one();
            }
            shared.free.borrow_mut().pop().unwrap_or_else(|| {
                slots.push(None);
                slots.len() - 1
            })
        });
        if let Some(place) = slots.get_mut(slot) {
            match place {
                Some(place) if place.deadline == deadline && place.is_reached => {
                    return Poll::Ready(Late);
                }
                Some(place) => {
                    place.deadline = deadline;
                    place.is_reached = false;
                    place.waker.clone_from(task.waker());
                }
                None => {
                    *place = Some(Place {
                        deadline,
                        waker: task.waker().clone(),
                        is_reached: false,
                    });
                }
            }
        }
        Poll::Pending
    }

    /// Moves the deadline.
    pub(crate) fn reset(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        let shared = &self.alarm.0;
        if let Some(place) = shared.slots.borrow_mut().get_mut(slot) {
            *place = None;
        }
        shared.free.borrow_mut().push(slot);
        shared.armed.set(shared.armed.get().saturating_sub(1));
    }
}

pin_project! {
    /// A future that gives up at its deadline.
    pub(crate) struct Until<F> {
        #[pin]
        future: F,
        watch: Watch,
    }
}

impl<F: Future> Future for Until<F> {
    type Output = Result<F::Output, Late>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.future.poll(task) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => this.watch.poll_late(task).map(Err),
        }
    }
}

pin_project! {
    /// A future that gives up at a deadline that may move.
    pub(crate) struct UntilMoving<F, D> {
        #[pin]
        future: F,
        watch: Watch,
        deadline: D,
    }
}

impl<F: Future, D: Fn() -> Instant> Future for UntilMoving<F, D> {
    type Output = Result<F::Output, Late>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.future.poll(task) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => {
                this.watch.reset((this.deadline)());
                this.watch.poll_late(task).map(Err)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_future_ends_within_a_tick_of_its_deadline() {
        let alarm = Alarm::default();
        let watch = tokio::task::spawn_local(alarm.clone().keep_watch());
        let began = Instant::now();

        let answer = alarm
            .until(began + Duration::from_secs(3), pending::<()>())
            .await;

        assert_eq!(answer, Err(Late));
        assert!(
            began.elapsed() <= Duration::from_secs(3) + TICK,
            "{:?}",
            began.elapsed()
        );
        assert_eq!(alarm.0.armed.get(), 0, "the slot is free again");
        watch.abort();
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn slots_are_reused_when_deadlines_come_and_go() {
        let alarm = Alarm::default();
        let deadline = Instant::now() + Duration::from_secs(60);
        for _ in 0..1000 {
            assert_eq!(
                alarm.until(deadline, tokio::task::yield_now()).await,
                Ok(())
            );
        }

        assert_eq!(alarm.0.slots.borrow().len(), 1);
    }
}
