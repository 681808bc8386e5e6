//! A disk that refuses, freezes, or lost its end.

use std::os::unix::fs::symlink;

use super::*;

fn segment_of_today(world: &World) -> PathBuf {
    let stamp = segment::Stamp::at(segment::Holds::Lines, world.clock.seconds());
    world
        .directory()
        .join(stamp.file_name(segment::Holds::Lines))
}

#[tokio::test]
async fn a_full_disk_is_counted_and_told_once_there_is_room_again() {
    let world = World::start();
    let segment = segment_of_today(&world);
    world.recorder.record(incident()).await.unwrap();
    fs::rename(&segment, world.folder.path().join("before")).unwrap();
    symlink("/dev/full", &segment).unwrap();

    for _ in 0..3 {
        assert_eq!(
            world.recorder.record(incident()).await,
            Err(NotWritten::WriteFailed)
        );
    }
    assert!(!world.recorder.is_healthy());
    assert!(
        world
            .recorder
            .health()
            .unwrap_err()
            .contains("No space left")
    );
    fs::remove_file(&segment).unwrap();

    until("the log is healthy again", || world.recorder.is_healthy()).await;
    let gaps = world.of_kind("gap");
    assert_eq!(world.dropped(), 3);
    assert!(world.counts("linkgate_incidents_dropped_total 3"));
    assert!(
        gaps.iter()
            .any(|gap| gap.text("/reason").unwrap().contains("No space left"))
    );
    world.recorder.record(incident()).await.unwrap();
    let numbers: Vec<u64> = world
        .records()
        .iter()
        .map(|record| record.seq().unwrap())
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a + 1 == *b), "{numbers:?}");
}

#[tokio::test]
async fn a_removed_directory_is_made_again_and_costs_no_later_record() {
    let world = World::start();
    world.recorder.record(incident()).await.unwrap();
    fs::remove_dir_all(world.directory()).unwrap();

    let later = incident();
    let id = later.id.to_string();
    world.recorder.record(later).await.unwrap();

    assert!(matches!(world.incidents().find(&id), Found::One(_)));
    assert!(
        world.of_kind("gap")[0]
            .text("/reason")
            .unwrap()
            .contains("removed")
    );
}

#[tokio::test]
async fn a_directory_removed_again_takes_nothing_with_it_that_was_told_in_it() {
    let world = World::start();
    world.recorder.record(incident()).await.unwrap();
    // What the file says next is that a record was dropped, then that it was lost itself.
    let segment = segment_of_today(&world);
    fs::rename(&segment, world.folder.path().join("before")).unwrap();
    symlink("/dev/full", &segment).unwrap();
    world.recorder.record(incident()).await.unwrap_err();
    fs::remove_file(&segment).unwrap();
    until("the log is healthy again", || world.recorder.is_healthy()).await;

    for _ in 0..2 {
        fs::remove_dir_all(world.directory()).unwrap();
        world.recorder.record(incident()).await.unwrap();
    }

    let gaps = world.of_kind("gap");
    let lost_from: Vec<u64> = gaps
        .iter()
        .filter_map(|gap| gap.number("/first_seq"))
        .collect();
    assert_eq!(lost_from, [1], "{gaps:?}");
    assert_eq!(world.dropped(), 1);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_retried_until_it_can() {
    let world = World::start();
    fs::remove_dir_all(world.directory()).unwrap();
    fs::write(world.directory(), "a file in its place").unwrap();

    assert_eq!(
        world.recorder.record(incident()).await,
        Err(NotWritten::WriteFailed)
    );
    assert!(world.recorder.health().is_err());
    fs::remove_file(world.directory()).unwrap();

    until("the log is healthy again", || world.recorder.is_healthy()).await;
    assert_eq!(world.dropped(), 1);
}

#[test]
fn a_directory_that_cannot_be_made_at_start_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("incidents");
    fs::write(&directory, "a file in its place").unwrap();
    let (ring, shard) = (KeyRing::random(), Metrics::default().shard());
    let live = LiveSecrets::new(ring.clone());

    let started = Recorder::start(settings(&directory), ring, live, Clock::system(), shard);

    assert!(started.is_err());
}

