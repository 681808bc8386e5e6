//! The order of a renewal, step by step and at random.

use proptest::prelude::*;

use super::*;

const LOOKS: u32 = 160;

/// What the flight does for these events, from its beginning.
fn actions(events: &[Event]) -> Vec<Action> {
    let mut flight = Flight::new(LOOKS);
    events.iter().map(|event| flight.next(*event)).collect()
}

const UP_TO_POST: [Event; 4] = [
    Event::Begun,
    Event::LeaseTaken,
    Event::Read(Row::Ready),
    Event::Kept,
];

/// The last action after `UP_TO_POST` and these.
fn after_post(events: &[Event]) -> Vec<Action> {
    let all = [UP_TO_POST.as_slice(), events].concat();
    actions(&all).split_off(UP_TO_POST.len())
}

#[test]
fn a_good_renewal_takes_its_steps_in_order() {
    let events = [
        UP_TO_POST.as_slice(),
        &[Event::Answered, Event::Kept, Event::Kept, Event::Done],
    ];

    assert_eq!(
        actions(&events.concat()),
        [
            Action::TakeLease,
            Action::ReadRow,
            Action::KeepIntent,
            Action::Post,
            Action::KeepAnswer,
            Action::Save,
            Action::Publish,
            Action::End(Ending::Renewed),
        ]
    );
}

#[test]
fn a_row_that_another_renewed_is_adopted_without_a_post() {
    let events = [
        Event::Begun,
        Event::LeaseTaken,
        Event::Read(Row::Renewed),
        Event::Done,
    ];

    assert_eq!(
        actions(&events)[2..],
        [Action::Adopt, Action::End(Ending::Renewed)]
    );
}

#[test]
fn an_answer_left_in_the_journal_is_saved_without_a_post() {
    let events = [
        Event::Begun,
        Event::LeaseTaken,
        Event::Read(Row::Answered),
        Event::Kept,
        Event::Done,
    ];

    assert_eq!(
        actions(&events)[2..],
        [Action::Save, Action::Publish, Action::End(Ending::Renewed)]
    );
}

#[test]
fn an_open_intent_is_reported_before_its_token_is_spent_again() {
    let events = [
        Event::Begun,
        Event::LeaseTaken,
        Event::Read(Row::Unconfirmed),
        Event::Done,
        Event::Kept,
    ];

    assert_eq!(
        actions(&events)[2..],
        [Action::Report, Action::KeepIntent, Action::Post]
    );
}

#[test]
fn a_busy_lease_is_watched_and_the_winners_row_adopted() {
    let events = [
        Event::Begun,
        Event::LeaseBusy,
        Event::Read(Row::Ready),
        Event::LeaseBusy,
        Event::Read(Row::Renewed),
    ];

    assert_eq!(
        actions(&events)[1..],
        [
            Action::WatchOther,
            Action::TakeLease,
            Action::WatchOther,
            Action::Adopt,
        ]
    );
}

#[test]
fn a_lease_that_stays_busy_ends_the_flight() {
    let mut flight = Flight::new(LOOKS);
    let mut action = flight.next(Event::Begun);
    let mut steps = 0;
    while action != Action::End(Ending::Busy) {
        action = match action {
            Action::TakeLease => flight.next(Event::LeaseBusy),
            _ => flight.next(Event::Read(Row::Ready)),
        };
        steps += 1;
        assert!(steps < 1000, "the flight watches for ever");
    }
}

#[test]
fn a_dead_refresh_token_ends_the_grant_only_if_the_row_still_holds_it() {
    for (row, expected) in [
        (Row::Ready, Action::SaveEnd),
        (Row::Renewed, Action::Adopt),
        (Row::Gone, Action::Adopt),
        (Row::Changed, Action::End(Ending::Failed)),
        (Row::Final, Action::End(Ending::Failed)),
    ] {
        let done = after_post(&[Event::Dead, Event::Read(row)]);

        assert_eq!(done, [Action::ReadRow, expected], "{row:?}");
    }
}

