//! Every order of events in a small world: the flight, the judging and the recovery that run, between
//! a model of the store, of LinkedIn, of callers and of two processes that may die, stall or fail.
//!
//! **Invariant:** what decides is the real code (`Flight`, `judge`, `found`, `is_older`); what is
//! modelled is only what it decides about. A property that a state breaks is told with the shortest
//! way there.
//!
//! - No refresh token is posted whose answer is on disk; one whose answer nobody knows is posted again
//!   only after that was reported, and counted.
//! - A new refresh token that came to a process is in its memory or on disk while it lives, and on disk
//!   for ever once it was there.
//! - A grant ends only after LinkedIn called the very refresh token of its row dead; without rotation
//!   no grant ever ends.
//! - An answer that is lost is reported, or the journal still tells of it.
//! - From everywhere, without further trouble, all who wait are told and everything comes to rest.

mod explore;
mod hands;
mod steps;
mod world;

use explore::{Explored, explore};
use world::{Break, Left, Scene};

/// Trouble enough for one scene; what is not named is none.
const CALM: Left = Left {
    joins: 2,
    leaves: 1,
    crashes: 0,
    store_failures: 0,
    breaks: 0,
    stalls: 0,
    losses: 0,
    expiries: 0,
    disconnects: 0,
    sign_ins: 0,
    verdicts: 0,
};

const ALONE: Scene = Scene {
    why: "one process: any crash, any failing write, any lost answer, under rotation",
    processes: 1,
    rotates: true,
    is_ahead: false,
    left: Left {
        crashes: 2,
        store_failures: 2,
        losses: 1,
        ..CALM
    },
};

const SCENES: &[Scene] = &[
    ALONE,
    Scene {
        why: "the same without rotation: nobody is ever signed out",
        rotates: false,
        ..ALONE
    },
    Scene {
        why: "a second renewal, and a member who is disconnected or signs in again in between",
        left: Left {
            leaves: 0,
            crashes: 1,
            store_failures: 1,
            expiries: 1,
            disconnects: 1,
            sign_ins: 1,
            ..CALM
        },
        ..ALONE
    },
    Scene {
        why: "an open intent, a try that LinkedIn turns away, and another try",
        left: Left {
            joins: 3,
            leaves: 0,
            crashes: 1,
            losses: 2,
            ..CALM
        },
        ..ALONE
    },
    Scene {
        why: "the store breaks for good: whoever waits is told all the same",
        left: Left {
            crashes: 1,
            breaks: 1,
            losses: 1,
            ..CALM
        },
        ..ALONE
    },
    Scene {
        why: "two processes: one stalls and loses its lease while its call to LinkedIn is under way",
        processes: 2,
        left: Left {
            leaves: 0,
            stalls: 2,
            losses: 1,
            verdicts: 1,
            ..CALM
        },
        ..ALONE
    },
    Scene {
        why: "two processes, one dies and leaves its lease and its journal to the other",
        processes: 2,
        left: Left {
            joins: 2,
            leaves: 0,
            crashes: 1,
            stalls: 1,
            store_failures: 1,
            ..CALM
        },
        ..ALONE
    },
    Scene {
        why: "two processes without rotation",
        processes: 2,
        rotates: false,
        left: Left {
            leaves: 0,
            crashes: 1,
            stalls: 1,
            losses: 1,
            ..CALM
        },
        ..ALONE
    },
    Scene {
        why: "the second process's clock is ahead: every token looks over to it",
        processes: 2,
        is_ahead: true,
        left: Left {
            joins: 2,
            leaves: 0,
            stalls: 1,
            losses: 1,
            ..CALM
        },
        ..ALONE
    },
];

/// One way to break the code, and the reason it was built otherwise.
const BREAKS: &[(Break, &str)] = &[
    (Break::NoReread, "the row is not read again under the lease"),
    (Break::FenceIgnored, "a late writer's fence is not checked"),
    (Break::VersionIgnored, "a save does not compare the version"),
    (
        Break::JournalClearedOnFailedSave,
        "the journal is cleared although the save failed",
    ),
    (
        Break::JournalUnread,
        "a flight does not look for what an earlier one left in the journal",
    ),
    (
        Break::AnswerNotRecovered,
        "a start clears a journalled answer instead of saving it",
    ),
    (
        Break::IntentNotReported,
        "a start clears an intent without an answer in silence",
    ),
    (
        Break::EndsWithoutComparing,
        "a refused refresh token ends the grant whatever the row holds by now",
    ),
    (
        Break::OlderAdopted,
        "a row that another ended keeps a new refresh token out",
    ),
    (
        Break::IntentNotKept,
        "the call to LinkedIn leaves without an intent on disk",
    ),
    (
        Break::AnswerLetGo,
        "a flight whose save failed ends instead of trying again",
    ),
    (
        Break::DiesWithItsCaller,
        "a flight ends when the caller that began it leaves",
    ),
    (
        Break::OpenIntentDropped,
        "a try that spent nothing also clears the open intent before it",
    ),
    (
        Break::DropsUnfenced,
        "an intent is dropped by a process that lost its lease",
    ),
    (
        Break::PostsAfterItsLease,
        "the call to LinkedIn leaves though the lease is over",
    ),
    (
        Break::WaitersForgotten,
        "those who wait are not told when the new token is served from memory",
    ),
];

#[test]
fn no_order_of_events_spends_twice_loses_a_token_or_lets_anyone_wait() {
    let mut all = 0;
    for scene in SCENES {
        let Explored { states, steps } = explore(scene, Break::Nothing)
            .unwrap_or_else(|broken| panic!("{}: {broken}", scene.why));
        println!("{states:>7} states, {steps:>7} steps: {}", scene.why);
        all += states;
    }
    println!("{all:>7} states in all");
    assert!(all > 10_000, "the scenes grew small");
}

#[test]
fn every_way_to_break_the_code_is_found() {
    for (broken, why) in BREAKS {
        let found = SCENES
            .iter()
            .find_map(|scene| explore(scene, *broken).err());

        let found = found.unwrap_or_else(|| panic!("not found: {why}"));
        println!("{broken:?}: {found}");
    }
}
