//! Logs with known damage, and what is said of them.

use super::*;

const NOON: i64 = 1_790_000_000 - 1_790_000_000 % 86_400 + 43_200;

struct World {
    folder: tempfile::TempDir,
    clock: Clock,
}

impl World {
    /// A log of these segments, named by day of the year's end, each a list of lines.
    fn of(segments: &[(&str, &[String])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (stem, lines) in segments {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            fs::write(folder.path().join(format!("incidents-{stem}.ndjson")), text).unwrap();
        }
        let clock = Clock::system();
        Self { folder, clock }
    }

    fn append(&self, stem: &str, bytes: &str) {
        let path = self.folder.path().join(format!("incidents-{stem}.ndjson"));
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, before + bytes).unwrap();
    }

    fn verify(&self) -> Report {
        verify(self.folder.path(), Duration::from_secs(86_400), &self.clock).unwrap()
    }
}

/// A record with a number and an id of its own.
fn line(seq: u64) -> String {
    let time = timestamp(NOON * 1_000_000 + i64::try_from(seq).unwrap());
    format!(
        r#"{{"v":1,"id":"00000000-0000-7000-8000-{seq:012x}","seq":{seq},"time":"{time}","kind":"failed"}}"#
    )
}

fn lines(numbers: std::ops::RangeInclusive<u64>) -> Vec<String> {
    numbers.map(line).collect()
}

fn gap(seq: u64, fields: &str) -> String {
    format!(
        r#"{{"v":1,"kind":"gap","seq":{seq},"time":"2026-11-23T00:00:00.000000Z","since":"a","until":"b","reason":"because",{fields}}}"#
    )
}

fn holes(report: &Report) -> Vec<(u64, u64)> {
    let hole = |finding: &Finding| match finding {
        Finding::MissingLines {
            first_seq,
            last_seq,
            ..
        } => Some((*first_seq, *last_seq)),
        _ => None,
    };
    report.findings.iter().filter_map(hole).collect()
}

#[test]
fn a_log_whose_beginning_retention_dropped_is_whole() {
    let world = World::of(&[
        ("2026-11-21", &lines(41..=45)),
        ("2026-11-22", &lines(46..=47)),
        ("2026-11-22.1", &lines(48..=50)),
    ]);

    let report = world.verify();

    assert!(report.is_whole, "{report:?}");
    assert_eq!(
        (report.segments, report.lines, report.incidents),
        (3, 10, 10)
    );
    assert_eq!((report.first_seq, report.last_seq), (Some(41), Some(50)));
    assert!(report.first_time.unwrap() < report.last_time.unwrap());
}

#[test]
fn a_log_that_is_not_there_or_empty_is_whole() {
    let world = World::of(&[("2026-11-21", &[])]);

    assert!(world.verify().is_whole);
    fs::remove_dir_all(world.folder.path()).unwrap();
    assert!(world.verify().is_whole);
}

#[test]
fn a_segment_removed_from_the_middle_is_a_hole_with_its_times() {
    let world = World::of(&[
        ("2026-11-21", &lines(1..=5)),
        ("2026-11-23", &lines(9..=10)),
    ]);

    let report = world.verify();

    assert!(!report.is_whole);
    assert_eq!(report.missing_lines, 3);
    let [
        Finding::MissingLines {
            first_seq: 6,
            last_seq: 8,
            after: Some(after),
            before: Some(before),
        },
    ] = report.findings.as_slice()
    else {
        panic!("{report:?}")
    };
    assert!(
        line(5).contains(after) && line(9).contains(before),
        "{report:?}"
    );
}

#[test]
fn lines_out_of_order_by_a_clock_set_back_are_no_hole() {
    let world = World::of(&[
        ("2026-11-21", &[lines(1..=3), lines(7..=8)].concat()),
        ("2026-11-22", &lines(4..=6)),
    ]);

    assert!(world.verify().is_whole);
}

