//! Syncing, the self-test, the ledger, and what `verify` says of a log that the writer wrote.

use http::HeaderValue;

use super::*;
use crate::incident::verify::{Report, verify};

fn verified(world: &World) -> Report {
    let keep = Duration::from_secs(24 * 3_600);
    verify(&world.directory(), keep, &world.clock).unwrap()
}

#[tokio::test]
async fn lines_are_synced_when_it_is_asked_for() {
    for (why, fsync, is_at_once) in [
        ("before the answer is told", Fsync::Always, true),
        (
            "a moment later",
            Fsync::Interval(Duration::from_millis(100)),
            false,
        ),
    ] {
        let world = World::with(|settings| settings.fsync = fsync);

        world.recorder.record(incident()).await.unwrap();

        let is_synced = || world.recorder.figures().synced_micros > 0;
        assert!(!is_at_once || is_synced(), "{why}");
        until("it is synced", is_synced).await;
    }
    let world = World::with(|settings| settings.fsync = Fsync::Never);
    world.recorder.record(incident()).await.unwrap();
    let figures = world.recorder.figures();
    assert_eq!(figures.synced_micros, 0);
    assert!(figures.written_micros > 0 && figures.record_bytes > 0);
}

fn self_test(world: &World) -> SelfTest {
    SelfTest {
        recorder: world.recorder.clone(),
        incidents: world.incidents(),
        ring: world.ring.clone(),
        clock: world.clock.clone(),
    }
}

#[tokio::test]
async fn the_self_test_goes_the_whole_way_and_is_in_no_list() {
    let world = World::start();

    self_test(&world).run().await.unwrap();

    assert_eq!(world.recorder.health(), Ok(()));
    assert_eq!(world.records(), []);
    let asked_for = Filter {
        kind: Some("self_test".into()),
        ..Filter::default()
    };
    let found: Vec<Record> = world.incidents().list(asked_for).flatten().collect();
    assert_eq!(found.len(), 1);
    assert!(!found[0].is_incident());
    assert!(!world.text().contains("lgk_selftest_"));
    assert!(world.counts("linkgate_incidents_total{fault=\"gateway\"} 0"));
    let report = verified(&world);
    assert_eq!(
        (report.is_whole, report.self_tests, report.incidents),
        (true, 1, 0)
    );
}

#[tokio::test]
async fn a_self_test_that_fails_is_told_until_one_passes() {
    let world = World::start();
    fs::remove_dir_all(world.directory()).unwrap();
    fs::write(world.directory(), "a file in its place").unwrap();

    let failed = self_test(&world).run().await;

    assert!(failed.is_err());
    fs::remove_file(world.directory()).unwrap();
    until("the log can be written", || world.dropped() == 1).await;
    let told = world.recorder.health().unwrap_err();
    assert!(told.contains("self-test"), "{told}");
    self_test(&world).run().await.unwrap();
    assert_eq!(world.recorder.health(), Ok(()));
}

#[tokio::test]
async fn a_successful_write_is_a_line_without_its_secrets() {
    let world = World::with(|settings| settings.ledger = true);
    assert!(world.recorder.keeps_ledger());
    let seen = incident();
    let secret = "a-secret-of-the-exchange-0123456789";

    world.recorder.note_write(Write {
        id: seen.id,
        started_micros: seen.started_micros,
        caller: seen.caller,
        member: seen.member,
        member_urn: seen.member_urn,
        client_id: seen.client_id,
        method: Method::POST,
        target: format!("/rest/posts?note={secret}").into(),
        status: StatusCode::CREATED,
        x_restli_id: Some(
            HeaderValue::from_static("urn:li:share:7")
                .as_bytes()
                .to_vec()
                .into(),
        ),
        x_li_uuid: Some(UUID.into()),
        x_li_request_id: None,
        attempts: 2,
        secrets: vec![secret.into()],
    });
    world.recorder.record(incident()).await.unwrap();

    let with_ledger = Filter {
        ledger: true,
        x_li_uuid: Some(UUID.into()),
        text: Some("urn:li:share:7".into()),
        ..Filter::default()
    };
    let found: Vec<Record> = world.incidents().list(with_ledger).flatten().collect();
    let [line] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(
        (line.kind(), line.status(), line.member()),
        (Some("written"), Some(201), Some("ada"))
    );
    assert_eq!(
        (line.caller(), line.number("/attempts_made")),
        (Some("crm"), Some(2))
    );
    assert!(
        line.url()
            .unwrap()
            .starts_with("/rest/posts?note=[redacted:")
    );
    assert!(!world.text().contains(secret));
    assert_eq!(world.records().len(), 1, "it is in no list of incidents");
    assert!(matches!(
        world.incidents().find(line.id().unwrap()),
        Found::One(_)
    ));
    assert_eq!(verified(&world).written, 1);
}

#[tokio::test]
async fn a_body_that_is_gone_before_its_time_is_missing_and_afterwards_is_not() {
    let world = World::start();
    let mut incident = incident();
    incident.data_key = Some(world.ring.new_data_key());
    world.recorder.record(incident).await.unwrap();
    let whole = verified(&world);
    let bodies = world.directory().join("bodies");
    let segment = fs::read_dir(&bodies)
        .unwrap()
        .flatten()
        .next()
        .unwrap()
        .path();

    fs::write(&segment, b"cut").unwrap();
    let cut = verified(&world);
    fs::remove_file(&segment).unwrap();
    let gone = verified(&world);
    let later = Clock::system();
    later.advance(Duration::from_secs(25 * 3_600));
    let over = verify(&world.directory(), Duration::from_secs(24 * 3_600), &later).unwrap();

    assert!(whole.is_whole && whole.bodies > 0, "{whole:?}");
    assert!(!cut.is_whole && !gone.is_whole, "{cut:?} {gone:?}");
    assert!(over.is_whole && over.bodies_over > 0, "{over:?}");
}

#[tokio::test]
async fn a_log_of_a_thousand_records_and_a_restart_is_whole_while_it_is_written() {
    let world = World::start();
    let folder = {
        for written in (0..500)
            .map(|_| world.recorder.record(incident()))
            .collect::<Vec<_>>()
        {
            written.await.unwrap();
        }
        world.close()
    };
    let again = World::in_folder(folder, |_| {});

    let written: Vec<Written> = (0..500)
        .map(|_| again.recorder.record(incident()))
        .collect();
    let meanwhile = verified(&again);
    for written in written {
        written.await.unwrap();
    }
    let afterwards = verified(&again);

    assert!(meanwhile.is_whole, "{meanwhile:?}");
    assert!(meanwhile.incidents >= 500);
    assert_eq!((afterwards.is_whole, afterwards.incidents), (true, 1_000));
}
