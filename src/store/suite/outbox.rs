//! What every store must do with notices and with what was told.

use super::*;

pub(super) async fn run(store: &dyn Store) {
    what_is_told_stays_told_until_it_is_over(store).await;
    a_notice_is_taken_once_it_is_due_and_its_try_counts(store).await;
    notices_of_one_subject_keep_their_order_and_others_overtake(store).await;
    a_notice_grows_until_its_first_try_and_no_step_is_half_taken(store).await;
    the_oldest_make_room_for_each_webhook_by_itself(store).await;
    what_has_waited_too_long_is_given_up(store).await;
}

fn notice(id: &str, webhook: &str, subject: &str) -> Waiting {
    Waiting {
        id: id.to_owned(),
        webhook: webhook.to_owned(),
        event: "member.sign_in_needed".to_owned(),
        subject: subject.to_owned(),
        body: format!("{{\"id\":\"{id}\"}}"),
        created_at: 1_000,
        attempts: 0,
        next_micros: 10,
    }
}

fn telling(notices: Vec<Waiting>) -> Telling {
    Telling {
        at: 1_000,
        notices,
        max_waiting: 100,
        ..Telling::default()
    }
}

fn tried(notice: Waiting, attempts: u32) -> Next {
    Next::Due(Waiting { attempts, ..notice })
}

async fn empty(store: &dyn Store) {
    store.give_up(i64::MAX).await.unwrap();
    assert_eq!(store.count_waiting().await.unwrap(), 0);
}

async fn what_is_told_stays_told_until_it_is_over(store: &dyn Store) {
    let step = |told: &[&str], over: &[&str], at| Telling {
        told: told.iter().map(|&key| key.to_owned()).collect(),
        over: over.iter().map(|&key| key.to_owned()).collect(),
        at,
        ..telling(Vec::new())
    };

    store.tell(step(&["a", "b"], &[], 5)).await.unwrap();
    store
        .tell(step(&["b"], &["a", "never told"], 6))
        .await
        .unwrap();

    assert_eq!(store.told().await.unwrap(), [("b".to_owned(), 6)]);
}

async fn a_notice_is_taken_once_it_is_due_and_its_try_counts(store: &dyn Store) {
    let first = notice("n1", "chat", "ada");
    assert_eq!(store.take_due("chat", 10).await.unwrap(), Next::Nothing);
    store.tell(telling(vec![first.clone()])).await.unwrap();

    assert_eq!(store.take_due("other", 10).await.unwrap(), Next::Nothing);
    assert_eq!(store.take_due("chat", 9).await.unwrap(), Next::At(10));
    assert_eq!(
        store.take_due("chat", 10).await.unwrap(),
        tried(first.clone(), 1)
    );
    // The process ended before it learnt more: the same again, under the same id.
    assert_eq!(
        store.take_due("chat", 10).await.unwrap(),
        tried(first.clone(), 2)
    );
    store.put_off("n1", "chat", 50).await.unwrap();
    assert_eq!(store.take_due("chat", 49).await.unwrap(), Next::At(50));
    store.hurry("chat", 20).await.unwrap();
    let hurried = Waiting {
        next_micros: 20,
        ..first
    };
    assert_eq!(store.take_due("chat", 20).await.unwrap(), tried(hurried, 3));

    store.taken("n1", "chat").await.unwrap();
    assert_eq!(store.take_due("chat", 99).await.unwrap(), Next::Nothing);
}

async fn notices_of_one_subject_keep_their_order_and_others_overtake(store: &dyn Store) {
    let names = [("n1", "ada"), ("n2", "ada"), ("n3", "grace")];
    let all = names
        .map(|(id, subject)| notice(id, "chat", subject))
        .to_vec();
    store.tell(telling(all.clone())).await.unwrap();

    store.take_due("chat", 10).await.unwrap();
    store.put_off("n1", "chat", 100).await.unwrap();

    assert_eq!(
        store.take_due("chat", 10).await.unwrap(),
        tried(all[2].clone(), 1)
    );
    store.taken("n3", "chat").await.unwrap();
    assert_eq!(store.take_due("chat", 10).await.unwrap(), Next::At(100));
    store.taken("n1", "chat").await.unwrap();
    assert_eq!(
        store.take_due("chat", 10).await.unwrap(),
        tried(all[1].clone(), 1)
    );
    empty(store).await;
}

async fn a_notice_grows_until_its_first_try_and_no_step_is_half_taken(store: &dyn Store) {
    let first = notice("n1", "chat", "many");
    let grown = Waiting {
        body: "more".to_owned(),
        ..first.clone()
    };
    let growing = |told: &str| Telling {
        told: vec![told.to_owned()],
        grown: vec![grown.clone()],
        ..telling(Vec::new())
    };
    store.tell(telling(vec![first])).await.unwrap();

    store.tell(growing("early")).await.unwrap();
    // What was never tried is not hurried: it may still grow.
    store.hurry("chat", 5).await.unwrap();
    assert_eq!(
        store.take_due("chat", 10).await.unwrap(),
        tried(grown.clone(), 1)
    );
    let late = store.tell(growing("late")).await;

    assert!(matches!(late, Err(StoreError::Moved)));
    let told = store.told().await.unwrap();
    let keys: Vec<&str> = told.iter().map(|(key, _)| key.as_str()).collect();
    assert!(
        keys.contains(&"early") && !keys.contains(&"late"),
        "{keys:?}"
    );
    empty(store).await;
}

async fn the_oldest_make_room_for_each_webhook_by_itself(store: &dyn Store) {
    let quiet = notice("n0", "quiet", "ada");
    store.tell(telling(vec![quiet.clone()])).await.unwrap();
    let ids = ["n1", "n2", "n3"];
    let crowd = ids.map(|id| notice(id, "chat", id)).to_vec();

    let dropped = Telling {
        max_waiting: 2,
        ..telling(crowd.clone())
    };
    let lost = store.tell(dropped).await.unwrap();

    let of_chat = Lost {
        webhook: "chat".to_owned(),
        event: "member.sign_in_needed".to_owned(),
    };
    assert_eq!(lost, [of_chat]);
    let left = [quiet, crowd[1].clone(), crowd[2].clone()];
    assert_eq!(store.outbox(100).await.unwrap(), left);
    assert_eq!(store.outbox(1).await.unwrap(), left[..1]);
    empty(store).await;
}

async fn what_has_waited_too_long_is_given_up(store: &dyn Store) {
    let old = Waiting {
        created_at: 1,
        ..notice("n1", "chat", "ada")
    };
    let young = notice("n2", "chat", "ada");
    store.tell(telling(vec![old, young.clone()])).await.unwrap();

    let lost = store.give_up(1_000).await.unwrap();

    assert_eq!(lost.len(), 1);
    assert_eq!(store.outbox(9).await.unwrap(), [young]);
    empty(store).await;
}
