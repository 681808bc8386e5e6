//! One renewal as a state machine: events in, actions out, no clock and no disk.
//!
//! lease → read the row and the journal again → journal the intent → POST → journal the answer →
//! save → publish → release (ARCHITECTURE.md, "An expired token").
//!
//! **Invariant:** a flight posts at most once, and only after its intent is on disk; an answer is
//! never let go of before it is saved, unless another's row has taken the place of ours; a grant
//! ends only if, after LinkedIn's refusal, the row still holds the refused refresh token. `model`
//! walks every order of events, crashes and lost leases among them.
//! **Neighbours:** `credentials::run` does what this decides; `judging` says what a row means.

mod judging;

pub(super) use judging::{Found, Held, Mine, found, is_older, judge};

/// What the row holds, seen from this flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Row {
    /// Nothing, and nothing can be made: the member is unknown or was forgotten.
    Gone,
    /// A grant that ended.
    Ended,
    /// A usable token other than the one to be replaced: somebody was faster.
    Renewed,
    /// What can be renewed, the same as when this flight first read it.
    Ready,
    /// The same, but the journal tells of a renewal from this very row whose answer nobody knows.
    Unconfirmed,
    /// The journal holds LinkedIn's answer to a renewal from this very row, not saved yet.
    Answered,
    /// What can be renewed, changed since this flight first read it.
    Changed,
    /// Changed since, but still from before this flight's answer, which is newer.
    Older,
    /// A token without a refresh token.
    Final,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event {
    /// The flight may begin.
    Begun,
    /// The lease is ours.
    LeaseTaken,
    /// Another holds the lease.
    LeaseBusy,
    /// The row was read.
    Read(Row),
    /// The write asked for is on disk.
    Kept,
    /// Another took the lease or changed the row.
    Lost,
    /// The store could not do it.
    StoreFailed,
    /// LinkedIn answered with a token.
    Answered,
    /// LinkedIn called the refresh token dead.
    Dead,
    /// No token; the refresh token was certainly not spent.
    Unspent,
    /// No token; whether the refresh token was spent is unknown.
    Open,
    /// What had to be done without the store was done, or a wait is over.
    Done,
}

/// How a flight ends, told to all who wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    /// The token in the cache is the answer.
    Renewed,
    /// Only the member can help.
    SignInNeeded,
    /// The POST failed; the failure says what to do.
    Failed,
    /// The store does not let us renew safely.
    StoreDown,
    /// Another process holds the lease and does not end.
    Busy,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// Take the lease: [`Event::LeaseTaken`], [`Event::LeaseBusy`] or [`Event::StoreFailed`].
    TakeLease,
    /// Wait a moment, then read the row: [`Event::Read`] or [`Event::StoreFailed`].
    WatchOther,
    /// Read the row and, before the intent, the journal: [`Event::Read`] or [`Event::StoreFailed`].
    ReadRow,
    /// Say that an earlier renewal is unconfirmed, and that it is tried once more: [`Event::Done`].
    Report,
    /// Journal "about to spend": [`Event::Kept`], [`Event::Lost`] or [`Event::StoreFailed`].
    KeepIntent,
    /// Ask LinkedIn: [`Event::Answered`], [`Event::Dead`], [`Event::Unspent`] or [`Event::Open`].
    Post,
    /// Journal the answer: as [`Action::KeepIntent`].
    KeepAnswer,
    /// Save the new grant over the row that was read last: as [`Action::KeepIntent`].
    Save,
    /// Serve the new grant, which is not saved, and raise the alarm: [`Event::Done`].
    PublishUnsaved,
    /// Wait before the next try to save: [`Event::Done`].
    AwaitStore,
    /// Serve the new grant, which is saved: [`Event::Done`].
    Publish,
    /// Serve what the row holds: [`Event::Done`].
    Adopt,
    /// Note in the row that the grant ended: as [`Action::KeepIntent`].
    SaveEnd,
    /// Serve the end: [`Event::Done`].
    PublishEnd,
    /// Take the intent back out of the journal: as [`Action::KeepIntent`].
    DropIntent,
    /// Give the lease back, if any, and end.
    End(Ending),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Waiting,
    Leasing,
    Watching,
    Reading,
    Reporting,
    Intending,
    Posting,
    Judging,
    Burying,
    Dropping,
    Journalling,
    Saving,
    /// The save was lost: is our answer still the newest?
    Reconciling,
    Resting,
    Retaking,
    /// The same question, with the lease held.
    Rereading,
    Publishing(Ending),
    Ended,
}

/// One renewal under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    phase: Phase,
    /// Looks at another's flight that are left before giving up.
    looks: u32,
    is_published: bool,
}

impl Flight {
    /// A flight that looks `looks` times at another's before it gives up: with
    /// [`Action::WatchOther`]'s wait, longer than a lease.
    pub(super) fn new(looks: u32) -> Self {
        Self {
            phase: Phase::Waiting,
            looks,
            is_published: false,
        }
    }