#[tokio::test]
async fn a_line_torn_by_a_kill_is_closed_off_told_and_stepped_over() {
    let world = World::start();
    world.recorder.record(incident()).await.unwrap();
    let segment = segment_of_today(&world);
    let folder = world.close();
    let mut torn = fs::read(&segment).unwrap();
    torn.extend_from_slice(br#"{"v":1,"id":"0199","#);
    fs::write(&segment, torn).unwrap();

    let again = World::in_folder(folder, |_| {});
    again.recorder.record(incident()).await.unwrap();

    let lines: Vec<_> = again.incidents().list(Filter::default()).collect();
    let kinds: Vec<Option<&str>> = lines
        .iter()
        .map(|line| line.as_ref().ok().and_then(Record::kind))
        .collect();
    assert_eq!(kinds, [Some("failed"), Some("gap"), None, Some("failed")]);
    let numbers: Vec<u64> = lines.iter().flatten().filter_map(Record::seq).collect();
    assert_eq!(numbers, [3, 2, 1]);
}

#[tokio::test]
async fn hostile_lines_cost_only_themselves() {
    let world = World::start();
    world.recorder.record(incident()).await.unwrap();
    let mut bytes = fs::read(segment_of_today(&world)).unwrap();
    for hostile in [
        &b"null"[..],
        b"[1]",
        b"{\"kind\":7}",
        b"\xff\xfe\0",
        &b"[".repeat(100_000),
        &vec![b'x'; line::MAX_LINE + 1],
    ] {
        bytes.extend_from_slice(hostile);
        bytes.push(b'\n');
    }
    fs::write(segment_of_today(&world), bytes).unwrap();

    for order in [Order::NewestFirst, Order::OldestFirst] {
        let lines: Vec<_> = world
            .incidents()
            .list(Filter {
                order,
                ..Filter::default()
            })
            .collect();
        assert_eq!(lines.iter().flatten().count(), 1, "{order:?}");
        assert_eq!(
            lines.iter().filter(|line| line.is_err()).count(),
            6,
            "{order:?}"
        );
    }
}

#[tokio::test]
async fn a_full_queue_drops_counts_and_tells() {
    let world = World::with(|settings| settings.queue_bytes = 40_000);

    let written: Vec<Written> = (0..2_000)
        .map(|_| world.recorder.record(incident()))
        .collect();
    let mut refused = 0;
    for written in written {
        refused += u64::from(written.await == Err(NotWritten::QueueFull));
    }

    assert!(refused > 0);
    until("the log is healthy again", || world.recorder.is_healthy()).await;
    until("every dropped record is told", || {
        world.dropped() == refused
    })
    .await;
    assert_eq!(world.of_kind("failed").len() as u64 + refused, 2_000);
}

#[tokio::test]
async fn a_late_answer_makes_the_log_unhealthy_until_it_is_told() {
    let world = World::start();

    world.recorder.late();

    assert!(!world.recorder.is_healthy());
    until("the log is healthy again", || world.recorder.is_healthy()).await;
    assert_eq!(world.of_kind("late")[0].number("/late"), Some(1));
    assert!(world.counts("linkgate_late_records_total 1"));
}

#[tokio::test]
async fn a_record_with_huge_heads_stays_short_enough_to_be_read() {
    let world = World::start();
    let mut incident = incident();
    let head: Vec<u8> = [
        b"HTTP/1.1 503 x\r\nA: ".to_vec(),
        vec![0x81; 60_000],
        b"\r\n\r\n".to_vec(),
    ]
    .concat();
    let head = Head::Wire(head.into());
    incident.attempts = std::iter::repeat_n(incident.attempts.remove(0), 16).collect();
    for attempt in &mut incident.attempts {
        attempt.head = Some(head.clone());
        attempt.sent = Some(head.clone());
    }

    world.recorder.record(incident).await.unwrap();

    let record = world.records().remove(0);
    assert_eq!(record.json()["shortened"], true);
    assert_eq!(record.json()["attempts"][15]["latin1"], true);
}

#[tokio::test]
async fn a_frozen_disk_holds_nobody_up_and_is_told() {
    let world = World::with(|settings| settings.hold = Duration::from_millis(20));
    let segment = segment_of_today(&world);
    fs::remove_file(&segment).unwrap();
    let pipe = world.folder.path().join("pipe");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .unwrap();
    symlink(&pipe, &segment).unwrap();
    // More than a pipe holds: the writer stands in the middle of a write.
    let waiting: Vec<Written> = (0..100)
        .map(|_| world.recorder.record(incident()))
        .collect();
    until("the log is unhealthy", || !world.recorder.is_healthy()).await;
    assert!(
        world
            .recorder
            .health()
            .unwrap_err()
            .contains("longer than the hold")
    );

    let while_frozen = world.recorder.record(incident());
    world.recorder.late();
    let reader = std::thread::spawn(move || drain(&pipe, 101));
    for written in waiting {
        written.await.unwrap();
    }
    while_frozen.await.unwrap();

    until("the log is healthy again", || world.recorder.is_healthy()).await;
    let lines = reader.join().unwrap();
    assert_eq!(lines, 101);
}

/// Reads until so many records came out.
fn drain(pipe: &Path, records: usize) -> usize {
    let pipe = io::BufReader::new(fs::File::open(pipe).unwrap());
    let is_record = |line: &String| line.contains(r#""kind":"failed""#);
    io::BufRead::lines(pipe)
        .map(Result::unwrap)
        .filter(is_record)
        .take(records)
        .count()
}