#[test]
fn what_gap_records_tell_is_listed_and_what_they_account_for_is_not() {
    let world = World::of(&[("2026-11-21", &lines(1..=3))]);
    world.append("2026-11-21", "{\"v\":1,\"id\":\"0199\n");
    let torn = gap(4, r#""cause":"torn","dropped":0,"lines":1"#);
    let dropped = gap(5, r#""cause":"failed","dropped":7"#);
    world.append("2026-11-21", &format!("{torn}\n{dropped}\n{}\n", line(6)));

    let report = world.verify();

    assert_eq!((report.torn_lines, report.dropped, report.notes), (1, 7, 2));
    assert!(
        matches!(
            report.findings.as_slice(),
            [Finding::Dropped {
                count: 7,
                seq: 5,
                ..
            }]
        ),
        "{report:?}"
    );
}

#[test]
fn a_line_that_no_note_accounts_for_is_named() {
    let world = World::of(&[("2026-11-21", &lines(1..=3))]);
    world.append("2026-11-21", &format!("nonsense\n{}\n", line(4)));

    let report = world.verify();

    let torn = Torn {
        segment: "incidents-2026-11-21.ndjson".to_owned(),
        line: 4,
    };
    assert_eq!(report.findings, [Finding::UnreadableLine(torn)]);
}

#[test]
fn a_note_accounts_for_the_torn_line_before_it_and_no_other() {
    let world = World::of(&[("2026-11-21", &lines(1..=3))]);
    world.append("2026-11-21", &format!("nonsense\n{}\ntorn\n", line(4)));
    let dropped = gap(5, r#""cause":"failed","dropped":0"#);
    let torn = gap(6, r#""cause":"torn","dropped":0,"lines":2"#);
    world.append("2026-11-22", &format!("{dropped}\n{torn}\n"));

    let report = world.verify();

    let unreadable = Torn {
        segment: "incidents-2026-11-21.ndjson".to_owned(),
        line: 4,
    };
    assert_eq!(report.findings, [Finding::UnreadableLine(unreadable)]);
    assert_eq!(report.torn_lines, 1);
}

#[test]
fn a_lost_segment_of_which_nothing_is_known_is_a_finding() {
    let note = gap(18, r#""cause":"moved","dropped":0"#);
    let world = World::of(&[("2026-11-21", &[note, line(19)])]);

    let report = world.verify();

    assert_eq!(report.findings, [Finding::LostSegment { seq: 18 }]);
    assert!(!report.is_whole);
}

#[test]
fn what_retention_drops_meanwhile_is_no_hole() {
    let world = World::of(&[
        ("2026-11-21", &lines(1..=3)),
        ("2026-11-21.1", &lines(4..=6)),
        ("2026-11-21.2", &lines(7..=9)),
    ]);
    let mut walk = Walk::new(world.folder.path(), Duration::ZERO, &world.clock).unwrap();

    assert!(walk.goes_on().unwrap());
    for dropped in ["2026-11-21", "2026-11-21.1"] {
        let name = format!("incidents-{dropped}.ndjson");
        fs::remove_file(world.folder.path().join(name)).unwrap();
    }
    while walk.goes_on().unwrap() {}

    let report = walk.end();
    assert!(report.is_whole, "{report:?}");
    assert_eq!((report.segments, report.first_seq), (1, Some(7)));
}

#[test]
fn lines_that_a_failed_append_takes_back_are_read_anew() {
    let world = World::of(&[("2026-11-21", &lines(1..=3))]);
    let mut walk = Walk::new(world.folder.path(), Duration::ZERO, &world.clock).unwrap();
    let name = "incidents-2026-11-21.ndjson";
    let file = File::open(world.folder.path().join(name)).unwrap();
    let mut read = Forward::new(file, 0);

    walk.lines(name, &mut read, &mut 0).unwrap();

    assert!(!walk.was_taken_back(name, &read));
    fs::write(world.folder.path().join(name), line(1) + "\n").unwrap();
    assert!(walk.was_taken_back(name, &read));
    walk.begins_anew();
    while walk.goes_on().unwrap() {}
    let report = walk.end();
    assert!(report.is_whole, "{report:?}");
    assert_eq!(report.lines, 1);
}

#[test]
fn a_lost_first_segment_is_a_hole_as_far_as_its_note_knows() {
    let note = gap(18, r#""cause":"moved","dropped":0,"first_seq":3"#);
    let world = World::of(&[("2026-11-21", &[note, line(19)])]);

    assert_eq!(holes(&world.verify()), [(3, 17)]);

    world.append(
        "2026-11-20",
        &lines(3..=17)
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    );
    assert!(world.verify().is_whole, "it was put back");
}

#[test]
fn a_tail_without_end_is_said_and_is_no_finding() {
    let world = World::of(&[("2026-11-21", &lines(1..=3))]);
    world.append("2026-11-21", "{\"v\":1,\"seq\":4");

    let report = world.verify();

    assert!(report.is_whole && report.is_tail_open, "{report:?}");
    world.append("2026-11-22", "");
    assert!(
        !world.verify().is_whole,
        "a later start should have closed it off"
    );
}

#[test]
fn numbers_and_ids_that_come_twice_are_named() {
    let ledger = line(7)
        .replace("000000000007", "000000000002")
        .replace("failed", "written");
    let again = line(6).replace("000000000006", "000000000002");
    let world = World::of(&[(
        "2026-11-21",
        &[lines(1..=5), lines(5..=5), vec![again, ledger]].concat(),
    )]);

    let report = world.verify();

    let id = |n: u64| format!("00000000-0000-7000-8000-{n:012x}");
    let expected = [
        Finding::NumberTwice {
            seq: 5,
            segment: "incidents-2026-11-21.ndjson".to_owned(),
        },
        Finding::IdTwice { id: id(5), seq: 5 },
        Finding::IdTwice { id: id(2), seq: 6 },
    ];
    assert_eq!(
        report.findings, expected,
        "a line of the ledger shares its exchange's id"
    );
}

#[test]
fn findings_are_listed_up_to_a_limit_and_counted_beyond() {
    let numbers: Vec<String> = (0..=MOST_FINDINGS as u64 + 10)
        .map(|n| line(n * 2 + 1))
        .collect();
    let world = World::of(&[("2026-11-21", &numbers)]);

    let report = world.verify();

    assert_eq!(report.findings.len(), MOST_FINDINGS);
    assert_eq!(report.not_listed, 10);
    assert_eq!(report.missing_lines, MOST_FINDINGS as u64 + 10);
}