    /// Takes what happened and says what to do next. An event that cannot happen in this phase ends
    /// the flight without spending or losing anything.
    pub(super) fn next(&mut self, event: Event) -> Action {
        let (phase, action) = match self.phase {
            Phase::Waiting => (Phase::Leasing, Action::TakeLease),
            Phase::Leasing
            | Phase::Watching
            | Phase::Reading
            | Phase::Reporting
            | Phase::Intending => self.before_post(event),
            Phase::Posting | Phase::Judging | Phase::Burying | Phase::Dropping => {
                posted(self.phase, event)
            }
            Phase::Journalling
            | Phase::Saving
            | Phase::Reconciling
            | Phase::Resting
            | Phase::Retaking
            | Phase::Rereading => self.answered(event),
            Phase::Publishing(ending) => end(ending),
            Phase::Ended => end(Ending::Busy),
        };
        self.phase = phase;
        action
    }

    fn before_post(&mut self, event: Event) -> (Phase, Action) {
        match (self.phase, event) {
            (Phase::Leasing, Event::LeaseTaken) => (Phase::Reading, Action::ReadRow),
            (Phase::Leasing, Event::LeaseBusy) if self.looks > 0 => {
                self.looks -= 1;
                (Phase::Watching, Action::WatchOther)
            }
            (Phase::Watching, Event::Read(row)) if row.is_to_do() => {
                (Phase::Leasing, Action::TakeLease)
            }
            (Phase::Reading, Event::Read(Row::Ready | Row::Changed))
            | (Phase::Reporting, Event::Done) => (Phase::Intending, Action::KeepIntent),
            (Phase::Reading, Event::Read(Row::Unconfirmed)) => (Phase::Reporting, Action::Report),
            // A flight was cut short between its answer and its save: only the save is left to do.
            (Phase::Reading, Event::Read(Row::Answered)) => (Phase::Saving, Action::Save),
            (Phase::Watching | Phase::Reading, Event::Read(row)) => settled(row),
            (Phase::Intending, Event::Kept) => (Phase::Posting, Action::Post),
            (_, Event::StoreFailed) => end(Ending::StoreDown),
            _ => end(Ending::Busy),
        }
    }

    /// From LinkedIn's answer on, every way leads to a save or to another's row.
    fn answered(&mut self, event: Event) -> (Phase, Action) {
        match (self.phase, event) {
            // The save is tried whether or not the journal took the answer.
            (Phase::Journalling, _) => (Phase::Saving, Action::Save),
            (Phase::Saving, Event::Kept) => (Phase::Publishing(Ending::Renewed), Action::Publish),
            (Phase::Saving, Event::Lost) => (Phase::Reconciling, Action::ReadRow),
            (Phase::Resting, Event::Done) => (Phase::Retaking, Action::TakeLease),
            (Phase::Retaking, Event::LeaseTaken) => (Phase::Rereading, Action::ReadRow),
            // Whatever changed, our answer is still the newest: it goes over what is there.
            (Phase::Rereading, Event::Read(Row::Ready | Row::Older)) => {
                (Phase::Saving, Action::Save)
            }
            (Phase::Reconciling | Phase::Rereading, Event::Read(Row::Gone | Row::Ended)) => {
                (Phase::Publishing(Ending::SignInNeeded), Action::Adopt)
            }
            (
                Phase::Reconciling | Phase::Rereading,
                Event::Read(Row::Renewed | Row::Changed | Row::Final),
            ) => (Phase::Publishing(Ending::Renewed), Action::Adopt),
            _ if self.is_published => (Phase::Resting, Action::AwaitStore),
            _ => {
                self.is_published = true;
                (Phase::Resting, Action::PublishUnsaved)
            }
        }
    }
}

impl Row {
    /// Whether there is something to renew, or to complete.
    fn is_to_do(self) -> bool {
        matches!(
            self,
            Self::Ready | Self::Changed | Self::Unconfirmed | Self::Answered
        )
    }
}

/// From the POST until LinkedIn's answer, or the end without one.
fn posted(phase: Phase, event: Event) -> (Phase, Action) {
    match (phase, event) {
        (Phase::Posting, Event::Answered) => (Phase::Journalling, Action::KeepAnswer),
        (Phase::Posting, Event::Dead) => (Phase::Judging, Action::ReadRow),
        (Phase::Posting, Event::Unspent) => (Phase::Dropping, Action::DropIntent),
        // Still the refresh token that was refused: LinkedIn's word holds.
        (Phase::Judging, Event::Read(Row::Ready)) => (Phase::Burying, Action::SaveEnd),
        (Phase::Judging, Event::Read(row @ (Row::Renewed | Row::Gone | Row::Ended))) => {
            settled(row)
        }
        (Phase::Burying, Event::Kept) => {
            (Phase::Publishing(Ending::SignInNeeded), Action::PublishEnd)
        }
        _ => end(Ending::Failed),
    }
}

/// The row itself is the answer.
fn settled(row: Row) -> (Phase, Action) {
    let ending = match row {
        Row::Renewed => Ending::Renewed,
        Row::Gone | Row::Ended | Row::Final => Ending::SignInNeeded,
        Row::Ready | Row::Changed | Row::Unconfirmed | Row::Answered | Row::Older => Ending::Busy,
    };
    (Phase::Publishing(ending), Action::Adopt)
}

fn end(ending: Ending) -> (Phase, Action) {
    (Phase::Ended, Action::End(ending))
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
