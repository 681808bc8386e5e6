//! One renewal as a state machine: events in, actions out, no clock and no disk.
//!
//! lease → read the row again → journal the intent → POST → journal the answer → save → publish →
//! release (ARCHITECTURE.md, "An expired token").
//!
//! **Invariant:** a flight posts at most once, and only after its intent is on disk; an answer is
//! never let go of before it is saved, unless another's row has taken the place of ours; a grant
//! ends only if, after LinkedIn's refusal, the row still holds the refused refresh token.
//! **Neighbours:** `credentials::refresher` does what this decides.

/// What the row holds, seen from this flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// Nothing, and nothing can be made: the member is unknown or was forgotten.
    Gone,
    /// A grant that ended.
    Ended,
    /// A usable token other than the one to be replaced: somebody was faster.
    Renewed,
    /// What can be renewed, the same as when this flight first read it.
    Ready,
    /// What can be renewed, changed since this flight first read it.
    Changed,
    /// A token without a refresh token.
    Final,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Take the lease: [`Event::LeaseTaken`], [`Event::LeaseBusy`] or [`Event::StoreFailed`].
    TakeLease,
    /// Wait a moment, then read the row: [`Event::Read`] or [`Event::StoreFailed`].
    WatchOther,
    /// Read the row: [`Event::Read`] or [`Event::StoreFailed`].
    ReadRow,
    /// Journal "about to spend": [`Event::Kept`], [`Event::Lost`] or [`Event::StoreFailed`].
    KeepIntent,
    /// Ask LinkedIn: [`Event::Answered`], [`Event::Dead`], [`Event::Unspent`] or [`Event::Open`].
    Post,
    /// Journal the answer: as [`Action::KeepIntent`].
    KeepAnswer,
    /// Save the new grant: as [`Action::KeepIntent`].
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
    /// Remove the journal's intent: [`Event::Kept`] or [`Event::StoreFailed`].
    DropIntent,
    /// Give the lease back, if any, and end.
    End(Ending),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Leasing,
    Watching,
    Reading,
    Intending,
    Posting,
    Judging,
    Burying,
    Dropping,
    Journalling,
    Saving,
    Resting,
    Retaking,
    Reconciling,
    Publishing(Ending),
    Ended,
}

/// Looks at another's flight before giving up; with [`Action::WatchOther`]'s wait, longer than a lease.
const LOOKS: u32 = 160;

/// One renewal under way.
#[derive(Debug)]
pub(super) struct Flight {
    phase: Phase,
    looks: u32,
    is_published: bool,
}

impl Flight {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Waiting,
            looks: 0,
            is_published: false,
        }
    }

    /// Takes what happened and says what to do next. An event that cannot happen in this phase ends
    /// the flight without spending or losing anything.
    pub(super) fn next(&mut self, event: Event) -> Action {
        let (phase, action) = match self.phase {
            Phase::Waiting => (Phase::Leasing, Action::TakeLease),
            Phase::Leasing | Phase::Watching | Phase::Reading | Phase::Intending => {
                self.before_post(event)
            }
            Phase::Posting | Phase::Judging | Phase::Burying | Phase::Dropping => {
                posted(self.phase, event)
            }
            Phase::Journalling
            | Phase::Saving
            | Phase::Resting
            | Phase::Retaking
            | Phase::Reconciling => self.answered(event),
            Phase::Publishing(ending) => end(ending),
            Phase::Ended => end(Ending::Busy),
        };
        self.phase = phase;
        action
    }

    fn before_post(&mut self, event: Event) -> (Phase, Action) {
        match (self.phase, event) {
            (Phase::Leasing, Event::LeaseTaken) => (Phase::Reading, Action::ReadRow),
            (Phase::Leasing, Event::LeaseBusy) if self.looks < LOOKS => {
                self.looks += 1;
                (Phase::Watching, Action::WatchOther)
            }
            (Phase::Watching, Event::Read(Row::Ready | Row::Changed)) => {
                (Phase::Leasing, Action::TakeLease)
            }
            (Phase::Reading, Event::Read(Row::Ready | Row::Changed)) => {
                (Phase::Intending, Action::KeepIntent)
            }
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
            (Phase::Saving | Phase::Retaking, Event::Lost) => (Phase::Reconciling, Action::ReadRow),
            (Phase::Retaking, Event::LeaseTaken) => (Phase::Saving, Action::Save),
            // Only the lease was lost, the row is as it was: our answer is still the newest.
            (Phase::Reconciling, Event::Read(Row::Ready)) | (Phase::Resting, Event::Done)
                if self.is_published =>
            {
                (Phase::Retaking, Action::TakeLease)
            }
            (Phase::Reconciling, Event::Read(Row::Gone)) => {
                (Phase::Publishing(Ending::SignInNeeded), Action::Adopt)
            }
            (Phase::Reconciling, Event::Read(Row::Renewed | Row::Changed | Row::Final)) => {
                (Phase::Publishing(Ending::Renewed), Action::Adopt)
            }
            (Phase::Reconciling, Event::Read(Row::Ended)) => {
                (Phase::Publishing(Ending::SignInNeeded), Action::Adopt)
            }
            _ if self.is_published => (Phase::Resting, Action::AwaitStore),
            _ => {
                self.is_published = true;
                (Phase::Resting, Action::PublishUnsaved)
            }
        }
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
        Row::Ready | Row::Changed => Ending::Busy,
    };
    (Phase::Publishing(ending), Action::Adopt)
}

fn end(ending: Ending) -> (Phase, Action) {
    (Phase::Ended, Action::End(ending))
}

#[cfg(test)]
mod tests;
