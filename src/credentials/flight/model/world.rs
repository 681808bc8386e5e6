//! What there is: a store, LinkedIn, processes with their flights and callers, and what may still
//! happen to them.

use super::super::{Action, Flight};

/// A renewal's circumstances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub(super) why: &'static str,
    pub(super) processes: usize,
    /// Whether LinkedIn takes a refresh token only once.
    pub(super) rotates: bool,
    /// Whether the second process's clock is so far ahead that every token looks over.
    pub(super) is_ahead: bool,
    pub(super) left: Left,
}

/// Trouble, and callers, that may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) joins: u8,
    pub(super) leaves: u8,
    pub(super) crashes: u8,
    /// Writes and reads that fail; a failed write may have taken effect all the same.
    pub(super) store_failures: u8,
    /// Whether the store may break for good.
    pub(super) breaks: u8,
    /// Leases that run out while their process lives.
    pub(super) stalls: u8,
    /// Answers that do not come, and calls that LinkedIn turns away.
    pub(super) losses: u8,
    /// Times that all tokens issued so far are over.
    pub(super) expiries: u8,
    pub(super) disconnects: u8,
    /// Sign-ins of the member, which need no lease.
    pub(super) sign_ins: u8,
    /// Saves of a verdict into a row that ended: a new version with the same tokens.
    pub(super) verdicts: u8,
}

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    Nothing,
    NoReread,
    FenceIgnored,
    VersionIgnored,
    JournalClearedOnFailedSave,
    JournalUnread,
    AnswerNotRecovered,
    IntentNotReported,
    EndsWithoutComparing,
    OlderAdopted,
    IntentNotKept,
    AnswerLetGo,
    DiesWithItsCaller,
    OpenIntentDropped,
    DropsUnfenced,
    PostsAfterItsLease,
    WaitersForgotten,
}

/// How a row's grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Life {
    Live,
    Refused,
    RenewalLost,
}

/// A row; tokens are numbered as LinkedIn issues them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    pub(super) version: u8,
    pub(super) refresh: u8,
    pub(super) access: u8,
    pub(super) life: Life,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Answer {
    pub(super) refresh: u8,
    pub(super) access: u8,
}

/// A journal entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) base: u8,
    pub(super) number: u8,
    pub(super) answer: Option<Answer>,
}

/// Who holds a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    Nobody,
    Process(usize),
    /// A process that died with it.
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    pub(super) owner: Owner,
    pub(super) fence: u8,
    pub(super) is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Store {
    pub(super) row: Option<Grant>,
    pub(super) journal: Option<Entry>,
    pub(super) lease: Lease,
    pub(super) is_broken: bool,
}

/// LinkedIn, and calls on their way to it whose sender no longer listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LinkedIn {
    /// The refresh token it takes: under rotation the last one issued.
    pub(super) refresh: u8,
    pub(super) access: u8,
    pub(super) unheard: [Option<u8>; 2],
}

/// A flight's call to LinkedIn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wire {
    Idle,
    /// On its way.
    Out(u8),
    /// LinkedIn acted; the answer is on its way: none for "that refresh token is dead".
    Back(Option<Answer>),
}

/// A flight with what its hands hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flying {
    pub(super) flight: Flight,
    pub(super) doing: Action,
    pub(super) fence: u8,
    /// The access token to be replaced.
    pub(super) replaced: u8,
    pub(super) base: Option<Option<Grant>>,
    pub(super) seen: Option<Grant>,
    pub(super) earlier: Option<Entry>,
    pub(super) number: u8,
    pub(super) answer: Option<Answer>,
    pub(super) wire: Wire,
    pub(super) is_told: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) is_up: bool,
    /// What the cache holds.
    pub(super) served: Option<Grant>,
    /// Callers who wait.
    pub(super) waiting: u8,
    pub(super) flight: Option<Flying>,
}

/// What nobody in the world knows, but the properties ask for. One bit for each refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Truth {
    /// Posted, and not known to be unspent.
    pub(super) open: u8,
    /// Called dead by LinkedIn.
    pub(super) dead: u8,
    /// Reported as unconfirmed.
    pub(super) reported: u8,
    /// The newest refresh token was on disk.
    pub(super) is_durable: bool,
    /// The process that received the newest refresh token.
    pub(super) received: Option<usize>,
    pub(super) is_disconnected: bool,
    pub(super) is_signed_in_again: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) store: Store,
    pub(super) linkedin: LinkedIn,
    pub(super) processes: Vec<Process>,
    /// Access tokens below this number are over.
    pub(super) over: u8,
    pub(super) left: Left,
    pub(super) truth: Truth,
}

