//! What every store must do with marks of signatures.

use super::*;

pub(super) async fn run(store: &dyn Store) {
    a_signature_has_one_mark_until_it_is_taken_away(store).await;
    the_oldest_marks_make_room(store).await;
}

fn mark(signature: &str, decision: Decision, at: i64) -> Mark {
    Mark {
        signature: signature.to_owned(),
        decision,
        at,
        by: "olga".to_owned(),
    }
}

async fn a_signature_has_one_mark_until_it_is_taken_away(store: &dyn Store) {
    assert_eq!(store.marks().await.unwrap(), []);
    let hostile = "GET /rest/\u{202e}'; DROP TABLE marks; -- 404 -";

    store
        .keep_mark(mark("GET /a 404 -", Decision::Muted, 1))
        .await
        .unwrap();
    let kept = mark(hostile, Decision::Muted, 2);
    store.keep_mark(kept.clone()).await.unwrap();
    let changed = mark("GET /a 404 -", Decision::Resolved, 3);
    store.keep_mark(changed.clone()).await.unwrap();

    assert_eq!(store.marks().await.unwrap(), [changed, kept]);
    assert!(store.remove_mark(hostile).await.unwrap());
    assert!(!store.remove_mark(hostile).await.unwrap());
    assert!(store.remove_mark("GET /a 404 -").await.unwrap());
    assert_eq!(store.marks().await.unwrap(), []);
}

async fn the_oldest_marks_make_room(store: &dyn Store) {
    let most = i64::from(MOST_MARKS);
    for n in 0..=most {
        let one = mark(&format!("GET /{n} 404 -"), Decision::Muted, n);
        store.keep_mark(one).await.unwrap();
    }

    let marks = store.marks().await.unwrap();

    assert_eq!(marks.len(), MOST_MARKS as usize);
    assert!(marks.iter().all(|mark| mark.at > 0), "the oldest went");
    for mark in marks {
        store.remove_mark(&mark.signature).await.unwrap();
    }
}
