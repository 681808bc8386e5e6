//! The answers of one path thread that wait for their records.
//!
//! The writer answers into the thread's mailbox and wakes one task, which wakes those it is about: on their own
//! thread, where that takes no lock and no system call.
//!
//! **Invariant:** a place serves again only after its letter came, so that no letter reaches another.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use crate::incident::{Fate, Mailbox, Ticket};

/// Who waits, by the number of the ticket.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    mailbox: Mailbox,
    places: RefCell<Places>,
}

#[derive(Debug, Default)]
struct Places {
    all: Vec<Place>,
    free: Vec<usize>,
}

#[derive(Debug)]
enum Place {
    Free,
    /// Nobody asked yet, or this one did.
    Open(Option<Waker>),
    /// The letter came.
    Told,
    /// Who waited has left; its letter is still to come.
    Left,
}

impl Awaited {
    /// A ticket for a record, and what is ready once that is written, or cannot be.
    pub(crate) fn ticket(self: &Rc<Self>) -> (Ticket, Written) {
        let mut places = self.places.borrow_mut();
        let number = places.free.pop().unwrap_or(places.all.len());
        match places.all.get_mut(number) {
            Some(place) => *place = Place::Open(None),
            None => places.all.push(Place::Open(None)),
        }
        let written = Written {
            awaited: Rc::clone(self),
            number,
        };
        (self.mailbox.ticket(number), written)
    }

    /// Hands out what comes, for ever; to be spawned once on the thread.
    pub(crate) async fn deliver(self: Rc<Self>) {
        let mut letters = Vec::new();
        loop {
            poll_fn(|task| self.mailbox.poll_take(task, &mut letters)).await;
            self.hand_out(&mut letters);
        }
    }

    fn hand_out(&self, letters: &mut Vec<(usize, Fate)>) {
        // What became of the record is counted by the log: the answer goes out either way.
        for (number, _fate) in letters.drain(..) {
            let waker = self.places.borrow_mut().tell(number);
            // Not while the places are borrowed: whoever is woken may look at them.
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl Places {
    /// The letter for `number` came; returns who is to be woken.
    fn tell(&mut self, number: usize) -> Option<Waker> {
        let place = self.all.get_mut(number)?;
        match std::mem::replace(place, Place::Told) {
            Place::Open(waker) => waker,
            Place::Told => None,
            Place::Left | Place::Free => {
                self.release(number);
                None
            }
        }
    }

    fn release(&mut self, number: usize) {
        if let Some(place) = self.all.get_mut(number) {
            *place = Place::Free;
            self.free.push(number);
        }
    }
}

/// Ready once the record is written, or cannot be. Dropping it changes nothing.
#[derive(Debug)]
pub(crate) struct Written {
    awaited: Rc<Awaited>,
    number: usize,
}

impl Future for Written {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        let mut places = self.awaited.places.borrow_mut();
        match places.all.get_mut(self.number) {
            Some(Place::Open(waker)) => {
                match waker {
                    Some(known) => known.clone_from(task.waker()),
                    None => *waker = Some(task.waker().clone()),
                }
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let mut places = self.awaited.places.borrow_mut();
        match places.all.get_mut(self.number) {
            Some(place @ Place::Open(_)) => *place = Place::Left,
            _ => places.release(self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "local")]
    async fn each_hears_of_its_own_record() {
        let awaited = Rc::new(Awaited::default());
        let deliver = tokio::task::spawn_local(Rc::clone(&awaited).deliver());
        let (first, first_written) = awaited.ticket();
        let (second, mut second_written) = awaited.ticket();

        drop(first);
        first_written.await;
        tokio::task::yield_now().await;

        let is_written = poll_fn(|task| Poll::Ready(Pin::new(&mut second_written).poll(task)));
        assert!(is_written.await.is_pending());
        std::thread::spawn(move || drop(second)).join().unwrap();
        second_written.await;
        deliver.abort();
    }

    #[tokio::test(flavor = "local")]
    async fn the_place_of_one_who_left_serves_again_once_its_letter_came() {
        let awaited = Rc::new(Awaited::default());
        let deliver = tokio::task::spawn_local(Rc::clone(&awaited).deliver());
        let (left, written) = awaited.ticket();

        drop(written);
        let (next, next_written) = awaited.ticket();
        assert_eq!(
            awaited.places.borrow().all.len(),
            2,
            "its letter is still to come"
        );
        drop((left, next));
        next_written.await;

        let _again = [awaited.ticket(), awaited.ticket()];
        assert_eq!(awaited.places.borrow().all.len(), 2);
        deliver.abort();
    }
}