impl World {
    pub(super) fn new(scene: &Scene) -> Self {
        let row = Grant {
            version: 1,
            refresh: 0,
            access: 0,
            life: Life::Live,
        };
        let process = Process {
            is_up: true,
            served: Some(row),
            waiting: 0,
            flight: None,
        };
        Self {
            store: Store {
                row: Some(row),
                journal: None,
                lease: Lease {
                    owner: Owner::Nobody,
                    fence: 0,
                    is_over: false,
                },
                is_broken: false,
            },
            linkedin: LinkedIn {
                refresh: 0,
                access: 0,
                unheard: [None; 2],
            },
            processes: vec![process; scene.processes],
            over: 1,
            left: scene.left,
            truth: Truth {
                open: 0,
                dead: 0,
                reported: 0,
                is_durable: true,
                received: None,
                is_disconnected: false,
                is_signed_in_again: false,
            },
        }
    }

    /// Whether a call may be made with the grant, as this process sees it.
    pub(super) fn is_usable(&self, scene: &Scene, process: usize, grant: &Grant) -> bool {
        grant.access >= self.over && !(scene.is_ahead && process == 1)
    }

    /// LinkedIn acts on a call; none: that refresh token is dead.
    pub(super) fn linkedin_acts(&mut self, scene: &Scene, refresh: u8) -> Option<Answer> {
        if refresh != self.linkedin.refresh {
            self.truth.dead |= bit(refresh);
            return None;
        }
        self.linkedin.access += 1;
        if scene.rotates {
            self.linkedin.refresh += 1;
            self.truth.is_durable = false;
            self.truth.received = None;
        }
        Some(Answer {
            refresh: self.linkedin.refresh,
            access: self.linkedin.access,
        })
    }

    /// Whether the newest refresh token is on disk, where a start or a flight finds it.
    fn is_on_disk(&self) -> bool {
        let newest = self.linkedin.refresh;
        let version = self.store.row.map_or(0, |row| row.version);
        let is_journalled = |entry: Entry| {
            entry.base == version && entry.answer.is_some_and(|answer| answer.refresh == newest)
        };
        self.store.row.is_some_and(|row| row.refresh == newest)
            || self.store.journal.is_some_and(is_journalled)
    }

    fn is_in_memory(&self) -> bool {
        let newest = self.linkedin.refresh;
        let holds = |flying: &Flying| flying.answer.is_some_and(|answer| answer.refresh == newest);
        let mut flights = self
            .processes
            .iter()
            .filter_map(|process| process.flight.as_ref());
        flights.any(holds)
    }

    fn is_on_the_wire(&self) -> bool {
        let newest = self.linkedin.refresh;
        let comes = |flying: &Flying| matches!(flying.wire, Wire::Back(Some(answer)) if answer.refresh == newest);
        let mut flights = self
            .processes
            .iter()
            .filter_map(|process| process.flight.as_ref());
        flights.any(comes)
    }

    /// Notes what has become true; what is broken, if anything.
    pub(super) fn check(&mut self, scene: &Scene) -> Option<String> {
        if self.truth.is_disconnected || !scene.rotates {
            let ended = self.store.row.is_some_and(|row| row.life != Life::Live);
            return (ended && !scene.rotates).then(|| "signed out without rotation".to_owned());
        }
        let (on_disk, in_memory) = (self.is_on_disk(), self.is_in_memory());
        if self.truth.is_durable && !on_disk {
            return Some("a refresh token that was on disk is gone".to_owned());
        }
        self.truth.is_durable |= on_disk;
        if self.truth.received.is_some() && !on_disk && !in_memory {
            return Some(
                "a refresh token that was received is gone, and its process lives".to_owned(),
            );
        }
        let is_lost = !on_disk && !in_memory && !self.is_on_the_wire();
        (is_lost && !self.is_told_of_loss()).then(|| "a renewal was lost in silence".to_owned())
    }

    /// Whether somebody was told that the newest refresh token is lost, or will be by the journal.
    fn is_told_of_loss(&self) -> bool {
        let Some(row) = self.store.row else {
            return true;
        };
        let spent = self.linkedin.refresh.saturating_sub(1);
        let is_open = |entry: Entry| entry.base == row.version && entry.answer.is_none();
        self.truth.reported & bit(spent) != 0
            || row.life == Life::RenewalLost
            || self.store.journal.is_some_and(is_open)
    }

    /// Whether all is done: nobody waits, and nothing is under way that a working store would end.
    pub(super) fn rests(&self) -> bool {
        if self.store.is_broken {
            return self.processes.iter().all(|process| process.waiting == 0);
        }
        let at_rest =
            |process: &Process| process.is_up && process.waiting == 0 && process.flight.is_none();
        self.processes.iter().all(at_rest)
    }
}

pub(super) fn bit(refresh: u8) -> u8 {
    1 << refresh
}