#[test]
fn a_store_that_fails_after_the_answer_is_tried_until_it_saves() {
    let events = [
        Event::Answered,
        Event::StoreFailed,
        Event::StoreFailed,
        Event::Done,
        Event::StoreFailed,
        Event::Done,
        Event::LeaseTaken,
        Event::Read(Row::Ready),
        Event::StoreFailed,
        Event::Done,
        Event::LeaseTaken,
        Event::Read(Row::Older),
        Event::Kept,
    ];

    assert_eq!(
        after_post(&events),
        [
            Action::KeepAnswer,
            Action::Save,
            Action::PublishUnsaved,
            Action::TakeLease,
            Action::AwaitStore,
            Action::TakeLease,
            Action::ReadRow,
            Action::Save,
            Action::AwaitStore,
            Action::TakeLease,
            Action::ReadRow,
            Action::Save,
            Action::Publish,
        ]
    );
}

#[test]
fn an_answer_after_another_save_gives_way_to_that_row() {
    let events = [
        Event::Answered,
        Event::Kept,
        Event::Lost,
        Event::Read(Row::Changed),
    ];

    assert_eq!(after_post(&events)[2..], [Action::ReadRow, Action::Adopt]);
}

#[test]
fn an_intent_is_dropped_only_when_nothing_was_spent() {
    assert_eq!(after_post(&[Event::Unspent]), [Action::DropIntent]);
    assert_eq!(after_post(&[Event::Open]), [Action::End(Ending::Failed)]);
}

fn any_row() -> impl Strategy<Value = Row> {
    prop::sample::select(vec![
        Row::Gone,
        Row::Ended,
        Row::Renewed,
        Row::Ready,
        Row::Unconfirmed,
        Row::Answered,
        Row::Changed,
        Row::Older,
        Row::Final,
    ])
}

/// What can truly follow an action, and now and then something that cannot.
fn answer_to(action: Action, pick: usize, row: Row) -> Event {
    let writes = [Event::Kept, Event::Lost, Event::StoreFailed];
    let choices: &[Event] = match action {
        Action::TakeLease => &[Event::LeaseTaken, Event::LeaseBusy, Event::StoreFailed],
        Action::WatchOther | Action::ReadRow => {
            return match pick % 4 {
                0 => Event::StoreFailed,
                _ => Event::Read(row),
            };
        }
        Action::KeepIntent | Action::KeepAnswer | Action::Save | Action::SaveEnd => &writes,
        Action::DropIntent => &[Event::Kept, Event::StoreFailed],
        Action::Post => &[Event::Answered, Event::Dead, Event::Unspent, Event::Open],
        _ => &[Event::Done],
    };
    choices[pick % choices.len()]
}

proptest! {
    #[test]
    fn no_order_of_events_spends_twice_or_loses_an_answer(
        picks in proptest::collection::vec((0..12_usize, any_row()), 1..200),
    ) {
        let mut flight = Flight::new(LOOKS);
        let mut action = flight.next(Event::Begun);
        let (mut posts, mut is_intended, mut is_answered, mut is_kept) = (0, false, false, false);
        let mut last_write = None;
        for (pick, row) in picks {
            let event = answer_to(action, pick, row);
            match (action, event) {
                (Action::KeepIntent, Event::Kept) => is_intended = true,
                (Action::Post, _) => {
                    prop_assert!(is_intended, "posted without an intent on disk");
                    posts += 1;
                    is_answered = event == Event::Answered;
                }
                (Action::Save, _) => last_write = Some(event),
                (Action::Publish, _) => {
                    prop_assert_eq!(last_write, Some(Event::Kept), "published as saved, was not");
                    is_kept = true;
                }
                (Action::Adopt, _) => is_kept = true,
                (Action::SaveEnd, _) => prop_assert!(!is_answered),
                (Action::End(_), _) => break,
                _ => {}
            }
            prop_assert!(posts <= 1, "the refresh token was spent twice");
            action = flight.next(event);
        }
        if let Action::End(ending) = action {
            prop_assert!(!is_answered || is_kept, "an answer was let go: {ending:?}");
        }
    }

    #[test]
    fn events_that_cannot_happen_never_lead_to_a_post(
        events in proptest::collection::vec(
            prop::sample::select(vec![
                Event::Begun, Event::LeaseBusy, Event::Lost, Event::StoreFailed, Event::Answered,
                Event::Dead, Event::Unspent, Event::Open, Event::Done, Event::Kept,
            ]),
            1..30,
        ),
    ) {
        prop_assert!(!actions(&events).contains(&Action::Post));
    }
}
